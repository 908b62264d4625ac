"""The outer half of a peer, shared by participants and enclaves: what it says and when (§2.2 to §2.8, §4.3)."""

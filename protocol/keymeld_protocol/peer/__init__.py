"""The outer half of a peer, shared by participants and enclaves: what it says and when; no socket and no clock."""

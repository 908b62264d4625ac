"""What is derived, handed out and sealed: keys, tickets, the group's key, envelopes (§8)."""

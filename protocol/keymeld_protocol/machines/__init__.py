"""What the log allows: keygen, signing, consent, and replaying them (specification, 6 and 7)."""

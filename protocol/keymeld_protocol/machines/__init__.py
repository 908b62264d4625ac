"""What the log allows: keygen, signing, consent, and replaying them (§6, §7)."""

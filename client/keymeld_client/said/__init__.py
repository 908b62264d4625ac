"""What a participant says, before it is said: joins and requests."""

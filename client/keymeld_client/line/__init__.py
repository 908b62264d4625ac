"""The way to the coordinator: one conversation, kept alive, and everything heard on it, verified."""

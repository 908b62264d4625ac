"""What one person keeps on disk: identity, keygens, what was said and not yet answered, whom to trust."""

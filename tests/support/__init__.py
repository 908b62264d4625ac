"""What the tests share: vectors, builders and worlds in memory. Nothing here is a test itself."""

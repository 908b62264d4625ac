"""What the design promises beyond its list of attacks, each as a test that tries to break it."""

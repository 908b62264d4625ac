"""What the specification promises beyond its list of attacks (§13), each as a test that tries to break it."""

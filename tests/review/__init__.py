"""What an independent reviewer found, each as a test that shows it refused."""

"""Where the log lies: the port, and the stores that hold to it."""

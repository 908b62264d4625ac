"""Strangers' bytes: whatever comes is read or refused with our own error, and never ends in another exception."""

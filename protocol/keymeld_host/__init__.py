"""What a process needs of its machine, once for all of them: settings, private files, log lines.

It stands beside the protocol, which has no files, no clock and no environment, and knows nothing of it but its errors.
"""

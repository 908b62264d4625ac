"""The ground of Keymeld: its vocabulary, state machines and public cryptography.

Participants, enclaves and the coordinator all build on this package and speak to one another in its words. It opens
no socket, reads no file, asks no clock and knows no event loop: bytes, statements and times come in, values go out.
"""

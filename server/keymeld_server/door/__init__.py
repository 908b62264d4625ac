"""The door: sockets, from accept to their end, and what a peer may cost the others before and while it is served."""

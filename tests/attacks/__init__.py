"""The attacks of the design: each line of its list is run here, by its number, and seen refused."""

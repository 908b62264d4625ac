"""What is inside sealed fields; the coordinator imports none of it (specification, 9)."""

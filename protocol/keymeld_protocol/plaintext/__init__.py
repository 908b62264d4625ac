"""What is inside sealed fields; the coordinator imports none of it (§9)."""

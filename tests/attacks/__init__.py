"""What must be impossible (§13): each attack of the list is run, here or beside what refuses it, and seen refused."""

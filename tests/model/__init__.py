"""Every state that a machine can reach, within bounds, and what must hold on each step between two of them."""

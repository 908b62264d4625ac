"""Transactions, PSBTs, addresses, descriptors, and the tweaks that lead to them."""

"""What everybody reads, the coordinator too: shapes, payloads, statements, records, frames (specification, 1 to 5)."""

"""What everybody reads, the coordinator too: shapes, payloads, statements, records, frames (§1 to §5)."""

"""Tests in the shape of the source: tests/protocol/test_sealing.py reads protocol/keymeld_protocol/sealing.py aloud."""

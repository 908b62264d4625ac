"""This machine's clock."""

import time

from keymeld_client.clock import now_ms


def test_it_shows_milliseconds_since_1970() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= now_ms() <= time.time_ns() // 1_000_000

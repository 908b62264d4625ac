"""telling.py: times and spans in words."""

import pytest

from keymeld_client.telling import moment, span


def test_a_time_is_told_in_utc() -> None:
    assert moment(0) == "1970-01-01 00:00 UTC"
    assert moment(61_000, "%H:%M:%S") == "00:01:01"


def test_an_impossible_time_of_a_stranger_is_a_number() -> None:
    assert moment(2**53 - 1) == "9007199254740991 ms after 1970, which no calendar holds"


@pytest.mark.parametrize(
    ("ms", "told"), [(86_400_000, "1d"), (5_400_000, "1h30m"), (90_061_001, "1d1h1m1s1ms"), (1, "1ms"), (0, "0s")]
)
def test_a_span_is_told_as_it_is_typed(ms: int, told: str) -> None:
    assert span(ms) == told

"""command/typed/times.py: times that a person types, and a rule's times in words."""

import pytest

from keymeld_client.command.typed import short_forms, times
from keymeld_protocol.wire.shapes import MAX_DELAY_MS, Rule


@pytest.mark.parametrize(
    ("text", "ms"), [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1w", 604_800_000)]
)
def test_a_span_is_read_with_its_unit(text: str, ms: int) -> None:
    assert times.span(text) == ms


@pytest.mark.parametrize("text", ["", "5", "h", "0s", "-1h", "1.5h", "1 h", "999999999w999999999w999999999w"])
def test_a_span_without_unit_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|forever"):
        times.span(text)


@pytest.mark.parametrize("text", ["2023-11-14", "2023-11-14 00:00", "2023-11-14T00:00Z", "2023-11-14 00:00 UTC"])
def test_a_time_is_read_in_utc_and_a_day_means_its_first_minute(text: str) -> None:
    assert times.when(text) == 1_699_920_000_000


@pytest.mark.parametrize("text", ["", "tomorrow", "2023-11-31", "2023-11-14 24:01", "14.11.2023", "1699920000", "2d"])
def test_a_time_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2026-12-01|calendar"):
        times.when(text)


def test_a_delay_is_a_span_of_at_most_six_days() -> None:
    assert times.delay("24h") == 86_400_000 and times.delay("6d") == MAX_DELAY_MS
    with pytest.raises(ValueError, match="at most 6d"):
        times.delay("7d")


TIMED = Rule(approval="none", delay_ms=5_400_000, not_before=0, not_after=86_400_000)


def test_a_rule_with_times_is_told_with_them() -> None:
    assert short_forms.rule_told(TIMED) == (
        "any member's request is enough, 1h30m after it was heard, not before 1970-01-01 00:00 UTC, "
        "not after 1970-01-02 00:00 UTC"
    )


def test_the_times_of_a_rule_are_explained_before_they_are_sealed() -> None:
    delay, before, after = times.explained(TIMED)
    assert "1h30m after its enclave heard the request" in delay and "your no (keymeld reject) stops it" in delay
    assert before.endswith("before 1970-01-01 00:00 UTC") and "for good" in after
    assert "a no counts until then" in times.explained(Rule(approval="self", delay_ms=1))[0]
    assert times.explained(Rule(approval="self")) == []

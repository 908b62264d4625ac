"""Times as a person types them, and the times of a rule back in words.

    2d · 90m · 1h30m                        milliseconds
    2026-12-01 · '2026-12-01 14:00'         milliseconds since the Unix epoch, in UTC

Every reader raises ValueError with a sentence that says what would be right.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from keymeld_protocol.wire.shapes import MAX_DELAY_MS, Rule

from ...shown.telling import moment
from ...shown.telling import span as span_told

_SPAN: Final = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h|d|w))+", re.ASCII)
_WHEN: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]([0-9]{2}:[0-9]{2})(?:Z| ?UTC)?)?", re.ASCII)
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def span(text: str) -> int:
    """Read a time span such as ``2d`` or ``1h30m``, in milliseconds.

    Raises:
        ValueError: no number with a unit, or no time at all.
    """
    if not _SPAN.fullmatch(text):
        raise ValueError("use a number with a unit: 30s, 90m, 2h, 7d, or 1h30m")
    total = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"([0-9]+)(ms|s|m|h|d|w)", text))
    if not 0 < total < 2**53:
        raise ValueError("must be longer than nothing and shorter than forever")
    return total


def delay(text: str) -> int:
    """Read a delay, in milliseconds: a time span of at most 6 days.

    Raises:
        ValueError: it is longer, or no time span.
    """
    ms = span(text)
    if ms > MAX_DELAY_MS:
        raise ValueError(f"at most {span_told(MAX_DELAY_MS)}: a request lives for a week")
    return ms


def when(text: str) -> int:
    """Read a time in UTC such as ``2026-12-01`` (its first minute) or ``2026-12-01 14:00``, in ms since the Unix epoch.

    Raises:
        ValueError: none of these, or no day of the calendar.
    """
    found = _WHEN.fullmatch(text)
    if found is None:
        raise ValueError("use a day such as 2026-12-01 (from its first minute) or '2026-12-01 14:00', in UTC")
    try:
        parsed = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}+00:00")
        return int(parsed.timestamp()) * 1000
    except ValueError:
        raise ValueError("no calendar holds this day and time") from None


def told(rule: Rule) -> list[str]:
    """Say what time must do before a key signs, in a few words each."""
    return [
        *([f"{span_told(rule.delay_ms)} after it was heard"] if rule.delay_ms is not None else []),
        *([f"not before {moment(rule.not_before)}"] if rule.not_before is not None else []),
        *([f"not after {moment(rule.not_after)}"] if rule.not_after is not None else []),
    ]


def explained(rule: Rule) -> list[str]:
    """Say when a key signs, a line each."""
    lines = []
    if rule.delay_ms is not None:
        no = "your no (keymeld reject) stops it until then" if rule.approval == "none" else "a no counts until then"
        lines.append(f"signs {span_told(rule.delay_ms)} after its enclave heard the request, no sooner; {no}")
    if rule.not_before is not None:
        lines.append(f"signs nothing before {moment(rule.not_before)}")
    if rule.not_after is not None:
        lines.append(f"signs nothing after {moment(rule.not_after)}, for good: coins left here then are lost")
    return lines

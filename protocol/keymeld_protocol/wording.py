"""Slots in words, the same in every error, page and log: ``slot 2``, ``slots 0, 1 and 2``."""

from __future__ import annotations

from collections.abc import Sequence


def slots_told(slots: Sequence[int]) -> str:
    """Slots with their noun: ``slot 2``, ``slots 0 and 1``; nobody's are ``no slots``."""
    return f"slot{'s' if len(slots) != 1 else ''} {listed(slots)}" if slots else "no slots"


def listed(slots: Sequence[int]) -> str:
    """Slots in their order: ``0, 1 and 2``."""
    *most, last = map(str, slots) if slots else ("none",)
    return f"{', '.join(most)} and {last}" if most else last


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 record``, ``3 records``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

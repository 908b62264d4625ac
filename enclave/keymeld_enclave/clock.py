"""The enclave's time: the host's clock as the process began, advanced by a counter that nobody sets (``time: host``).

    began ── wall clock, read once ──▶ + boottime since ──▶ now

A clock that is set back or forward while the process runs changes nothing.  What the host claimed when it began is
believed: this enclave's only source of time is its host, and its manifest will say so.  An operator who corrects the
clock restarts the enclaves (§11.2).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The counter that also counts while the machine sleeps, where there is one."""


class HostClock:
    """Milliseconds since the Unix epoch, at each call; ``wall`` and ``steady`` give nanoseconds."""

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] | None = None) -> None:
        """Read the wall clock, for the last time."""
        self._steady = steady or (lambda: time.clock_gettime_ns(_STEADY))
        self._ahead = wall() - self._steady()

    def __call__(self) -> int:
        """Now."""
        return (self._ahead + self._steady()) // 1_000_000


now_ms: Final = HostClock()
"""This process's time (ms): it begins as the program is loaded."""

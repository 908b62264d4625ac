"""When to come back after a connection was lost: the close code decides, chance spreads the crowd.

    40xx  never: coming back cannot help
    41xx  later: full jitter, 0 … 0.25 s, 0.5 s, 1 s … 30 s, and not before the coordinator asked for
    42xx  at once, the first time; a coordinator that keeps saying so is treated like 41xx
    other later: the network failed

The first failure after a success is answered soonest; nobody waits longer than 60 s.
"""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import Final

BASE_S: Final = 0.25
CAP_S: Final = 30.0
_CHANCE: Final = SystemRandom()


def is_terminal(code: int | None) -> bool:
    """Whether a close code says that coming back cannot help."""
    return code is not None and 4000 <= code < 4100


def is_at_once(code: int | None) -> bool:
    """Whether a close code says to come back without waiting."""
    return code is not None and 4200 <= code < 4300


class Backoff:
    """Counts the failures in a row; ``random`` gives numbers in 0…1."""

    def __init__(self, random: Callable[[], float] = _CHANCE.random) -> None:
        """Begin without failures."""
        self._random = random
        self.failures = 0

    def succeeded(self) -> None:
        """The conversation was resumed: the next failure is the first."""
        self.failures = 0

    def failed(self, code: int | None = None, retry_after_ms: int = 0) -> float:
        """Count a failure; gives the seconds to wait, at most 60."""
        self.failures += 1
        if is_at_once(code) and self.failures == 1 and not retry_after_ms:
            return 0.0
        most: float = min(CAP_S, BASE_S * 2.0 ** min(self.failures - 1, 16))
        return min(CAP_S, retry_after_ms / 1000) + most * self._random()

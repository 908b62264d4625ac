"""How a conversation ended, and when to come back (§2.8).

    40xx                          never: coming back cannot help
    41xx                          later: full jitter over 0.25 s, 0.5 s, 1 s … 30 s
    42xx, any other code, none    at once the first time; then later, as if the first had been a wait too

What the coordinator asked for is waited in any case, at most 30 s of it, and makes *at once* a *later*.  An end is the
first one where the conversation before it was resumed and stood for a second: one that never lasts is no success.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from ..errors import KeymeldError

FIRST_WAIT_MS: Final = 250
LONGEST_WAIT_MS: Final = 30_000
STOOD_MS: Final = 1_000
"""How long a resumed conversation has to stand for its end to be the first one."""


class Return(StrEnum):
    """What a close code says about coming back, in the words of its table."""

    NEVER = "never"
    LATER = "later"
    AT_ONCE = "at once"

    @classmethod
    def after(cls, code: int | None) -> Return:
        """What ``code`` says; None where the connection was lost without one."""
        if code is not None and 4000 <= code < 4100:
            return cls.NEVER
        return cls.LATER if code is not None and 4100 <= code < 4200 else cls.AT_ONCE


class Ended(KeymeldError):
    """A conversation has ended, or cannot go on.

    ``code`` is the close code, None when there was none; ``retry_after_ms`` when the coordinator wants us back;
    ``for_good``: another conversation would not fare better, whatever the code says.
    """

    def __init__(self, why: str, code: int | None = None, retry_after_ms: int = 0, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.terminal = for_good or Return.after(code) is Return.NEVER


class Backoff:
    """Counts the ends in a row; ``random`` gives numbers in 0…1, each wait takes one where it is not at once."""

    def __init__(self, random: Callable[[], float]) -> None:
        """Begin without an end."""
        self._random = random
        self._ends = 0

    def after(self, ended: Ended, stood_ms: int = 0) -> int | None:
        """How long to wait (ms, at most 60,000) before dialling again; None: for ever.

        ``stood_ms`` is for how long the conversation that ended had been resumed, 0 where it never was.
        """
        if ended.terminal:
            return None
        self._ends = 1 if stood_ms >= STOOD_MS else self._ends + 1
        asked = min(LONGEST_WAIT_MS, ended.retry_after_ms)
        if self._ends == 1 and not asked and Return.after(ended.code) is Return.AT_ONCE:
            return 0
        most = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(self._ends - 1, 16))
        return asked + int(most * self._random())

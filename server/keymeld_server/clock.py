"""Time arrives as a statement too: deadlines become notices.

    settled part ─▶ set(stream, deadline) ─▶ … the deadline passes … ─▶ Sessions.look ─▶ keygen.expired, attempt.opened

A deadline that passed while the coordinator was down is looked at as soon as it starts.  The clock only says *look
there now*; what is due is the machines' business, and what is not due any more does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from typing import Final

from keymeld_host.logs import tell
from keymeld_protocol.errors import Unavailable
from keymeld_protocol.values import Id

LONGEST_SLEEP_MS: Final = 1_000
"""The clock looks again after that: the system's time may have been set, and who looks often knows of a pause."""
RETRY_MS: Final = 1_000
"""After a failure of the store."""
AT_ONCE: Final = 64
"""Sessions looked at together, so that their notices share commits."""


class Deadlines:
    """The deadlines of all open sessions, soonest first; ``now`` is in milliseconds since the Unix epoch."""

    def __init__(
        self,
        now: Callable[[], int],
        look: Callable[[Id], Awaitable[object]],
        wake: Callable[[int], object] = lambda now: None,
    ) -> None:
        """Call ``look(stream)`` for each deadline that has passed, and ``wake(now)`` every second at least."""
        self._now = now
        self._look = look
        self._wake = wake
        self._heap: list[tuple[int, Id]] = []
        self._at: dict[Id, int] = {}
        self._changed = asyncio.Event()

    def set(self, stream: Id, deadline: int | None) -> None:
        """The deadline of ``stream`` (ms), instead of the one that it had; None: none."""
        if deadline is None:
            self._at.pop(stream, None)
        elif self._at.get(stream) != deadline:
            self._at[stream] = deadline
            heappush(self._heap, (deadline, stream))
            if self._heap[0][1] == stream:
                self._changed.set()
        if len(self._heap) > 64 + 2 * len(self._at):
            self._heap = sorted((at, stream) for stream, at in self._at.items())

    def poke(self) -> None:
        """Look at the time again: it has moved."""
        self._changed.set()

    def due(self) -> list[Id]:
        """Take the streams whose deadline has passed."""
        passed: list[Id] = []
        while self._heap and (self._heap[0][0] <= self._now() or self._stale(*self._heap[0])):
            at, stream = heappop(self._heap)
            if not self._stale(at, stream):
                del self._at[stream]
                passed.append(stream)
        return passed

    def _stale(self, at: int, stream: Id) -> bool:
        return self._at.get(stream) != at

    async def run(self) -> None:
        """Turn deadlines into looks, for ever."""
        while True:
            self._changed.clear()
            self._wake(self._now())
            passed = self.due()
            for begin in range(0, len(passed), AT_ONCE):
                await asyncio.gather(*map(self._look_at, passed[begin : begin + AT_ONCE]))
            wait = min(self._heap[0][0] - self._now() if self._heap else LONGEST_SLEEP_MS, LONGEST_SLEEP_MS)
            try:
                async with asyncio.timeout(max(0, wait) / 1000):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look_at(self, stream: Id) -> None:
        """One look; after a failure of the store it is repeated a little later."""
        try:
            await self._look(stream)
        except Unavailable as problem:
            tell(logging.WARNING, "a deadline waits for the store", stream=stream, reason=problem.reason)
            self.set(stream, self._now() + RETRY_MS)

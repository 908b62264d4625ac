"""Whose turn it is: work is weighed in processor time, and who has had the least of it goes first.

    bytes, frames, requests ─▶ their cost (µs) ─▶ the account of their connection, and its purse
    ask ─▶ the purse is empty ─▶ when it is not
        ─▶ nobody waits, and this turn of the loop has time left ─▶ now
        ─▶ else after whoever has had less, as much as fits in a turn of the loop          start-time fair queueing

An account that is idle owes nothing and saves up no more than its purse holds: one more peer is served before all who
have had more since it came, however many wait.  A connection counts by its ``weight``: those of one address share, and
an enclave, which has no purse, goes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from typing import Final

LOOP_S: Final = 0.001
"""What may be done between two looks at the sockets; then others have their turn."""

FRAME_US: Final = 10.0
"""A frame is read (µs, as all that follow; measured on a quiet machine of two cores)."""
CONTROL_US: Final = 1_000.0
"""A control frame, or a fragment: priced for what it is good for, since nobody needs many."""
BYTE_US: Final = 0.02
"""A byte of a message is decoded and parsed."""
REQUEST_US: Final = 40.0
"""A request is parsed, and its answer written."""
SIGNATURE_US: Final = 35.0
"""A signature is verified, or a head signed."""
STATEMENT_US: Final = 250.0
"""A statement is decided, and its part of a commit."""
ROW_US: Final = 8.0
"""A row of a listing is read and written."""
RECORD_US: Final = 60.0
"""A record is read from the store; its bytes come on top."""
PRESENCE_US: Final = 3.0
"""Somebody is told that somebody is here."""


class Purse:
    """Processor time that may be had: ``ms_per_second`` of it, and what was not used for two seconds."""

    __slots__ = ("_at", "_clock", "_full", "_left", "_rate")

    def __init__(self, ms_per_second: int, clock: Callable[[], float] = perf_counter) -> None:
        """Full; ``clock`` is in seconds."""
        self._clock = clock
        self._rate = ms_per_second * 1000.0
        self._left = self._full = 2 * self._rate
        self._at = clock()

    def pay(self, cost: float) -> None:
        """Take out ``cost`` µs, also more than there are."""
        self._fill()
        self._left -= cost

    @property
    def wait_s(self) -> float:
        """How long it takes until there is something in it again."""
        self._fill()
        return max(0.0, -self._left / self._rate)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._full, self._left + (now - self._at) * self._rate)
        self._at = now


class Account:
    """What one connection has had (µs, weighed); without ``fairness`` it is only added up."""

    __slots__ = ("had", "purse", "fairness", "weight")

    def __init__(
        self, fairness: Fairness | None = None, weight: Callable[[], float] = lambda: 1.0, purse: Purse | None = None
    ) -> None:
        """``weight`` says how much a microsecond counts, now."""
        self.had = 0.0
        self.purse = purse
        self.fairness = fairness
        self.weight = weight

    def charge(self, cost: float) -> None:
        """It has had ``cost`` µs more."""
        if self.purse is not None:
            self.purse.pay(cost)
        if self.fairness is None:
            self.had += cost
        else:
            self.fairness.charge(self, cost)

    async def turn(self, cost: float) -> None:
        """Wait for its turn, if it has to, and charge it ``cost``."""
        if self.fairness is None:
            self.charge(cost)
        else:
            await self.fairness.turn(self, cost)

    @property
    def wait_s(self) -> float:
        """How long it has to wait because of what it has had, whoever else waits."""
        return self.purse.wait_s if self.purse is not None else 0.0


class Fairness:
    """The order in which peers are served; one for each coordinator."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        """Nobody waits; ``clock`` is in seconds."""
        self._clock = clock
        self._now = 0.0
        self._until = 0.0
        self._waiting: list[tuple[float, float, int, Account, float, Callable[[], None]]] = []
        self._numbers = count()
        self._looking = False

    def __len__(self) -> int:
        """How many wait for others; those whose purse is empty are not among them."""
        return len(self._waiting)

    def free(self, account: Account) -> bool:
        """Whether ``account`` need not wait."""
        return not self._waiting and (not self._looking or self._clock() < self._until) and not account.wait_s

    def charge(self, account: Account, cost: float) -> None:
        """``account`` has had ``cost`` µs of this turn of the loop."""
        begun = max(self._now, account.had)
        if not self._waiting:
            self._now = begun
        account.had = begun + cost * account.weight()
        self._look_again()

    def ask(self, account: Account, cost: float, go: Callable[[], None]) -> None:
        """Call ``go`` when it is the turn of ``account``, which is charged ``cost`` then."""
        if (wait_s := account.wait_s) > 0:
            asyncio.get_running_loop().call_later(wait_s, self.ask, account, cost, go)
            return
        begun = max(self._now, account.had)
        heappush(self._waiting, (begun, account.had, next(self._numbers), account, cost, go))
        self._look_again()

    async def turn(self, account: Account, cost: float) -> None:
        """Wait for the turn of ``account``, which is charged ``cost`` then."""
        if self.free(account):
            account.charge(cost)
            return
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ask(account, cost, lambda: None if come.done() else come.set_result(None))
        await come

    def _look_again(self) -> None:
        """At most once in a turn of the loop, which begins with the first who has something done in it."""
        if not self._looking:
            self._looking, self._until = True, self._clock() + LOOP_S
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        """Another turn of the loop: who has had least, as far as its time goes."""
        self._looking = False
        until = self._clock() + LOOP_S
        while self._waiting and self._clock() < until:
            begun, *_, account, cost, go = heappop(self._waiting)
            self._now = max(self._now, begun)
            account.charge(cost)
            go()
        if self._waiting:
            self._look_again()

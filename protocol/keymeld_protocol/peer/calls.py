"""Requests and their answers on one connection: sent at the pace that hello allows, repeated while that helps.

ask ─▶ queue ─▶ take (pace) ─▶ frame … answer ─▶ then(result)
         ▲                                    ├▶ refused(problem)      repeating does not help
         └── later: 0.25 s, 0.5 s … 30 s ◀────┘ repeatable, the same bytes, not before retry_after_ms

The pace is a bucket of ``requests_per_second`` requests that is full at hello and fills by as many a second: half of
what the coordinator lets through at once (§2.7), so that no delay on the way makes it a flood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, Final

from ..errors import Reason, WireError
from ..wire import frames
from ..wire.connection import Answer, PeerSide

FIRST_REPEAT_MS: Final = 250
LONGEST_REPEAT_MS: Final = 30_000
PER_SECOND: Final = 100
"""Requests a second, where hello does not say."""
REPEATABLE: Final = frozenset(reason for reason in Reason if reason.repeatable)
"""The refusals after which the same bytes may succeed later (§2.9)."""

_ONE: Final = 1000
"""A request, in the unit of the bucket: what fills it in a millisecond is ``requests_per_second``."""

Then = Callable[[Any], None]
OnProblem = Callable[[WireError], None]
OnRefused = Callable[[str, WireError], None]


@dataclass(eq=False)
class Call:
    """A request, what to do with its result (of type ``kind``), and what when it is refused, or put off."""

    method: str
    params: dict[str, Any]
    then: Then | None
    kind: Any
    refused: OnProblem | None
    put_off: OnProblem | None
    again: Set[Reason]
    failures: int = 0
    at: int = 0


class Calls:
    """The requests of one connection; times in ms."""

    def __init__(self, side: PeerSide, refused: OnRefused, again: Set[Reason] = REPEATABLE) -> None:
        """Number requests with ``side``; ``refused`` hears of what nobody else does; repeat after ``again``."""
        self._side = side
        self._refused = refused
        self._again = again
        self._queue: deque[Call] = deque()
        self._later: list[Call] = []
        self._open: dict[int | str, Call] = {}
        self._per_second = PER_SECOND
        self._bucket, self._filled_at = 0, 0

    def __len__(self) -> int:
        """How many requests are not answered yet, or wait to be sent."""
        return len(self._queue) + len(self._later) + len(self._open)

    def begin(self, per_second: int, now: int) -> None:
        """From now on at most ``per_second`` requests a second may leave; one of them in any case."""
        self._per_second, self._filled_at = max(1, per_second), now
        self._bucket = self._per_second * _ONE

    def ask(
        self, method: str, params: dict[str, Any], then: Then | None = None, kind: Any = None, *,
        refused: OnProblem | None = None, put_off: OnProblem | None = None, again: Set[Reason] | None = None,
        first: bool = False,
    ) -> None:  # fmt: skip
        """Queue a request, with ``first`` before all that wait.

        ``refused`` hears of a refusal for good, ``put_off`` of each one after which it is repeated, ``again`` names
        those reasons where they are others than this connection's.
        """
        call = Call(method, params, then, kind, refused, put_off, self._again if again is None else again)
        self._queue.appendleft(call) if first else self._queue.append(call)

    def answered(self, answer: Answer, now: int) -> None:
        """Handle an answer; one that nobody waits for is dropped.

        Raises:
            BadInput: the result is not what the method gives.
        """
        call = self._open.pop(answer.ident, None)
        if call is None:
            return
        problem = answer.problem
        if problem is None:
            result = None if call.kind is None else frames.convert(answer.result, call.kind)
            if call.then is not None:
                call.then(result)
        elif problem.reason in call.again:
            pause = min(LONGEST_REPEAT_MS, FIRST_REPEAT_MS << min(call.failures, 10))
            call.failures += 1
            call.at = now + max(pause, min(LONGEST_REPEAT_MS, problem.retry_after_ms or 0))
            self._later.append(call)
            if call.put_off is not None:
                call.put_off(problem)
        elif call.refused is not None:
            call.refused(problem)
        else:
            self._refused(call.method, problem)

    def take(self, now: int) -> list[bytes]:
        """The frames that may leave now, in the order in which they were asked; what is repeated comes last."""
        self._queue.extend(call for call in self._later if call.at <= now)
        self._later = [call for call in self._later if call.at > now]
        self._fill(now)
        taken = []
        while self._queue and self._bucket >= _ONE:
            call = self._queue.popleft()
            ident, frame = self._side.request(call.method, call.params)
            self._open[ident] = call
            self._bucket -= _ONE
            taken.append(frame)
        return taken

    def _fill(self, now: int) -> None:
        grown = max(0, now - self._filled_at) * self._per_second
        self._bucket = min(self._per_second * _ONE, self._bucket + grown)
        self._filled_at = now

    @property
    def due(self) -> int | None:
        """When ``take`` gives the next frame, a time that may have passed; None: nothing waits."""
        times = [call.at for call in self._later]
        if self._queue:
            lacking = max(0, _ONE - self._bucket)
            times.append(self._filled_at + -(-lacking // self._per_second))
        return min(times, default=None)

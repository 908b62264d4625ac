"""Requests and their answers on one connection: sent at the pace that hello allows, repeated while that helps.

ask ─▶ queue ─▶ take (pace) ─▶ frame … answer ─▶ then(result)
         ▲                                    ├▶ refused(problem)      repeating does not help
         └── later: 0.25 s, 0.5 s … 30 s ◀────┘ repeatable, the same bytes, not before retry_after_ms
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from keymeld_host.logs import tell
from keymeld_protocol.errors import WireError
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Answer, PeerSide

FIRST_RETRY_MS, LONGEST_RETRY_MS = 250, 30_000
PER_SECOND: Final = 100
"""Requests a second, where hello does not say."""

Then = Callable[[Any], None]
OnRefused = Callable[[WireError], None]


@dataclass(eq=False)
class Call:
    """A request, what to do with its result (of type ``kind``), and what when it is refused for good."""

    method: str
    params: dict[str, Any]
    then: Then | None
    kind: Any
    refused: OnRefused
    failures: int = 0
    at: int = 0


class Calls:
    """The requests of one connection; times in ms."""

    def __init__(self, side: PeerSide) -> None:
        """Number requests with ``side``."""
        self._side = side
        self._queue: deque[Call] = deque()
        self._later: list[Call] = []
        self._open: dict[int | str, Call] = {}
        self._per_second = PER_SECOND
        self._allowance, self._counted_at = 0.0, 0

    def begin(self, per_second: int, now: int) -> None:
        """From now on at most ``per_second`` requests a second may leave."""
        self._per_second, self._allowance, self._counted_at = per_second, float(per_second), now

    def ask(
        self, method: str, params: dict[str, Any], then: Then | None = None, kind: Any = None,
        refused: OnRefused | None = None,
    ) -> None:  # fmt: skip
        """Queue a request; a refusal that nobody handles is written to the log."""

        def written(problem: WireError) -> None:
            tell(logging.WARNING, "refused", method=method, reason=problem.reason.value)

        self._queue.append(Call(method, params, then, kind, refused or written))

    def answered(self, answer: Answer, now: int) -> None:
        """Handle an answer; one that nobody waits for is dropped.

        Raises:
            BadInput: the result is not what the method gives.
        """
        call = self._open.pop(answer.ident, None)
        if call is None:
            return
        if answer.problem is None:
            result = None if call.kind is None else frames.convert(answer.result, call.kind)
            if call.then is not None:
                call.then(result)
        elif answer.problem.reason.repeatable:
            pause = min(LONGEST_RETRY_MS, FIRST_RETRY_MS << min(call.failures, 10))
            call.failures += 1
            call.at = now + max(pause, min(LONGEST_RETRY_MS, answer.problem.retry_after_ms or 0))
            self._later.append(call)
        else:
            call.refused(answer.problem)

    def tick(self, now: int) -> None:
        """Queue again what is to be repeated now."""
        self._queue.extend(call for call in self._later if call.at <= now)
        self._later = [call for call in self._later if call.at > now]

    def take(self, now: int) -> list[bytes]:
        """The frames that may leave now."""
        if not self._queue:
            return []
        grown = max(0, now - self._counted_at) * self._per_second / 1000
        self._allowance = min(float(self._per_second), self._allowance + grown)
        self._counted_at, frames_ = now, []
        while self._queue and self._allowance >= 1:
            call = self._queue.popleft()
            ident, frame = self._side.request(call.method, call.params)
            self._open[ident] = call
            self._allowance -= 1
            frames_.append(frame)
        return frames_

    @property
    def waiting(self) -> bool:
        """Whether something could not leave for the sake of the pace."""
        return bool(self._queue)

"""One conversation of a peer with its coordinator: frames and times in, frames out (§2.2, §2.8).

    hello ──▶ resuming ─┐                       ┌─▶ take: frames, at the pace that hello allows
    answer ─▶ calls ────┼─▶ the inner half asks ┤
    record ─▶ inner ────┘                       └─▶ ping, after heartbeat_ms of silence

Whoever holds the socket feeds what it reads to ``receive``, calls ``tick`` and ``take`` whenever they are due, and asks
``closed`` what its end means.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

from ..errors import BadInput, Reason, WireError
from ..foreign import quoted
from ..wire.connection import Answer, Close, Goodbye, Heard, Hello, PeerSide, Presence, Rights
from .calls import PER_SECOND, REPEATABLE, Calls
from .heartbeat import Heartbeat
from .resuming import InnerHalf, Resuming
from .waits import Ended, Return

_TOLD: Final = 500
"""Cells of a terminal for what the coordinator says to people."""
_FIELD: Final = re.compile(r"[a-z_.\[\]0-9]{1,64}", re.ASCII)
"""The name of a field, as a complaint may give it."""


class Talk:
    """The outer half of a peer on one connection; ``origin`` is what it dialled."""

    def __init__(self, origin: str, inner: InnerHalf, again: Set[Reason] = REPEATABLE) -> None:
        """Speak for ``inner``; what is refused with one of ``again`` is repeated."""
        self.goodbye: Goodbye | None = None
        self.side = PeerSide(origin)
        self.calls = Calls(self.side, inner.refused, again)
        self.heartbeat = Heartbeat()
        self.resuming = Resuming(self.side, self.calls, inner)
        self._inner = inner
        self._ready_at: int | None = None

    @property
    def ready(self) -> bool:
        """Whether everything was resumed."""
        return self.resuming.ready

    def receive(self, data: str | bytes, now: int) -> None:
        """Handle one frame, completely.

        Raises:
            Ended: the coordinator breaks the protocol, or refuses this peer.
        """
        self.heartbeat.heard(now)
        try:
            event = self.side.receive(data)
        except BadInput as error:
            version = Close.VERSION if error.reason is Reason.UNKNOWN_VERSION else None
            raise Ended(f"the coordinator does not speak this protocol: {error}", version) from None
        if isinstance(event, Heard):
            self._inner.hear(event)
            self.resuming.settle(event.stream)
        elif isinstance(event, Answer):
            self._answered(event, now)
        elif isinstance(event, Presence):
            self._inner.presence(event)
        elif isinstance(event, Rights):
            self._told_rights(event)
        elif isinstance(event, Hello):
            self._greeted(event, now)
        elif isinstance(event, Goodbye):
            self.goodbye = event
        if self.ready and self._ready_at is None:
            self._ready_at = now

    def _told_rights(self, told: Rights) -> None:
        """Subscribe anew what is open as a whole; what ends to be holds up nothing (§4.4)."""
        if not told.whole:
            self._inner.rights(told.stream, whole=False)
            self.resuming.give_up(told.stream)
        elif self.resuming.knows(told.stream):
            self._inner.rights(told.stream, whole=True)
            self.resuming.subscribe(told.stream, anew=True)

    def stood_ms(self, now: int) -> int:
        """For how long everything has been resumed; 0 where it never was."""
        return max(0, now - self._ready_at) if self._ready_at is not None else 0

    def _greeted(self, hello: Hello, now: int) -> None:
        if self.resuming.begun:
            raise Ended("the coordinator does not speak this protocol: it said hello twice")
        self.heartbeat.greeted(hello.heartbeat_ms)
        self.calls.begin(hello.limits.get("requests_per_second", PER_SECOND), now)
        self.resuming.begin(hello)

    def _answered(self, answer: Answer, now: int) -> None:
        if answer.problem is not None:
            _attribute(answer.problem)
        try:
            self.calls.answered(answer, now)
        except BadInput as error:
            raise Ended(f"an answer of the coordinator cannot be read: {error}") from None

    def tick(self, now: int) -> None:
        """Ask for a sign of life where there was none for too long.

        Raises:
            Ended: there is none.
        """
        if self.heartbeat.tick(now):
            self.calls.ask("ping", {}, first=True)

    def take(self, now: int) -> list[bytes]:
        """The frames that may be sent now."""
        return self.calls.take(now)

    @property
    def due(self) -> int | None:
        """When ``take`` gives the next frame, a time that may have passed; None: nothing waits."""
        return self.calls.due

    def closed(self, code: int | None, reason: str = "") -> Ended:
        """What the end of the connection means, which the coordinator closed with ``code``, or None: was lost."""
        told = self.goodbye
        code = told.code if code is None and told is not None else code
        reason = reason or (told.reason if told is not None else "")
        why = quoted(reason, _TOLD) if reason else "connection lost"
        why = "the coordinator stops or restarts" if code == Close.DRAINING else why
        if Return.after(code) is Return.NEVER:
            why = f"the coordinator closed the connection for good: {why}"
        retry_after_ms = told.retry_after_ms if told is not None else 0
        return Ended(why if code is None else f"{why} ({code})", code, retry_after_ms)


def _attribute(problem: WireError) -> None:
    """What the coordinator complains about reads as its word, not as ours."""
    problem.message = f"the coordinator says {quoted(problem.message, _TOLD)}"
    if problem.field is not None and not _FIELD.fullmatch(problem.field):
        problem.field = None

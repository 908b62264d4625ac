"""What this enclave says on one connection: frames in, frames out; no socket and no clock.

    enclave                                   coordinator
      ◀─ hello
      ── authenticate {proof} ──────────────▶
      ── submit: what was never answered ───▶   the same bytes
      ── sessions {open} … pages ───────────▶   and from now on new streams follow by themselves
      ── subscribe: keygens {since?} ───────▶
      ◀─ results, records                       … until every keygen has caught up
      ── subscribe: signings {since?} ──────▶   verified against their keygens
      ── announce {capacity} ───────────────▶   only now: attempts that waited for us are heard live
      ◀─ result                                 ready
      ◀─ record ── submit, submit ──────────▶   as long as it lasts

Requests leave at the pace that hello allows.  One that may be repeated is sent again later, unchanged; any other
refusal is written to the log by its reason, and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import msgspec

from keymeld_host.logs import named, tell
from keymeld_protocol.errors import BadInput, KeymeldError, Reason, WireError
from keymeld_protocol.values import Id
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Answer, Goodbye, Heard, Hello, PeerSide, Placed, SessionInfo, Subscribed
from keymeld_protocol.wire.statements import Statement

from .agent import Agent
from .calls import PER_SECOND, Calls
from .outbox import Unanswered

PAGE: Final = 1000
ANSWER_MS: Final = 10_000
BIG_FRAME: Final = 8 * 1024
"""Bytes that a request of many items has at least."""


class Ended(KeymeldError):
    """The conversation cannot go on; ``terminal``: nor could another one."""

    def __init__(self, message: str, *, terminal: bool = False) -> None:
        super().__init__(message)
        self.terminal = terminal


class _Sessions(msgspec.Struct, frozen=True):
    sessions: tuple[SessionInfo, ...]


class Conversation:
    """One connection's talk.  Feed it frames and ticks, send what ``take`` gives."""

    def __init__(self, agent: Agent, outbox: Unanswered, origin: str, capacity: int) -> None:
        self.ready = False
        self.goodbye: Goodbye | None = None
        self._agent = agent
        self._outbox = outbox
        self._side = PeerSide(origin)
        self._calls = Calls(self._side)
        self._ask = self._calls.ask
        self._capacity = capacity
        self._sessions: list[SessionInfo] = []
        self._signings: set[Id] = set()
        self._catching_up: set[Id] | None = None
        self._asked: set[Id] = set()
        self._heard_at: int | None = None
        self._pinged_at: int | None = None

    # Frames and time in

    def receive(self, data: str | bytes, now: int) -> None:
        """Handle one frame, completely.

        Raises:
            Ended: the coordinator breaks the protocol, or refuses this enclave.
        """
        self._heard_at, self._pinged_at = now, None
        try:
            event = self._side.receive(data)
        except BadInput as error:
            terminal = error.reason is Reason.UNKNOWN_VERSION
            raise Ended(f"the coordinator does not speak this protocol: {error}", terminal=terminal) from None
        if isinstance(event, Heard):
            self._hear(event)
        elif isinstance(event, Answer):
            self._answered(event, now)
        elif isinstance(event, Hello):
            self._greeted(event, now)
        elif isinstance(event, Goodbye):
            self.goodbye = event

    def tick(self, now: int) -> None:
        """Look at what waits for time: the agent's words, requests to be repeated, the heartbeat.

        Raises:
            Ended: the coordinator has been silent for too long.
        """
        self._calls.tick(now)
        if self.ready:
            self._say(self._agent.tick())
            self._settle()
        self._heartbeat(now)

    def _heartbeat(self, now: int) -> None:
        """Whoever has heard nothing for so long asks; whoever gets no answer goes."""
        if self._heard_at is None:
            self._heard_at = now
        silence = now - self._heard_at
        if self._pinged_at is not None and now >= self._pinged_at + ANSWER_MS:
            raise Ended("the coordinator does not answer")
        if self._side.greeting is None:
            if silence >= ANSWER_MS:
                raise Ended("the coordinator says nothing")
        elif silence >= self._side.greeting.heartbeat_ms and self._pinged_at is None:
            self._pinged_at = now
            self._ask("ping", {})

    def take(self, now: int) -> list[bytes]:
        """The frames that may be sent now, at the pace that hello allows."""
        return self._calls.take(now)

    def is_heavy(self, data: str | bytes) -> bool:
        """Whether handling this frame may take long: a big batch goes on, or may begin with it."""
        return len(data) > BIG_FRAME or self._agent.heavy

    @property
    def tick_is_heavy(self) -> bool:
        """Whether the next tick may take long: a big batch waits for time."""
        return self._agent.heavy_tick

    @property
    def waiting(self) -> bool:
        """Whether something could not leave for the sake of the pace."""
        return self._calls.waiting

    # From hello to ready

    def _answered(self, answer: Answer, now: int) -> None:
        try:
            self._calls.answered(answer, now)
        except BadInput as error:
            raise Ended(f"an answer of the coordinator cannot be read: {error}") from None
        self._settle()

    def _greeted(self, hello: Hello, now: int) -> None:
        self._calls.begin(max(1, hello.limits.get("requests_per_second", PER_SECOND)), now)
        proof = self._side.authenticate([self._agent.identity.signing])
        self._ask("authenticate", proof, self._authenticated, refused=self._rejected)

    def _rejected(self, problem: WireError) -> None:
        raise Ended(f"the coordinator does not take this enclave: {problem.message}", terminal=True)

    def _authenticated(self, _: object) -> None:
        for statement in self._outbox.unanswered():
            self._submit(statement)
        self._list(None)

    def _list(self, after: Id | None) -> None:
        page = {"after": after.hex()} if after is not None else {}
        self._ask("sessions", {"open": True, "limit": PAGE, **page}, self._listed, _Sessions, self._rejected)

    def _listed(self, page: _Sessions) -> None:
        self._sessions += page.sessions
        if len(page.sessions) == PAGE:
            self._list(page.sessions[-1].stream)
            return
        known = self._agent.hearing.streams
        signings = {info.stream for info in self._sessions if info.kind == "signing"}
        signings |= {stream for stream, replay in known.items() if replay.as_signing is not None}
        keygens = {info.stream for info in self._sessions if info.kind == "keygen"} | (set(known) - signings)
        self._catching_up = set(keygens)
        for stream in sorted(keygens):
            self._subscribe(stream)
        self._signings = signings

    def _subscribe(self, stream: Id) -> None:
        """Hear a stream, from where its verified part ends."""
        if stream in self._asked:
            return
        self._asked.add(stream)
        replay = self._agent.hearing.streams.get(stream)
        position = replay.chain.position if replay is not None else None
        since = {"since": frames.since_json(position)} if position is not None else {}

        def subscribed(result: Subscribed) -> None:
            if result.reason is not None:
                tell(logging.ERROR, "history differs", stream=stream, reason=result.reason, top=result.top)
            self._say(self._agent.subscribed(stream, result.top))

        def refused(problem: WireError) -> None:
            tell(logging.WARNING, "not subscribed", stream=stream, reason=problem.reason.value)
            if self._catching_up is not None:
                self._catching_up.discard(stream)

        self._ask("subscribe", {"stream": stream.hex(), **since}, subscribed, Subscribed, refused)

    def _settle(self) -> None:
        """Go on when the keygens have caught up; ask for keygens that signings need; let ended streams go."""
        if self._catching_up is not None:
            self._catching_up = {stream for stream in self._catching_up if not self._caught_up(stream)}
            if not self._catching_up and not self.ready:
                self._catching_up = None
                self._come()
        for stream in self._agent.hearing.missing_keygens():
            self._subscribe(stream)
        for stream in self._agent.take_finished():
            self._asked.discard(stream)
            self._ask("unsubscribe", {"stream": stream.hex()})

    def _caught_up(self, stream: Id) -> bool:
        replay = self._agent.hearing.streams.get(stream)
        return replay is not None and (replay.broken is not None or (replay.chain.offset > 0 and replay.caught_up))

    def _come(self) -> None:
        """Subscribe the signings, then say that we are here."""
        for stream in sorted(self._signings):
            self._subscribe(stream)
        self._ask("announce", {"capacity": self._capacity}, self._announced, refused=self._rejected)

    def _announced(self, _: object) -> None:
        self.ready = True

    # Records in, statements out

    def _hear(self, heard: Heard) -> None:
        try:
            record = self._outbox.record_of(heard.record)
        except BadInput as error:
            tell(logging.ERROR, "not a record", stream=heard.stream, reason=error.reason.value)
            return
        try:
            self._say(self._agent.hear(heard.stream, record))
        except KeymeldError as error:  # one session that cannot be served harms no other
            tell(logging.ERROR, "not served", stream=heard.stream, error=named(error))
        self._settle()

    def _say(self, said: Iterable[Statement]) -> None:
        for statement in self._outbox.add(said):
            code = getattr(statement.payload, "code", None)
            level = logging.DEBUG if code is None else logging.WARNING
            tell(level, "said", kind=statement.payload.kind, stream=_stream_of(statement), code=code or "")
            self._submit(statement)

    def _submit(self, statement: Statement) -> None:
        def placed(_: Placed) -> None:
            self._outbox.answered(statement.id)

        def refused(problem: WireError) -> None:
            self._outbox.answered(statement.id)
            fields = {"kind": statement.payload.kind, "stream": _stream_of(statement)}
            tell(logging.INFO, "not taken", reason=problem.reason.value, **fields)

        params = {"statement": frames.statement_json(statement.wire)}
        self._ask("submit", params, placed, refused=refused)


def _stream_of(statement: Statement) -> bytes:
    return getattr(statement.payload, "stream", statement.id)

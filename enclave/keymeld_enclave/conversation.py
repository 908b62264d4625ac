"""What this enclave says on one connection, behind the outer half that every peer has: no socket and no clock.

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

The script and the pace are those of `keymeld_protocol.peer`.  A request that may be repeated is sent again later,
unchanged; any other refusal is written to the log by its reason, and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from keymeld_host.logs import named, tell
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import BadInput, KeymeldError, WireError
from keymeld_protocol.peer.resuming import InnerHalf
from keymeld_protocol.peer.talk import Talk
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id, Salt
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Heard, Hello, Placed, SessionInfo, Subscribed
from keymeld_protocol.wire.records import Position
from keymeld_protocol.wire.statements import Statement

from .agent import Agent
from .outbox import Unanswered

BIG_FRAME: Final = 8 * 1024
"""Bytes that a request of many items has at least."""


class Conversation(InnerHalf):
    """One connection's talk.  Feed it frames and ticks, send what ``take`` gives."""

    only_open: bool = True

    def __init__(self, agent: Agent, outbox: Unanswered, origin: str, capacity: int) -> None:
        self._agent = agent
        self._outbox = outbox
        self._capacity = capacity
        self._signings: list[Id] = []
        self.outer = Talk(origin, self)

    @property
    def ready(self) -> bool:
        """Whether this enclave was announced, and may be asked to sign."""
        return self.outer.ready

    # Frames and time in

    def receive(self, data: str | bytes, now: int) -> None:
        """Handle one frame, completely.

        Raises:
            Ended: the coordinator breaks the protocol, or refuses this enclave.
        """
        self.outer.receive(data, now)
        self._settle()

    def tick(self, now: int) -> None:
        """Look at what waits for time: the agent's words, the heartbeat.

        Raises:
            Ended: the coordinator has been silent for too long.
        """
        if self.ready:
            self._say(self._agent.tick())
            self._settle()
        self.outer.tick(now)

    def take(self, now: int) -> list[bytes]:
        """The frames that may be sent now, at the pace that hello allows."""
        return self.outer.take(now)

    @property
    def due(self) -> int | None:
        """When ``take`` gives the next frame; None: nothing waits."""
        return self.outer.due

    def is_heavy(self, data: str | bytes) -> bool:
        """Whether handling this frame may take long: a big batch goes on, or may begin with it."""
        return len(data) > BIG_FRAME or self._agent.heavy

    @property
    def tick_is_heavy(self) -> bool:
        """Whether the next tick may take long: a big batch waits for time."""
        return self._agent.heavy_tick

    def _settle(self) -> None:
        """Ask for keygens that signings need; let ended streams go."""
        for stream in self._agent.hearing.missing_keygens():
            self.outer.resuming.subscribe(stream)
        for stream in self._agent.take_finished():
            self.outer.resuming.unsubscribe(stream)

    # From hello to ready

    def keys(self, hello: Hello) -> Sequence[Keypair]:
        """The identity alone."""
        return [self._agent.identity.signing]

    def authenticated(self) -> None:
        """Say again what was never answered."""
        for statement in self._outbox.unanswered():
            self._submit(statement)

    def keygens(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """Those that are open, and those that this process knows."""
        known = self._agent.hearing.streams
        signings = {info.stream for info in listed if info.kind == "signing"}
        signings |= {stream for stream, replay in known.items() if replay.as_signing is not None}
        self._signings = sorted(signings)
        return sorted({info.stream for info in listed if info.kind == "keygen"} | (set(known) - signings))

    def signings(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """Those that were open or known as the sessions were listed: later ones are heard live."""
        return self._signings

    def position(self, stream: Id) -> Position | None:
        """Where the verified part of a stream ends."""
        return self._agent.position(stream)

    def subscribed(self, stream: Id, answer: Subscribed, nonce: Salt | None) -> None:
        """A stream will be heard."""
        if answer.reason is not None:
            tell(logging.ERROR, "history differs", stream=stream, reason=answer.reason, top=answer.top)
        self._say(self._agent.subscribed(stream, answer.top))

    def not_subscribed(self, stream: Id, problem: WireError) -> None:
        """A stream will not be heard; the others go on."""
        tell(logging.WARNING, "not subscribed", stream=stream, reason=problem.reason.value)

    def rights(self, stream: Id, *, whole: bool) -> None:
        """A stream is open to us, or no longer: the operator reads it, and what was heard of it binds all the same."""
        if stream in self._agent.hearing.streams:
            tell(logging.INFO, "may be heard" if whole else "may be heard no longer", stream=stream)

    def caught_up(self, stream: Id) -> bool:
        """Whether a keygen was heard as far as it had come, or broke."""
        return self._agent.caught_up(stream)

    def announcement(self) -> dict[str, Any]:
        """That this enclave is here."""
        return {"capacity": self._capacity}

    def not_resumed(self, problem: WireError) -> None:
        """An enclave that is not wanted does not come again: its process ends and says why."""
        raise Ended(f"the coordinator does not take this enclave: {problem.message}", for_good=True)

    def refused(self, method: str, problem: WireError) -> None:
        """A request that nobody waits for was refused."""
        tell(logging.WARNING, "refused", method=method, reason=problem.reason.value)

    # Records in, statements out

    def hear(self, heard: Heard) -> None:
        """A record has come: the agent verifies it, and says what follows from it."""
        try:
            record = self._outbox.record_of(heard.record)
        except BadInput as error:
            tell(logging.ERROR, "not a record", stream=heard.stream, reason=error.reason.value)
            self.outer.resuming.give_up(heard.stream)
            return
        try:
            self._say(self._agent.hear(heard.stream, record))
        except KeymeldError as error:  # one session that cannot be served harms no other
            tell(logging.ERROR, "not served", stream=heard.stream, error=named(error))
            self.outer.resuming.give_up(heard.stream)

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
        self.outer.calls.ask("submit", params, placed, refused=refused)


def _stream_of(statement: Statement) -> bytes:
    return getattr(statement.payload, "stream", statement.id)

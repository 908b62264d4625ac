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

Records wait for the turn of their keygen (`turns`), and ``work`` does what is next: nobody's request holds up another's
signing.  The script and the pace are those of `keymeld_protocol.peer`.  A request that may be repeated is sent again
later, unchanged; any other refusal is written to the log by its reason, and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from time import thread_time
from typing import Any, Final

import msgspec

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
from .turns import Turns

SMALL_MS: Final = 0.5
"""What a record costs at least, about, in processor time."""
BYTES_PER_MS: Final = 2048
"""How much of a request is read, planned and judged in a millisecond, about."""
EACH_MS: Final = 0.15
"""What each signature of a batch costs in one step, about."""
EACH_BYTES: Final = 1024
"""What any record takes while it waits, beside its texts."""
PIECE_MS: Final = 200
"""What one piece of a long judgement costs, about."""
HEAVY_MS: Final = 4
"""What costs more is done on a thread, so that neither signals nor pings are held up."""


class Conversation(InnerHalf):
    """One connection's talk.  Feed it frames and ticks, send what ``take`` gives."""

    only_open: bool = True

    def __init__(self, agent: Agent, outbox: Unanswered, origin: str) -> None:
        self._agent = agent
        self._outbox = outbox
        self._signings: list[Id] = []
        self._again: set[Id] = set()
        self._turns: Turns[Heard | Id] = Turns()
        self._queued: set[Id] = set()
        self._lines: dict[Id, Id] = {}
        self._behind: set[Id] = set()
        self._returning: Id | None = None
        self._time = 0
        self.outer = Talk(origin, self)

    @property
    def ready(self) -> bool:
        """Whether this enclave was announced, and may be asked to sign."""
        return self.outer.ready

    # Frames and time in

    def receive(self, data: str | bytes, now: int) -> None:
        """Handle one frame; a record waits for the turn of its keygen.

        Raises:
            Ended: the coordinator breaks the protocol, or refuses this enclave.
        """
        self._time = now
        self.outer.receive(data, now)
        self._settle()

    def work(self, now: int) -> bool:
        """Do what is next: a record is heard, or one piece of what a request needs is worked out; False: nothing is."""
        self._time = now
        turn = self._turns.take() if self.waiting else None
        if turn is None:
            return False
        keygen, job = turn
        began = thread_time()
        if isinstance(job, Heard):
            self._heard(job)
        else:
            self._queued.discard(job)
            self._say(self._agent.look(job))
        self._settle()
        self._turns.charge(keygen, 1000 * (thread_time() - began), now)
        return True

    @property
    def waiting(self) -> int:
        """How many records and pieces of work wait for their turn; none has one while too much waits to be answered."""
        return 0 if self._outbox.is_full(len(self.outer.calls)) else len(self._turns)

    @property
    def is_heavy(self) -> bool:
        """Whether what is next may take long."""
        return self._turns.cost > HEAVY_MS

    def tick(self, now: int) -> None:
        """Look at what waits for time: the agent's words, the heartbeat.

        Raises:
            Ended: the coordinator has been silent for too long.
        """
        self._time, self._returning = now, None  # who has not caught up by now holds up nobody else
        if self.ready:
            self._agent.expire()
            for stream in self._agent.due():
                self._look_again(stream)
            self._settle()
        self.outer.tick(now)

    def take(self, now: int) -> list[bytes]:
        """The frames that may be sent now, at the pace that hello allows."""
        return self.outer.take(now)

    @property
    def due(self) -> int | None:
        """When ``take`` gives the next frame; None: nothing waits."""
        return self.outer.due

    def _settle(self) -> None:
        """Ask for keygens that signings need, and for requests whose body is needed again; let ended streams go."""
        for stream in self._agent.hearing.missing_keygens():
            self.outer.resuming.subscribe(stream)
        for stream in self._agent.take_finished():
            self._again.discard(stream)
            self._is_back(stream)
            self._lines.pop(stream, None)
            self.outer.resuming.unsubscribe(stream)
        for stream in self._agent.unplanned() - self._again if self.ready else ():
            self._again.add(stream)
            self.outer.resuming.subscribe(stream, anew=True)
        self._again &= self._agent.unplanned()
        for stream in self._agent.going_on():
            self._look_again(stream)
        if self._behind:
            self._come_back()

    def _look_again(self, stream: Id) -> None:
        """Let a signing have a turn without a record."""
        if stream not in self._queued:
            self._queued.add(stream)
            cost = PIECE_MS if stream in self._agent.going_on() else SMALL_MS
            cost += EACH_MS * self._agent.places(stream)
            self._turns.add(self._agent.keygen_of(stream) or stream, stream, self._time, cost)

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
        live = stream in self._behind
        self._behind.discard(stream)
        self._say(self._agent.subscribed(stream, answer.top, live=live))

    def not_subscribed(self, stream: Id, problem: WireError) -> None:
        """A stream will not be heard; the others go on."""
        self._is_back(stream)
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
        return {"capacity": self._agent.door.capacity}

    def not_resumed(self, problem: WireError) -> None:
        """An enclave that is not wanted does not come again: its process ends and says why."""
        raise Ended(f"the coordinator does not take this enclave: {problem.message}", for_good=True)

    def refused(self, method: str, problem: WireError) -> None:
        """A request that nobody waits for was refused."""
        tell(logging.WARNING, "refused", method=method, reason=problem.reason.value)

    # Records in, statements out

    def hear(self, heard: Heard) -> None:
        """A record has come: it waits for the turn of its keygen.

        Where too much waits, whoever has most in line is heard again later, from where he stands; and a signing after
        its keygen, without which its request would look like one of another history.
        """
        line = self._line_of(heard)
        if heard.stream in self._behind or line in self._behind:
            self._behind.add(heard.stream)
            return
        said = heard.record.statement
        size = EACH_BYTES + len(said.payload) + sum(map(len, said.signatures)) + sum(map(len, filter(None, said.blobs)))
        cost = SMALL_MS + size / BYTES_PER_MS + EACH_MS * self._agent.places(heard.stream)
        self._turns.add(line, heard, self._time, cost, size)
        for job in self._turns.overfull():
            if isinstance(job, Heard):
                self._behind.add(job.stream)
            else:
                self._queued.discard(job)

    def _line_of(self, heard: Heard) -> Id:
        """The line in which all records of a stream wait: its keygen's.

        Of a signing that was not heard yet, what its first record says of itself is good enough for that.
        """
        stream = heard.stream
        if stream not in self._lines:
            named = self._agent.keygen_of(stream) or _keygen_named(heard.record.statement.payload)
            self._lines[stream] = named or stream
        return self._lines[stream]

    def _come_back(self) -> None:
        """Hear again what was let go for want of room, one after another; until then nothing of it is heard.

        A stream comes back when nothing of its keygen waits any more, and the one before has caught up: not to be let
        go once more.  A signing comes after its keygen.
        """
        back = self._returning
        if (back is not None and not self._agent.caught_up(back)) or not self._turns.has_room:
            return
        lines = ((stream, self._lines.get(stream, stream)) for stream in self._behind)
        free = (s for s, line in lines if not self._turns.waits(line) and (line == s or line not in self._behind))
        self._returning = next(free, None)
        if self._returning is not None:
            self.outer.resuming.subscribe(self._returning, anew=True)

    def _is_back(self, stream: Id) -> None:
        """A stream is heard again, or never will be."""
        self._behind.discard(stream)
        if self._returning == stream and stream not in self._agent.hearing.streams:
            self._returning = None

    def _heard(self, heard: Heard) -> None:
        """The turn of a record has come."""
        self._verify(heard)
        self.outer.resuming.settle(heard.stream)

    def _verify(self, heard: Heard) -> None:
        """The agent verifies a record, and says what follows from it."""
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


class _Named(msgspec.Struct):
    """What a request says of itself; nothing of it is believed."""

    keygen: str = ""


_named: Final = msgspec.json.Decoder(_Named)


def _keygen_named(payload: str) -> Id | None:
    """The keygen that the payload of a request names."""
    if not payload.startswith('{"kind":"signing.request"'):
        return None
    try:
        return Id.from_hex(_named.decode(payload).keygen)
    except (msgspec.MsgspecError, ValueError):
        return None


def _stream_of(statement: Statement) -> bytes:
    return getattr(statement.payload, "stream", statement.id)

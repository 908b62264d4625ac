"""A coordinator in memory: the server's own sessions and its own decisions, without sockets, tasks, disk or limits.

    submit ─▶ parse · known id · after ─▶ Decider ─▶ what a decision adds to each log
                                                         │
    inbox ◀─ tamper (a hostile coordinator) ◀─ WireRecord, to whom it concerns, in order

A hostile one: set ``tamper`` to drop, repeat, hold back or alter what a peer is sent; ``force`` writes a statement into
a log without any check; ``fork`` gives some peers a history of their own; ``attempt`` says ``attempt.opened`` at will.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Reason, Refused, WireError
from keymeld_protocol.machines import signing_state
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.machines.streams import as_keygen, step
from keymeld_protocol.values import Epoch, Id, XOnlyKey
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import OPENERS, AttemptOpened, KeygenJoin, SigningRequest
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import Said
from keymeld_protocol.wire.statements import Statement
from keymeld_server.decide import Decider, Decision
from keymeld_server.session import Session

NOON = 1_700_000_000_000
"""When every world begins (ms)."""

Tamper = Callable[["Peer", Id, WireRecord], Iterable[WireRecord]]


def secret_of(name: str) -> bytes:
    """32 bytes that follow from a name."""
    return sha256(name.encode()).digest()


def key_of(name: str) -> Keypair:
    """The key that a name decides."""
    with Secret(secret_of(name)) as secret:
        return Keypair(secret)


@dataclass(eq=False)
class Log(Session):
    """One stream as the coordinator keeps it, all of it decided and told; a signing's ``keygen`` is its home."""

    keygen: Log | None = None
    records: list[Record] = field(default_factory=list)

    def branch(self) -> Log:
        """A second history that begins like this one."""
        other = Log(self.stream, self.epoch, self.state, hearers=self.hearers, keygen=self.keygen)
        other.records = list(self.records)
        for record in self.records:
            other.chain.append(record)
        return other


class Peer:
    """Whoever hears: an inbox, and whether it is here.  What it was told is delivered by ``step``, one at a time."""

    signs = False
    """Whether this is an enclave that the coordinator runs."""

    def __init__(self, coordinator: Coordinator, name: str) -> None:
        self.coordinator, self.name = coordinator, name
        self.here = True
        self.inbox: deque[tuple[Id, WireRecord]] = deque()
        self.sent: dict[Id, int] = {}
        self.troubles: list[str] = []
        coordinator.peers[name] = self

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def keys(self) -> frozenset[XOnlyKey]:
        """The keys that this peer has proven."""
        raise NotImplementedError

    def hear(self, stream: Id, wire: WireRecord) -> None:
        """Take one record."""
        raise NotImplementedError

    def resume(self, stream: Id, top: int) -> int:
        """``stream`` stands at ``top`` as this peer comes back; returns the offset after which it wants records."""
        raise NotImplementedError

    def step(self) -> bool:
        """Hear one record; False when there is none."""
        if not self.inbox:
            return False
        stream, wire = self.inbox.popleft()
        try:
            self.hear(stream, wire)
        except WireError as error:
            self.troubles.append(str(error))
        return True

    def leave(self) -> None:
        """Go away: what was on its way is lost."""
        self.here = False
        self.inbox.clear()
        self.sent.clear()

    def come_back(self) -> None:
        """Connect again, resume every stream: keygens first, then signings."""
        self.leave()
        self.here = True
        logs = sorted(self.coordinator.logs_of(self), key=lambda log: isinstance(log.state, SigningState))
        for log in logs:
            self.sent[log.stream] = self.resume(log.stream, log.chain.offset)
            self.coordinator.publish(log, only=self)
        self.coordinator.clock()


class Coordinator:
    """Orders statements, keeps logs, tells peers; ``now`` (ms) is moved by hand."""

    def __init__(self) -> None:
        self.now = NOON
        self.epoch = Epoch(bytes(16))
        self.coordinator = key_of("coordinator")
        self.decider = Decider(self.coordinator, up_since=0)
        self.key = self.decider.key
        self.logs: dict[Id, Log] = {}
        self.branches: dict[tuple[str, Id], Log] = {}
        self.peers: dict[str, Peer] = {}
        self.tamper: Tamper | None = None

    @property
    def here(self) -> frozenset[XOnlyKey]:
        """The enclaves that are connected."""
        return frozenset(key for peer in self.peers.values() if peer.here and peer.signs for key in peer.keys)

    # What is said

    def submit(self, statement: Statement, speaker: Peer | None = None) -> tuple[Id, int]:
        """What the server does with a statement: check, append, say what is due, publish; gives its place.

        Raises:
            WireError: refused; nothing has changed.
        """
        statement = statements.parse(statement.wire)
        stream = getattr(statement.payload, "stream", statement.id)
        log = self.log(stream, speaker)
        if log is not None and statement.id in log.chain.ids:
            return stream, log.chain.ids[statement.id]
        statements.require_blobs(statement)
        log = self._open(statement, speaker) if isinstance(statement.payload, OPENERS) else log
        if log is None:
            raise Refused(Reason.UNKNOWN_STREAM, "stream: no such session", field="stream")
        keygen = log.keygen if isinstance(statement.payload, OPENERS) else None
        after = getattr(statement.payload, "after", None)
        if after is not None and not (keygen or log).chain.knows(after):
            raise Refused(Reason.FORK, "after: in no history of this stream", field="after")
        if isinstance(statement.payload, KeygenJoin) and isinstance(log.state, KeygenState):
            log.state.require_latest(statement.payload, log.chain.offsets[statement.payload.after])
        decision = self.decider.decide(log, statement, self.now, self.here, keygen)
        self._take(decision)
        if decision.problem is not None:
            raise decision.problem
        return stream, decision.offset

    def _open(self, statement: Statement, speaker: Peer | None) -> Log:
        """A log for what opens it; a request's has its keygen's beside it."""
        said = statement.payload
        if not isinstance(said, SigningRequest):
            return Log(statement.id, self.epoch)
        keygen = self.log(said.keygen, speaker)
        if keygen is None or not isinstance(keygen.state, KeygenState):
            raise Refused(Reason.UNKNOWN_STREAM, "keygen: no such keygen", field="keygen")
        if keygen.chain.knows(said.after):
            keygen.state.require_completed(keygen.chain.offsets[said.after])
        keygen.state.require_present(said.slots)
        return Log(statement.id, self.epoch, keygen=keygen)

    def _take(self, decision: Decision) -> None:
        """Keep and tell what was decided, as one."""
        part = decision.part
        if part is not None:
            assert isinstance(part.session, Log)
            self._keep(part.session, *part.records, left=part.left)

    def _keep(self, log: Log, *records: Record, left: Sequence[int] = ()) -> None:
        log.records += records
        for offset in left:
            log.records[offset - 1] = log.records[offset - 1].without_blobs(("envelope",))
        before, log.hearers = log.hearers, log.state.hearers() if log.state is not None else frozenset()
        for peer in self.peers.values():
            if peer.keys.isdisjoint(before):
                peer.sent.pop(log.stream, None)  # whoever comes to be concerned hears it from the first record
        self.logs.setdefault(log.stream, log)
        self.publish(log)

    def clock(self, only: Log | None = None) -> None:
        """Say every notice that time and presence call for."""
        for log in [only] if only is not None else list(self.logs.values()):
            self._take(self.decider.look(log, self.now, self.here))

    # Who hears it

    def log(self, stream: Id, speaker: Peer | None = None) -> Log | None:
        """A stream's log, as ``speaker`` is shown it."""
        branch = self.branches.get((speaker.name, stream)) if speaker is not None else None
        return branch if branch is not None else self.logs.get(stream)

    def state(self, stream: Id) -> Any:
        """A stream's state; the caller knows its kind."""
        return self.logs[stream].state

    def logs_of(self, peer: Peer) -> list[Log]:
        """The logs that concern a peer, as it is shown them."""
        shown = (self.log(stream, peer) for stream in self.logs)
        return [log for log in shown if log is not None and log.hearers & peer.keys]

    def publish(self, log: Log, only: Peer | None = None) -> None:
        """Put what is new of a log into the inboxes of those whom it concerns."""
        for peer in [only] if only is not None else self.peers.values():
            if peer.here and self.log(log.stream, peer) is log and log.hearers & peer.keys:
                for record in log.records[peer.sent.get(log.stream, 0) :]:
                    self._send(peer, log.stream, record)
                peer.sent[log.stream] = log.chain.offset

    def _send(self, peer: Peer, stream: Id, record: Record) -> None:
        wire = self.wire(record, peer)
        for sent in [wire] if self.tamper is None else self.tamper(peer, stream, wire):
            peer.inbox.append((stream, sent))

    def wire(self, record: Record, peer: Peer) -> WireRecord:
        """A record as ``peer`` is sent it: an envelope goes to its own enclave only."""
        said = record.statement.payload
        if isinstance(said, KeygenJoin) and said.enclave not in peer.keys:
            record = record.without_blobs(("envelope",))
        return WireRecord(record.epoch, record.offset, record.at, record.hash, record.statement.wire)

    # A hostile coordinator

    def force(self, statement: Statement, speaker: Peer | None = None) -> Record:
        """Write a statement into its log without any check."""
        said, stream = statement.payload, getattr(statement.payload, "stream", statement.id)
        log = self.log(stream, speaker) or Log(stream, self.epoch)
        if isinstance(said, SigningRequest):
            log.keygen = self.log(said.keygen, speaker)
        return self.inject(log, statement)

    def inject(self, log: Log, statement: Statement) -> Record:
        """Write a statement into a log where it does not belong; the state moves only if the machine takes it."""
        record = log.chain.next(self.epoch, self.now, statement)
        home = log.keygen.state if log.keygen is not None else None
        with suppress(WireError):
            log.state = step(log.state, record, as_keygen(home))
        log.chain.append(record)
        self._keep(log, record)
        return record

    def notice(self, log: Log, kind: type[Said], **fields: Any) -> Record:
        """Say ``kind`` in a log now, whether or not the log allows it."""
        payload = kind(v=1, by=self.decider.key, stream=log.stream, after=log.chain.hash, **fields)
        return self.inject(log, statements.make(payload, self.coordinator.sign))

    def attempt(self, stream: Id, **fields: Any) -> Record:
        """Say ``attempt.opened`` now, whether or not the log allows it."""
        log = self.logs[stream]
        assert isinstance(log.state, SigningState)
        signers = signing_state.signers_of(log.state)
        last = signers[-1].key if len(signers) > 1 else None
        chosen = {"attempt": log.state.attempt + 1, "signers": signers, "last": last} | fields
        return self.notice(log, AttemptOpened, **chosen)

    def fork(self, stream: Id, *peers: Peer) -> Log:
        """From now on these peers see, and write, a history of their own of ``stream``."""
        branch = self.logs[stream].branch()
        for peer in peers:
            self.branches[peer.name, stream] = branch
        return branch

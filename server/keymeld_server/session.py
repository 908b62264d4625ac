"""One stream in memory: its chain and state as decided, its top and state as committed, and the end of its log.

    say      DECIDE   statement ─▶ record on the tentative state          nobody hears it yet
    part     APPEND   what one decision adds to this stream               goes to the store in one commit
    settle   APPLY    the commit has happened: the state moves, the tail grows, hearers may be told

The tentative state runs ahead of the committed one while commits are under way, so a slow disk never stops the line.
When a commit fails, the session is dropped as it is and loaded anew from the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.streams import State, as_keygen, step
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.payloads import KeygenLeave
from keymeld_protocol.wire.records import Chain, Head, Record, sign_head
from keymeld_protocol.wire.statements import Statement

from .store.port import Append, SessionRow

TAIL_RECORDS = 64
TAIL_BYTES = 256 * 1024
"""How much of a stream's end is kept in memory; cursors that are further behind read the store."""


class Told:
    """A committed record as it goes to sockets: its bytes are made once, and once more without an envelope.

    While it is the latest of its stream they hold the signed head too; whoever catches up later hears it without.
    """

    __slots__ = ("_head", "_hidden", "_stream", "_whole", "enclave", "record")

    def __init__(self, stream: Id, record: Record) -> None:
        """Remember the record and the enclave for whom alone its envelope is."""
        self.record = record
        self.enclave = envelope_for(record)
        self._stream = stream
        self._whole: bytes | None = None
        self._hidden: bytes | None = None
        self._head: Head | None = None

    def frame(self, proven: Collection[XOnlyKey], head: Head | None = None) -> bytes:
        """The notification for a connection that has proven these keys; an envelope goes to its enclave only (§3.1).

        ``head`` is the signed head at this record, where it is the latest one (§4.2).
        """
        if head is not self._head:
            self._head, self._whole, self._hidden = head, None, None
        if self.enclave is None or self.enclave in proven:
            if self._whole is None:
                self._whole = frames.record_frame(self._stream, self.record, head)
            return self._whole
        if self._hidden is None:
            self._hidden = frames.record_frame(self._stream, self.record.without_blobs(("envelope",)), head)
        return self._hidden

    @property
    def size(self) -> int:
        """About how many bytes it takes (payload and blobs)."""
        return size_of(self.record)


def size_of(record: Record) -> int:
    """About how many bytes a record takes (payload and blobs)."""
    said = record.statement
    return len(said.text) + sum(len(blob) for blob in said.blobs if blob is not None)


def envelope_for(record: Record) -> XOnlyKey | None:
    """The enclave that this record's envelope is sealed to; None where there is no envelope."""
    said: Any = record.statement.payload
    return said.enclave if getattr(said, "envelope", None) is not None else None


@dataclass(frozen=True, eq=False)
class Part:
    """What one decision adds to one stream, and what holds after it; ``come`` are keys that it begins to concern.

    ``left`` are the offsets of joins whose slots leave with it: their envelopes are deleted.
    """

    session: Session
    records: tuple[Record, ...]
    state: State
    hearers: frozenset[XOnlyKey]
    come: frozenset[XOnlyKey]
    changed: bool
    deadline: int | None
    left: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """About how many bytes it adds (payloads and blobs)."""
        return sum(size_of(record) for record in self.records)

    def append(self) -> Append:
        """This part as the store takes it."""
        expected = self.records[0].offset - 1
        row = session_row(self.state, self.records[-1], self.deadline)
        hearers = self.hearers if self.changed else None
        return Append(self.session.stream, expected, self.records, row, hearers, self.left)


def session_row(state: State, last: Record, deadline: int | None) -> SessionRow:
    """What the store's projection says of a session in ``state``, whose latest record is ``last``."""
    at, phase = deadline if state.open else None, str(state.phase)
    return SessionRow(state.stream, state.kind, phase, last.offset, last.hash, state.parent, at, state.open)


@dataclass(eq=False)
class Session:
    """One stream; ``chain`` and ``state`` are tentative, ``top``, ``settled`` and ``hearers`` are what is on disk."""

    stream: Id
    epoch: Epoch
    chain: Chain = field(init=False)
    state: State | None = None
    top: int = 0
    settled: State | None = None
    hearers: frozenset[XOnlyKey] = frozenset()
    tail: deque[Told] = field(default_factory=deque)
    commit: asyncio.Task[Any] | None = None
    under_way: int = 0
    _tail_bytes: int = 0
    _said: list[Record] = field(default_factory=list)
    _hearers: frozenset[XOnlyKey] = frozenset()
    _head: Head | None = None

    def __post_init__(self) -> None:
        self.chain = Chain(self.stream)

    # Decide -----------------------------------------------------------------------------------------------------

    def say(self, said: Statement, at: int, keygen: KeygenState | None = None) -> Record:
        """Put ``said`` into the log as it is decided, at ``at`` (ms).

        Raises:
            WireError: the machine refuses it; nothing has changed.
        """
        record = self.chain.next(self.epoch, at, said)
        self.state = step(self.state, record, keygen)
        self.chain.append(record)
        self._said.append(record)
        return record

    @property
    def has_said(self) -> bool:
        """Whether anything was said since the last part."""
        return bool(self._said)

    def part(self, deadline: int | None) -> Part:
        """Take what was said since the last part; at least one record."""
        state = self.state
        assert state is not None and self._said
        hearers = self._hearers if self._hearers and state.hearers_stay else state.hearers()
        come, changed = hearers - self._hearers, hearers != self._hearers
        part = Part(self, tuple(self._said), state, hearers, come, changed, deadline, self._joins_left())
        self._said.clear()
        self._hearers = hearers
        return part

    def _joins_left(self) -> tuple[int, ...]:
        """Where the joins stand whose slots have left with what was said since the last part."""
        said = [record.statement.payload for record in self._said]
        slots = [payload.slot for payload in said if isinstance(payload, KeygenLeave)]
        keygen = as_keygen(self.state) if slots else None
        seats = keygen.seats if keygen is not None else ()
        return tuple(self.chain.ids[seat.id] for slot in slots if (seat := seats[slot]) is not None)

    # Apply ------------------------------------------------------------------------------------------------------

    def settle(self, part: Part) -> None:
        """What ``part`` says is on disk: the state moves."""
        assert part.records[0].offset == self.top + 1
        self.top, self.settled, self.hearers = part.records[-1].offset, part.state, part.hearers
        for record in part.records:
            self._remember(Told(self.stream, record))
        for offset in part.left:
            self._forget_envelope(offset)

    def load(self, record: Record, keygen: KeygenState | None = None) -> None:
        """Take a record that the store holds.

        Raises:
            BrokenLog, WireError: it cannot follow; the store holds what was never decided.
        """
        self.chain.check(record)
        self.state = self.settled = step(self.state, record, keygen)
        self.chain.append(record)
        self.top = record.offset
        self._remember(Told(self.stream, record))

    def loaded(self) -> None:
        """The last record of the store was loaded."""
        assert self.settled is not None
        self.hearers = self._hearers = self.settled.hearers()

    def _remember(self, told: Told) -> None:
        self.tail.append(told)
        self._tail_bytes += told.size
        while len(self.tail) > TAIL_RECORDS or (self._tail_bytes > TAIL_BYTES and len(self.tail) > 1):
            self._tail_bytes -= self.tail.popleft().size

    def _forget_envelope(self, offset: int) -> None:
        """Whoever reads the join at ``offset`` from the tail finds no envelope any more."""
        if (told := self.told(offset)) is not None:
            bare = Told(self.stream, told.record.without_blobs(("envelope",)))
            self.tail[offset - (self.top - len(self.tail)) - 1] = bare
            self._tail_bytes -= told.size - bare.size

    @property
    def weight(self) -> int:
        """About how many bytes its tail takes."""
        return self._tail_bytes

    # Read -------------------------------------------------------------------------------------------------------

    def told(self, offset: int) -> Told | None:
        """The committed record at ``offset`` (1…top), or None when only the store has it."""
        index = offset - (self.top - len(self.tail)) - 1
        return self.tail[index] if 0 <= index < len(self.tail) else None

    def head(self, sign: Callable[[bytes], bytes], now: int, nonce: Salt | None = None) -> Head:
        """The head of what is on disk, signed at ``now`` (ms): once for each top, and anew over each ``nonce``."""
        if nonce is not None:
            return sign_head(self.stream, self.tail[-1].record, sign, now, nonce)
        if self._head is None or self._head.offset != self.top:
            self._head = sign_head(self.stream, self.tail[-1].record, sign, now)
        return self._head

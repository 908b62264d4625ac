"""The log's port: what the coordinator asks of a store, whichever database answers.

    sessions ──append(Append, …)──▶ store ──one commit──▶ disk        the only point of no return
    sessions ◀──── None ─────────── store                             after the commit; or Conflict, or StoreFailed
    cursors  ──read(stream, after)▶ store ──▶ [Record, …]             never waits behind a commit

An `Append` carries the records of one stream together with the projection that holds once they are there: the
session's row and the keys that the stream concerns.  Both are written in the same commit, so `sessions` and the clock
never disagree with the log.

    StoreError (Unavailable)    we: nothing was stored; the same bytes may be submitted again
    ├── Conflict                the stream's top is another one by now: reload, decide again
    ├── StoreFailed             the commit did not happen, for every caller that it would have answered
    └── StoreUnusable           at the start: locked by another server, a newer schema, no database of ours
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from keymeld_protocol.errors import Reason, Unavailable
from keymeld_protocol.machines.machine import StreamKind
from keymeld_protocol.values import Epoch, Hash, Id, XOnlyKey
from keymeld_protocol.wire.records import Record


class StoreError(Unavailable):
    """The store could not do it; what a peer is told names no path and no database."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.UNAVAILABLE, message)


class Conflict(StoreError):
    """The stream is not where the caller believed, or holds the statement already: reload and decide again."""


class StoreFailed(StoreError):
    """The commit failed, or the store is closed; nothing of what was asked is stored. The cause is ``__cause__``."""


class StoreUnusable(StoreError):
    """The database cannot be opened; for the operator's eyes, so the message names the path and the remedy."""


@dataclass(frozen=True)
class SessionRow:
    """What `sessions` and the clock need to know of a session without reading its log.

    ``top`` and ``hash`` are those of its latest record, ``deadline_ms`` the next time (in milliseconds since the Unix
    epoch) at which the clock has something to say; ``open`` is false once nothing can follow.
    """

    stream: Id
    kind: StreamKind
    state: str
    top: int
    hash: Hash
    keygen: Id | None = None
    deadline_ms: int | None = None
    open: bool = True


@dataclass(frozen=True)
class Append:
    """Records that follow offset ``expected`` of one stream, and the projection that holds after them.

    ``hearers`` becomes exactly the set of keys that the stream concerns; None leaves the set as it is, so that the
    hot path does not rewrite it. ``left`` are the offsets of joins whose slot has left: their envelopes are deleted.
    """

    stream: Id
    expected: int
    records: tuple[Record, ...]
    session: SessionRow
    hearers: frozenset[XOnlyKey] | None = None
    left: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """An append that contradicts itself never reaches a database.

        Raises:
            ValueError: no record, offsets that do not follow ``expected`` one by one, or another session's row.
        """
        offsets = [record.offset for record in self.records]
        if not offsets or offsets != list(range(self.expected + 1, self.expected + 1 + len(offsets))):
            raise ValueError(f"records {offsets} do not follow offset {self.expected}")
        last = self.records[-1]
        if self.session.stream != self.stream or (self.session.top, self.session.hash) != (last.offset, last.hash):
            raise ValueError("the session's row is not that of this stream after these records")


@dataclass(frozen=True)
class EnclaveRow:
    """What an enclave announced: public, or sealed by itself.

    ``capacity`` is JSON text; ``document`` its last attestation document and ``kept`` its wrapped identity, both
    opaque to the coordinator.  None leaves what an earlier announcement stored.
    """

    identity: XOnlyKey
    announced_at_ms: int
    capacity: str
    document: bytes | None = None
    kept: bytes | None = None


class Store(Protocol):
    """An append-only log of streams with its projections; safe to call from many tasks of one event loop."""

    epoch: Epoch
    """Made when the store was, and kept: it changes only if history was lost or a backup restored."""

    async def append(self, *appends: Append) -> None:
        """Commit all of ``appends`` or none; returns once they are on disk.

        A caller that is cancelled while it waits does not know the outcome: reload the stream.

        Raises:
            Conflict: a stream's top is not what was expected, or a statement is stored already.
            StoreFailed: the commit failed or the store is closed.
        """

    async def read(self, stream: Id, after_offset: int, limit_records: int, limit_bytes: int) -> list[Record]:
        """The records that follow ``after_offset``, oldest first; none for an unknown stream.

        Stops before the record that would pass ``limit_bytes`` (about what they take on the wire), but always gives
        one if there is one, so that a cursor moves.

        Raises:
            StoreFailed: the database did not answer.
        """

    async def find(self, statement_id: Id) -> tuple[Id, int] | None:
        """Stream and offset at which a statement stands, or None.

        Raises:
            StoreFailed: the database did not answer.
        """

    async def sessions(
        self, keys: Iterable[XOnlyKey], open_only: bool = False, after: Id | None = None, limit: int = 100
    ) -> list[SessionRow]:
        """The sessions that concern any of ``keys``, in the order in which they were opened, each once.

        ``after`` is the last stream of the page before; an unknown one gives an empty page.

        Raises:
            StoreFailed: the database did not answer.
        """

    async def session(self, stream: Id) -> SessionRow | None:
        """One session's row, or None.

        Raises:
            StoreFailed: the database did not answer.
        """

    async def deadlines(self) -> list[tuple[Id, int]]:
        """Stream and deadline (milliseconds since the Unix epoch) of every open session that has one, soonest first.

        Raises:
            StoreFailed: the database did not answer.
        """

    async def enclaves(self) -> list[EnclaveRow]:
        """Every enclave that ever announced itself, by identity.

        Raises:
            StoreFailed: the database did not answer.
        """

    async def save_enclave(self, enclave: EnclaveRow) -> None:
        """Keep an announcement; returns once it is on disk.

        Raises:
            StoreFailed: the commit failed or the store is closed.
        """

    async def close(self) -> None:
        """Commit what is queued, then let go of the database; later calls fail."""

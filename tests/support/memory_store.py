"""A store in memory that behaves like the real one, and fails or waits when a test tells it to.

store.gate.clear()        commits wait from now on        store.gate.set()      … and go on, in order
store.failing = True      every commit fails              reads go on
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from keymeld_protocol.values import Epoch, Id, XOnlyKey
from keymeld_protocol.wire.records import Record
from keymeld_server.store.port import Append, Conflict, EnclaveRow, SessionRow, StoreFailed


class MemoryStore:
    """`Store` in dictionaries; what was appended outlives the coordinators that a test puts on top of it."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.epoch = Epoch(bytes(16))
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing = False
        self.commits: list[tuple[Append, ...]] = []
        self.logs: dict[Id, list[Record]] = {}
        self.rows: dict[Id, SessionRow] = {}
        self.hearers: dict[Id, frozenset[XOnlyKey]] = {}
        self.announced: dict[XOnlyKey, EnclaveRow] = {}

    async def append(self, *appends: Append) -> None:
        """Commit all or none.

        Raises:
            Conflict: a stream's top is not what was expected.
            StoreFailed: the test wants it so.
        """
        await self.gate.wait()
        if self.failing:
            raise StoreFailed("the log could not be written")
        for append in appends:
            if len(self.logs.get(append.stream, ())) != append.expected:
                raise Conflict("the stream stands elsewhere")
        for append in appends:
            self.logs.setdefault(append.stream, []).extend(append.records)
            for offset in append.left:
                log = self.logs[append.stream]
                log[offset - 1] = log[offset - 1].without_blobs(("envelope",))
            self.rows[append.stream] = append.session
            if append.hearers is not None:
                self.hearers[append.stream] = append.hearers
        self.commits.append(appends)

    async def read(self, stream: Id, after_offset: int, limit_records: int, limit_bytes: int) -> list[Record]:
        """What follows an offset, as new objects: nothing is shared with who wrote it."""
        await asyncio.sleep(0)
        found = self.logs.get(stream, [])[after_offset : after_offset + limit_records]
        return [replace(record) for record in found]

    async def find(self, statement_id: Id) -> tuple[Id, int] | None:
        """Where a statement stands."""
        for stream, log in self.logs.items():
            for record in log:
                if record.statement.id == statement_id:
                    return stream, record.offset
        return None

    async def sessions(
        self, keys: Iterable[XOnlyKey], open_only: bool = False, after: Id | None = None, limit: int = 100
    ) -> list[SessionRow]:
        """A page of sessions."""
        wanted = frozenset(keys)
        rows = [
            row for stream, row in self.rows.items() if self.hearers[stream] & wanted and (row.open or not open_only)
        ]
        names = [row.stream for row in rows]
        return rows[names.index(after) + 1 if after in names else 0 :][:limit]

    async def session(self, stream: Id) -> SessionRow | None:
        """One row."""
        return self.rows.get(stream)

    async def deadlines(self) -> list[tuple[Id, int]]:
        """Open sessions with a deadline, soonest first."""
        rows = [row for row in self.rows.values() if row.open and row.deadline_ms is not None]
        return sorted(((row.stream, row.deadline_ms or 0) for row in rows), key=lambda pair: pair[1])

    async def enclaves(self) -> list[EnclaveRow]:
        """Who announced himself."""
        return list(self.announced.values())

    async def save_enclave(self, enclave: EnclaveRow) -> None:
        """Keep an announcement."""
        self.announced[enclave.identity] = enclave

    async def close(self) -> None:
        """Nothing to let go of."""

    def kinds(self, stream: Id) -> list[str]:
        """The kinds of a stream's records."""
        return [record.statement.payload.kind for record in self.logs.get(stream, [])]

"""The default store: one SQLite file beside the server, durable at every answer.

    append ──▶ GroupCommit's thread ──▶ connection that writes ──▶ ┐
                                                                   ├── keymeld.sqlite  (+ -wal, -shm, .lock)
    read ────▶ aiosqlite ─────────────▶ connection that reads ───▶ ┘

Write-ahead log with ``synchronous=FULL``: an append that was answered survives a power cut.  Reads see every append
that was answered and never wait behind a commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import aiosqlite

from keymeld_protocol.errors import BadInput
from keymeld_protocol.values import Epoch, Id, XOnlyKey
from keymeld_protocol.wire.records import Record

from ..port import Append, EnclaveRow, SessionRow, StoreFailed
from . import rows as rows
from .commit import GroupCommit, OnCommit
from .schema import Database, Migration, open_database

READ_AHEAD = 8
"""Rows that one hop into the reader's thread brings back: bounds the memory of big records."""

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """`Store` on one SQLite database; `open` it inside the event loop that will use it."""

    def __init__(self, database: Database, on_commit: OnCommit | None) -> None:
        """Take ownership of an open database; `open` is the way in."""
        self._database = database
        self._current = max(database.epochs.items())
        self.epoch: Epoch = self._current[1]
        self._writer = GroupCommit(database.writer, on_commit)
        self._reader: aiosqlite.Connection | None = aiosqlite.Connection(lambda: database.reader, READ_AHEAD)

    @classmethod
    async def open(
        cls, path: Path, *, on_commit: OnCommit | None = None, migrations: tuple[Migration, ...] | None = None
    ) -> Self:
        """Open the database at ``path``, made if it is not there, and bring its schema up to date.

        ``on_commit`` is told the size and the seconds of each commit; ``migrations`` are this package's own by default.

        Raises:
            StoreUnusable: another server has it open, or it cannot be used as it is; the message says why.
        """
        store = cls(await asyncio.to_thread(open_database, path, migrations), on_commit)
        assert store._reader is not None
        await store._reader
        return store

    async def __aenter__(self) -> Self:
        """Use the store for the length of a block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def append(self, *appends: Append) -> None:
        """Commit all of ``appends`` or none, together with whatever else is waiting.

        Raises:
            Conflict: a stream's top is not what was expected, or a statement is stored already.
            StoreFailed: the commit failed or the store is closed.
        """

        def _job(connection: sqlite3.Connection) -> None:
            for append in appends:
                rows.write_append(connection, append, self._current)

        await self._writer.commit(_job)

    async def save_enclave(self, enclave: EnclaveRow) -> None:
        """Keep an announcement.

        Raises:
            StoreFailed: the commit failed or the store is closed.
        """
        await self._writer.commit(lambda connection: rows.write_enclave(connection, enclave))

    async def read(self, stream: Id, after_offset: int, limit_records: int, limit_bytes: int) -> list[Record]:
        """The records that follow ``after_offset``; at least one if there is one, however big.

        Raises:
            StoreFailed: the database did not answer, or holds bytes that were not written by us.
        """
        return await self._read(
            rows.read_records, self._database.epochs, stream, after_offset, limit_records, limit_bytes
        )

    async def find(self, statement_id: Id) -> tuple[Id, int] | None:
        """Stream and offset at which a statement stands, or None.

        Raises:
            StoreFailed: the database did not answer.
        """
        return await self._read(rows.find_statement, statement_id)

    async def sessions(
        self, keys: Iterable[XOnlyKey], open_only: bool = False, after: Id | None = None, limit: int = 100
    ) -> list[SessionRow]:
        """The sessions that concern any of ``keys``, in the order in which they were opened.

        Raises:
            StoreFailed: the database did not answer.
        """
        return await self._read(rows.read_sessions, tuple(keys), open_only, after, limit)

    async def session(self, stream: Id) -> SessionRow | None:
        """One session's row, or None.

        Raises:
            StoreFailed: the database did not answer.
        """
        return await self._read(rows.read_session, stream)

    async def deadlines(self) -> list[tuple[Id, int]]:
        """Stream and deadline of every open session that has one, soonest first.

        Raises:
            StoreFailed: the database did not answer.
        """
        return await self._read(rows.read_deadlines)

    async def enclaves(self) -> list[EnclaveRow]:
        """Every enclave that ever announced itself.

        Raises:
            StoreFailed: the database did not answer.
        """
        return await self._read(rows.read_enclaves)

    async def close(self) -> None:
        """Commit what is queued, then let go of the database; may be called again."""
        reader, self._reader = self._reader, None
        if reader is None:
            return
        await reader.close()
        await self._writer.close()  # the last connection: SQLite folds the write-ahead log into the file
        self._database.lock.release()

    async def _read(
        self,
        query: Callable[Concatenate[aiosqlite.Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run one query on the connection that reads."""
        if self._reader is None:
            raise StoreFailed("the store is closed")
        try:
            return await query(self._reader, *args, **kwargs)
        except (sqlite3.Error, BadInput) as error:
            raise StoreFailed("the log could not be read") from error

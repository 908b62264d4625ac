"""Records and projections as rows: every SQL statement of the SQLite store, and nothing that waits.

    Append ──▶ write_append ──▶ sessions · records · hearers          called by the writer's thread, in a savepoint
    Record ◀── read_records ◀── sessions ⨝ records                    awaited, on aiosqlite's connection

What is read was verified before it was stored, so statements are rebuilt without curve arithmetic; ids are computed
anew and blobs are compared with the digests that their payload names, so a rotten disk is noticed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import aiosqlite

from keymeld_protocol.values import Epoch, Hash, Id, Signature, XOnlyKey, to_base64url
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import WireStatement, parse

from ..port import Append, Conflict, EnclaveRow, SessionRow

SESSION_COLUMNS: Final = "s.stream, s.kind, s.state, s.top, r.hash, s.keygen, s.deadline_ms, s.open"
LATEST: Final = "JOIN records r ON r.session = s.place AND r.offset = s.top"
"""A session's hash is its latest record's: it stands in the log, and nowhere else."""
KEYS_MAX: Final = 30_000
"""Keys in one query; SQLite takes 32,766 parameters."""

# Writing --------------------------------------------------------------------------------------------------------


def write_append(connection: sqlite3.Connection, append: Append, epoch: tuple[int, Epoch]) -> None:
    """Store the records of one stream and its projection; the caller's savepoint makes it all or nothing.

    Raises:
        Conflict: the stream's top is not ``append.expected``.
        ValueError: a record belongs to another epoch than the current one.
    """
    query = "SELECT place, top FROM sessions WHERE stream = ?"
    place, top = connection.execute(query, (append.stream,)).fetchone() or (None, 0)
    if top != append.expected:
        raise Conflict(f"the stream stands at offset {top}, not {append.expected}")
    place = _write_session(connection, place, append.session)
    for record in append.records:
        _write_record(connection, place, record, epoch)
    for offset in append.left:  # of a join the second blob is the envelope
        connection.execute("UPDATE records SET blob_1 = NULL WHERE session = ? AND offset = ?", (place, offset))
    if append.hearers is not None:
        _write_hearers(connection, place, append.hearers, is_new=top == 0)


def _write_session(connection: sqlite3.Connection, place: int | None, row: SessionRow) -> int:
    """Insert or update the session's row; its place in the order of opening."""
    if place is None:
        fixed = (row.stream, row.kind, row.keygen, row.state, row.top, row.deadline_ms, row.open)
        columns = "stream, kind, keygen, state, top, deadline_ms, open"
        cursor = connection.execute(f"INSERT INTO sessions ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", fixed)
        return int(cursor.lastrowid or 0)
    moving = (row.state, row.top, row.deadline_ms, row.open, place)
    connection.execute("UPDATE sessions SET state = ?, top = ?, deadline_ms = ?, open = ? WHERE place = ?", moving)
    return place


def _write_record(connection: sqlite3.Connection, place: int, record: Record, epoch: tuple[int, Epoch]) -> None:
    number, current = epoch
    if record.epoch != current:
        raise ValueError("a record of another epoch than the store's current one")
    said = record.statement
    blobs = (*said.blobs, None, None)[:2]
    row = (place, record.offset, number, record.at, record.hash, said.id, b"".join(said.signatures), said.text)
    connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, len(said.blobs), *blobs))


def _write_hearers(connection: sqlite3.Connection, place: int, wanted: frozenset[XOnlyKey], is_new: bool) -> None:
    """Make the keys that a stream concerns exactly ``wanted``, touching those alone that change."""
    held: set[bytes] = set()
    if not is_new:
        held = {key for (key,) in connection.execute("SELECT key FROM hearers WHERE session = ?", (place,))}
    gone, come = held - wanted, wanted - held
    connection.executemany("DELETE FROM hearers WHERE key = ? AND session = ?", [(key, place) for key in gone])
    connection.executemany("INSERT INTO hearers (key, session) VALUES (?, ?)", [(key, place) for key in come])


def write_enclave(connection: sqlite3.Connection, row: EnclaveRow) -> None:
    """Store an announcement; what it leaves out stays as it was."""
    connection.execute(
        "INSERT INTO enclaves (identity, announced_at_ms, capacity, document, kept) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (identity) DO UPDATE SET announced_at_ms = excluded.announced_at_ms,"
        " capacity = excluded.capacity, document = coalesce(excluded.document, document),"
        " kept = coalesce(excluded.kept, kept)",
        (row.identity, row.announced_at_ms, row.capacity, row.document, row.kept),
    )


# Reading --------------------------------------------------------------------------------------------------------


async def read_records(
    connection: aiosqlite.Connection,
    epochs: Mapping[int, Epoch],
    stream: Id,
    after_offset: int,
    limit_records: int,
    limit_bytes: int,
) -> list[Record]:
    """The records after an offset, row by row until a limit is reached; at least one if there is one."""
    query = (
        "SELECT r.offset, r.epoch, r.at_ms, r.hash, r.signatures, r.payload, r.blob_count, r.blob_0, r.blob_1"
        " FROM sessions s JOIN records r ON r.session = s.place"
        " WHERE s.stream = ? AND r.offset > ? ORDER BY r.offset LIMIT ?"
    )
    records: list[Record] = []
    async with connection.execute(query, (stream, after_offset, limit_records)) as rows:
        async for row in rows:
            limit_bytes -= _wire_bytes(row)
            if records and limit_bytes < 0:
                break
            records.append(_record(row, epochs))
    return records


def _wire_bytes(row: Sequence[Any]) -> int:
    """About what a record takes on the wire: text, hex and base64url."""
    signatures, payload, blobs = row[4], row[5], row[7:]
    return 200 + 2 * len(signatures) + len(payload) + sum(len(blob) * 4 // 3 for blob in blobs if blob is not None)


def _record(row: Sequence[Any], epochs: Mapping[int, Epoch]) -> Record:
    offset, epoch, at, hash_, signatures, payload, count, *blobs = row
    parts = [signatures[i : i + Signature.size].hex() for i in range(0, len(signatures), Signature.size)]
    texts = tuple(None if blob is None else to_base64url(blob) for blob in blobs[:count])
    statement = parse(WireStatement(payload, tuple(parts), texts), verified=True)
    return Record(epochs[epoch], offset, at, Hash(hash_), statement)


async def find_statement(connection: aiosqlite.Connection, statement: Id) -> tuple[Id, int] | None:
    """Where a statement stands."""
    query = "SELECT s.stream, r.offset FROM records r JOIN sessions s ON s.place = r.session WHERE r.statement = ?"
    row = await _one(connection, query, (statement,))
    return None if row is None else (Id(row[0]), row[1])


async def read_sessions(
    connection: aiosqlite.Connection, keys: Iterable[XOnlyKey], open_only: bool, after: Id | None, limit: int
) -> list[SessionRow]:
    """A page of the sessions that concern any of ``keys``, in the order in which they were opened.

    Raises:
        ValueError: more keys than one query takes.
    """
    wanted: list[bytes] = list(dict.fromkeys(keys))
    if len(wanted) > KEYS_MAX:
        raise ValueError(f"at most {KEYS_MAX} keys at once")
    conditions = [f"h.key IN ({', '.join('?' * len(wanted))})"]
    if open_only:
        conditions.append("s.open")
    if after is not None:
        conditions.append("h.session > (SELECT place FROM sessions WHERE stream = ?)")
        wanted.append(after)
    query = (
        f"SELECT DISTINCT {SESSION_COLUMNS}, s.place FROM hearers h JOIN sessions s ON s.place = h.session {LATEST}"
        f" WHERE {' AND '.join(conditions)} ORDER BY s.place LIMIT ?"
    )
    return [_session(row) for row in await connection.execute_fetchall(query, (*wanted, limit))]


async def read_session(connection: aiosqlite.Connection, stream: Id) -> SessionRow | None:
    """One session's row."""
    query = f"SELECT {SESSION_COLUMNS} FROM sessions s {LATEST} WHERE s.stream = ?"
    row = await _one(connection, query, (stream,))
    return None if row is None else _session(row)


async def _one(connection: aiosqlite.Connection, query: str, parameters: tuple[Any, ...]) -> Sequence[Any] | None:
    """The only row of a query, or None."""
    rows = list(await connection.execute_fetchall(query, parameters))
    return rows[0] if rows else None


def _session(row: Sequence[Any]) -> SessionRow:
    stream, kind, state, top, hash_, keygen, deadline_ms, is_open = row[:8]
    parent = None if keygen is None else Id(keygen)
    return SessionRow(Id(stream), kind, state, top, Hash(hash_), parent, deadline_ms, bool(is_open))


async def read_deadlines(connection: aiosqlite.Connection) -> list[tuple[Id, int]]:
    """Open sessions that have a deadline, soonest first."""
    query = "SELECT stream, deadline_ms FROM sessions WHERE open AND deadline_ms IS NOT NULL ORDER BY deadline_ms"
    return [(Id(stream), deadline_ms) for stream, deadline_ms in await connection.execute_fetchall(query)]


async def read_enclaves(connection: aiosqlite.Connection) -> list[EnclaveRow]:
    """Every enclave that announced itself, by identity."""
    query = "SELECT identity, announced_at_ms, capacity, document, kept FROM enclaves ORDER BY identity"
    return [EnclaveRow(XOnlyKey(identity), *rest) for identity, *rest in await connection.execute_fetchall(query)]

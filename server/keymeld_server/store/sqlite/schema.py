"""Opening a SQLite database: guarded against a second server, private, durable, and of a schema that we know.

    path ──▶ lock file ──▶ created 0600 ──▶ pragmas ──▶ application id ──▶ migrations ──▶ epoch ──▶ ready
              taken? refuse                               not ours? refuse   newer, changed? refuse

A migration is a numbered file in ``migrations/``.  Its SHA-256 is stored beside its number: what was applied once is
never edited, and a database that a newer Keymeld has written is left alone.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final

from keymeld_host.files import BadFile, FileLock, InUse
from keymeld_protocol.values import Epoch

from ..port import StoreUnusable

APPLICATION_ID: Final = 0x4B4D4C44
"""``KMLD`` in the file's header: a database of ours, and not of another program."""

OLDEST_SQLITE: Final = (3, 37, 0)
"""The first version with STRICT tables."""

BUSY_MS: Final = 5_000
"""How long a commit waits for a foreign process (a backup, a curious ``sqlite3``) that holds the write lock."""

MIGRATIONS_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS migrations (
        number         INTEGER PRIMARY KEY,  -- of the file, from 1 without gaps
        name           TEXT NOT NULL,        -- the file's name
        sha256         TEXT NOT NULL,        -- of the file as it was when applied, in hex
        applied_at_ms  INTEGER NOT NULL      -- when
    ) STRICT
"""


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file; it runs in a transaction of its own, together with the note that it ran."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, in hex."""
        return sha256(self.sql.encode()).hexdigest()


def known_migrations() -> tuple[Migration, ...]:
    """The migrations that come with this package, in order.

    Raises:
        ValueError: the files are not numbered 1, 2, 3 …
    """
    sources = sorted(
        (f for f in files(__package__).joinpath("migrations").iterdir() if f.name.endswith(".sql")), key=str
    )
    found = tuple(Migration(int(f.name[:4]), f.name, f.read_text("utf-8")) for f in sources)
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"schema files are not numbered without gaps: {[m.name for m in found]}")
    return found


class DatabaseLock:
    """Held while a server has the database open: two coordinators on one log would fork every stream.

    The lock is the kernel's (``flock`` on ``<database>.lock``), so a killed server leaves none behind.  It is not on
    the database file itself, because closing any handle of that would drop SQLite's own locks.
    """

    def __init__(self, database: Path) -> None:
        """Take the lock.

        Raises:
            StoreUnusable: another process holds it, or the file cannot be made.
        """
        try:
            self._lock = FileLock(database.with_name(database.name + ".lock"))
        except InUse as error:
            holder = error.holder or "unknown"
            raise StoreUnusable(f"{database}: another keymeld-server (process {holder}) has it open") from None
        except BadFile as error:
            raise StoreUnusable(str(error)) from error

    def release(self) -> None:
        """Let the next server in."""
        self._lock.release()


@dataclass(frozen=True)
class Database:
    """One open database: the lock, the connection that writes, the one that reads, and the epochs by number."""

    lock: DatabaseLock
    writer: sqlite3.Connection
    reader: sqlite3.Connection
    epochs: dict[int, Epoch]


def open_database(path: Path, migrations: tuple[Migration, ...] | None = None) -> Database:
    """Open ``path``, made with mode 0600 if it is not there; ``migrations`` are this package's own by default.

    Raises:
        StoreUnusable: another server has it open, or it cannot be used as it is; the message says why.
    """
    path = path.resolve()  # two names of one file are one database
    with ExitStack() as undo:
        lock = DatabaseLock(path)
        undo.callback(lock.release)
        try:
            writer = open_writer(path)
            undo.callback(writer.close)
            _migrate(writer, path, known_migrations() if migrations is None else migrations)
            database = Database(lock, writer, open_reader(path), epochs(writer))
        except (OSError, sqlite3.Error) as error:
            raise StoreUnusable(f"{path}: cannot be used: {error}") from error
        undo.pop_all()
    return database


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes; a fresh file becomes ours.

    Raises:
        StoreUnusable: the database of another program, or an SQLite that is too old.
        OSError, sqlite3.Error: the disk says no, or the file is no database.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreUnusable(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer is needed")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite's side files copy this mode
    with ExitStack() as undo:
        connection = _connect(path)
        undo.callback(connection.close)
        _recognise(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an answered append survives the power cut
        connection.execute("PRAGMA secure_delete = ON")  # a deleted ciphertext is overwritten, not only unlinked
        undo.pop_all()
    return connection


def open_reader(database: Path) -> sqlite3.Connection:
    """Open a second connection that only reads: in WAL mode it never waits behind a commit."""
    connection = _connect(database)
    connection.execute("PRAGMA query_only = ON")
    return connection


def epochs(connection: sqlite3.Connection) -> dict[int, Epoch]:
    """Every epoch of this database by number, the current one last; the first is made here if there is none."""
    connection.execute(
        "INSERT INTO epochs (epoch, begun_at_ms) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM epochs)",
        (os.urandom(Epoch.size), _now_ms()),
    )
    return {number: Epoch(epoch) for number, epoch in connection.execute("SELECT number, epoch FROM epochs ORDER BY 1")}


def begin_epoch(path: Path) -> Epoch:
    """Begin a new epoch in the database at ``path``, as after a backup was put back; gives it.

    Whoever had heard more than the backup holds is told so, and nobody takes what follows for what was lost.

    Raises:
        StoreUnusable: there is no database, a server has it open, or it cannot be used as it is.
    """
    if not path.exists():
        raise StoreUnusable(f"{path}: is not there")
    database = open_database(path)
    try:
        epoch = Epoch(os.urandom(Epoch.size))
        database.writer.execute("INSERT INTO epochs (epoch, begun_at_ms) VALUES (?, ?)", (epoch, _now_ms()))
        return epoch
    finally:
        database.reader.close()
        database.writer.close()
        database.lock.release()


def _connect(database: Path) -> sqlite3.Connection:
    """A connection in autocommit mode (we say BEGIN ourselves) that may move to the thread that will own it."""
    connection = sqlite3.connect(database, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _recognise(connection: sqlite3.Connection, database: Path) -> None:
    """Sign a fresh file as ours; refuse what another program wrote."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and mark != APPLICATION_ID:
        raise StoreUnusable(f"{database}: is a database of another program")
    if not tables:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _migrate(connection: sqlite3.Connection, database: Path, migrations: tuple[Migration, ...]) -> None:
    """Apply what is missing; what was applied must be what we know."""
    connection.execute(MIGRATIONS_TABLE)
    applied = connection.execute("SELECT number, name, sha256 FROM migrations ORDER BY number").fetchall()
    if len(applied) > len(migrations):
        newest = applied[-1][1]
        raise StoreUnusable(f"{database}: a newer Keymeld has written it (schema {newest}); install that version")
    for (number, name, checksum), migration in zip(applied, migrations, strict=False):
        if (number, checksum) != (migration.number, migration.checksum):
            raise StoreUnusable(f"{database}: schema {name} was applied in another form than {migration.name} has here")
    for migration in migrations[len(applied) :]:
        _apply(connection, migration)


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    """One migration and its note, or neither."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}")
        row = (migration.number, migration.name, migration.checksum, _now_ms())
        connection.execute("INSERT INTO migrations VALUES (?, ?, ?, ?)", row)
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""Opening a database: the guard, the files and their modes, the migrations and their checksums."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keymeld_server.store.port import StoreUnusable
from keymeld_server.store.sqlite.schema import Database, Migration, begin_epoch, known_migrations, open_database

KNOWN = known_migrations()
NEXT = Migration(len(KNOWN) + 1, "9999_next.sql", "CREATE TABLE more (x INTEGER) STRICT;")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "keymeld.sqlite"


@contextmanager
def opened(path: Path, migrations: tuple[Migration, ...] = KNOWN) -> Iterator[Database]:
    """An open database, closed as the store does it."""
    database = open_database(path, migrations)
    try:
        yield database
    finally:
        database.reader.close()
        database.writer.close()
        database.lock.release()


@contextmanager
def refused(path: Path, rule: str, migrations: tuple[Migration, ...] = KNOWN) -> Iterator[None]:
    """Opening is refused with these words, and leaves the database free for the next attempt."""
    for _ in range(2):
        with pytest.raises(StoreUnusable, match=rule):
            open_database(path, migrations)
    yield


def names(path: Path) -> set[str]:
    """The files beside the database, itself among them, without its name."""
    return {file.name.removeprefix(path.name) for file in path.parent.iterdir()}


def pragma(connection: sqlite3.Connection, name: str) -> object:
    """One of SQLite's settings."""
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


# The guard and the files ----------------------------------------------------------------------------------------


def test_a_database_that_is_open_is_refused_to_a_second_server(path: Path) -> None:
    with opened(path), refused(path, r"another keymeld-server \(process \d+\) has it open"):
        pass
    with opened(path):
        pass


def test_another_name_of_an_open_database_is_refused_too(path: Path) -> None:
    alias = path.with_name("alias")
    alias.symlink_to(path)
    with opened(path), refused(alias, "another keymeld-server"):
        pass


def test_its_files_are_readable_by_their_owner_alone(path: Path) -> None:
    with opened(path):
        assert names(path) == {"", "-wal", "-shm", ".lock"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_after_closing_the_log_is_one_file(path: Path) -> None:
    with opened(path):
        pass
    assert names(path) == {"", ".lock"}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with refused(tmp_path / "absent" / "keymeld.sqlite", "absent"):
        pass


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    text = b"this is no database, but long enough to be looked at" * 10
    path.write_bytes(text)
    with refused(path, "not a database"):
        assert path.read_bytes() == text


def test_a_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with refused(path, "another program"):
        assert path.read_bytes() == before


def test_an_answered_commit_is_on_the_disk(path: Path) -> None:
    with opened(path) as database:
        assert (pragma(database.writer, "journal_mode"), pragma(database.writer, "synchronous")) == ("wal", 2)
        assert pragma(database.writer, "foreign_keys") == pragma(database.writer, "secure_delete") == 1


def test_the_reader_cannot_write(path: Path) -> None:
    with opened(path) as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.reader.execute("DELETE FROM epochs")


def test_the_epoch_is_made_once(path: Path) -> None:
    with opened(path) as first:
        pass
    with opened(path) as second:
        assert list(first.epochs) == [1]
        assert second.epochs == first.epochs


def test_two_databases_have_two_epochs(path: Path) -> None:
    with opened(path) as one, opened(path.with_name("other.sqlite")) as other:
        assert one.epochs != other.epochs


# The schema -----------------------------------------------------------------------------------------------------


def test_a_missing_migration_is_applied_to_an_older_database(path: Path) -> None:
    with opened(path):
        pass
    with opened(path, (*KNOWN, NEXT)) as database:
        assert database.reader.execute("SELECT count(*) FROM more").fetchone() == (0,)


def test_a_schema_that_we_do_not_know_yet_is_refused(path: Path) -> None:
    with opened(path, (*KNOWN, NEXT)):
        pass
    with refused(path, r"a newer Keymeld has written it \(schema 9999_next\.sql\)"):
        pass


def test_a_migration_that_was_edited_after_it_was_applied_is_refused(path: Path) -> None:
    with opened(path):
        pass
    edited = Migration(KNOWN[0].number, KNOWN[0].name, KNOWN[0].sql + "-- edited")
    with refused(path, "applied in another form", (edited, *KNOWN[1:])):
        pass


def test_a_migration_that_fails_leaves_the_database_as_it_was(path: Path) -> None:
    with opened(path):
        pass
    broken = Migration(NEXT.number, NEXT.name, NEXT.sql + "CREATE TABLE more (again INTEGER);")
    with refused(path, "already exists", (*KNOWN, broken)), opened(path) as database:
        assert not database.reader.execute("SELECT * FROM sqlite_schema WHERE name = 'more'").fetchall()


def test_every_column_is_explained() -> None:
    """Each line of a table's definition carries a comment, unless a CHECK lists its words or it is a table's key."""
    columns = [line for migration in KNOWN for line in migration.sql.splitlines() if line.startswith("    ")]
    silent = [line for line in columns if "--" not in line and " IN ('" not in line]
    assert all(line.split()[0] in ("UNIQUE", "PRIMARY") for line in silent), silent


# Epochs ---------------------------------------------------------------------------------------------------------


def test_a_new_epoch_follows_the_old_ones(path: Path) -> None:
    with opened(path) as database:
        (first,) = database.epochs.values()
    second = begin_epoch(path)
    with opened(path) as database:
        assert list(database.epochs.values()) == [first, second] and first != second


def test_no_epoch_begins_where_there_is_no_database(path: Path) -> None:
    with pytest.raises(StoreUnusable, match="is not there"):
        begin_epoch(path)
    assert not path.exists()


def test_no_epoch_begins_while_a_server_has_the_database_open(path: Path) -> None:
    with opened(path) as database:
        with pytest.raises(StoreUnusable, match="has it open"):
            begin_epoch(path)
        assert len(database.reader.execute("SELECT * FROM epochs").fetchall()) == 1

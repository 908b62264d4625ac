"""The SQLite store beyond the port: when it answers, what a failure leaves, and what a kill leaves."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keymeld_protocol.values import Id
from keymeld_server.store.port import StoreFailed
from keymeld_server.store.sqlite.store import SqliteStore
from tests.support.logs import Scribe
from tests.support.vectors import ROOT

PLENTY = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "keymeld.sqlite"


@contextmanager
def beside(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the database a second time, past its guard, as a backup or a curious operator would."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        yield connection


def break_commits(database: Path) -> None:
    """Make every COMMIT fail that holds a record at offset 3: a constraint that SQLite checks only then."""
    with beside(database) as connection:
        connection.executescript(
            "CREATE TABLE trap (x INTEGER REFERENCES sessions (place) DEFERRABLE INITIALLY DEFERRED);"
            "CREATE TRIGGER spring AFTER INSERT ON records WHEN NEW.offset = 3 BEGIN INSERT INTO trap VALUES (-1); END;"
        )


def mend_commits(database: Path) -> None:
    """Take the trap away."""
    with beside(database) as connection:
        connection.executescript("DROP TRIGGER spring; DROP TABLE trap;")


# Answers and failures -------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_read_does_not_wait_for_a_commit(database: Path) -> None:
    async with await SqliteStore.open(database) as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.opened())
        with beside(database) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(store.append(scribe.append(scribe.note())))
            assert len(await store.read(scribe.stream, 0, 10, PLENTY)) == 1
            other.execute("ROLLBACK")
        await waiting


@pytest.mark.asyncio
async def test_the_size_of_each_commit_is_told(database: Path) -> None:
    told: list[tuple[int, float]] = []
    async with await SqliteStore.open(database, on_commit=lambda *commit: told.append(commit)) as store:
        await store.append(Scribe(store.epoch).opened())
    assert [size for size, _ in told] == [1]
    assert told[0][1] > 0


@pytest.mark.asyncio
async def test_a_failed_commit_stores_nothing_and_the_next_one_succeeds(database: Path) -> None:
    async with await SqliteStore.open(database) as store:
        break_commits(database)
        scribe = Scribe(store.epoch)
        append = scribe.append(scribe.open(), *scribe.notes(2))
        with pytest.raises(StoreFailed) as caught:
            await store.append(append)
        assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
        assert "sqlite" not in str(caught.value).lower()
        assert await store.session(scribe.stream) is None
        mend_commits(database)
        await store.append(append)


@pytest.mark.asyncio
async def test_a_transaction_that_sqlite_itself_gave_up_stores_nothing(database: Path) -> None:
    async with await SqliteStore.open(database) as store:
        with beside(database) as other:
            other.execute(
                "CREATE TRIGGER fire BEFORE INSERT ON records WHEN NEW.offset = 2"
                " BEGIN SELECT RAISE(ROLLBACK, 'the disk is on fire'); END"
            )
        scribe, after = Scribe(store.epoch), Scribe(store.epoch)
        with pytest.raises(StoreFailed):
            await store.append(scribe.append(scribe.open(), scribe.note()))
        await store.append(after.opened())
        assert await store.session(scribe.stream) is None


@pytest.mark.asyncio
async def test_bytes_that_rotted_on_the_disk_are_not_given_out(database: Path) -> None:
    async with await SqliteStore.open(database) as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.append(scribe.open(), scribe.note()))
        with beside(database) as other:
            other.execute("UPDATE records SET blob_0 = x'00' WHERE offset = 2")
        with pytest.raises(StoreFailed):
            await store.read(scribe.stream, 0, 10, PLENTY)


@pytest.mark.asyncio
async def test_a_deleted_blob_reads_as_none_while_id_and_hash_stay(database: Path) -> None:
    async with await SqliteStore.open(database) as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.append(scribe.open(), scribe.note()))
        with beside(database) as other:
            other.execute("UPDATE records SET blob_0 = NULL")
        record = (await store.read(scribe.stream, 1, 10, PLENTY))[0]
        assert record.statement.blobs == (None,)
        assert record.hash == scribe.chain.hash


@pytest.mark.processes
def test_what_was_answered_survives_a_killed_process(database: Path) -> None:
    program = (
        "import asyncio, os, signal, sys; from pathlib import Path\n"
        "from keymeld_server.store.sqlite.store import SqliteStore; from tests.support.logs import Scribe\n"
        "async def main():\n"
        "    store = await SqliteStore.open(Path(sys.argv[1])); scribe = Scribe(store.epoch)\n"
        "    await store.append(scribe.append(scribe.open(), *scribe.notes(9)))\n"
        "    print(scribe.stream.hex(), flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(database)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    stream = Id.from_hex(ended.stdout.strip())

    async def count() -> int:
        async with await SqliteStore.open(database) as store:
            return len(await store.read(stream, 0, 100, PLENTY))

    assert asyncio.run(count()) == 10

"""Group commit: who shares a transaction, who is told what, and what is left behind when one of them fails."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from keymeld_server.store.port import Conflict, StoreError, StoreFailed
from keymeld_server.store.sqlite.commit import BATCH_MAX, GroupCommit, Job

pytestmark = pytest.mark.asyncio

SCHEMA = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE words (word TEXT UNIQUE CHECK (word <> ''));
    CREATE TABLE promises (word TEXT REFERENCES words (word) DEFERRABLE INITIALLY DEFERRED);
"""


class World:
    """A writer on a small database, the sizes of its commits, and a second connection that looks at the words."""

    def __init__(self, path: Path) -> None:
        """Make the database."""
        self.path, self.sizes = path, list[int]()
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.executescript(SCHEMA + "PRAGMA foreign_keys = ON;")
        self.writer = GroupCommit(connection, lambda size, _: self.sizes.append(size))

    def commit(self, job: Job) -> asyncio.Future[None]:
        """Queue a job."""
        return asyncio.ensure_future(self.writer.commit(job))

    def words(self) -> set[str]:
        """What is committed."""
        with closing(sqlite3.connect(self.path)) as connection:
            return {word for (word,) in connection.execute("SELECT word FROM words")}

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Keep the writer inside a first commit, while others queue behind it."""
        begun, go_on = threading.Event(), threading.Event()

        def wait(_: sqlite3.Connection) -> None:
            begun.set()
            go_on.wait()

        first = self.commit(wait)
        await asyncio.to_thread(begun.wait)
        try:
            yield
            await asyncio.sleep(0)  # what was queued in the block has been called
        finally:
            go_on.set()
            await first


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "words.sqlite"


@asynccontextmanager
async def world(path: Path) -> AsyncIterator[World]:
    """A world that is closed at the end."""
    it = World(path)
    try:
        yield it
    finally:
        await it.writer.close()


def say(*words: str) -> Job:
    """A job that stores words."""
    return lambda connection: connection.executemany("INSERT INTO words VALUES (?)", [(w,) for w in words])


def promise(word: str) -> Job:
    """A job whose transaction cannot be committed unless somebody says the word: SQLite looks only at COMMIT."""
    return lambda connection: connection.execute("INSERT INTO promises VALUES (?)", (word,))


def conflict(connection: sqlite3.Connection) -> None:
    """A job that stores a word and then conflicts."""
    say("lost")(connection)
    raise Conflict("elsewhere by now")


@contextmanager
def failing(kind: type[StoreError]) -> Iterator[None]:
    """Exactly this kind of error."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.type is kind


async def test_a_job_is_committed_when_it_is_answered(path: Path) -> None:
    async with world(path) as it:
        await it.commit(say("one"))
        assert it.words() == {"one"}


async def test_what_queued_while_a_commit_ran_shares_the_next_one(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            waiting = [it.commit(say(f"word {i}")) for i in range(50)]
        await asyncio.gather(*waiting)
        assert it.sizes == [1, 50]


async def test_a_batch_is_bounded(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            waiting = [it.commit(say(f"word {i}")) for i in range(BATCH_MAX + 1)]
        await asyncio.gather(*waiting)
        assert it.sizes == [1, BATCH_MAX, 1]


async def test_nobody_is_answered_before_the_commit(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            waiting = it.commit(say("one"))
            await asyncio.to_thread(it.words)
            assert not waiting.done()
        await waiting


async def test_a_conflict_leaves_no_trace_and_does_not_sink_the_others(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            before, bad, after = it.commit(say("before")), it.commit(conflict), it.commit(say("after"))
        await before
        with failing(Conflict):
            await bad
        await after
        assert it.words() == {"before", "after"}
        assert it.sizes == [1, 3]


async def test_what_is_stored_already_is_a_conflict(path: Path) -> None:
    async with world(path) as it:
        await it.commit(say("one"))
        with failing(Conflict):
            await it.commit(say("two", "one"))
        assert it.words() == {"one"}


async def test_a_job_that_breaks_another_constraint_fails_alone(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            bad, good = it.commit(say("lost", "")), it.commit(say("good"))
        with failing(StoreFailed):
            await bad
        await good
        assert it.words() == {"good"}


async def test_a_job_with_a_mistake_of_ours_fails_alone_and_keeps_its_cause(path: Path) -> None:
    async with world(path) as it:
        with pytest.raises(StoreFailed) as caught:
            await it.commit(lambda _: [][0])
        assert isinstance(caught.value.__cause__, IndexError)
        await it.commit(say("next"))


async def test_a_failed_commit_fails_all_that_was_in_it_and_stores_nothing(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            waiting = [it.commit(say("one")), it.commit(promise("never")), it.commit(say("two"))]
        for each in waiting:
            with failing(StoreFailed):
                await each
        assert it.words() == set()


async def test_every_caller_of_a_failed_commit_gets_an_error_of_his_own(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            waiting = [it.commit(say("one")), it.commit(promise("never"))]
        first, second = await asyncio.gather(*waiting, return_exceptions=True)
        assert first is not second


async def test_after_a_failed_commit_the_next_one_succeeds(path: Path) -> None:
    async with world(path) as it:
        with failing(StoreFailed):
            await it.commit(promise("never"))
        await it.commit(say("one"))
        assert it.words() == {"one"}


async def test_a_caller_that_is_cancelled_does_not_disturb_the_others(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            hasty, patient = it.commit(say("hasty")), it.commit(say("patient"))
            await asyncio.sleep(0)
            hasty.cancel()
        await patient
        assert "patient" in it.words()


async def test_closing_commits_what_is_queued_and_may_be_repeated(path: Path) -> None:
    async with world(path) as it:
        async with it.busy():
            waiting = [it.commit(say(f"word {i}")) for i in range(3)]
            await asyncio.sleep(0)
            closing_it = asyncio.ensure_future(it.writer.close())
        await asyncio.gather(closing_it, *waiting)
        await it.writer.close()
        assert len(it.words()) == 3


async def test_a_closed_writer_refuses(path: Path) -> None:
    async with world(path) as it:
        await it.writer.close()
        with failing(StoreFailed):
            await it.commit(say("late"))

"""Group commit: one thread writes, and what queued while the last commit ran goes into the next one.

    task ──job──▶ ┐                                               ┌──▶ answered
    task ──job──▶ ├─ queue ──▶ thread: BEGIN · job · job · COMMIT ─┼──▶ answered     after the commit, never before
    task ──job──▶ ┘                                               └──▶ answered

The thread owns the connection and takes the next batch itself, so a batch costs one hop into the thread and one out of
it, however many statements it holds; a library that awaits each statement pays two for every one of them.  Every job
runs in a savepoint: one that fails leaves no trace and does not sink the others.  If the transaction itself fails, none
of them happened and every caller hears so.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, TypeAlias

from ..port import Conflict, StoreError, StoreFailed

Job: TypeAlias = Callable[[sqlite3.Connection], object]
QueuedJob: TypeAlias = tuple[Job, "asyncio.Future[None]"]
OnCommit: TypeAlias = Callable[[int, float], None]
"""Told after each commit, in the event loop: how many jobs it held, and how many seconds it took."""

BATCH_MAX: Final = 256
"""Jobs in one transaction: bounds how long the first of them waits for the last."""

DUPLICATE: Final = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


class GroupCommit:
    """The one writer of a database; made and used in one event loop."""

    def __init__(self, connection: sqlite3.Connection, on_commit: OnCommit | None = None) -> None:
        """Start the thread, which owns ``connection`` from now on.

        It is a daemon, so that a process which forgot to close can end: what was answered is on disk.
        """
        self._connection = connection
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._gathered: list[QueuedJob] = []
        self._queue: SimpleQueue[list[QueuedJob] | None] = SimpleQueue()
        self._ended = self._loop.create_future()
        self._closing = False
        Thread(target=self._run, name="keymeld-writer", daemon=True).start()

    async def commit(self, job: Job) -> None:
        """Run ``job`` in the next transaction; returns once that is on disk.

        Raises:
            Conflict: what the job raised, or it stored what exists already.
            StoreFailed: the job or the transaction failed, or this writer is closed.
        """
        if self._closing:
            raise StoreFailed("the store is closed")
        done: asyncio.Future[None] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append((job, done))
        await done

    def _hand_over(self) -> None:
        """Give the thread what this turn of the loop has decided: it goes into one transaction."""
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._queue.put(gathered)

    async def close(self) -> None:
        """Commit what is queued, then end the thread and close the connection; may be called again."""
        if not self._closing:
            self._closing = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.shield(self._ended)

    # In the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while waiting := self._waiting():
            for first in range(0, len(waiting), BATCH_MAX):
                batch = waiting[first : first + BATCH_MAX]
                started = time.perf_counter()
                outcomes = self._transact([job for job, _ in batch])
                seconds = time.perf_counter() - started
                self._loop.call_soon_threadsafe(self._answer, batch, outcomes, seconds)
        self._connection.close()
        self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _waiting(self) -> list[QueuedJob]:
        """Wait for jobs, then take all that are there; empty once the writer is closing."""
        gathered = self._queue.get()
        waiting: list[QueuedJob] = []
        while gathered is not None:
            waiting += gathered
            try:
                gathered = self._queue.get_nowait()
            except Empty:
                break
        if gathered is None and waiting:
            self._queue.put(None)  # nothing follows it; the next call finds it again
        return waiting

    def _transact(self, jobs: list[Job]) -> list[StoreError | None]:
        """All jobs in one transaction: an outcome for each, None where it is on disk.

        A COMMIT that failed is rolled back.  Should its frames yet survive a crash in the write-ahead log, the
        statements are found as known when the same bytes are submitted again.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(job) for job in jobs]
            self._connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            return [_failed(error) for _ in jobs]
        return outcomes

    def _attempt(self, job: Job) -> StoreError | None:
        """One job in its savepoint; if the savepoint is gone too (disk full, I/O error) the transaction fails."""
        self._connection.execute("SAVEPOINT job")
        outcome: StoreError | None = None
        try:
            job(self._connection)
        except Conflict as conflict:
            outcome = conflict
        except Exception as error:
            outcome = _failed(error)
        if outcome is not None:
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")
        return outcome

    def _roll_back(self) -> None:
        """Leave no transaction open; a connection that cannot even do that fails the next BEGIN, and says so."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass

    # In the event loop ------------------------------------------------------------------------------------------

    def _answer(self, batch: list[QueuedJob], outcomes: list[StoreError | None], seconds: float) -> None:
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            if done.done():
                continue  # its caller was cancelled
            if outcome is None:
                done.set_result(None)
            else:
                done.set_exception(outcome)
        if self._on_commit is not None:
            self._on_commit(len(batch), seconds)


def _failed(error: Exception) -> StoreError:
    """Our word for a database's complaint, which stays with us as the cause."""
    duplicate = isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode in DUPLICATE
    outcome = Conflict("it is stored already") if duplicate else StoreFailed("the log could not be written")
    outcome.__cause__ = error
    return outcome

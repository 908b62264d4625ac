"""Work beside the event loop: on a thread of its own where one starts, and never left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread


async def on_a_thread(work: Callable[[], object]) -> None:
    """Do ``work`` on a thread; here and now where the system gives no thread. What it raises is raised here.

    A thread cannot be taken back: whoever is cancelled meanwhile waits for its end, so that never two of them are in
    the agent.
    """
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        Thread(target=_tell_when_done, args=(work, done), name="worker").start()
    except RuntimeError:  # nothing has begun, as it may have where a pool holds what its thread should do
        work()
        return
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        while not done.done():
            with suppress(asyncio.CancelledError):  # told twice to end, it still waits
                await asyncio.wait([done])
        raise


def _tell_when_done(work: Callable[[], object], done: asyncio.Future[None]) -> None:
    """On the thread: do the work, and tell the event loop how it ended."""
    loop = done.get_loop()
    try:
        work()
    except BaseException as error:  # whoever waits raises it
        loop.call_soon_threadsafe(done.set_exception, error)
    else:
        loop.call_soon_threadsafe(done.set_result, None)

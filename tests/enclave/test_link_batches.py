"""link.py: big batches leave the event loop free, and are never left behind half done."""

import asyncio
import threading
from typing import Any

import pytest

from keymeld_enclave import link

pytestmark = pytest.mark.asyncio


class Talk:
    """A conversation that notes where it was handled, and waits to be let go on."""

    def __init__(self, *, heavy: bool) -> None:
        self.heavy, self.done = heavy, False
        self.began, self.go_on = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None

    def is_heavy(self, frame: bytes) -> bool:
        return self.heavy

    def receive(self, frame: bytes, now: int) -> None:
        self.thread = threading.current_thread()
        self.began.set()
        if self.heavy:
            self.go_on.wait(10)
        self.done = True


async def received(talk: Any) -> None:
    await link._receive(talk, b"frame")


async def test_a_small_frame_is_handled_at_once() -> None:
    talk = Talk(heavy=False)
    await received(talk)
    assert talk.thread is threading.main_thread()


async def test_a_frame_of_a_big_batch_is_handled_while_the_loop_goes_on() -> None:
    talk = Talk(heavy=True)
    task = asyncio.create_task(received(talk))
    await asyncio.to_thread(talk.began.wait, 10)
    assert not talk.done, "and this line runs meanwhile"
    talk.go_on.set()
    await task
    assert talk.thread is not threading.main_thread()


async def test_whoever_is_cancelled_waits_for_the_batch() -> None:
    talk = Talk(heavy=True)
    task = asyncio.create_task(received(talk))
    await asyncio.to_thread(talk.began.wait, 10)
    task.cancel()
    talk.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert talk.done

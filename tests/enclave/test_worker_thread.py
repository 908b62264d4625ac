"""worker_thread.py: the event loop stays free, nothing is left half done, and nothing is done twice."""

import asyncio
import gc
import threading

import pytest

from keymeld_enclave.worker_thread import on_a_thread

pytestmark = pytest.mark.asyncio


class Work:
    """Something that notes where it is done, and waits to be let go on."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.began, self.go_on, self.ended = (threading.Event() for _ in range(3))

    def __call__(self) -> None:
        self.threads.append(threading.current_thread())
        self.began.set()
        self.go_on.wait(10)
        self.ended.set()


async def begun(work: Work) -> asyncio.Task[None]:
    task = asyncio.create_task(on_a_thread(work))
    await asyncio.to_thread(work.began.wait, 10)
    return task


async def test_the_loop_goes_on_while_the_work_is_done() -> None:
    work = Work()
    task = await begun(work)
    assert not work.ended.is_set(), "and this line runs meanwhile"
    work.go_on.set()
    await task
    assert work.ended.is_set()
    assert work.threads != [threading.main_thread()]


async def test_what_the_work_raises_is_raised_to_who_waits() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await on_a_thread(fail)


async def test_whoever_is_cancelled_waits_for_the_end_however_often() -> None:
    work = Work()
    task = await begun(work)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended.is_set()


async def test_what_goes_wrong_when_nobody_waits_any_more_is_written_nowhere() -> None:
    class Failing(Work):
        def __call__(self) -> None:
            super().__call__()
            raise ValueError("secret")

    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    work = Failing()
    task = await begun(work)
    task.cancel()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    assert told == []


async def test_where_no_thread_starts_the_work_is_done_here_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    work = Work()
    work.go_on.set()
    await on_a_thread(work)
    assert work.threads == [threading.main_thread()]

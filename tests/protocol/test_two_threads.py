"""two_threads.py: big batches on two threads, with the results and errors of one."""

import threading

import pytest

from keymeld_protocol.two_threads import BIG_BATCH, each


class Meeting:
    """Work that goes on only when two threads have begun it; notes who did what."""

    def __init__(self) -> None:
        self.both = threading.Barrier(2, timeout=20)
        self.threads: dict[int, threading.Thread] = {}

    def __call__(self, index: int) -> int:
        if index < 2:
            self.both.wait()
        self.threads[index] = threading.current_thread()
        return -index


def test_a_big_batch_is_done_by_two_threads_in_order_and_once() -> None:
    meeting = Meeting()
    assert each(meeting, BIG_BATCH + 1) == tuple(-index for index in range(BIG_BATCH + 1))
    assert len(meeting.threads) == BIG_BATCH + 1
    assert len(set(meeting.threads.values())) == 2
    assert threading.current_thread() in meeting.threads.values()


def test_a_small_batch_is_done_here() -> None:
    threads = each(lambda _: threading.current_thread(), BIG_BATCH)
    assert threads == (threading.current_thread(),) * BIG_BATCH


def test_nothing_is_nothing() -> None:
    assert each(lambda index: index, 0) == ()


def test_where_no_second_thread_starts_this_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert each(lambda index: index, 2 * BIG_BATCH) == tuple(range(2 * BIG_BATCH))


def test_the_error_is_that_of_the_lowest_index() -> None:
    met = threading.Barrier(2, timeout=20)

    def fail(index: int) -> None:
        met.wait()
        raise ValueError(index)

    with pytest.raises(ValueError, match=r"^0$"):
        each(fail, BIG_BATCH + 1)


def test_after_an_error_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def fail(index: int) -> None:
        begun.append(index)
        raise ValueError(index)

    with pytest.raises(ValueError, match=r"^0$"):
        each(fail, 100 * BIG_BATCH)
    assert len(begun) <= 2

"""Big batches on two threads: libsecp256k1 lets go of the interpreter while it computes, and items are independent.

0, 1, 2 … ──┬─▶ this thread ──┬─▶ results, in order
            └─▶ a second one ─┘
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Final, Generic, TypeVar

T = TypeVar("T")

BIG_BATCH: Final = 64
"""Signatures beyond which a batch is worth threads."""


def each(work: Callable[[int], T], count: int) -> tuple[T, ...]:
    """Do ``work`` for every index below ``count``; of a big batch on two threads, where a second one starts.

    ``work`` must not mind where it runs. What it raises is raised here: for the lowest index, as on one thread.
    """
    if count <= BIG_BATCH:
        return tuple(map(work, range(count)))
    shared = _Shared(work, count)
    second = Thread(target=shared.take, name="two_threads")
    with suppress(RuntimeError):  # the system gives no more threads: then this one takes all
        second.start()
    shared.take()
    if second.ident is not None:
        second.join()
    if shared.errors:
        raise shared.errors[min(shared.errors)]
    return tuple(shared.results)


class _Shared(Generic[T]):
    """What two threads take from, index by index."""

    def __init__(self, work: Callable[[int], T], count: int) -> None:
        self.results: list[T] = [None] * count  # type: ignore[list-item]  # all are there when nothing was raised
        self.errors: dict[int, BaseException] = {}
        self._work = work
        self._left = iter(range(count))

    def take(self) -> None:
        """Work until nothing is left, or something went wrong before what is left."""
        for index in self._left:
            if self.errors and index > min(self.errors):
                return
            try:
                self.results[index] = self._work(index)
            except BaseException as error:
                self.errors[index] = error

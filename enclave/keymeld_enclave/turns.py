"""Whose turn it is: keygens are served by virtual finishing times, so that nobody waits for the busy (§11.2).

    add ─▶ a keygen's own line, first come first served
    next ─▶ of the jobs at the head of their lines the one with the earliest finish = begin + SLOWER × cost
                begin = when it came, or when its keygen's last job would have finished at the keygen's own pace
    charge ─▶ what it has cost (ms of processor time) counts, whatever was expected

Each keygen has a processor of its own in thought, a tenth as fast as the real one: 100 ms a second.  Where nobody else
waits it gets all there is; where somebody does, whoever has used less is first, a small job before a costly one, and
the costly one comes when its time is over, however many small ones come after it.  What somebody has used while nobody
waited is held against him for no longer than `OWED_MS`: else whoever comes next could keep him waiting almost as long
as he has worked.  No clock, no socket, no thread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from keymeld_protocol.values import Id

SLOWER: Final = 10
"""A keygen's budget is this part of a processor: 100 ms of each second."""
OWED_MS: Final = 10_000
"""How far ahead of now a keygen's pace may be at most: a second of work."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of all jobs that wait; beyond them whoever has most in line is heard again later."""

Piece = TypeVar("Piece")


@dataclass
class _Line(Generic[Piece]):
    """The jobs of one keygen: each with when it came, its expected cost (ms) and its bytes."""

    waiting: deque[tuple[int, Piece, float, int]] = field(default_factory=deque)
    free_at: float = 0
    size: int = 0

    def finish(self) -> float:
        """When the first job would be finished, at the keygen's own pace."""
        came, _, cost, _ = self.waiting[0]
        return max(came, self.free_at) + SLOWER * cost


class Turns(Generic[Piece]):
    """The lines of all keygens; times in ms, by any clock that does not go back."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._lines: dict[Id, _Line[Piece]] = {}
        self._heads: list[tuple[float, int, Id]] = []
        self._owed: dict[Id, float] = {}
        self._size = self._count = self._offered = 0

    def __len__(self) -> int:
        """How many jobs wait."""
        return self._count

    def add(self, keygen: Id, job: Piece, now: int, cost: float, size: int = 0) -> None:
        """A job more for a keygen, expected to cost so much (ms), that takes ``size`` bytes while it waits."""
        line = self._lines.get(keygen)
        if line is None:
            line = self._lines[keygen] = _Line(free_at=self._owed.pop(keygen, 0))
        line.waiting.append((now, job, cost, size))
        line.size += size
        self._size += size
        self._count += 1
        if len(line.waiting) == 1:
            self._offer(keygen, line)

    @property
    def cost(self) -> float:
        """What the next job is expected to cost (ms); 0: there is none."""
        keygen = self._next()
        return 0 if keygen is None else self._lines[keygen].waiting[0][2]

    def take(self) -> tuple[Id, Piece] | None:
        """The next job, and whose it is; None: nothing waits."""
        keygen = self._next()
        if keygen is None:
            return None
        line = self._lines[keygen]
        came, job, _, size = line.waiting.popleft()
        line.free_at = max(came, line.free_at)
        line.size -= size
        self._size -= size
        self._count -= 1
        if line.waiting:
            self._offer(keygen, line)
        else:
            self._leave(keygen)
        return keygen, job

    def charge(self, keygen: Id, cost: float, now: int) -> None:
        """A keygen's job has cost so much (ms)."""
        line = self._lines.get(keygen)
        if line is not None:
            line.free_at = min(line.free_at + SLOWER * cost, now + OWED_MS)
            self._offer(keygen, line)
            return
        self._owed[keygen] = min(self._owed.get(keygen, now) + SLOWER * cost, now + OWED_MS)
        if len(self._owed) > 2 * len(self._lines) + 1024:  # what was owed until now is paid
            self._owed = {each: until for each, until in self._owed.items() if until > now}

    def waits(self, keygen: Id) -> bool:
        """Whether a keygen has anything in line."""
        return keygen in self._lines

    @property
    def has_room(self) -> bool:
        """Whether half of the room is free."""
        return self._size <= self._most // 2

    def overfull(self) -> list[Piece]:
        """Where all that waits takes too much room: what whoever has most of it has in line, which is let go."""
        if self._size <= self._most:
            return []
        keygen = max(self._lines, key=lambda each: self._lines[each].size)
        line = self._lines[keygen]
        self._size -= line.size
        self._count -= len(line.waiting)
        self._leave(keygen)
        return [job for _, job, _, _ in line.waiting]

    def _offer(self, keygen: Id, line: _Line[Piece]) -> None:
        """The first in line may be the next of all."""
        self._offered += 1
        heappush(self._heads, (line.finish(), self._offered, keygen))

    def _next(self) -> Id | None:
        """Whose job is next; what was offered and is not the first in its line any more is passed over."""
        while self._heads:
            finish, _, keygen = self._heads[0]
            line = self._lines.get(keygen)
            if line is not None and line.finish() == finish:
                return keygen
            heappop(self._heads)
        return None

    def _leave(self, keygen: Id) -> None:
        """Nobody stands in a line any more; what its keygen has used up is remembered."""
        self._owed[keygen] = self._lines.pop(keygen).free_at

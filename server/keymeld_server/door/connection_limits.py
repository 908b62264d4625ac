"""How many connections there may be, in all and from each address: from accept on, handshake or not.

accept ─▶ within the limits ─▶ SERVED
      ─▶ beyond them       ─▶ TOLD so after its handshake (4103): so many at a time, and they count for nothing else
      ─▶ far beyond them   ─▶ CUT off without a word: a crowd of refusals costs nothing
"""

from __future__ import annotations

from collections import Counter
from enum import Enum

from ..config import ServerConfig


class Entrance(Enum):
    """What becomes of whoever comes in."""

    SERVED = "served"
    TOLD = "told"
    CUT = "cut"


class ConnectionLimits:
    """The connections of the participants' listener, or of one that enclaves dial; Unix sockets have no address."""

    def __init__(self, config: ServerConfig) -> None:
        """Nobody is here."""
        most, each = config.connections_max, config.connections_per_address
        self._crowds = {
            Entrance.SERVED: _Crowd(most, each),
            Entrance.TOLD: _Crowd(told_beside(most), told_beside(each)),
        }

    def enter(self, address: str | None) -> Entrance:
        """Count a connection, and say what becomes of it."""
        return next((entry for entry, crowd in self._crowds.items() if crowd.enter(address)), Entrance.CUT)

    def leave(self, address: str | None, entry: Entrance) -> None:
        """A connection that came in so has ended."""
        if entry is not Entrance.CUT:
            self._crowds[entry].leave(address)

    def from_address(self, address: str | None) -> int:
        """How many of ``address`` are served, at least one; of those without an address each counts for itself."""
        served = self._crowds[Entrance.SERVED].by_address
        return served[address] if address is not None and address in served else 1

    @property
    def count(self) -> int:
        """How many are here, one way or the other."""
        return sum(crowd.all for crowd in self._crowds.values())


def told_beside(limit: int) -> int:
    """How many beyond ``limit`` may come in at a time, only to be told so."""
    return limit // 8 + 2


class _Crowd:
    """At most ``most``, and ``each`` of an address."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each = most, each
        self.all = 0
        self.by_address: Counter[str] = Counter()

    def enter(self, address: str | None) -> bool:
        if self.all >= self._most or (address is not None and self.by_address[address] >= self._each):
            return False
        self.all += 1
        if address is not None:
            self.by_address[address] += 1
        return True

    def leave(self, address: str | None) -> None:
        self.all -= 1
        if address is not None:
            self.by_address[address] -= 1
            if not self.by_address[address]:
                del self.by_address[address]

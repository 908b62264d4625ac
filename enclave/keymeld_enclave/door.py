"""The door of an enclave: how many keys it holds, and how much it remembers for whom (§11.2).

    join ─▶ take     a key more, up to ``capacity`` of all keygens; else it is refused
         ─▶ weigh    the keygen's statements, cards, policies ── within its own share, and then a common one
    request ─▶ weigh the same, for as long as it is open
    left, freed, superseded, expired, ended ─▶ hold, drop        all of it is given back
    no join was ever taken ─▶ guest          heard for a while: of all of them the latest

Each key that is held brings two shares of room that nobody else can take, however many strangers come: one for the
keygen and one for its requests, so that a big group may ask, too.  What either needs beyond the shares of its keys it
takes from what all have in common, up to a bound of the keygen's own.  So a member can use up his own group's room and
no other's, and all together never need more than capacity × 2 × SHARE + COMMON + GUESTS.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from keymeld_protocol.values import Id

CAPACITY: Final = 10_000
"""Keys, by default."""
SHARE: Final = 64 * 1024
"""Bytes for each key that is held, which no other keygen can take; and as many for its requests."""
COMMON: Final = 256 * 1024 * 1024
"""Bytes that keygens have in common, beyond the shares of their keys."""
GUESTS: Final = 32 * 1024 * 1024
"""Bytes of all keygens of which no join was ever taken."""
MOST: Final = 8 * 1024 * 1024
"""Bytes of one keygen, with its open signings."""
OPEN: Final = 16 * 1024
"""Bytes that an open signing takes beside its statements: its chain, its state, and what is owed to it."""


class Door:
    """Keys and bytes of all keygens."""

    def __init__(
        self, capacity: int = CAPACITY, *,
        share: int = SHARE, common: int = COMMON, most: int = MOST, guests: int = GUESTS,
    ) -> None:  # fmt: skip
        self.capacity = capacity
        self._share, self._common, self._most = share, common, most
        self._keys: dict[Id, frozenset[int]] = {}
        self._weights: dict[Id, dict[Id, int]] = {}
        self._totals: dict[Id, int] = {}
        self._guests: OrderedDict[Id, int] = OrderedDict()
        self._most_guests = guests
        self._held = self._beyond = self._visiting = 0

    @property
    def keys(self) -> int:
        """How many keys are held."""
        return self._held

    def weight(self, keygen: Id) -> int:
        """How many bytes are counted for a keygen and its signings."""
        return self._totals.get(keygen, 0)

    def take(self, keygen: Id, slot: int) -> bool:
        """Hold one key more; False: there is no place."""
        held = self._keys.get(keygen, frozenset())
        if slot not in held and self._held >= self.capacity:
            return False
        self.hold(keygen, held | {slot})
        return True

    def hold(self, keygen: Id, slots: Collection[int]) -> None:
        """These are the slots of a keygen whose keys are held now."""
        before = self._keys.get(keygen, frozenset())
        if before == set(slots):
            return
        self._beyond -= self._over(keygen)
        self._held += len(slots) - len(before)
        self._keys[keygen] = frozenset(slots)
        if not slots:
            del self._keys[keygen]
        self._beyond += self._over(keygen)

    def weigh(self, keygen: Id, stream: Id, weight: int) -> bool:
        """A stream of a keygen, or its own, takes so many bytes; False: they are more than it may have, and not taken.

        What weighs less than before is always taken.
        """
        before = self._weights.get(keygen, {}).get(stream, 0)
        over, total = self._over(keygen), self.weight(keygen) + weight - before
        self.count(keygen, stream, weight)
        too_much = total > self._most or (self._over(keygen) > over and self._beyond > self._common)
        if weight > before and too_much:
            self.count(keygen, stream, before)
            return False
        return True

    def count(self, keygen: Id, stream: Id, weight: int) -> None:
        """A stream takes so many bytes, whatever there is: those of a key that is complete, which nobody pushes out."""
        self._beyond -= self._over(keygen)
        weights = self._weights.setdefault(keygen, {})
        self._totals[keygen] = self.weight(keygen) + weight - weights.get(stream, 0)
        weights[stream] = weight
        self._beyond += self._over(keygen)

    def guest(self, keygen: Id, weight: int) -> list[Id]:
        """A keygen of which no join was ever taken weighs so much (0: it is none); gives those that have to go."""
        self._visiting += weight - self._guests.pop(keygen, 0)
        if weight:
            self._guests[keygen] = weight
        gone = []
        while self._visiting > self._most_guests:
            oldest, less = self._guests.popitem(last=False)
            self._visiting -= less
            gone.append(oldest)
        return gone

    def drop(self, keygen: Id, stream: Id) -> None:
        """A stream of a keygen is over; with the keygen's own everything of it."""
        if stream == keygen:
            self.guest(keygen, 0)
            self.hold(keygen, ())
            self._beyond -= self._over(keygen)
            self._weights.pop(keygen, None)
            self._totals.pop(keygen, None)
        elif stream in self._weights.get(keygen, {}):
            self.count(keygen, stream, 0)
            del self._weights[keygen][stream]

    def _over(self, keygen: Id) -> int:
        """What a keygen, and what its requests take beyond the shares of its keys."""
        share, own = self._share * len(self._keys.get(keygen, ())), self._weights.get(keygen, {}).get(keygen, 0)
        return max(0, own - share) + max(0, self.weight(keygen) - own - share)

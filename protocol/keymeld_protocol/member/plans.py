"""Plans that were made and may be needed once more: the latest, up to a weight; any of them can be made again (§11.2).

    request heard ─▶ plan ─▶ judged ─▶ kept here, while it waits or goes on at once ─▶ attempt: taken, or made anew
                                        └ the longest unused goes first; nothing of it was lost but work

A plan is a function of a body and a roster.  Whoever waits keeps the digest of the body, which the request names, and
what came of judging it; where the plan is gone, the body is asked for again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ..values import Id
from .plan import Planned

MOST_PLANNED: Final = 4 * 1024 * 1024
"""Bytes of all plans together, as they are counted."""
PLACE: Final = 256
"""Bytes that an item takes for each of its places, about."""


class Plans:
    """The planned items of signings, by their names; ``most`` bounds what they weigh together (bytes)."""

    def __init__(self, most: int = MOST_PLANNED) -> None:
        self._most = most
        self._weight = 0
        self._kept: OrderedDict[Id, tuple[Planned, ...]] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def keep(self, signing: Id, items: tuple[Planned, ...]) -> None:
        """Keep the items of a signing, and let go of those that were unused for longest where all weigh too much."""
        self.drop(signing)
        self._kept[signing] = items
        self._weight += _weight(items)
        while self._weight > self._most:
            self._weight -= _weight(self._kept.popitem(last=False)[1])

    def get(self, signing: Id) -> tuple[Planned, ...] | None:
        """The items of a signing; None: they are not kept any more."""
        if signing in self._kept:
            self._kept.move_to_end(signing)
        return self._kept.get(signing)

    def drop(self, signing: Id) -> None:
        """A signing is over."""
        items = self._kept.pop(signing, None)
        if items is not None:
            self._weight -= _weight(items)


def _weight(items: tuple[Planned, ...]) -> int:
    return PLACE * sum(len(item.adaptors) for item in items)

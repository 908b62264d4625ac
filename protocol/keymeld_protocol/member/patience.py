"""Work that depends on many keys is done in pieces: what was worked out stays, and who asks comes again (§11.2).

    allow(PIECE) ─▶ judge ─▶ a key list that is not known yet ─▶ spend its cost ─▶ … ─▶ NotYet
    allow(PIECE) ─▶ judge again, from where the key lists have come ─────────────────▶ done

A piece is counted and not timed, so that the same request takes the same pieces everywhere.  Whoever has nobody else to
wait for him allows everything, which is the default.
"""

from __future__ import annotations

from typing import Final

from ..errors import KeymeldError

PIECE: Final = 4_000
"""Points that one piece adds up: 40 µs each where they are of a list, two for a child."""


class NotYet(KeymeldError):
    """A piece of work is done, and there is more: ask again."""


class Patience:
    """How many points may be added up before somebody else has his turn; None: any number."""

    def __init__(self) -> None:
        self._left: int | None = None

    def allow(self, points: int | None) -> None:
        """Begin a piece."""
        self._left = points

    def spend(self, points: int) -> None:
        """Add up so many points; the first of a piece are always allowed, so that each piece gets on.

        Raises:
            NotYet: the piece is used up.
        """
        if self._left is None:
            return
        if self._left <= 0:
            raise NotYet("there is more to work out")
        self._left -= points

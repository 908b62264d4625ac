"""Which of a group's keys spends an input: found by its script, as everybody computes it.

script ─▶ group, subset or child below the gap limit (`OwnScripts`) ─▶ Key
origin in a PSBT ─▶ a child further on ─▶ its script, computed and compared ─▶ Key
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from keymeld_protocol.bitcoin.tweaks import Steps, child_steps
from keymeld_protocol.errors import InvalidCrypto, bad_field
from keymeld_protocol.member.roster import Roster

if TYPE_CHECKING:
    from keymeld_protocol.bitcoin.psbt import Psbt

Key: TypeAlias = tuple[int | None, Steps | None]
"""With what an item is signed: a subset (None: the whole group) and its tweaks (None: as the terms say)."""


class Keys:
    """All keys of the group, those of one ``subset``, or exactly one: where ``tweaks`` lead.

    A script that two key lists share is signed by the first.
    """

    def __init__(self, roster: Roster, subset: int | None, tweaks: Steps | None) -> None:
        """Compute what needs no child.

        Raises:
            BadInput: there is no such subset, or a tweak cannot be applied.
        """
        self.roster, self.subset, self.tweaks = roster, subset, tweaks
        lists = (subset,) if subset is not None else (None, *range(len(roster.subsets)))
        self._slots = frozenset(roster.slots_of(subset))
        self._only = self._script(subset, tweaks)
        self._lists = {} if tweaks is not None else {roster.keyagg(each, ()).point: each for each in reversed(lists)}

    def of(self, psbt: Psbt) -> list[Key | None]:
        """Whose each input of a PSBT is: by its script, and where that is not known, by what the PSBT hints at.

        Raises:
            BadInput: one of ours cannot be signed as it stands.
        """
        scripts = [output.script for output in psbt.spend.inputs]
        found = [self.find(script) or self._follow(psbt, i, script) for i, script in enumerate(scripts)]
        psbt.inputs({script for script, key in zip(scripts, found, strict=True) if key is not None})
        return found

    def find(self, script: bytes) -> Key | None:
        """Whose script it is, as everybody computes it."""
        if script == self._only:
            return self.subset, self.tweaks
        own = None if self.tweaks is not None else self.roster.own.find(script)
        if own is None or own.hashed:
            return None
        if self.subset is None:
            return own.subset, own.tweaks
        return (self.subset, own.tweaks) if own.slots == self._slots else None

    def _follow(self, psbt: Psbt, index: int, script: bytes) -> Key | None:
        """The child that a PSBT hints at, if it has this script indeed."""
        if (hint := psbt.hint(index, self._lists.keys())) is None:
            return None
        subset, tweaks = self._lists[hint[0]], child_steps(hint[1])
        return (subset, tweaks) if self._script(subset, tweaks) == script else None

    def _script(self, subset: int | None, tweaks: Steps | None) -> bytes:
        """The script of one key.

        Raises:
            BadInput: there is no such subset, or a tweak cannot be applied.
        """
        try:
            return self.roster.script(subset, tweaks)
        except InvalidCrypto as error:
            raise bad_field("tweaks", str(error)) from None

"""A group's own scripts: whose coins an input spends, and to whom an output comes back.

    key list ─▶ aggregate key ─┬─ the terms' tweak ──────────────────────────────▶ the list's address
                               ├─ child (0|1)/n, n < GAP ─ the terms' tweak ─────▶ receive and change addresses
                               └─ of one slot: P2WPKH ──────────────────────────▶ what ECDSA can spend

They are computed from the roster and nothing else (§10.9): what a PSBT or an item's tweaks call ours counts for
nothing, and neither does an output to the group's internal key with somebody else's script tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from ..bitcoin.children import children
from ..bitcoin.transaction import Spend, key_hash_script, taproot_script
from ..bitcoin.tweaks import Steps, child_steps, terms_root
from ..curve.keyagg import taproot_tweak
from ..curve.secp256k1 import point_tweak_add
from ..wire.shapes import as_bits

if TYPE_CHECKING:
    from .plan import Item
    from .roster import Roster

GAP: Final = 20
"""Children 0…19 of each branch count as own: further than a wallet looks ahead (BIP-44), nobody may be led."""

BRANCHES: Final = (0, 1)
"""Receive and change."""

_TAPROOT: Final = b"\x51\x20"
_FORMS: Final = {(34, _TAPROOT), (22, b"\x00\x14")}


class Own(NamedTuple):
    """Whose script it is: the subset (None: the whole group), the child's path (None: no child), and the slots.

    ``hashed``: it is P2WPKH, and no SignInput spends it.
    """

    subset: int | None
    path: tuple[int, int] | None
    slots: frozenset[int]
    hashed: bool = False

    @property
    def number(self) -> int:
        """The number of its key list."""
        return 0 if self.subset is None else self.subset + 1

    @property
    def tweaks(self) -> Steps | None:
        """The tweaks of the item that spends it; None: the terms' one."""
        return None if self.path is None else child_steps(self.path)


class Flow(NamedTuple):
    """Which scripts of one transaction are own, with the slots of their key lists; and which outputs come back."""

    own: Mapping[bytes, frozenset[int]]
    change: frozenset[bytes]


class OwnScripts:
    """The own scripts of one roster, and its key lists by number: 0 is the whole group, k + 1 is subset k.

    They are computed when somebody asks, and no further than needed: the address of each key list first, then the
    children list by list; a list of 200 keys takes 12 ms, once.  Sets of lists, and of slots, are bits of a number: a
    thousand owners are judged by them.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.lists: Final = (frozenset(roster.slots_of(None)), *map(frozenset, roster.subsets))
        self._number: Final = {tuple(sorted(slots)): number for number, slots in reversed([*enumerate(self.lists)])}
        self._bits: Final = tuple(map(as_bits, self.lists))
        self._root = terms_root(roster.terms)
        self._found: dict[bytes, Own] = {}
        self._done: set[tuple[int, bool]] = set()
        self._holding: dict[int, int] = {}
        self._above: dict[int, int] = {}
        self._spends: WeakKeyDictionary[Item, bool] = WeakKeyDictionary()

    @property
    def computed(self) -> int:
        """How many scripts have been computed so far."""
        return len(self._found)

    def forget(self) -> None:
        """Let go of them all: they are computed again when somebody asks."""
        self._found.clear()
        self._done.clear()

    # Key lists

    def number(self, slots: tuple[int, ...]) -> int:
        """The number of the key list of these slots, rising; of the group, where a subset is all of it."""
        return self._number[slots]

    def holding(self, slot: int) -> int:
        """The key lists with ``slot`` in them, as bits."""
        if slot not in self._holding:
            self._holding[slot] = as_bits(number for number, slots in enumerate(self.lists) if slot in slots)
        return self._holding[slot]

    def above(self, number: int) -> int:
        """The key lists that hold all slots of this one, as bits; itself among them."""
        if number not in self._above:
            inner = self._bits[number]
            self._above[number] = as_bits(i for i, outer in enumerate(self._bits) if inner & ~outer == 0)
        return self._above[number]

    # Scripts

    def find(self, script: bytes, among: int = -1) -> Own | None:
        """Whose ``script`` it is; None: it is not ours, or not of a list ``among`` these, as bits (−1: of any).

        Only lists among these are computed.

        Raises:
            NotYet: as `Patience.spend`; what was computed stays.
            InvalidCrypto: a key list does not aggregate; nothing can be said of any script that is not known yet.
        """
        if (len(script), script[:2]) not in _FORMS:
            return None
        if script not in self._found:
            self._look_for(script, among)
        own = self._found.get(script)
        return own if own is not None and among >> own.number & 1 else None

    def _look_for(self, script: bytes, among: int) -> None:
        """Compute what may be this script and has not been computed yet, until it is found."""
        numbers = [number for number in range(len(self.lists)) if among >> number & 1]
        for step in ((number, childless) for childless in (True, False) for number in numbers):
            if step not in self._done:
                self._compute(*step)
                self._done.add(step)
                if script in self._found:
                    return

    def spends(self, item: Item) -> bool:
        """Whether the item's tweaks come to an own script of its key list: the terms' one, or a child up to the gap.

        Each policy asks it of each item: it is remembered as long as the item is there.

        Raises:
            InvalidCrypto: as `find`.
        """
        if item not in self._spends:
            own = self.find(taproot_script(item.keyagg.output), 1 << self.number(item.slots))
            self._spends[item] = own is not None and own.slots == self.lists[self.number(item.slots)]
        return self._spends[item]

    def flow(self, spend: Spend, payers: Mapping[bytes, frozenset[int]] | None = None) -> Flow:
        """What of a transaction is own: an output comes back only to a key list that holds all those that pay (§10.2).

        A subset is fewer people than the group: what goes from the group to a subset is paid out, and no change.
        ``payers``: further scripts that pay, with their slots.

        Raises:
            InvalidCrypto: as `find`.
        """
        scripts = {output.script for output in (*spend.inputs, *spend.outputs)}
        lists = {script: whose.slots for script in scripts if (whose := self.find(script)) is not None}
        own = {**(payers or {}), **lists}
        paying = {own[coin.script] for coin in spend.inputs if coin.script in own}
        change = frozenset(script for script, slots in lists.items() if all(payer <= slots for payer in paying))
        return Flow(own, change)

    def _compute(self, number: int, childless: bool) -> None:
        """Add the address of a key list, or those of its children; of two lists of the same slots the first stands."""
        subset, slots = number - 1 if number else None, self.lists[number]
        aggregate = self._roster.keyagg(subset, ()).point
        if childless:
            self._found.setdefault(self._script(aggregate), Own(subset, None, slots))
            if len(slots) == 1:
                self._found.setdefault(key_hash_script(aggregate), Own(subset, None, slots, hashed=True))
            return
        self._roster.patience.spend(2 * len(BRANCHES) * GAP)
        for branch in BRANCHES:
            for index, child in enumerate(children(aggregate, branch, GAP)):
                self._found.setdefault(self._script(child), Own(subset, (branch, index), slots))

    def _script(self, point: bytes) -> bytes:
        """The script of a key (33 bytes) with the terms' tweak."""
        if self._root is None:
            return _TAPROOT + point[1:]
        return _TAPROOT + point_tweak_add(b"\x02" + point[1:], taproot_tweak(point[1:], self._root).value)[1:]

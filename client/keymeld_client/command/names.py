"""Who is who in a session, learnt from its records: keys become ``slot 1 "Bob"``, ``enclave 3f9a01``, ``the creator``.

Labels were chosen by other people: they are quoted here, once, so that whoever prints a name need not care.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from keymeld_protocol.foreign import quoted
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.payloads import KeygenCreate, KeygenJoin, Note
from keymeld_protocol.wire.shapes import Payload

SHORT: Final = 6
"""Hex digits of a key that tell it apart among the few of one session; names of sessions are shown with twelve."""


@dataclass
class Names:
    """The names of one keygen and its signings; ``label`` gives the label of a slot's card, or an empty text."""

    label: Callable[[int], str] = lambda slot: ""
    slots: dict[XOnlyKey, int] = field(default_factory=dict)
    roles: dict[XOnlyKey, str] = field(default_factory=dict)

    @classmethod
    def of(cls, state: KeygenState, label: Callable[[int], str] = lambda slot: "") -> Names:
        """The names that a keygen's state holds."""
        names = cls(label)
        names.learn(state.create)
        for join in (seat.join for seat in state.seats if seat is not None):
            names.learn(join)
        return names

    def learn(self, said: Payload | Note) -> None:
        """Take in what a statement says about who is who."""
        if isinstance(said, KeygenCreate):
            self.roles[said.by] = "the creator"
            self.roles[said.coordinator] = "the coordinator"
        elif isinstance(said, KeygenJoin):
            self.slots[said.by] = said.slot
            if said.enclave is not None:
                self.roles.setdefault(said.enclave, f"enclave {said.enclave.hex()[:SHORT]}")

    def who(self, key: XOnlyKey) -> str:
        """Whom a key belongs to."""
        if key in self.slots:
            return self.slot(self.slots[key])
        return self.roles.get(key, f"somebody ({key.hex()[:SHORT]})")

    def slot(self, slot: int) -> str:
        """One slot, with its label if it has one."""
        label = self.label(slot)
        return f"slot {slot} {quoted(label)}" if label else f"slot {slot}"

    def all(self, slots: tuple[int, ...]) -> str:
        """Several slots in words."""
        *most, last = map(self.slot, slots) if slots else ("nobody",)
        return f"{', '.join(most)} and {last}" if most else last

"""A keygen as its log tells it: who sits in which slot, who is missing, and whom the stream concerns.

Nothing here moves: ``keygen.apply`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal

from ..curve.schnorr import tagged_hash
from ..errors import Reason, Refused
from ..values import Hash, Id, XOnlyKey
from ..wire.payloads import KeygenCreate, KeygenJoin
from ..wording import slots_told
from .machine import StreamKind, StreamState


class KeygenPhase(StrEnum):
    """Where a keygen stands."""

    COLLECTING = "collecting"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CLOSED = "closed"


@dataclass(frozen=True)
class Seat:
    """A filled slot: its join, whether it is ready, and who has confirmed the roster for it."""

    join: KeygenJoin
    id: Id
    at: int
    ready: bool
    confirmed: Literal["participant", "enclave"] | None = None


@dataclass(frozen=True)
class Freed:
    """A slot that became free again, and why."""

    slot: int
    by: XOnlyKey
    code: str


@dataclass(frozen=True)
class KeygenState(StreamState):
    """A keygen as its log tells it; ``left``: the slots that have left, and the offset at which they did.

    ``completed`` is the offset of the record that completed it; None before that, and where none did.
    A slot that left keeps its seat: what was asked and signed before stays as it was.  ``latest`` has the offset of the
    latest join of each auth key, also of one that was replaced.
    """

    kind: ClassVar[StreamKind] = "keygen"
    hearers_stay: ClassVar[bool] = False

    stream: Id
    create: KeygenCreate
    phase: KeygenPhase
    seats: tuple[Seat | None, ...]
    roster: Hash | None = None
    completed: int | None = None
    freed: tuple[Freed, ...] = ()
    latest: Mapping[XOnlyKey, int] = field(default_factory=dict)
    joined: Mapping[int, int] = field(default_factory=dict)
    notes: Mapping[int, int] = field(default_factory=dict)
    left: Mapping[int, int] = field(default_factory=dict)
    wiped: frozenset[int] = frozenset()

    @property
    def joins(self) -> tuple[KeygenJoin, ...]:
        """The joins of a keygen whose slots are all filled, by slot.

        Raises:
            Refused: some slot is free.
        """
        joins = tuple(seat.join for seat in self.seats if seat is not None)
        if len(joins) != len(self.seats):
            raise Refused(Reason.WRONG_STATE, f"still free or not ready: {slots_told(self.holdouts())}")
        return joins

    def holdouts(self) -> tuple[int, ...]:
        """The slots that are still missing: free, or not ready."""
        return tuple(i for i, seat in enumerate(self.seats) if seat is None or not seat.ready)

    def unconfirmed(self) -> tuple[int, ...]:
        """The slots that have not left and for which nobody has confirmed the roster."""
        seats = [(i, seat) for i, seat in enumerate(self.seats) if i not in self.left]
        return tuple(i for i, seat in seats if seat is None or seat.confirmed is None)

    def unwiped(self) -> tuple[int, ...]:
        """The slots that have left and whose enclave has not wiped their key yet."""
        sealed = [i for i in sorted(self.left) if (seat := self.seats[i]) is not None and seat.join.enclave is not None]
        return tuple(i for i in sealed if i not in self.wiped)

    def require_present(self, slots: Iterable[int], by: int | None = None) -> None:
        """Refuse what needs a slot that has left; with ``by``, only if it had left at that offset (§6.5).

        Raises:
            Refused: ``wrong_state``.
        """
        gone = tuple(sorted(s for s in slots if s in self.left and (by is None or self.left[s] <= by)))
        if gone:
            what = f"slots: {slots_told(gone)} left this group; nothing that needs a slot that has left is signed"
            raise Refused(Reason.WRONG_STATE, what, field="slots")

    def require_latest(self, said: KeygenJoin, after: int) -> None:
        """Refuse a join whose ``after`` (an offset) lies before an earlier join of the same auth key (§6.2).

        Whoever joins anew has seen what he said before: what was said earlier and held back is not brought to life.

        Raises:
            Refused: ``not_allowed``.
        """
        if after < self.latest.get(said.by, 0):
            raise Refused(Reason.NOT_ALLOWED, "after: another join of this auth key came since", field="after")

    def require_completed(self, by: int) -> None:
        """Refuse a request of whoever stood at offset ``by``, where the key was not yet complete (§7.2).

        Raises:
            Refused: ``wrong_state``.
        """
        if self.completed is not None and by < self.completed:
            what = "after: the key was not yet complete there; ask once you have heard the record that completed it"
            raise Refused(Reason.WRONG_STATE, what, field="after")

    def slot_of(self, key: XOnlyKey) -> int | None:
        """The slot whose participant speaks with ``key``."""
        return next((i for i, seat in enumerate(self.seats) if seat is not None and seat.join.by == key), None)

    def slots_at(self, enclave: XOnlyKey) -> tuple[int, ...]:
        """The slots sealed to ``enclave``, rising."""
        return tuple(i for i, s in enumerate(self.seats) if s is not None and s.join.enclave == enclave)

    def hearers(self) -> frozenset[XOnlyKey]:
        """Who may hear more than the first record (§4.4)."""
        keys = {self.create.by}
        for invite, seat in zip(self.create.slots, self.seats, strict=True):
            if seat is None or not seat.ready:
                keys.add(invite)
            if seat is not None:
                keys.update(k for k in (seat.join.by, seat.join.reader, seat.join.enclave) if k is not None)
        return frozenset(keys)

    @property
    def opener(self) -> XOnlyKey:
        """The creator key."""
        return self.create.by

    @property
    def coordinator(self) -> XOnlyKey:
        """The one that ``keygen.create`` names."""
        return self.create.coordinator

    @property
    def open(self) -> bool:
        """Whether anything can still happen; a completed key lives on until its members leave."""
        return bool(self.unwiped()) if self.phase == KeygenPhase.CLOSED else self.phase != KeygenPhase.EXPIRED

    def deadline(self, up_since: int = 0, after: int = -1) -> int | None:
        """When the time for joining ends (ms), as long as it lasts; it knows no graces."""
        return self.create.expires_at if self.phase == KeygenPhase.COLLECTING else None


def roster_hash(keygen: Id, joins: tuple[Id, ...]) -> Hash:
    """``TH("keymeld/roster/v1", keygen_id ‖ id(join 0) ‖ … ‖ id(join n−1))`` (§6.4)."""
    return Hash(tagged_hash("keymeld/roster/v1", keygen + b"".join(joins)))

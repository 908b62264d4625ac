"""What is looked at of the keygen machine: two slots, their owners and one who has both tickets, two enclaves (§6).

    small()      few enough places for every run
    large()      every join once more: `make model`

The owner of a slot joins at an enclave, once more, or from a device; Mallory joins at an enclave, with either ticket.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import pytest

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import Refused
from keymeld_protocol.machines.keygen import REPLACE_AFTER_MS
from keymeld_protocol.machines.keygen_state import KeygenPhase, KeygenState, Seat, roster_hash
from keymeld_protocol.values import Hash, Id, digest
from keymeld_protocol.wire.payloads import (
    CustodyAccept,
    CustodyRefuse,
    CustodyWiped,
    KeygenConfirm,
    KeygenExpired,
    KeygenJoin,
    KeygenLeave,
    KeygenRelease,
    Note,
)
from keymeld_protocol.wire.shapes import MAX_JOINS, MAX_NOTES
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import (
    COORDINATOR,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Keygen,
    key_of,
    xonly,
)

from .explored import NOWHERE, Bounds, Step, says, unsigned

SLOTS: Final = 2
MALLORY: Final = key_of("mallory")
LATER: Final = NOON + REPLACE_AFTER_MS
Join = tuple[int, Keypair, bool, int]
"""A slot, who joins it, whether at an enclave, and which of his joins it is."""


def small() -> Bounds:
    """At most three joins in all."""
    return bounds(3, NOON, LATER)


def large() -> Bounds:
    """At most five, also just before a slot may be taken over."""
    return bounds(5, NOON, LATER - 1, LATER)


def bounds(most: int, *moments: int) -> Bounds:
    """At most so many joins in all, at these moments and at the deadline.

    It begins with an empty keygen, and with one whose slot has seen all but one of its joins.
    """
    keygen = Keygen(SLOTS)
    always = (*(join(keygen, *one) for one in joins(keygen)), *bad_joins(keygen), *about_nothing(keygen))
    expires_at = keygen.state.create.expires_at
    tired = replace(keygen.state, joined={0: MAX_JOINS - 1}, notes={0: MAX_NOTES, 1: MAX_NOTES})
    return Bounds(
        roots=(keygen.state, tired), moments=(*moments, expires_at), same=same, require=require,
        words=lambda state: chain(words(state, keygen), always), within=lambda state: said_joins(state, most) <= most,
        timeless=lambda state: state.phase != KeygenPhase.COLLECTING,
    )  # fmt: skip


def said_joins(state: KeygenState, most: int) -> int:
    """How many joins it has seen; the many at once are all that may be, but one."""
    return sum(count - MAX_JOINS + most if count >= MAX_JOINS - 1 else count for count in state.joined.values())


def same(state: KeygenState) -> Hashable:
    """What a state is, without where in the log it was said, who was freed, and how many notes there are."""
    seats = tuple(seat and (seat.id, 0 if seat.ready else seat.at, seat.ready, seat.confirmed) for seat in state.seats)
    if state.phase == KeygenPhase.EXPIRED:
        return (state.phase, tuple(seat is not None for seat in state.seats), bool(state.notes))
    joined = tuple(sorted(state.joined.items())) if state.phase == KeygenPhase.COLLECTING else ()
    return (state.phase, seats, joined, frozenset(state.left), state.wiped, bool(state.notes))


# Who says what --------------------------------------------------------------------------------------------------


def words(state: KeygenState, keygen: Keygen) -> Iterator[Statement]:
    """Whatever anybody could say: owners, Mallory, the creator, enclaves, the coordinator, a stranger."""
    owners = [keygen.auth(slot) for slot in range(SLOTS)]
    for who in (*owners, MALLORY, keygen.cast.creator, VAULT, TOWER, COORDINATOR, STRANGER):
        for slot in range(SLOTS) if who not in (COORDINATOR, STRANGER) else (0,):
            yield from about_slot(state, who, slot)
        for roster in {state.roster or NOWHERE, NOWHERE}:
            yield says(who, KeygenConfirm, state.stream, roster=Hash(roster))
        yield says(who, KeygenExpired, state.stream)
        yield unsigned(Note, xonly(who), state.stream, ("kind", "note.word"))


def about_slot(state: KeygenState, who: Keypair, slot: int) -> Iterator[Statement]:
    """Every word that names a slot, about the join that fills it now."""
    seat, stream = state.seats[slot], state.stream
    current = seat.id if seat is not None else Id(NOWHERE)
    yield says(who, CustodyAccept, stream, slot=slot, join=current)
    yield says(who, CustodyRefuse, stream, slot=slot, join=current, code="bad_card")
    yield says(who, KeygenRelease, stream, slot=slot, join=current, code="released")
    yield says(who, KeygenLeave, stream, slot=slot)
    yield says(who, CustodyWiped, stream, slot=slot)


def about_nothing(keygen: Keygen) -> Iterator[Statement]:
    """By the right speaker, about a join that fills no slot any more, and about a slot that is not there."""
    superseded, stream = join(keygen, 0, MALLORY, True, 0).id, keygen.stream
    for slot, about in ((0, superseded), (SLOTS, superseded)):
        yield says(VAULT, CustodyAccept, stream, slot=slot, join=about)
        yield says(VAULT, CustodyRefuse, stream, slot=slot, join=about, code="bad_card")
        yield says(keygen.cast.creator, KeygenRelease, stream, slot=slot, join=about, code="released")
    yield says(keygen.auth(0), KeygenLeave, stream, slot=SLOTS)
    yield says(VAULT, CustodyWiped, stream, slot=SLOTS)


def joins(keygen: Keygen) -> Iterator[Join]:
    """Who joins where: the owner twice at an enclave, once from a device, and Mallory."""
    for slot in range(SLOTS):
        owner = keygen.auth(slot)
        yield from ((slot, owner, True, 0), (slot, owner, True, 1), (slot, owner, False, 2), (slot, MALLORY, True, 0))


def join(keygen: Keygen, place: int, who: Keypair, sealed: bool, number: int, **fields: Any) -> Statement:
    """A join that differs from the other ones of its speaker."""
    home = TOWER if place == 1 else VAULT
    honest = (keygen.join(place, enclave=home) if sealed else keygen.device(place)).payload
    said: dict[str, Any] = {name: getattr(honest, name) for name in honest.__struct_fields__}
    said |= {"card": digest(b"card %d of slot %d" % (number, place))} | fields
    given = {name: value for name, value in said.items() if name not in ("v", "by", "stream", "after")}
    return says(who, KeygenJoin, keygen.stream, **given)


def bad_joins(keygen: Keygen) -> Iterator[Statement]:
    """With another slot's ticket, for a slot that is not there, with a key that plays another part."""
    owner, other = keygen.auth(0), join(keygen, 1, keygen.auth(1), True, 0).payload
    assert isinstance(other, KeygenJoin)
    yield join(keygen, 0, owner, True, 0, invite=other.invite)
    yield join(keygen, 0, owner, True, 0, slot=SLOTS)
    yield join(keygen, 0, keygen.cast.creator, True, 0)
    yield join(keygen, 0, TOWER, True, 0)
    yield join(keygen, 0, owner, True, 0, enclave=xonly(keygen.auth(1)))


# What must hold -------------------------------------------------------------------------------------------------

COLLECTING, COMPLETED, EXPIRED, CLOSED = KeygenPhase
ONWARDS: Final = {COLLECTING: set(KeygenPhase) - {CLOSED}, COMPLETED: {COMPLETED, CLOSED}, EXPIRED: {EXPIRED}}
STRENGTH: Final = [None, "enclave", "participant"]


def require(step: Step) -> None:
    """On every step.

    Raises:
        AssertionError: something that must not happen has.
    """
    before, after, kind = step.before, step.after, step.said.payload.kind
    assert after.phase in ONWARDS.get(before.phase, {CLOSED}), "a keygen goes back"
    if before.phase == EXPIRED:
        assert kind.startswith("note.") and replace(after, notes=before.notes) == before, "an end moves"
    for slot, (old, new) in enumerate(zip(before.seats, after.seats, strict=True)):
        require_seat(step, slot, old, new)
    assert before.left.items() <= after.left.items() and before.wiped <= after.wiped, "who has left comes back"
    assert after.wiped <= after.left.keys(), "a key is wiped that nobody took back"
    ids = [seat.id for seat in after.seats if seat is not None and seat.ready]
    full = len(ids) == len(after.seats)
    assert after.roster == (roster_hash(after.stream, tuple(ids)) if full else None), "a roster that is not its joins'"
    assert (after.roster is not None) == (after.phase in (COMPLETED, CLOSED)), "completed, and a slot is not ready"
    require_keys(after)
    require_gone(after)


def require_seat(step: Step, slot: int, old: Seat | None, new: Seat | None) -> None:
    """A seat is its owner's once he is ready, until the creator frees it; later nobody's joins change.

    Raises:
        AssertionError: something that must not happen has.
    """
    said: Any = step.said.payload
    if old is not None and (new is None or new.id != old.id):
        assert step.before.phase == COLLECTING, "a seat changes after completion"
        freed = {"keygen.release": step.before.create.by, "custody.refuse": old.join.enclave}
        taken = said.kind == "keygen.join" and (said.by == old.join.by or step.at >= old.at + REPLACE_AFTER_MS)
        allowed = taken or said.by == freed.get(said.kind)
        assert allowed and said.slot == slot, "a seat is lost to somebody who may not take it"
        assert not old.ready or said.kind == "keygen.release", "a ready seat is lost"
    elif old is not None and new is not None:
        assert new.ready or not old.ready, "a seat is ready no longer"
        assert new.ready == old.ready or said.by == old.join.enclave, "a seat is made ready by another enclave"
        assert STRENGTH.index(new.confirmed) >= STRENGTH.index(old.confirmed), "a confirmation becomes weaker"
        by = {old.join.by: "participant", old.join.enclave: "enclave"}.get(said.by)
        assert new.confirmed in (old.confirmed, by), "a seat is confirmed by somebody else"
    elif new is not None:
        assert said.kind == "keygen.join" and said.slot == slot and new.id == step.said.id, "a seat fills itself"
        assert new.ready == (new.join.enclave is None), "a seat is ready before its enclave says so"


def require_keys(state: KeygenState) -> None:
    """No key plays two parts.

    Raises:
        AssertionError: one does.
    """
    seats = [seat.join for seat in state.seats if seat is not None]
    owners, enclaves = [join.by for join in seats], {join.enclave for join in seats}
    parts = {*state.create.slots, state.create.by, state.create.coordinator}
    assert len(set(owners)) == len(owners), "one auth key in two slots"
    assert parts.isdisjoint(owners) and parts.isdisjoint(enclaves) and enclaves.isdisjoint(owners), "a key of two parts"


def require_gone(state: KeygenState) -> None:
    """A slot that left is needed by no request that is said from then on.

    Raises:
        AssertionError: one could be.
    """
    for slot, offset in state.left.items():
        with pytest.raises(Refused):
            state.require_present(range(len(state.seats)), offset)
        state.require_present([slot], offset - 1)
    state.require_present(set(range(len(state.seats))) - state.left.keys())

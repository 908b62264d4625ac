"""The keygen: who sits in which slot, and when the group is complete (§6).

Drawn from ``TRANSITIONS`` by ``make diagrams``; ``↺`` is what happens without leaving a phase:

    keygen.create ─▶ COLLECTING

    COLLECTING  ↺ keygen.join, custody.accept · custody.refuse, keygen.release with the slot free
                ├▶ COMPLETED   keygen.join, custody.accept if every slot is ready now
                └▶ EXPIRED     keygen.expired
    COMPLETED   ↺ keygen.confirm, keygen.leave, custody.wiped
                └▶ CLOSED      keygen.leave if every slot has left now
    CLOSED      ↺ custody.wiped
    ends        EXPIRED

A slot is ready when its join needs no enclave, or its enclave has accepted.  A join that is not ready may be replaced
by the same auth key, and after 60 s by anybody who holds the slot's invite key.  The deadline bounds the collecting
only: a completed key lives on.  A slot that left is never signed with again; the others stay.

States are values.  ``TRANSITIONS`` says what may happen when; each handler checks and returns the next state in one
go, so that what the coordinator decides and what a hearer allows can never differ.  The state itself is in
``keygen_state``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import BadInput, Reason, Refused, bad_field
from ..values import Id, XOnlyKey
from ..wire.payloads import (
    CustodyAccept,
    CustodyRefuse,
    CustodyWiped,
    KeygenConfirm,
    KeygenCreate,
    KeygenExpired,
    KeygenJoin,
    KeygenLeave,
    KeygenRelease,
    Note,
)
from ..wire.records import Record
from ..wire.shapes import MAX_JOINS, MAX_NOTES, Payload
from .keygen_state import Freed, KeygenPhase, KeygenState, Seat, roster_hash
from .machine import NOBODY, Due, Machine, Move

__all__ = [
    "MACHINE",
    "REPLACE_AFTER_MS",
    "TRANSITIONS",
    "Freed",
    "KeygenState",
    "KeygenPhase",
    "Seat",
    "apply",
    "due",
    "opened",
    "roster_hash",
]

REPLACE_AFTER_MS = 60_000


def opened(record: Record, keygen: object = None) -> KeygenState:
    """The state after a ``keygen.create``; it belongs to no other keygen.

    Raises:
        BadInput: it is another statement.
        Refused: the deadline has passed already.
    """
    create = record.statement.payload
    if not isinstance(create, KeygenCreate):
        raise BadInput(Reason.UNKNOWN_STREAM, "a keygen begins with keygen.create", field="kind")
    if create.expires_at <= record.at:
        raise Refused(Reason.EXPIRED, "expires_at: must lie in the future", field="expires_at")
    return KeygenState(record.statement.id, create, KeygenPhase.COLLECTING, (None,) * len(create.slots))


def apply(state: KeygenState, record: Record) -> KeygenState:
    """The state after ``record``; the only place where a keygen moves (§6.1).

    Raises:
        Refused: the table has no such entry, or a rule forbids it; nothing has changed.
    """
    said = record.statement.payload
    if isinstance(said, Note):
        return _note(state, said)
    late = state.phase == KeygenPhase.COLLECTING and record.at >= state.create.expires_at
    if late and not isinstance(said, KeygenExpired):
        raise Refused(Reason.EXPIRED, "the time for joining has passed", field="kind")
    move = TRANSITIONS.get((state.phase, type(said)))
    if move is None:
        raise Refused(Reason.WRONG_STATE, f"{said.kind} is not possible while {state.phase}", field="kind")
    return move.take(state, said, record)


def due(state: KeygenState, at: int, here: frozenset[XOnlyKey] = NOBODY, up_since: int = 0) -> Due | None:
    """The notice that the time ``at`` (ms) calls for: ``keygen.expired``, whoever is here."""
    return Due(KeygenExpired) if state.phase == KeygenPhase.COLLECTING and at >= state.create.expires_at else None


def _seat(state: KeygenState, slot: int) -> Seat | None:
    """What sits in ``slot``.

    Raises:
        BadInput: the keygen has no such slot.
    """
    if slot >= len(state.seats):
        raise bad_field("slot", f"this keygen has slots 0…{len(state.seats) - 1}")
    return state.seats[slot]


def _with_seat(state: KeygenState, slot: int, seat: Seat | None) -> KeygenState:
    return replace(state, seats=(*state.seats[:slot], seat, *state.seats[slot + 1 :]))


def _join(state: KeygenState, said: KeygenJoin, record: Record) -> KeygenState:
    """Fill a slot that is free, or whose join is not ready and may be replaced (checked in the order of §6.2)."""
    seat = _seat(state, said.slot)
    if said.invite != state.create.slots[said.slot]:
        raise Refused(Reason.NOT_ALLOWED, f"invite: not the invite key of slot {said.slot}", field="invite")
    if seat is not None and seat.ready:
        raise Refused(Reason.SLOT_TAKEN, f"slot {said.slot} is taken", field="slot")
    if seat is not None and seat.join.by != said.by and record.at < seat.at + REPLACE_AFTER_MS:
        wait = seat.at + REPLACE_AFTER_MS - record.at
        message = f"slot {said.slot} waits for its enclave; it can be taken over in {wait} ms"
        raise Refused(Reason.SLOT_TAKEN, message, field="slot", retry_after_ms=wait)
    _check_join_keys(state, said)
    if said.rule.of is not None and said.rule.of[-1] >= len(state.seats):
        raise bad_field("rule.of", f"this keygen has slots 0…{len(state.seats) - 1}")
    filled = Seat(said, record.statement.id, record.at, ready=said.enclave is None)
    latest = {**state.latest, said.by: record.offset}
    joined = _counted(state.joined, said.slot, "joins", MAX_JOINS)
    joined_state = replace(_with_seat(state, said.slot, filled), latest=latest, joined=joined)
    return _completed(joined_state, record)


def _counted(counts: Mapping[int, int], slot: int, what: str, limit: int) -> Mapping[int, int]:
    """Count one more for ``slot``; nobody fills a log without end.

    Raises:
        Refused: ``over_limit``.
    """
    count = counts.get(slot, 0) + 1
    if count > limit:
        message = f"slot {slot} has seen enough: at most {limit} {what}"
        raise Refused(Reason.OVER_LIMIT, message, field="kind", limit=limit)
    return {**counts, slot: count}


def _check_join_keys(state: KeygenState, said: KeygenJoin) -> None:
    """No key of a join plays another part in this session (§6.2)."""
    enclaves = {seat.join.enclave for seat in state.seats if seat is not None}
    parts = {*state.create.slots, state.create.by, state.create.coordinator}
    if said.by in parts or said.by in enclaves:
        raise Refused(Reason.NOT_ALLOWED, "by: this key already has another part in the session", field="by")
    if said.enclave in parts:
        raise Refused(Reason.NOT_ALLOWED, "enclave: this key already has another part in the session", field="enclave")
    for slot, seat in enumerate(state.seats):
        if slot == said.slot or seat is None:
            continue
        if said.by == seat.join.by:
            raise Refused(Reason.NOT_ALLOWED, f"by: the auth key of slot {slot}; every slot has its own", field="by")
        if said.enclave is not None and said.enclave == seat.join.by:
            raise Refused(Reason.NOT_ALLOWED, f"enclave: the auth key of slot {slot}", field="enclave")


def _completed(state: KeygenState, record: Record) -> KeygenState:
    """COMPLETED with its roster, by ``record``, once every slot is ready."""
    ids = tuple(seat.id for seat in state.seats if seat is not None and seat.ready)
    if len(ids) != len(state.seats):
        return state
    roster = roster_hash(state.stream, ids)
    return replace(state, phase=KeygenPhase.COMPLETED, roster=roster, completed=record.offset)


def _current(state: KeygenState, slot: int, join: Id) -> Seat:
    """The seat whose join is ``join``: words about a superseded join have no effect (attack 48)."""
    seat = _seat(state, slot)
    if seat is None or seat.id != join:
        raise Refused(Reason.GONE, f"join: not the join that fills slot {slot}", field="join")
    return seat


def _accept(state: KeygenState, said: CustodyAccept, record: Record) -> KeygenState:
    seat = _current(state, said.slot, said.join)
    if said.by != seat.join.enclave:
        raise Refused(Reason.NOT_ALLOWED, "by: only the enclave that the join names may accept it", field="by")
    if seat.ready:
        raise Refused(Reason.ALREADY_SAID, f"slot {said.slot} is accepted already", field="slot")
    return _completed(_with_seat(state, said.slot, replace(seat, ready=True)), record)


def _refuse(state: KeygenState, said: CustodyRefuse, record: Record) -> KeygenState:
    seat = _current(state, said.slot, said.join)
    if said.by != seat.join.enclave:
        raise Refused(Reason.NOT_ALLOWED, "by: only the enclave that the join names may refuse it", field="by")
    if seat.ready:
        raise Refused(Reason.ALREADY_SAID, f"slot {said.slot} is accepted already", field="slot")
    return _freed(state, said.slot, said.by, said.code)


def _release(state: KeygenState, said: KeygenRelease, record: Record) -> KeygenState:
    _current(state, said.slot, said.join)
    if said.by != state.create.by:
        raise Refused(Reason.NOT_ALLOWED, "by: only the creator key may release a slot", field="by")
    return _freed(state, said.slot, said.by, said.code)


def _freed(state: KeygenState, slot: int, by: XOnlyKey, code: str) -> KeygenState:
    return replace(_with_seat(state, slot, None), freed=(*state.freed, Freed(slot, by, code)))


def _confirm(state: KeygenState, said: KeygenConfirm, record: Record) -> KeygenState:
    """A participant confirms for its slot; an enclave for those it holds and that nobody has confirmed (§6.3)."""
    if said.roster != state.roster:
        raise Refused(Reason.NOT_ALLOWED, "roster: not the roster of this session's joins", field="roster")
    own = state.slot_of(said.by)
    if own is not None:
        slots, how = [own], "participant"
    else:
        slots, how = list(state.slots_at(said.by)), "enclave"
    if not slots:
        raise Refused(Reason.NOT_ALLOWED, "by: only a participant or his enclave confirms", field="by")
    return _mark_confirmed(state, slots, how)


def _mark_confirmed(state: KeygenState, slots: list[int], how: Any) -> KeygenState:
    weaker = {None} if how == "enclave" else {None, "enclave"}
    fresh = {i for i in slots if (seat := state.seats[i]) is not None and seat.confirmed in weaker}
    if not fresh:
        raise Refused(Reason.ALREADY_SAID, f"slots {slots} are confirmed already", field="by")
    seats = tuple(
        replace(seat, confirmed=how) if seat is not None and i in fresh else seat for i, seat in enumerate(state.seats)
    )
    return replace(state, seats=seats)


def _leave(state: KeygenState, said: KeygenLeave, record: Record) -> KeygenState:
    """A participant takes his slot back; CLOSED once all have (§6.5)."""
    seat = _seat(state, said.slot)
    if seat is None or said.by != seat.join.by:
        raise Refused(Reason.NOT_ALLOWED, "by: only the slot's own participant leaves it", field="by")
    if said.slot in state.left:
        raise Refused(Reason.ALREADY_SAID, f"slot {said.slot} has left already", field="slot")
    left = {**state.left, said.slot: record.offset}
    return replace(state, left=left, phase=KeygenPhase.CLOSED if len(left) == len(state.seats) else state.phase)


def _wiped(state: KeygenState, said: CustodyWiped, record: Record) -> KeygenState:
    """The enclave of a slot that left holds its key no longer (§6.5)."""
    seat = _seat(state, said.slot)
    if seat is None or said.by != seat.join.enclave:
        raise Refused(Reason.NOT_ALLOWED, "by: only the slot's enclave can wipe its key", field="by")
    if said.slot not in state.left:
        raise Refused(Reason.WRONG_STATE, f"slot {said.slot} has not left", field="slot")
    if said.slot in state.wiped:
        raise Refused(Reason.ALREADY_SAID, f"the key of slot {said.slot} is wiped already", field="slot")
    return replace(state, wiped=state.wiped | {said.slot})


def _expired(state: KeygenState, said: KeygenExpired, record: Record) -> KeygenState:
    _only_coordinator(state, said)
    if record.at < state.create.expires_at:
        raise Refused(Reason.NOT_ALLOWED, "keygen.expired before expires_at", field="kind")
    return replace(state, phase=KeygenPhase.EXPIRED)


def _only_coordinator(state: KeygenState, said: Payload) -> None:
    if said.by != state.create.coordinator:
        raise Refused(Reason.NOT_ALLOWED, "by: only the coordinator says notices", field="by")


def _note(state: KeygenState, said: Note) -> KeygenState:
    """Notes are said by members and never move state (§5.3)."""
    slot = state.slot_of(said.by)
    if slot is None:
        raise Refused(Reason.NOT_ALLOWED, "by: only members say notes", field="by")
    return replace(state, notes=_counted(state.notes, slot, "notes", MAX_NOTES))


COLLECTING, COMPLETED, EXPIRED, CLOSED = KeygenPhase
_READY = {COLLECTING: "", COMPLETED: "if every slot is ready now"}
_FREED = {COLLECTING: "with the slot free"}
TRANSITIONS: Mapping[tuple[KeygenPhase, type], Move[KeygenState]] = {
    (COLLECTING, KeygenJoin): Move(_join, _READY),
    (COLLECTING, CustodyAccept): Move(_accept, _READY),
    (COLLECTING, CustodyRefuse): Move(_refuse, _FREED),
    (COLLECTING, KeygenRelease): Move(_release, _FREED),
    (COLLECTING, KeygenExpired): Move(_expired, {EXPIRED: ""}),
    (COMPLETED, KeygenConfirm): Move(_confirm, {COMPLETED: ""}),
    (COMPLETED, KeygenLeave): Move(_leave, {COMPLETED: "", CLOSED: "if every slot has left now"}),
    (COMPLETED, CustodyWiped): Move(_wiped, {COMPLETED: ""}),
    (CLOSED, CustodyWiped): Move(_wiped, {CLOSED: ""}),
}
"""What may happen when, and where it may lead; ``note.*`` is possible in every phase and moves nothing."""
MACHINE = Machine(KeygenState, KeygenCreate, {COLLECTING: ""}, TRANSITIONS, opened, apply, due)

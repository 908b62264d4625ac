"""The keygen's table, event by event: what may happen when, and that nothing else does."""

from collections.abc import Callable

import pytest

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.errors import Reason, Refused, WireError
from keymeld_protocol.machines import keygen
from keymeld_protocol.machines.keygen import REPLACE_AFTER_MS, TRANSITIONS, KeygenPhase, roster_hash
from keymeld_protocol.values import digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import (
    KINDS,
    CustodyAccept,
    CustodyRefuse,
    CustodyReseal,
    CustodyWiped,
    KeygenConfirm,
    KeygenExpired,
    KeygenJoin,
    KeygenLeave,
    KeygenRelease,
)
from keymeld_protocol.wire.shapes import MAX_JOINS, MAX_NOTES, Payload, Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.build import Cast
from tests.support.machines import (
    COORDINATOR,
    HOUR,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Keygen,
    completed,
    key_of,
    refused,
    xonly,
)
from tests.support.spoil import sample

Make = Callable[[Keygen], Statement]


def joined(slots: int = 3) -> Keygen:
    stream = Keygen(slots)
    stream.hear(stream.join(0))
    return stream


def expired() -> Keygen:
    stream = joined()
    stream.now = NOON + HOUR
    stream.hear(stream.expired())
    return stream


def closed() -> Keygen:
    stream = completed()
    stream.hear(*(stream.leave(slot) for slot in range(3)))
    return stream


def wiped(stream: Keygen) -> Statement:
    """Slot 0 has left, where it can, and its enclave has wiped the key."""
    if stream.state.phase is KeygenPhase.COMPLETED:
        stream.hear(stream.leave(0))
    return stream.wiped(0)


IN: dict[KeygenPhase, Callable[[], Keygen]] = {
    KeygenPhase.COLLECTING: joined,
    KeygenPhase.COMPLETED: completed,
    KeygenPhase.EXPIRED: expired,
    KeygenPhase.CLOSED: closed,
}

SAYS: dict[type[Payload], Make] = {
    KeygenJoin: lambda k: k.join(1),
    CustodyAccept: lambda k: k.accept(0),
    CustodyRefuse: lambda k: k.refuse(0),
    KeygenRelease: lambda k: k.release(0),
    KeygenConfirm: lambda k: k.confirm(k.auth(0)),
    KeygenExpired: lambda k: k.expired(),
    CustodyReseal: lambda k: k.said(
        k.auth(0), CustodyReseal, b"new", slot=0, enclave=xonly(TOWER), envelope=digest(b"new")
    ),
    KeygenLeave: lambda k: k.leave(0),
    CustodyWiped: wiped,
}
"""What the right speaker would say, for every kind that belongs to keygens; the others are samples."""

TABLE: dict[tuple[KeygenPhase, type[Payload]], KeygenPhase] = {
    (KeygenPhase.COLLECTING, KeygenJoin): KeygenPhase.COLLECTING,
    (KeygenPhase.COLLECTING, CustodyAccept): KeygenPhase.COLLECTING,
    (KeygenPhase.COLLECTING, CustodyRefuse): KeygenPhase.COLLECTING,
    (KeygenPhase.COLLECTING, KeygenRelease): KeygenPhase.COLLECTING,
    (KeygenPhase.COLLECTING, KeygenExpired): KeygenPhase.EXPIRED,
    (KeygenPhase.COMPLETED, KeygenConfirm): KeygenPhase.COMPLETED,
    (KeygenPhase.COMPLETED, KeygenLeave): KeygenPhase.COMPLETED,
    (KeygenPhase.COMPLETED, CustodyWiped): KeygenPhase.COMPLETED,
    (KeygenPhase.CLOSED, CustodyWiped): KeygenPhase.CLOSED,
}
"""The specification's table: what may happen when, and where it leads."""


def test_the_table_is_the_specifications() -> None:
    assert set(TRANSITIONS) == set(TABLE)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("phase", KeygenPhase)
def test_every_event_moves_as_the_table_says_or_is_refused(phase: KeygenPhase, kind: type[Payload]) -> None:
    stream = IN[phase]()
    said = SAYS[kind](stream) if kind in SAYS else sample(kind)
    if (phase, kind) not in TABLE:
        refused(stream, said, Reason.WRONG_STATE, "kind")
        return
    stream.now = NOON + HOUR if kind is KeygenExpired else NOON
    assert stream.hear(said).phase == TABLE[phase, kind]


@pytest.mark.parametrize("phase", KeygenPhase)
def test_a_note_by_a_member_moves_nothing_in_any_phase(phase: KeygenPhase) -> None:
    stream = IN[phase]()
    before = stream.state
    stream.hear(stream.note(stream.auth(0)))
    assert (stream.state.phase, stream.state.seats) == (before.phase, before.seats)


def test_from_expires_at_on_everything_but_its_notice_and_notes_is_expired() -> None:
    stream = joined()
    for say in (stream.join(1), stream.accept(0), stream.leave(0), stream.confirm(stream.auth(0))):
        refused(stream, say, Reason.EXPIRED, "kind", at=NOON + HOUR)
    stream.hear(stream.note(stream.auth(0)), at=NOON + HOUR)
    stream.hear(stream.expired(), at=NOON + HOUR)
    stream.hear(stream.note(stream.auth(0), "late"), at=NOON + 2 * HOUR)


def test_a_join_that_is_not_ready_is_taken_over_from_the_very_millisecond_on() -> None:
    stream = joined()
    refused(stream, stream.join_by("bob", 0), Reason.SLOT_TAKEN, "slot", at=NOON + keygen.REPLACE_AFTER_MS - 1)
    stream.hear(stream.join_by("bob", 0), at=NOON + keygen.REPLACE_AFTER_MS)
    assert stream.state.seats[0] is not None and stream.state.seats[0].join.by == xonly(key_of("bob"))


def test_a_note_by_a_stranger_is_refused() -> None:
    stream = joined()
    refused(stream, stream.note(STRANGER), Reason.NOT_ALLOWED, "by")


def test_a_keygen_whose_deadline_has_passed_is_not_opened() -> None:
    with pytest.raises(WireError, match="expires_at"):
        Keygen(2, expires_at=NOON)


def test_a_keygen_begins_with_nothing_but_its_creation() -> None:
    stream = Keygen(2)
    record = stream.chain.next(stream.records[0].epoch, NOON, stream.join(0))
    with pytest.raises(WireError) as caught:
        keygen.opened(record)
    assert caught.value.reason is Reason.UNKNOWN_STREAM


# Joining ----------------------------------------------------------------------------------------------------------


def test_joins_come_in_any_order_and_the_last_acceptance_completes() -> None:
    stream = Keygen(3).fill(2, 0)
    stream.hear(stream.join(1))
    assert stream.state.holdouts() == (1,)
    stream.hear(stream.accept(1))
    assert stream.state.phase is KeygenPhase.COMPLETED and stream.state.holdouts() == ()


def test_the_roster_hashes_the_joins_by_slot() -> None:
    stream = Keygen(3).fill(2, 0, 1)
    ids = [seat.id for seat in stream.state.seats if seat is not None]
    assert stream.state.roster == roster_hash(stream.stream, tuple(ids))
    assert stream.state.roster == tagged_hash("keymeld/roster/v1", stream.stream + b"".join(ids))


def test_a_join_that_needs_no_enclave_is_ready_at_once() -> None:
    stream = Keygen(1)
    stream.hear(stream.device(0))
    assert stream.state.phase is KeygenPhase.COMPLETED


def test_the_joins_of_an_unfinished_keygen_are_not_to_be_had() -> None:
    with pytest.raises(WireError, match="not ready: slots 0, 1 and 2"):
        _ = joined().state.joins


def test_a_slot_that_the_keygen_has_not_is_refused() -> None:
    stream = Keygen(2)
    wider = Cast("group", xonly(COORDINATOR), 3, stream.stream)
    refused(stream, wider.join(2, stream.chain.hash, xonly(VAULT)), Reason.BAD_FIELD, "slot")
    refused(stream, stream.accept(2), Reason.BAD_FIELD, "slot")
    refused(stream, stream.release(2), Reason.BAD_FIELD, "slot")


def test_the_invite_key_of_another_slot_fills_no_slot() -> None:
    stream = Keygen(2)
    auth, other = key_of("mallory"), stream.cast.invite(1)
    honest = stream.join(0).payload
    fields = {f: getattr(honest, f) for f in honest.__struct_fields__} | {"by": xonly(auth), "invite": xonly(other)}
    said = statements.make(KeygenJoin(**fields), auth.sign, other.sign, blobs=(b"sealed card", b"envelope of slot 0"))
    refused(stream, said, Reason.NOT_ALLOWED, "invite")


def test_attack_7_an_accepted_key_cannot_be_replaced() -> None:
    stream = Keygen(3).fill(0)
    stream.now += 2 * REPLACE_AFTER_MS
    refused(stream, stream.join(0), Reason.SLOT_TAKEN, "slot")
    refused(stream, stream.join_by("mallory", 0), Reason.SLOT_TAKEN, "slot")


def test_attack_7_nobody_joins_twice() -> None:
    stream = joined()
    stream.hear(stream.join_by("mallory", 1))
    refused(stream, stream.join_by("mallory", 2), Reason.NOT_ALLOWED, "by")


def test_attack_7_nobody_joins_after_completion() -> None:
    stream = completed()
    refused(stream, stream.join_by("mallory", 0), Reason.WRONG_STATE, "kind")


@pytest.mark.parametrize("slot", [1, 2])
def test_attack_7_an_invite_or_creator_key_cannot_be_a_member(slot: int) -> None:
    stream = Keygen(3)
    refused(stream, stream.join_by(f"group invite {slot}", 0), Reason.NOT_ALLOWED, "by")
    refused(stream, stream.join_by("group creator", 0), Reason.NOT_ALLOWED, "by")
    refused(stream, stream.join_by("coordinator", 0), Reason.NOT_ALLOWED, "by")


def test_an_enclave_of_this_session_cannot_be_a_member() -> None:
    stream = joined()
    refused(stream, stream.join_by("vault", 1, enclave=TOWER), Reason.NOT_ALLOWED, "by")


@pytest.mark.parametrize("part", ["group auth 0", "group creator", "group invite 2", "coordinator"])
def test_a_key_with_another_part_cannot_be_an_enclave(part: str) -> None:
    stream = joined()
    refused(stream, stream.join(1, enclave=key_of(part)), Reason.NOT_ALLOWED, "enclave")


def test_a_quorum_of_slots_that_are_not_there_is_refused() -> None:
    stream = Keygen(2)
    rule = Rule(approval="quorum", threshold=1, of=(0, 2))
    refused(stream, stream.join(0, rule), Reason.BAD_FIELD, "rule.of")


def test_nobody_joins_once_the_time_has_passed_even_if_the_notice_is_withheld() -> None:
    stream = joined()
    refused(stream, stream.join(1), Reason.EXPIRED, "kind", at=NOON + HOUR)
    refused(stream, stream.accept(0), Reason.EXPIRED, "kind", at=NOON + HOUR)
    stream.hear(stream.join(1), at=NOON + HOUR - 1)


# Replacing, refusing, releasing -------------------------------------------------------------------------------------


def test_a_join_that_waits_may_be_replaced_by_its_own_participant() -> None:
    stream = joined()
    first = stream.state.seats[0]
    stream.hear(stream.join(0))
    second = stream.state.seats[0]
    assert first is not None and second is not None and second.id != first.id


def test_a_join_that_waits_is_anybodys_after_a_minute_and_not_before() -> None:
    stream = joined()
    said = stream.join_by("bob", 0)
    message = refused(stream, said, Reason.SLOT_TAKEN, "slot", at=NOON + REPLACE_AFTER_MS - 1)
    assert "in 1 ms" in message
    stream.hear(said, at=NOON + REPLACE_AFTER_MS)
    assert stream.state.slot_of(xonly(key_of("bob"))) == 0


def test_a_participant_whose_slot_was_freed_joins_again_by_the_same_key() -> None:
    stream = joined()
    stream.hear(stream.refuse(0))
    stream.hear(stream.join(0))
    assert stream.state.slot_of(xonly(stream.auth(0))) == 0


def test_a_refused_slot_is_free_and_tells_why() -> None:
    stream = joined()
    stream.hear(stream.refuse(0))
    (freed,) = stream.state.freed
    assert stream.state.seats[0] is None
    assert (freed.slot, freed.by, freed.code) == (0, xonly(VAULT), "bad")


def test_attack_48_words_about_a_superseded_join_have_no_effect() -> None:
    stream = joined()
    seat = stream.state.seats[0]
    assert seat is not None
    stream.hear(stream.join(0))
    refused(stream, stream.accept(0, join=seat.id), Reason.GONE, "join")
    refused(stream, stream.refuse(0, join=seat.id), Reason.GONE, "join")
    refused(stream, stream.release(0, join=seat.id), Reason.GONE, "join")


def test_attack_48_a_superseded_join_is_not_revived() -> None:
    stream = Keygen(3)
    held_back, before = stream.join(0), stream.chain.offset
    assert isinstance(held_back.payload, KeygenJoin)
    stream.hear(stream.join(0))
    after = stream.chain.offset
    for freed in (False, True):
        if freed:
            stream.hear(stream.refuse(0))
        with pytest.raises(Refused, match="another join of this auth key came since"):
            stream.state.require_latest(held_back.payload, before)
        stream.state.require_latest(held_back.payload, after)


def test_who_joins_over_somebody_elses_join_need_not_have_seen_it() -> None:
    stream = joined()
    said = stream.join_by("bob", 0).payload
    assert isinstance(said, KeygenJoin)
    stream.state.require_latest(said, 1)


def test_attack_41_the_creator_releases_a_squatter_and_the_keygen_completes() -> None:
    stream = Keygen(2)
    stream.hear(stream.join_by("mallory", 0, enclave=VAULT))
    stream.hear(stream.accept(0), stream.release(0))
    assert stream.fill(0, 1).state.phase is KeygenPhase.COMPLETED


def test_attack_41_a_join_to_a_dead_enclave_is_taken_over() -> None:
    stream = Keygen(2)
    stream.hear(stream.join_by("mallory", 0, enclave=key_of("dead")))
    stream.now += REPLACE_AFTER_MS
    assert stream.fill(0, 1).state.phase is KeygenPhase.COMPLETED


def test_nobody_but_the_creator_releases() -> None:
    stream = joined()
    for who in (VAULT, COORDINATOR, STRANGER, stream.auth(0), stream.cast.invite(0)):
        refused(stream, stream.release(0, by=who), Reason.NOT_ALLOWED, "by")


def test_only_the_enclave_that_the_join_names_accepts_or_refuses_it() -> None:
    stream = joined()
    for who in (TOWER, COORDINATOR, STRANGER, stream.auth(0), stream.cast.creator):
        refused(stream, stream.accept(0, by=who), Reason.NOT_ALLOWED, "by")
        refused(stream, stream.refuse(0, by=who), Reason.NOT_ALLOWED, "by")


def test_an_enclave_that_has_accepted_neither_accepts_again_nor_refuses() -> None:
    stream = Keygen(3).fill(0)
    refused(stream, stream.accept(0), Reason.ALREADY_SAID, "slot")
    refused(stream, stream.refuse(0), Reason.ALREADY_SAID, "slot")


def test_a_device_join_is_accepted_by_nobody() -> None:
    stream = Keygen(3)
    stream.hear(stream.device(0))
    refused(stream, stream.accept(0), Reason.NOT_ALLOWED, "by")


def test_one_slot_sees_at_most_so_many_joins() -> None:
    stream = Keygen(2)
    for _ in range(MAX_JOINS):
        stream.hear(stream.join(0))
    refused(stream, stream.join(0), Reason.OVER_LIMIT, "kind")
    stream.hear(stream.join(1))


def test_one_slot_says_at_most_so_many_notes() -> None:
    stream = joined()
    for _ in range(MAX_NOTES):
        stream.hear(stream.note(stream.auth(0)))
    refused(stream, stream.note(stream.auth(0)), Reason.OVER_LIMIT, "kind")
    stream.hear(stream.accept(0))

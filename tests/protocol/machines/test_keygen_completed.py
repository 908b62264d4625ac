"""A keygen that is filled: who confirms it, how long it lives, who hears it."""

from keymeld_protocol.errors import Reason
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.machines import keygen
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.machines.machine import Due
from keymeld_protocol.values import Hash, Id, Salt
from keymeld_protocol.wire.payloads import KeygenExpired
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
    secret_of,
    xonly,
)


def joined(slots: int = 3) -> Keygen:
    stream = Keygen(slots)
    stream.hear(stream.join(0))
    return stream


def expired() -> Keygen:
    stream = joined()
    stream.now = NOON + HOUR
    stream.hear(stream.expired())
    return stream


# Confirming -------------------------------------------------------------------------------------------------------


def test_a_participant_confirms_for_his_slot() -> None:
    stream = completed()
    stream.hear(stream.confirm(stream.auth(1)))
    assert stream.state.unconfirmed() == (0, 2)


def test_an_enclave_confirms_for_all_its_slots_at_once() -> None:
    stream = completed()
    stream.hear(stream.confirm(VAULT))
    assert stream.state.unconfirmed() == (2,)


def test_a_participants_word_outweighs_his_enclaves_and_never_the_reverse() -> None:
    stream = completed()
    stream.hear(stream.confirm(VAULT))
    stream.hear(stream.confirm(stream.auth(0)))
    refused(stream, stream.confirm(VAULT), Reason.ALREADY_SAID, "by")
    assert [seat.confirmed for seat in stream.state.seats if seat] == ["participant", "enclave", None]


def test_a_participant_confirms_once() -> None:
    stream = completed()
    stream.hear(stream.confirm(stream.auth(0)))
    refused(stream, stream.confirm(stream.auth(0)), Reason.ALREADY_SAID, "by")


def test_another_roster_is_not_confirmed() -> None:
    stream = completed()
    refused(stream, stream.confirm(stream.auth(0), Hash(bytes(32))), Reason.NOT_ALLOWED, "roster")


def test_attack_50_a_key_that_holds_no_slot_confirms_nothing() -> None:
    stream = completed()
    for who in (STRANGER, COORDINATOR, stream.cast.creator, stream.cast.invite(0)):
        refused(stream, stream.confirm(who), Reason.NOT_ALLOWED, "by")


# Time and notices -------------------------------------------------------------------------------------------------


def test_the_deadline_is_due_while_collecting_only() -> None:
    assert keygen.due(joined().state, NOON + HOUR - 1) is None
    assert keygen.due(joined().state, NOON + HOUR) == Due(KeygenExpired)
    assert keygen.due(expired().state, NOON + HOUR) is None
    assert joined().state.deadline() == NOON + HOUR


def test_attack_14_a_completed_key_outlives_the_ceremonys_deadline() -> None:
    stream = completed()
    assert stream.state.deadline() is None and keygen.due(stream.state, NOON + HOUR) is None
    refused(stream, stream.expired(), Reason.WRONG_STATE, "kind", at=NOON + HOUR)
    stream.hear(stream.confirm(stream.auth(0)), at=NOON + HOUR)
    assert stream.state.open


def test_a_notice_before_its_time_is_refused() -> None:
    stream = joined()
    refused(stream, stream.expired(), Reason.NOT_ALLOWED, "kind", at=NOON + HOUR - 1)


def test_notices_are_the_coordinators_alone() -> None:
    collecting, done = joined(), completed()
    for who in (STRANGER, VAULT, done.auth(0), done.cast.creator):
        refused(collecting, collecting.expired(by=who), Reason.NOT_ALLOWED, "by", at=NOON + HOUR)


def test_an_expired_keygen_is_over() -> None:
    assert not expired().state.open and expired().state.deadline() is None


# Names and hearers ------------------------------------------------------------------------------------------------


def test_attack_31_one_salt_twice_gives_two_sessions_and_no_key_twice() -> None:
    salt, alice = Salt(secret_of("one salt")), Identity(secret_of("alice"))
    one, two = (Keygen(2, salt=salt, group=Hash(secret_of(name))).stream for name in ("one", "two"))
    assert one != two
    assert alice.auth(one, 0).key != alice.auth(two, 0).key
    assert len({alice.signing(keygen, 0, Hash(bytes(32))).point for keygen in (one, two)}) == 2


def test_attack_13_the_order_of_keys_decides_nothing() -> None:
    streams = [completed(3, name=name) for name in ("group", "another", "third")]
    smallest = [min(range(3), key=lambda slot, s=s: s.auth(slot).key) for s in streams]  # type: ignore[misc]
    assert len(set(smallest)) > 1
    assert {s.state.phase for s in streams} == {KeygenPhase.COMPLETED}


def test_an_invite_key_hears_until_its_slot_is_ready() -> None:
    stream = joined()
    assert xonly(stream.cast.invite(0)) in stream.state.hearers()
    stream.hear(stream.accept(0))
    assert xonly(stream.cast.invite(0)) not in stream.state.hearers()
    assert xonly(stream.cast.invite(1)) in stream.state.hearers()


def test_members_readers_enclaves_and_the_creator_hear() -> None:
    stream = Keygen(1)
    stream.hear(stream.join(0, reader=xonly(key_of("reader"))))
    named = (stream.cast.creator, stream.auth(0), VAULT, key_of("reader"))
    assert {xonly(key) for key in named} <= stream.state.hearers()
    assert xonly(STRANGER) not in stream.state.hearers()


def test_a_superseded_join_hears_no_longer() -> None:
    stream = Keygen(2)
    stream.hear(stream.join_by("mallory", 0, enclave=TOWER))
    stream.hear(stream.release(0))
    assert not {xonly(key_of("mallory")), xonly(TOWER)} & stream.state.hearers()


def test_a_join_id_is_asked_for_by_name() -> None:
    stream = Keygen(2)
    refused(stream, stream.accept(0, join=Id(bytes(32))), Reason.GONE, "join")

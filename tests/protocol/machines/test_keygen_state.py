"""keygen_state.py: who is missing, who has left, whom the stream concerns; read off a state that nothing here moves."""

import pytest

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.machines.keygen_state import KeygenPhase, roster_hash
from keymeld_protocol.values import Id
from tests.support.build import xonly
from tests.support.coordinator import secret_of
from tests.support.machines import HOUR, NOON, STRANGER, TOWER, VAULT, Keygen, completed


def left() -> Keygen:
    """A keygen of three from which slot 0 and then slot 2 have left; the tower has wiped slot 2."""
    stream = completed(3)
    stream.hear(stream.leave(0))
    stream.hear(stream.leave(2))
    stream.hear(stream.wiped(2, by=TOWER))
    return stream


def test_whoever_is_free_or_not_ready_is_missing() -> None:
    stream = Keygen(3)
    stream.hear(stream.join(0), stream.join(1))
    stream.hear(stream.accept(1))
    assert stream.state.holdouts() == (0, 2)
    with pytest.raises(Refused, match="still free or not ready: slots 0 and 2"):
        stream.state.joins  # noqa: B018


def test_joins_are_told_by_slot_in_whatever_order_they_came() -> None:
    stream = Keygen(2)
    for slot in (1, 0):
        stream.hear(stream.join(slot))
        stream.hear(stream.accept(slot))
    assert [join.slot for join in stream.state.joins] == [0, 1]
    assert stream.state.holdouts() == ()


def test_a_participant_is_found_by_his_key_and_an_enclaves_slots_by_its_own() -> None:
    state = completed(3).state
    assert [state.slot_of(join.by) for join in state.joins] == [0, 1, 2]
    assert state.slot_of(xonly(STRANGER)) is None
    assert [state.slots_at(xonly(key)) for key in (VAULT, TOWER, STRANGER)] == [(0, 1), (2,), ()]


def test_an_invitation_hears_until_its_slot_is_ready() -> None:
    stream = Keygen(2)
    invites, creator = stream.state.create.slots, stream.state.create.by
    assert stream.state.hearers() == {creator, *invites}
    stream.hear(stream.join(0))
    assert {*invites, xonly(VAULT)} <= stream.state.hearers()
    stream.hear(stream.accept(0))
    assert invites[0] not in stream.state.hearers() and invites[1] in stream.state.hearers()


def test_who_has_left_still_hears_and_is_not_asked_to_confirm() -> None:
    state = left().state
    assert {join.by for join in state.joins} <= state.hearers()
    assert state.unconfirmed() == (1,)


def test_a_key_is_unwiped_until_its_enclave_says_so() -> None:
    assert left().state.unwiped() == (0,)


def test_what_needs_a_slot_that_has_left_is_refused_unless_it_was_asked_before() -> None:
    state = left().state
    state.require_present([1])
    state.require_present([1, 2], by=state.left[0])
    for slots, by in (([0, 1], None), ([2], None), ([0], state.left[0])):
        with pytest.raises(Refused) as caught:
            state.require_present(slots, by)
        assert (caught.value.reason, caught.value.field) == (Reason.WRONG_STATE, "slots")


def test_a_keygen_that_collects_is_open_until_its_deadline() -> None:
    stream = Keygen(2, expires_at=NOON + HOUR)
    assert (stream.state.open, stream.state.deadline()) == (True, NOON + HOUR)
    stream.hear(stream.expired(), at=NOON + HOUR)
    assert (stream.state.open, stream.state.deadline()) == (False, None)


def test_a_completed_keygen_is_open_until_the_last_key_is_wiped() -> None:
    stream = completed(1)
    found = [(stream.state.phase, stream.state.open)]
    for said in (stream.leave, stream.wiped):
        stream.hear(said(0))
        found.append((stream.state.phase, stream.state.open))
    closed = KeygenPhase.CLOSED
    assert found == [(KeygenPhase.COMPLETED, True), (closed, True), (closed, False)]


def test_the_roster_is_a_hash_over_the_keygen_and_its_joins_in_order() -> None:
    keygen, *joins = (Id(secret_of(word)) for word in ("keygen", "one", "two"))
    assert roster_hash(keygen, tuple(joins)) == tagged_hash("keymeld/roster/v1", keygen + joins[0] + joins[1])
    assert roster_hash(keygen, tuple(reversed(joins))) != roster_hash(keygen, tuple(joins))

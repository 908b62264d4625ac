"""A keygen whose members leave: who may, what their enclaves say, and what is signed no longer."""

import pytest

from keymeld_protocol.errors import BadInput, BrokenLog, Reason, Refused
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.roster import safety
from keymeld_protocol.wire.payloads import KeygenLeave
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import (
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Keygen,
    Signing,
    completed,
    refused,
)


def test_a_participant_leaves_and_the_others_stay() -> None:
    stream = completed()
    stream.hear(stream.leave(1))
    assert (stream.state.phase, set(stream.state.left)) == (KeygenPhase.COMPLETED, {1})
    assert stream.state.roster is not None and stream.state.open


def test_attack_40_only_the_slots_own_participant_leaves_it() -> None:
    stream = completed()
    for who in (stream.auth(1), VAULT, STRANGER, stream.cast.creator, stream.cast.invite(0)):
        refused(stream, stream.leave(0, by=who), Reason.NOT_ALLOWED, "by")


def test_a_slot_leaves_once() -> None:
    stream = completed()
    stream.hear(stream.leave(0))
    refused(stream, stream.leave(0), Reason.ALREADY_SAID, "slot")


def test_there_is_no_other_slot_to_leave() -> None:
    stream = completed()
    refused(stream, stream.said(stream.auth(0), KeygenLeave, slot=3), Reason.BAD_FIELD, "slot")


def test_nobody_leaves_a_keygen_that_still_collects() -> None:
    stream = Keygen(2)
    stream.hear(stream.join(0))
    refused(stream, stream.leave(0), Reason.WRONG_STATE, "kind")


def test_a_keygen_is_closed_once_all_have_left_and_over_once_their_keys_are_wiped() -> None:
    stream = completed()
    stream.hear(*(stream.leave(slot) for slot in range(3)))
    assert stream.state.phase is KeygenPhase.CLOSED and stream.state.unwiped() == (0, 1, 2)
    stream.hear(stream.wiped(0), stream.wiped(1))
    assert stream.state.open
    stream.hear(stream.wiped(2))
    assert not stream.state.open


def test_a_key_that_stayed_on_its_device_is_nobodys_to_wipe() -> None:
    stream = Keygen(1)
    stream.hear(stream.device(0))
    stream.hear(stream.leave(0))
    assert (stream.state.phase, stream.state.unwiped(), stream.state.open) == (KeygenPhase.CLOSED, (), False)


def test_only_the_slots_enclave_says_that_its_key_is_wiped() -> None:
    stream = completed()
    stream.hear(stream.leave(0))
    for who in (TOWER, stream.auth(0), STRANGER):
        refused(stream, stream.wiped(0, by=who), Reason.NOT_ALLOWED, "by")


def test_only_a_key_that_left_is_wiped_and_only_once() -> None:
    stream = completed()
    refused(stream, stream.wiped(0), Reason.WRONG_STATE, "slot")
    stream.hear(stream.leave(0))
    stream.hear(stream.wiped(0))
    refused(stream, stream.wiped(0), Reason.ALREADY_SAID, "slot")


def test_nobody_waits_for_the_confirmation_of_a_slot_that_left() -> None:
    stream = completed()
    stream.hear(stream.leave(1))
    assert stream.state.unconfirmed() == (0, 2)


def test_an_address_of_a_group_that_somebody_left_is_not_safe_to_fund() -> None:
    stream = completed()
    stream.hear(*(stream.confirm(stream.auth(slot)) for slot in range(2)), stream.confirm(TOWER), stream.leave(2))
    assert str(safety(stream.state)).startswith("NOT safe to fund: slot 2 left")


def test_the_address_of_a_subset_without_the_slot_that_left_stays_safe_to_fund() -> None:
    stream = completed(subsets=((0, 1), (0, 2)))
    stream.hear(*(stream.confirm(stream.auth(slot)) for slot in range(2)), stream.confirm(TOWER), stream.leave(2))
    assert safety(stream.state, subset=0).safe
    assert str(safety(stream.state, subset=1)).startswith("NOT safe to fund: slot 2 left")
    with pytest.raises(BadInput):
        safety(stream.state, subset=2)


# What needs a slot that left --------------------------------------------------------------------------------------


def test_what_needs_a_slot_that_left_is_refused_by_name() -> None:
    stream = completed()
    stream.hear(stream.leave(1))
    stream.state.require_present((0, 2))
    with pytest.raises(Refused, match="slots: slot 1 left") as caught:
        stream.state.require_present((0, 1))
    assert caught.value.reason is Reason.WRONG_STATE


def requested(stream: Keygen, slots: tuple[int, ...]) -> Statement:
    """What the participant of slot 0 would ask for now."""
    assert stream.state.roster is not None
    return stream.cast.request(stream.chain.hash, stream.state.roster, NOON, slots=slots)


def heard(stream: Keygen) -> Replay:
    """A keygen as somebody else has verified it."""
    replay = Replay(stream.stream)
    for record in stream.records:
        replay.hear(record)
    return replay


def told(stream: Keygen, request: Statement) -> Replay:
    """Somebody who knows all of the keygen hears a request."""
    replay = Replay(request.id, heard(stream))
    replay.hear(replay.chain.next(stream.records[0].epoch, NOON, request))
    return replay


def test_a_request_that_was_said_before_a_slot_left_stays_in_history() -> None:
    stream = completed()
    request = Signing(stream).records[0].statement
    stream.hear(*(stream.leave(slot) for slot in range(3)))
    assert told(stream, request).broken is None


def test_a_request_that_was_said_after_a_slot_left_breaks_the_log_that_holds_it() -> None:
    stream = completed()
    stream.hear(stream.leave(1))
    request = requested(stream, (0, 1, 2))
    with pytest.raises(BrokenLog, match="slot 1 left"):
        told(stream, request)


def test_a_request_that_does_not_need_the_slot_that_left_is_heard() -> None:
    stream = completed()
    stream.hear(stream.leave(1))
    request = requested(stream, (0, 2))
    assert told(stream, request).broken is None

"""A peer hears many streams in any order, and judges a signing only when it has heard its keygen."""

from dataclasses import replace

import pytest

from keymeld_protocol.errors import BrokenLog, Fork
from keymeld_protocol.machines import hearing
from keymeld_protocol.machines.hearing import Hearing
from keymeld_protocol.machines.signing import SigningPhase, SigningState
from keymeld_protocol.values import Hash, Id
from keymeld_protocol.wire.records import Record
from tests.support.machines import COORDINATOR, STRANGER, TOWER, VAULT, Keygen, Signing, Stream, completed, xonly


def story() -> tuple[Keygen, Signing]:
    keygen = completed()
    signing = Signing(keygen)
    signing.hear(signing.approve(1), signing.approve(2))
    return keygen, signing


def told(ears: Hearing, stream: Stream, *records: Record) -> list[int]:
    """Tell records of a stream; gives the offsets that were verified, of whatever stream."""
    return [record.offset for said in records or stream.records for _, record in ears.hear(stream.stream, said)]


def test_a_keygen_and_then_its_signing_are_verified_as_they_come() -> None:
    keygen, signing = story()
    ears = Hearing()
    assert told(ears, keygen) == list(range(1, keygen.chain.offset + 1))
    assert told(ears, signing) == [1, 2, 3]
    assert ears.streams[signing.stream].state == signing.state


def test_a_signing_waits_for_a_keygen_that_nobody_has_heard() -> None:
    keygen, signing = story()
    ears = Hearing()
    assert told(ears, signing) == []
    assert ears.missing_keygens() == {keygen.stream}


def test_a_signing_waits_until_its_keygen_has_been_heard_that_far() -> None:
    keygen, signing = story()
    ears = Hearing()
    told(ears, signing)
    assert ears.subscribed(keygen.stream, keygen.chain.offset) == []
    assert ears.missing_keygens() == frozenset()
    assert told(ears, keygen, *keygen.records[:-1]) == list(range(1, keygen.chain.offset))
    assert told(ears, keygen, keygen.records[-1]) == [keygen.chain.offset, 1, 2, 3]
    assert ears.streams[signing.stream].state == signing.state and ears.waiting == {}


def test_attack_64_a_signing_that_names_an_early_record_waits_for_the_completion_and_is_broken_then() -> None:
    keygen = completed()
    roster = keygen.state.roster
    assert roster is not None
    said = keygen.cast.request(keygen.records[0].hash, roster, keygen.now)
    early = Stream(said, keygen.state)
    ears = Hearing()
    ears.subscribed(keygen.stream, keygen.chain.offset)
    told(ears, keygen, keygen.records[0])
    assert told(ears, early) == []
    told(ears, keygen, *keygen.records[1:])
    assert ears.streams[early.stream].state is None and "not yet complete" in str(ears.streams[early.stream].broken)


def test_signings_of_several_keygens_wait_for_their_own() -> None:
    one, two = story(), (completed(name="other"), Signing(completed(name="other")))
    ears = Hearing()
    told(ears, one[1])
    told(ears, two[1])
    assert ears.missing_keygens() == {one[0].stream, two[0].stream}
    told(ears, two[0])
    assert set(ears.waiting) == {one[1].stream}


def test_a_signing_of_another_history_is_a_fork_once_the_keygen_has_caught_up() -> None:
    keygen, signing = story()
    ears = Hearing()
    ears.subscribed(keygen.stream, 3)
    told(ears, signing)
    told(ears, keygen, *keygen.records[:3])
    assert isinstance(ears.streams[signing.stream].broken, Fork)


def test_a_signing_that_breaks_while_it_waits_harms_no_other_stream() -> None:
    keygen, signing = story()
    other = Signing(keygen, by=1)
    spoilt = replace(signing.records[1], hash=Hash(bytes(32)))
    ears = Hearing()
    told(ears, signing, signing.records[0], spoilt)
    told(ears, other)
    ears.subscribed(keygen.stream, keygen.chain.offset)
    assert told(ears, keygen)[-3:] == [keygen.chain.offset, 1, 1]
    assert isinstance(ears.streams[signing.stream].broken, Fork)
    assert ears.streams[other.stream].state == other.state and ears.streams[keygen.stream].broken is None


def test_a_broken_keygen_keeps_nobody_waiting() -> None:
    keygen, signing = story()
    ears = Hearing()
    ears.subscribed(keygen.stream, keygen.chain.offset)
    told(ears, keygen, keygen.records[0])
    with pytest.raises(BrokenLog):
        told(ears, keygen, keygen.records[2])
    with pytest.raises(BrokenLog):
        told(ears, signing)


def test_a_record_that_was_heard_is_skipped_when_it_is_the_same() -> None:
    keygen, _ = story()
    ears = Hearing()
    told(ears, keygen)
    assert told(ears, keygen) == []


def test_attack_27_another_record_for_a_known_offset_is_a_fork() -> None:
    keygen, _ = story()
    ears = Hearing()
    told(ears, keygen)
    with pytest.raises(Fork):
        told(ears, keygen, replace(keygen.records[1], hash=Hash(bytes(32))))
    assert ears.streams[keygen.stream].broken is not None


def test_a_keygen_of_a_foreign_coordinator_is_not_believed() -> None:
    keygen, _ = story()
    told(Hearing(xonly(COORDINATOR)), keygen)
    with pytest.raises(BrokenLog, match="another coordinator"):
        told(Hearing(xonly(STRANGER)), keygen)


def test_attack_21_what_waits_is_bounded_and_the_bound_breaks_one_stream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "MAX_WAITING", 2)
    keygen, signing = story()
    ears = Hearing()
    told(ears, signing, *signing.records[:2])
    with pytest.raises(BrokenLog, match="does not come"):
        told(ears, signing, signing.records[2])
    assert ears.streams[signing.stream].broken is not None and ears.waiting == {}
    told(ears, keygen)


def test_the_top_of_a_stream_never_sinks() -> None:
    ears = Hearing()
    ears.subscribed(Id(bytes(32)), 7)
    ears.subscribed(Id(bytes(32)), 5)
    assert ears.streams[Id(bytes(32))].top == 7


def test_a_stream_that_is_forgotten_is_heard_from_its_beginning() -> None:
    keygen, signing = story()
    ears = Hearing()
    told(ears, keygen)
    told(ears, signing)
    ears.forget(signing.stream)
    assert signing.stream not in ears.streams
    assert told(ears, signing) == [1, 2, 3]


def test_forgetting_a_signing_that_waits_lets_go_of_its_records() -> None:
    _, signing = story()
    ears = Hearing()
    told(ears, signing)
    ears.forget(signing.stream)
    assert ears.waiting == {} and ears.missing_keygens() == frozenset()


def test_a_live_signing_goes_on_while_its_keygen_grows() -> None:
    keygen, signing = story()
    ears = Hearing()
    told(ears, keygen)
    told(ears, signing)
    keygen.hear(keygen.confirm(VAULT))
    signing.steps((TOWER, "nonces"))
    assert told(ears, signing, signing.records[-1]) == [signing.chain.offset]
    assert told(ears, keygen, keygen.records[-1]) == [keygen.chain.offset]
    state = ears.streams[signing.stream].state
    assert isinstance(state, SigningState) and state.phase is SigningPhase.NONCES

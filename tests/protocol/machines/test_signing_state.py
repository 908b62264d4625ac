"""What a signing waits for: who owes which step, and what time and presence call for."""

import pytest

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.machines import signing_state
from keymeld_protocol.machines.machine import Due
from keymeld_protocol.machines.signing_state import ENDS, SigningPhase, over
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import AttemptOpened, SigningExpired
from tests.support.machines import COORDINATOR, GRACE, HOUR, NOON, TOWER, VAULT, key_list, key_of, xonly
from tests.support.phases import IN, asked, nonces, psigs, signed, three, waiting

# What is due ------------------------------------------------------------------------------------------------------


def test_an_attempt_is_due_when_every_signer_is_here() -> None:
    due = signing_state.due(asked().state, NOON + GRACE, key_list(VAULT, TOWER))
    assert due is not None and due.kind is AttemptOpened
    assert (due.fields["attempt"], due.fields["last"]) == (2, xonly(VAULT))


def test_attack_50_for_a_signer_that_the_coordinator_does_not_run_no_attempt_is_opened() -> None:
    assert signing_state.due(asked().state, NOON + GRACE, key_list(VAULT)) is None
    assert signing_state.due(asked().state, NOON + GRACE, frozenset()) is None


def test_an_enclave_that_signs_alone_goes_first_and_last() -> None:
    due = signing_state.due(asked(slots=2).state, NOON + GRACE, key_list(VAULT))
    assert due is not None and due.fields["last"] is None


def test_the_deadline_is_due_before_all_else() -> None:
    for make in (waiting, nonces, psigs):
        assert signing_state.due(make().state, NOON + HOUR, key_list(VAULT, TOWER)) == Due(SigningExpired)


@pytest.mark.parametrize("phase", sorted(ENDS))
def test_nothing_is_due_in_an_ended_session(phase: SigningPhase) -> None:
    state = IN[phase]().state
    assert signing_state.due(state, NOON + HOUR, key_list(VAULT, TOWER)) is None and state.deadline() is None


def test_what_is_due_is_always_allowed() -> None:
    for make in (waiting, nonces, psigs, signed):
        for at in (NOON, NOON + GRACE, NOON + HOUR):
            stream = make()
            due = signing_state.due(stream.state, at, key_list(VAULT, TOWER))
            if due is not None:
                stream.hear(stream.said(COORDINATOR, due.kind, **due.fields), at=at)


def test_a_retry_in_a_session_that_was_completed_all_the_same_opens_nothing() -> None:
    stream = psigs()
    stream.hear(stream.retry(VAULT))
    stream.steps((TOWER, "signatures"))
    assert stream.state.phase is SigningPhase.COMPLETED
    assert signing_state.due(stream.state, NOON + GRACE, key_list(VAULT, TOWER)) is None


def test_over_hashes_the_nonces_by_lowest_slot_whoever_was_first() -> None:
    stream = three().steps((key_of("tower"), "nonces"), (key_of("castle"), "nonces"))
    tower, castle = stream.state.contributions
    assert signing_state.nonces_hash(stream.state) == over(stream.stream, 1, [castle.id, tower.id])


def test_the_hash_of_the_nonces_covers_session_attempt_and_every_id_in_order() -> None:
    session, first, second = Id(b"\x01" * 32), Id(b"\x02" * 32), Id(b"\x03" * 32)
    expected = tagged_hash("keymeld/nonces/v1", session + b"\x00\x00\x00\x02" + first + second)
    assert over(session, 2, [first, second]) == expected
    others = [
        over(second, 2, [first, second]),
        over(session, 1, [first, second]),
        over(session, 2, [second, first]),
        over(session, 2, [first]),
        over(session, 2, []),
    ]
    assert expected not in others and len(set(others)) == 5


def test_holdouts_are_the_slots_that_owe_the_next_step() -> None:
    assert nonces().state.holdouts() == (2,)
    assert nonces().steps((TOWER, "nonces")).state.holdouts() == (0, 1)
    assert psigs().state.holdouts() == (2,)
    assert signed().state.holdouts() == ()

"""Attempts: who signs, in which steps, and what happens when somebody does not."""

from collections.abc import Callable

import pytest

from keymeld_protocol.errors import Reason
from keymeld_protocol.machines import signing_state
from keymeld_protocol.machines.machine import Due
from keymeld_protocol.machines.signing_state import SigningPhase, over
from keymeld_protocol.values import Hash, digest
from keymeld_protocol.wire.payloads import SigningContribute, SigningExpired
from keymeld_protocol.wire.shapes import Rule, Signer
from tests.support.machines import (
    COORDINATOR,
    GRACE,
    HOUR,
    NONE,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Signing,
    key_list,
    key_of,
    refused,
    xonly,
)
from tests.support.phases import SELF, asked, given_up, nonces, psigs, sixteenth, three

# The first attempt ------------------------------------------------------------------------------------------------


def test_a_request_that_needs_nobody_else_opens_its_attempt_itself() -> None:
    state = asked().state
    assert (state.phase, state.attempt, state.opened) == (SigningPhase.NONCES, 1, 1)


def test_the_yes_that_meets_the_last_rule_opens_the_attempt_and_no_earlier_one() -> None:
    stream = asked(NONE, SELF, SELF)
    assert stream.hear(stream.approve(2)).phase is SigningPhase.APPROVING
    stream.hear(stream.note(stream.keygen.auth(1)), at=NOON + 5)
    assert stream.hear(stream.approve(1), at=NOON + 7).phase is SigningPhase.NONCES
    assert (stream.state.attempt, stream.state.opened, stream.state.step_since) == (1, 4, NOON + 7)
    stream.hear(stream.approve(0, until=NOON + HOUR - 1), at=NOON + 9)
    assert (stream.state.attempt, stream.state.opened, stream.state.step_since) == (1, 4, NOON + 7)


def test_the_word_of_an_enclave_opens_nothing_since_its_delay_has_just_begun() -> None:
    stream = asked(Rule(approval="none", delay_ms=1))
    assert stream.hear(stream.hears(VAULT, NOON - HOUR), at=NOON).phase is SigningPhase.APPROVING
    both = asked(NONE, SELF, Rule(approval="none", delay_ms=1))
    both.hear(both.hears(TOWER))
    assert both.hear(both.approve(1), at=NOON + 1).phase is SigningPhase.NONCES, "a yes, later, does"


def test_where_time_meets_the_last_rule_the_coordinator_opens_it_and_a_no_does_not() -> None:
    stream = asked(Rule(approval="none", not_before=NOON + 10))
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + 9)
    assert stream.hear(stream.reject(2), at=NOON + 10).phase is SigningPhase.APPROVING
    due = signing_state.due(stream.state, NOON + 10, key_list(VAULT, TOWER))
    assert due is not None and due.fields["attempt"] == 1
    assert stream.hear(stream.opening(), at=NOON + 10).phase is SigningPhase.NONCES


def test_the_one_with_the_most_slots_goes_last_of_equal_ones_the_first() -> None:
    vault, tower = (Signer(key=xonly(key), slots=slots) for key, slots in ((VAULT, (0,)), (TOWER, (1, 2))))
    assert signing_state.last_of((vault, tower)) == tower.key
    assert signing_state.last_of((vault, Signer(key=tower.key, slots=(1,)))) == vault.key
    assert signing_state.last_of((vault,)) is None


# attempt.opened ---------------------------------------------------------------------------------------------------


def test_an_attempt_names_each_enclave_and_its_slots() -> None:
    stream = nonces()
    assert stream.state.signers == (Signer(key=xonly(VAULT), slots=(0, 1)), Signer(key=xonly(TOWER), slots=(2,)))
    assert (stream.state.attempt, stream.state.last) == (1, xonly(VAULT))


def test_attempt_opened_is_the_coordinators_word_alone() -> None:
    stream = given_up()
    for who in (STRANGER, VAULT, stream.keygen.auth(0)):
        refused(stream, stream.opening(by=who), Reason.NOT_ALLOWED, "by")


def test_attempt_opened_names_no_other_signers_and_no_other_slots() -> None:
    stream = given_up()
    vault, tower = signing_state.signers_of(stream.state)
    foreign = Signer(key=xonly(STRANGER), slots=(2,))
    for signers in (
        (vault,),
        (tower, vault),
        (vault, foreign),
        (vault, tower, Signer(key=xonly(STRANGER), slots=(3,))),
    ):
        last = vault.key if len(signers) > 1 else None
        refused(stream, stream.opening(signers=signers, last=last), Reason.NOT_ALLOWED, "signers")
    fewer = (Signer(key=vault.key, slots=(0,)), tower)
    refused(stream, stream.opening(signers=fewer), Reason.NOT_ALLOWED, "signers")


def test_attempt_opened_names_who_goes_last_when_there_are_several() -> None:
    stream, alone = given_up(), given_up(slots=2)
    refused(stream, stream.opening(last=None), Reason.NOT_ALLOWED, "last")
    refused(alone, alone.opening(last=xonly(VAULT)), Reason.NOT_ALLOWED, "last")


@pytest.mark.parametrize("attempt", [1, 3, 16])
def test_attempts_are_counted_without_gaps(attempt: int) -> None:
    stream = given_up()
    refused(stream, stream.opening(attempt=attempt), Reason.STALE_ATTEMPT, "attempt")
    assert stream.open().state.attempt == 2


def test_the_next_attempt_waits_for_the_grace() -> None:
    stream = nonces()
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + GRACE - 1)
    stream.hear(stream.opening(), at=NOON + GRACE)
    assert stream.state.attempt == 2


def test_the_grace_runs_from_the_record_that_opened_the_step() -> None:
    stream = nonces()
    stream.now = NOON + GRACE - 1
    stream.steps((TOWER, "nonces"))
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + GRACE)
    assert stream.state.deadline() == NOON + 2 * GRACE - 1
    stream.hear(stream.opening(), at=NOON + 2 * GRACE - 1)


def test_the_grace_runs_anew_when_the_coordinator_restarts() -> None:
    state = nonces().state
    assert not signing_state.may_open(state, NOON + GRACE, up_since=NOON + 1)
    assert signing_state.may_open(state, NOON + GRACE + 1, up_since=NOON + 1)
    assert state.deadline(up_since=NOON + 1) == NOON + GRACE + 1


def test_a_new_attempt_forgets_what_the_last_one_said() -> None:
    stream = psigs()
    stream.hear(stream.opening(), at=NOON + GRACE)
    assert (stream.state.phase, stream.state.contributions, stream.state.retry) == (SigningPhase.NONCES, (), False)
    assert signing_state.expected(stream.state) == {xonly(TOWER): "nonces"}


def test_an_attempt_needs_its_approvals_still() -> None:
    stream = asked(NONE, SELF)
    stream.hear(stream.approve(1, until=NOON + 10))
    assert stream.state.attempt == 1
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + GRACE)


# Contributing -----------------------------------------------------------------------------------------------------


def test_the_steps_of_two_enclaves() -> None:
    stream = nonces()
    assert signing_state.expected(stream.state) == {xonly(TOWER): "nonces"}
    stream.steps((TOWER, "nonces"))
    assert signing_state.expected(stream.state) == {xonly(VAULT): "both"}
    stream.steps((VAULT, "both"))
    assert stream.state.phase is SigningPhase.PSIGS
    assert signing_state.expected(stream.state) == {xonly(TOWER): "signatures"}
    stream.steps((TOWER, "signatures"))
    assert (stream.state.phase, signing_state.expected(stream.state)) == (SigningPhase.COMPLETED, {})


def test_an_enclave_alone_sends_signatures_at_once() -> None:
    stream = asked(slots=2)
    assert signing_state.expected(stream.state) == {xonly(VAULT): "signatures"}
    stream.steps((VAULT, "signatures"))
    assert stream.state.phase is SigningPhase.COMPLETED and stream.state.psig_sent


@pytest.mark.parametrize("order", [("castle", "tower"), ("tower", "castle")])
def test_those_who_are_not_last_speak_in_any_order(order: tuple[str, str]) -> None:
    stream = three()
    for name in order:
        assert stream.state.phase is SigningPhase.NONCES and "both" not in signing_state.expected(stream.state).values()
        stream.steps((key_of(name), "nonces"))
    stream.steps((VAULT, "both"))
    assert stream.state.phase is SigningPhase.PSIGS


def test_who_finishes_waits_for_the_others_psigs_and_says_none_of_its_own() -> None:
    stream = three().steps((key_of("tower"), "nonces"), (key_of("castle"), "nonces"), (VAULT, "both"))
    assert signing_state.expected(stream.state) == {xonly(key_of("castle")): "psigs"}
    for step in ("psigs", "signatures"):
        refused(stream, stream.contribute(TOWER, step), Reason.WRONG_STATE, "step")
    refused(stream, stream.contribute(key_of("castle"), "signatures"), Reason.WRONG_STATE, "step")
    stream.now += GRACE - 1
    stream.steps((key_of("castle"), "psigs"))
    assert signing_state.expected(stream.state) == {xonly(TOWER): "signatures"}
    assert stream.state.deadline() == stream.now + GRACE, "its own grace"
    refused(stream, stream.contribute(TOWER, "psigs"), Reason.WRONG_STATE, "step")
    assert stream.hear(stream.contribute(TOWER, "signatures")).phase is SigningPhase.COMPLETED


def test_where_another_goes_last_another_finishes() -> None:
    stream = given_up()
    stream.hear(stream.opening(last=xonly(TOWER)))
    stream.steps((VAULT, "nonces"), (TOWER, "both"), (VAULT, "signatures"))
    assert stream.state.phase is SigningPhase.COMPLETED


@pytest.mark.parametrize("step", ["nonces", "psigs", "both", "signatures"])
@pytest.mark.parametrize("who", [VAULT, TOWER], ids=["vault", "tower"])
@pytest.mark.parametrize("make", [nonces, lambda: nonces().steps((TOWER, "nonces")), psigs])
def test_a_step_that_is_not_owed_is_refused(make: Callable[[], Signing], who: object, step: str) -> None:
    stream = make()
    said = stream.contribute(who, step)  # type: ignore[arg-type]
    done = {(c.by, c.step) for c in stream.state.contributions}
    if signing_state.expected(stream.state).get(said.payload.by) == step:
        stream.hear(said)
    elif (said.payload.by, step) in done:
        refused(stream, said, Reason.ALREADY_CONTRIBUTED, "step")
    else:
        refused(stream, said, Reason.WRONG_STATE, "step")


def test_attack_51_a_step_is_contributed_once() -> None:
    stream = three().steps((key_of("tower"), "nonces"))
    refused(stream, stream.contribute(key_of("tower"), "nonces"), Reason.ALREADY_CONTRIBUTED, "step")
    values = b"other nonces"
    fields = {"attempt": 1, "slots": (2,), "step": "nonces", "values": digest(values)}
    other = stream.said(key_of("tower"), SigningContribute, values, **fields)
    refused(stream, other, Reason.ALREADY_CONTRIBUTED, "step")


def test_a_contribution_to_another_attempt_is_stale() -> None:
    stream = nonces()
    for attempt in (2, 16):
        refused(stream, stream.contribute(TOWER, "nonces", attempt=attempt), Reason.STALE_ATTEMPT, "attempt")
    stream.hear(stream.opening(), at=NOON + GRACE)
    refused(stream, stream.contribute(TOWER, "nonces", attempt=1), Reason.STALE_ATTEMPT, "attempt")


def test_nobody_but_the_signers_contributes() -> None:
    stream = nonces()
    for who in (STRANGER, COORDINATOR, stream.keygen.auth(2)):
        refused(stream, stream.contribute(who, "nonces"), Reason.NOT_ALLOWED, "by")


@pytest.mark.parametrize("slots", [(0,), (1, 2), (0, 1, 2)])
def test_a_signer_speaks_for_its_own_slots_and_all_of_them(slots: tuple[int, ...]) -> None:
    stream = nonces()
    refused(stream, stream.contribute(TOWER, "nonces", slots=slots), Reason.NOT_ALLOWED, "slots")


def test_a_psig_over_other_nonces_is_a_fork_and_no_bad_psig() -> None:
    stream = nonces().steps((TOWER, "nonces"))
    refused(stream, stream.contribute(VAULT, "both", over=Hash(bytes(32))), Reason.FORK, "over")
    stream.steps((VAULT, "both"))
    without_the_last = over(stream.stream, 1, [stream.state.contributions[0].id])
    for other in (without_the_last, None):
        refused(stream, stream.contribute(TOWER, "signatures", over=other), Reason.FORK, "over")
    alone = asked(slots=2)
    refused(alone, alone.contribute(VAULT, "signatures", over=Hash(bytes(32))), Reason.FORK, "over")


def test_a_psig_over_an_earlier_attempts_nonces_is_a_fork() -> None:
    stream = nonces().steps((TOWER, "nonces"))
    earlier = signing_state.nonces_hash(stream.state)
    stream.now += GRACE
    stream.open().steps((TOWER, "nonces"))
    refused(stream, stream.contribute(VAULT, "both", over=earlier), Reason.FORK, "over")


# Retrying ---------------------------------------------------------------------------------------------------------


def test_a_retry_opens_the_next_attempt_without_waiting() -> None:
    stream = nonces()
    stream.hear(stream.retry(TOWER))
    due = signing_state.due(stream.state, NOON, key_list(VAULT, TOWER))
    assert due is not None and due.fields["attempt"] == 2
    assert stream.open().state.attempt == 2


def test_a_retry_is_said_once_by_a_signer_for_the_attempt_under_way() -> None:
    stream = nonces()
    for who in (STRANGER, COORDINATOR, stream.keygen.auth(0)):
        refused(stream, stream.retry(who), Reason.NOT_ALLOWED, "by")
    refused(stream, stream.retry(TOWER, attempt=2), Reason.STALE_ATTEMPT, "attempt")
    stream.hear(stream.retry(TOWER))
    refused(stream, stream.retry(VAULT), Reason.ALREADY_SAID, "attempt")


def test_attack_20_the_sixteenth_attempt_fails_at_once_when_its_nonces_are_gone() -> None:
    stream = sixteenth()
    stream.hear(stream.retry(TOWER))
    assert (stream.state.phase, stream.state.code, stream.state.blamed) == (
        SigningPhase.FAILED,
        "too_many_attempts",
        (2,),
    )


def test_whoever_gives_up_last_is_named_beside_the_holdouts() -> None:
    stream = sixteenth().steps((TOWER, "nonces"))
    stream.hear(stream.retry(TOWER))
    assert stream.state.blamed == (0, 1, 2)


def test_attack_20_the_sixteenth_attempt_fails_when_its_grace_has_passed() -> None:
    stream = sixteenth()
    assert signing_state.due(stream.state, stream.now - 1, key_list(VAULT, TOWER)) is None
    assert stream.state.deadline() == stream.now
    refused(stream, stream.expired(), Reason.NOT_ALLOWED, "kind", at=stream.now - 1)
    assert signing_state.due(stream.state, stream.now, frozenset()) == Due(SigningExpired)
    stream.hear(stream.expired())
    assert (stream.state.phase, stream.state.code, stream.state.blamed) == (
        SigningPhase.FAILED,
        "too_many_attempts",
        (2,),
    )


def test_expires_at_wins_over_the_sixteenth_attempt_that_is_given_up() -> None:
    stream = sixteenth()
    assert stream.hear(stream.expired(), at=NOON + HOUR - 1).phase is SigningPhase.FAILED
    later = sixteenth()
    refused(later, later.retry(TOWER), Reason.EXPIRED, "kind", at=NOON + HOUR)
    assert later.hear(later.expired(), at=NOON + HOUR).phase is SigningPhase.EXPIRED
    assert (later.state.code, later.state.blamed) == (None, ())


def test_there_is_no_seventeenth_attempt() -> None:
    stream = sixteenth()
    assert not signing_state.may_open(stream.state, stream.now)


def test_the_sixteenth_attempt_may_still_succeed() -> None:
    stream = sixteenth().steps((TOWER, "nonces"), (VAULT, "both"), (TOWER, "signatures"))
    assert stream.state.phase is SigningPhase.COMPLETED

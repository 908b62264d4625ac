"""Who says yes and no to a request, what it counts for, and for how long."""

import pytest

from keymeld_protocol.errors import Reason
from keymeld_protocol.machines import signing_state
from keymeld_protocol.machines.consent import Verdict
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.wire.payloads import SigningApprove, SigningCancel, SigningReject
from keymeld_protocol.wire.shapes import MAX_WORDS, Rule
from tests.support.machines import COORDINATOR, GRACE, HOUR, NONE, NOON, STRANGER, VAULT, Signing, completed, refused
from tests.support.phases import SELF, asked, quorum

# Approving --------------------------------------------------------------------------------------------------------


def test_a_request_is_its_requesters_approval() -> None:
    stream = asked(SELF)
    assert stream.state.phase is SigningPhase.NONCES


def test_rule_self_waits_for_its_own_participant() -> None:
    stream = asked(NONE, SELF)
    assert stream.state.holdouts() == (1,)
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind")
    assert stream.hear(stream.approve(1)).phase is SigningPhase.NONCES


def test_a_quorum_counts_its_slots_and_no_others() -> None:
    stream = asked(quorum(2, 1, 2))
    stream.hear(stream.approve(1))
    assert stream.state.holdouts() == (2,)
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind")
    assert stream.hear(stream.approve(2)).phase is SigningPhase.NONCES


def test_a_voter_outside_the_needed_slots_does_not_count() -> None:
    keygen = completed(3, NONE, quorum(1, 1, 2))
    stream = Signing(keygen, slots=(0, 1))
    stream.hear(stream.approve(2))
    assert not signing_state.may_open(stream.state, NOON) and stream.state.holdouts() == (1,)


def test_attack_36_two_members_approve_alike_and_count_twice_one_approves_twice_and_counts_once() -> None:
    stream = asked(quorum(2, 1, 2))
    stream.hear(stream.approve(1))
    refused(stream, stream.approve(1), Reason.ALREADY_SAID, "by")
    assert stream.state.phase is SigningPhase.APPROVING
    assert stream.hear(stream.approve(2)).phase is SigningPhase.NONCES


def test_a_stranger_approves_rejects_and_cancels_nothing() -> None:
    stream = asked()
    for kind in (SigningApprove, SigningReject, SigningCancel):
        for who in (STRANGER, VAULT, COORDINATOR, stream.keygen.cast.creator):
            refused(stream, stream.said(who, kind), Reason.NOT_ALLOWED, "by")


def test_an_approval_ends_when_it_says() -> None:
    stream = asked(NONE, SELF)
    stream.hear(stream.approve(1, until=NOON + 10))
    assert signing_state.verdict(stream.state, NOON + 9) is Verdict.MET
    assert signing_state.verdict(stream.state, NOON + 10) is Verdict.WAITING


def test_an_approval_that_has_ended_already_is_refused() -> None:
    stream = asked()
    refused(stream, stream.approve(1, until=NOON), Reason.EXPIRED, "until")


def test_an_approval_ends_with_its_request_at_the_latest() -> None:
    stream = asked()
    stream.hear(stream.approve(1, until=NOON + 2 * HOUR))
    assert stream.state.consent.approvals[1] == NOON + HOUR
    refused(stream, stream.approve(1), Reason.ALREADY_SAID, "by")


def test_an_approval_may_be_said_again_with_another_end() -> None:
    stream = asked()
    stream.hear(stream.approve(1, until=NOON + 10), stream.approve(1, until=NOON + 20))
    assert stream.state.consent.approvals[1] == NOON + 20


def test_one_slot_says_at_most_so_many_words() -> None:
    stream = asked()
    for end in range(MAX_WORDS):
        stream.hear(stream.approve(1, until=NOON + 1 + end))
    refused(stream, stream.approve(1), Reason.OVER_LIMIT, "by")
    refused(stream, stream.note(stream.keygen.auth(1)), Reason.OVER_LIMIT, "by")
    stream.hear(stream.approve(2), stream.reject(1))


def test_a_reject_withdraws_ones_own_approval_for_good() -> None:
    stream = asked(quorum(1, 1, 2))
    stream.hear(stream.approve(1), stream.reject(1))
    assert not signing_state.may_open(stream.state, NOON)
    for again in (stream.approve(1), stream.approve(1, until=NOON + 10), stream.reject(1)):
        refused(stream, again, Reason.ALREADY_SAID, "by")


def test_nobody_has_a_veto_unless_a_rule_gives_it() -> None:
    stream = asked()
    stream.hear(stream.reject(1), stream.reject(2))
    assert stream.state.phase is SigningPhase.NONCES


@pytest.mark.parametrize("rule", [SELF, quorum(2, 1, 2)])
def test_a_request_is_rejected_when_a_rule_can_no_longer_be_met(rule: Rule) -> None:
    stream = asked(NONE, rule)
    stream.hear(stream.reject(1))
    assert stream.state.phase is SigningPhase.REJECTED and not stream.state.may_be_signed


def test_a_quorum_survives_the_rejects_it_can_spare() -> None:
    stream = asked(quorum(1, 1, 2))
    phases = [stream.hear(stream.reject(slot)).phase for slot in (1, 2)]
    assert phases == [SigningPhase.APPROVING, SigningPhase.REJECTED]


def test_a_requester_who_rejects_ends_the_request() -> None:
    stream = asked()
    stream.hear(stream.reject(0))
    assert stream.state.phase is SigningPhase.REJECTED


def test_only_the_requester_cancels() -> None:
    stream = asked()
    refused(stream, stream.cancel(1), Reason.NOT_ALLOWED, "by")


def test_a_rule_with_a_time_waits_for_it() -> None:
    stream = asked(Rule(approval="none", not_before=NOON + 10))
    assert stream.state.deadline() == NOON + 10
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + 9)
    stream.hear(stream.opening(), at=NOON + 10)


def test_a_rule_whose_time_has_passed_is_met_no_more() -> None:
    stream = asked(Rule(approval="none", not_after=NOON + 10))
    assert signing_state.verdict(stream.state, NOON + 10) is Verdict.MET
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + GRACE)
    late = asked(NONE, SELF, Rule(approval="none", not_after=NOON + 10))
    assert late.hear(late.approve(1), at=NOON + 11).phase is SigningPhase.REJECTED

"""The signing's table, event by event: what may happen when, and that nothing else does."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keymeld_protocol import signing
from keymeld_protocol.contributions import over
from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.payloads import (
    KINDS,
    AttemptOpened,
    SigningApprove,
    SigningCancel,
    SigningConfirm,
    SigningContribute,
    SigningExpired,
    SigningRefuse,
    SigningReject,
    SigningRequest,
    SigningRetry,
)
from keymeld_protocol.shapes import MAX_ATTEMPTS, MAX_WORDS, REQUEST_LIFE_MS, Payload, Rule, Signer
from keymeld_protocol.signing import ENDS, TRANSITIONS, Phase
from keymeld_protocol.statements import Statement
from keymeld_protocol.values import Hash, digest
from tests.support.machines import (
    COORDINATOR,
    GRACE,
    HOUR,
    NONE,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Keygen,
    Signing,
    completed,
    key_list,
    key_of,
    refused,
    xonly,
)
from tests.support.spoil import sample

SELF = Rule(approval="self")


def quorum(threshold: int, *of: int) -> Rule:
    return Rule(approval="quorum", threshold=threshold, of=of)


def asked(*rules: Rule, slots: int = 3, **fields: object) -> Signing:
    """A request by slot 0 of a keygen with these rules; slots 0 and 1 are at the vault, slot 2 at the tower."""
    return Signing(completed(slots, *rules), **fields)  # type: ignore[arg-type]


def nonces() -> Signing:
    return asked().open()


def psigs() -> Signing:
    return nonces().steps((TOWER, "nonces"), (VAULT, "both"))


def confirming() -> Signing:
    return psigs().steps((TOWER, "psigs"))


def ended(make: Callable[[Signing], Statement], begin: Callable[[], Signing] = asked) -> Callable[[], Signing]:
    def build() -> Signing:
        stream = begin()
        said = make(stream)
        stream.hear(said, at=NOON + HOUR if isinstance(said.payload, SigningExpired) else NOON)
        return stream

    return build


IN: dict[Phase, Callable[[], Signing]] = {
    Phase.APPROVING: asked,
    Phase.NONCES: nonces,
    Phase.PSIGS: psigs,
    Phase.CONFIRMING: confirming,
    Phase.COMPLETED: ended(lambda s: s.confirm(TOWER), confirming),
    Phase.REJECTED: ended(lambda s: s.reject(0)),
    Phase.FAILED: ended(lambda s: s.refuse(VAULT)),
    Phase.CANCELLED: ended(lambda s: s.cancel()),
    Phase.EXPIRED: ended(lambda s: s.expired()),
}

SAYS: dict[type[Payload], Callable[[Signing], Statement]] = {
    SigningApprove: lambda s: s.approve(1),
    SigningReject: lambda s: s.reject(1),
    SigningCancel: lambda s: s.cancel(),
    SigningContribute: lambda s: s.contribute(TOWER, "psigs" if s.state.phase is Phase.PSIGS else "nonces"),
    SigningConfirm: lambda s: s.confirm(TOWER),
    SigningRetry: lambda s: s.retry(TOWER),
    SigningRefuse: lambda s: s.refuse(VAULT),
    AttemptOpened: lambda s: s.opening(),
    SigningExpired: lambda s: s.expired(),
}
"""What the right speaker would say, for every kind that this machine takes; the others are samples."""

TABLE: dict[tuple[Phase, type[Payload]], Phase] = {
    (Phase.APPROVING, SigningApprove): Phase.APPROVING,
    (Phase.APPROVING, SigningReject): Phase.APPROVING,
    (Phase.APPROVING, SigningCancel): Phase.CANCELLED,
    (Phase.APPROVING, SigningRefuse): Phase.FAILED,
    (Phase.APPROVING, AttemptOpened): Phase.NONCES,
    (Phase.APPROVING, SigningExpired): Phase.EXPIRED,
    (Phase.NONCES, SigningContribute): Phase.NONCES,
    (Phase.NONCES, SigningApprove): Phase.NONCES,
    (Phase.NONCES, SigningReject): Phase.NONCES,
    (Phase.NONCES, SigningRetry): Phase.NONCES,
    (Phase.NONCES, SigningRefuse): Phase.FAILED,
    (Phase.NONCES, AttemptOpened): Phase.NONCES,
    (Phase.NONCES, SigningExpired): Phase.EXPIRED,
    (Phase.PSIGS, SigningContribute): Phase.CONFIRMING,
    (Phase.PSIGS, SigningApprove): Phase.PSIGS,
    (Phase.PSIGS, SigningReject): Phase.PSIGS,
    (Phase.PSIGS, SigningRetry): Phase.PSIGS,
    (Phase.PSIGS, SigningRefuse): Phase.FAILED,
    (Phase.PSIGS, AttemptOpened): Phase.NONCES,
    (Phase.PSIGS, SigningExpired): Phase.EXPIRED,
    (Phase.CONFIRMING, SigningConfirm): Phase.COMPLETED,
    (Phase.CONFIRMING, SigningRefuse): Phase.FAILED,
    (Phase.CONFIRMING, SigningExpired): Phase.EXPIRED,
}
"""The specification's table: what may happen when, and where it leads with two enclaves and rules ``none``."""

AT: dict[type[Payload], int] = {SigningExpired: NOON + HOUR}
"""When an event is possible at all; an attempt that is under way may be replaced once its grace has passed."""


def test_the_table_is_the_specifications() -> None:
    assert set(TRANSITIONS) == set(TABLE)


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_is_reached(phase: Phase) -> None:
    stream = IN[phase]()
    assert stream.state.phase is phase and stream.state.open is (phase not in ENDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("phase", Phase)
def test_every_event_moves_as_the_table_says_or_is_refused(phase: Phase, kind: type[Payload]) -> None:
    stream = IN[phase]()
    said = SAYS[kind](stream) if kind in SAYS else sample(kind)
    if (phase, kind) not in TABLE:
        refused(stream, said, Reason.WRONG_STATE, "kind")
        return
    at = AT.get(kind, NOON + GRACE if kind is AttemptOpened and phase is not Phase.APPROVING else NOON)
    assert stream.hear(said, at=at).phase is TABLE[phase, kind]


@pytest.mark.parametrize("phase", Phase)
def test_a_note_by_a_member_moves_nothing_in_any_phase(phase: Phase) -> None:
    stream = IN[phase]()
    before = stream.state
    stream.hear(stream.note(stream.keygen.auth(1)))
    assert replace(stream.state, words={}) == before
    refused(stream, stream.note(STRANGER), Reason.NOT_ALLOWED, "by")


# The request ------------------------------------------------------------------------------------------------------


def request(keygen: Keygen | None = None, by: int = 0, **fields: object) -> WireError:
    with pytest.raises(WireError) as caught:
        Signing(keygen or completed(), by, **fields)  # type: ignore[arg-type]
    return caught.value


def test_a_signing_begins_with_nothing_but_a_request() -> None:
    keygen = completed()
    record = keygen.chain.next(keygen.records[0].epoch, NOON, keygen.confirm(VAULT))
    with pytest.raises(WireError) as caught:
        signing.opened(record, keygen.state)
    assert caught.value.reason is Reason.UNKNOWN_STREAM


@pytest.mark.parametrize("keygen", [Keygen(3), Keygen(3).fill(0, 1)], ids=["empty", "one slot missing"])
def test_a_keygen_that_is_not_completed_signs_nothing(keygen: Keygen) -> None:
    error = request(keygen)
    assert (error.reason, error.field) == (Reason.WRONG_STATE, "keygen")


def test_attack_38_a_request_over_another_roster_is_refused() -> None:
    keygen = completed()
    said = keygen.cast.request(keygen.chain.hash, Hash(bytes(32)), NOON)
    with pytest.raises(WireError) as caught:
        signing.opened(keygen.chain.next(keygen.records[0].epoch, NOON, said), keygen.state)
    assert (caught.value.reason, caught.value.field) == (Reason.NOT_ALLOWED, "roster")


def test_attack_38_an_outsider_requests_nothing() -> None:
    keygen = completed()
    error = request(keygen, by=3)
    assert (error.reason, error.field) == (Reason.NOT_ALLOWED, "by")


def test_attack_38_a_member_whose_slot_is_not_needed_requests_nothing() -> None:
    error = request(slots=(1, 2))
    assert (error.reason, error.field) == (Reason.NOT_ALLOWED, "by")


def test_a_slot_that_is_not_there_is_not_needed() -> None:
    error = request(slots=(0, 3))
    assert (error.reason, error.field) == (Reason.BAD_FIELD, "slots")


def test_a_slot_on_a_device_is_refused_until_devices_sign() -> None:
    keygen = Keygen(2).fill(0)
    keygen.hear(keygen.device(1))
    error = request(keygen)
    assert (error.reason, error.field) == (Reason.NOT_ALLOWED, "slots")
    assert "devices cannot sign yet" in error.message


@pytest.mark.parametrize(
    ("expires_at", "reason"),
    [(NOON, Reason.EXPIRED), (NOON - 1, Reason.EXPIRED), (NOON + REQUEST_LIFE_MS + 1, Reason.OVER_LIMIT)],
)
def test_a_request_lives_from_a_moment_to_seven_days(expires_at: int, reason: Reason) -> None:
    error = request(expires_at=expires_at)
    assert (error.reason, error.field) == (reason, "expires_at")
    assert asked(expires_at=NOON + REQUEST_LIFE_MS).state.phase is Phase.APPROVING


def test_a_request_whose_rules_can_never_be_met_is_rejected_at_once() -> None:
    keygen = completed(3, quorum(1, 2))
    assert Signing(keygen, slots=(0, 2)).state.phase is Phase.APPROVING
    assert Signing(keygen, slots=(0, 1)).state.phase is Phase.REJECTED


def test_attack_6_a_request_is_bound_to_its_keygen() -> None:
    one, two = completed(name="one"), completed(name="two")
    said = one.cast.request(one.chain.hash, one.state.roster or Hash(bytes(32)), NOON)
    with pytest.raises(WireError) as caught:
        signing.opened(two.chain.next(two.records[0].epoch, NOON, said), two.state)
    assert caught.value.field == "roster"


# Approving --------------------------------------------------------------------------------------------------------


def test_a_request_is_its_requesters_approval() -> None:
    stream = asked(SELF)
    assert signing.may_open(stream.state, NOON) and stream.state.holdouts() == ()


def test_rule_self_waits_for_its_own_participant() -> None:
    stream = asked(NONE, SELF)
    assert stream.state.holdouts() == (1,)
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind")
    stream.hear(stream.approve(1))
    assert stream.open().state.phase is Phase.NONCES


def test_a_quorum_counts_its_slots_and_no_others() -> None:
    stream = asked(quorum(2, 1, 2))
    stream.hear(stream.approve(1))
    assert stream.state.holdouts() == (2,)
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind")
    stream.hear(stream.approve(2))
    assert signing.may_open(stream.state, NOON)


def test_a_voter_outside_the_needed_slots_does_not_count() -> None:
    keygen = completed(3, NONE, quorum(1, 1, 2))
    stream = Signing(keygen, slots=(0, 1))
    stream.hear(stream.approve(2))
    assert not signing.may_open(stream.state, NOON) and stream.state.holdouts() == (1,)


def test_attack_36_two_members_approve_alike_and_count_twice_one_approves_twice_and_counts_once() -> None:
    stream = asked(quorum(2, 1, 2))
    stream.hear(stream.approve(1))
    refused(stream, stream.approve(1), Reason.ALREADY_SAID, "by")
    stream.hear(stream.approve(2))
    assert signing.may_open(stream.state, NOON)


def test_a_stranger_approves_rejects_and_cancels_nothing() -> None:
    stream = asked()
    for kind in (SigningApprove, SigningReject, SigningCancel):
        for who in (STRANGER, VAULT, COORDINATOR, stream.keygen.cast.creator):
            refused(stream, stream.said(who, kind), Reason.NOT_ALLOWED, "by")


def test_an_approval_ends_when_it_says() -> None:
    stream = asked(NONE, SELF)
    stream.hear(stream.approve(1, until=NOON + 10))
    assert signing.may_open(stream.state, NOON + 9) and not signing.may_open(stream.state, NOON + 10)


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
    assert not signing.may_open(stream.state, NOON)
    refused(stream, stream.approve(1), Reason.ALREADY_SAID, "by")
    refused(stream, stream.reject(1), Reason.ALREADY_SAID, "by")


def test_nobody_has_a_veto_unless_a_rule_gives_it() -> None:
    stream = asked()
    stream.hear(stream.reject(1), stream.reject(2))
    assert stream.state.phase is Phase.APPROVING and signing.may_open(stream.state, NOON)


@pytest.mark.parametrize("rule", [SELF, quorum(2, 1, 2)])
def test_a_request_is_rejected_when_a_rule_can_no_longer_be_met(rule: Rule) -> None:
    stream = asked(NONE, rule)
    stream.hear(stream.reject(1))
    assert stream.state.phase is Phase.REJECTED and not stream.state.may_be_signed


def test_a_quorum_survives_the_rejects_it_can_spare() -> None:
    stream = asked(quorum(1, 1, 2))
    stream.hear(stream.reject(1))
    assert stream.state.phase is Phase.APPROVING
    stream.hear(stream.reject(2))
    assert stream.state.phase is Phase.REJECTED


def test_a_requester_who_rejects_ends_the_request() -> None:
    stream = asked()
    stream.hear(stream.reject(0))
    assert stream.state.phase is Phase.REJECTED


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
    assert signing.may_open(stream.state, NOON + 10)
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + 11)


# attempt.opened ---------------------------------------------------------------------------------------------------


def test_an_attempt_names_each_enclave_and_its_slots() -> None:
    stream = nonces()
    assert stream.state.signers == (Signer(key=xonly(VAULT), slots=(0, 1)), Signer(key=xonly(TOWER), slots=(2,)))
    assert (stream.state.attempt, stream.state.last) == (1, xonly(VAULT))


def test_attempt_opened_is_the_coordinators_word_alone() -> None:
    stream = asked()
    for who in (STRANGER, VAULT, stream.keygen.auth(0)):
        refused(stream, stream.opening(by=who), Reason.NOT_ALLOWED, "by")


def test_attempt_opened_names_no_other_signers_and_no_other_slots() -> None:
    stream = asked()
    vault, tower = signing.signers_of(stream.state)
    foreign = Signer(key=xonly(STRANGER), slots=(2,))
    for signers in ((vault,), (tower, vault), (vault, foreign), (vault, tower, Signer(key=xonly(STRANGER), slots=(3,)))):
        last = vault.key if len(signers) > 1 else None
        refused(stream, stream.opening(signers=signers, last=last), Reason.NOT_ALLOWED, "signers")
    fewer = (Signer(key=vault.key, slots=(0,)), tower)
    refused(stream, stream.opening(signers=fewer), Reason.NOT_ALLOWED, "signers")


def test_attempt_opened_names_who_goes_last_when_there_are_several() -> None:
    stream = asked()
    refused(stream, stream.opening(last=None), Reason.NOT_ALLOWED, "last")
    alone = asked(slots=2)
    refused(alone, alone.opening(last=xonly(VAULT)), Reason.NOT_ALLOWED, "last")


@pytest.mark.parametrize("attempt", [2, 16])
def test_attempts_are_counted_without_gaps(attempt: int) -> None:
    stream = asked()
    refused(stream, stream.opening(attempt=attempt), Reason.STALE_ATTEMPT, "attempt")
    stream.open()
    refused(stream, stream.opening(attempt=1), Reason.STALE_ATTEMPT, "attempt", at=NOON + GRACE)


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
    assert not signing.may_open(state, NOON + GRACE, up_since=NOON + 1)
    assert signing.may_open(state, NOON + GRACE + 1, up_since=NOON + 1)
    assert state.deadline(up_since=NOON + 1) == NOON + GRACE + 1


def test_a_new_attempt_forgets_what_the_last_one_said() -> None:
    stream = psigs()
    stream.hear(stream.opening(), at=NOON + GRACE)
    assert (stream.state.phase, stream.state.contributions, stream.state.retry) == (Phase.NONCES, (), False)
    assert signing.expected(stream.state) == {xonly(TOWER): "nonces"}


def test_an_attempt_needs_its_approvals_still() -> None:
    stream = asked(NONE, SELF)
    stream.hear(stream.approve(1, until=NOON + 10))
    stream.open()
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + GRACE)


# What is due ------------------------------------------------------------------------------------------------------


def test_an_attempt_is_due_when_every_signer_is_here() -> None:
    state = asked().state
    due = signing.due(state, NOON, key_list(VAULT, TOWER))
    assert due is not None and (due["type"], due["attempt"], due["last"]) == (AttemptOpened, 1, xonly(VAULT))


def test_attack_50_a_signer_that_the_coordinator_does_not_run_gets_no_attempt() -> None:
    assert signing.due(asked().state, NOON, key_list(VAULT)) is None
    assert signing.due(asked().state, NOON, frozenset()) is None


def test_an_enclave_that_signs_alone_goes_first_and_last() -> None:
    due = signing.due(asked(slots=2).state, NOON, key_list(VAULT))
    assert due is not None and due["last"] is None


def test_the_deadline_is_due_before_all_else() -> None:
    for make in (asked, nonces, psigs, confirming):
        assert signing.due(make().state, NOON + HOUR, key_list(VAULT, TOWER)) == {"type": SigningExpired}


@pytest.mark.parametrize("phase", sorted(ENDS))
def test_nothing_is_due_in_an_ended_session(phase: Phase) -> None:
    state = IN[phase]().state
    assert signing.due(state, NOON + HOUR, key_list(VAULT, TOWER)) is None and state.deadline() is None


def test_what_is_due_is_always_allowed() -> None:
    for make in (asked, nonces, psigs, confirming):
        for at in (NOON, NOON + GRACE, NOON + HOUR):
            stream = make()
            due = signing.due(stream.state, at, key_list(VAULT, TOWER))
            if due is not None:
                stream.hear(stream.said(COORDINATOR, due.pop("type"), **due), at=at)


def test_a_retry_in_a_session_that_was_completed_all_the_same_opens_nothing() -> None:
    stream = psigs()
    stream.hear(stream.retry(VAULT))
    stream.steps((TOWER, "psigs"))
    assert stream.state.phase is Phase.CONFIRMING
    assert signing.due(stream.state, NOON + GRACE, key_list(VAULT, TOWER)) is None


# Contributing -----------------------------------------------------------------------------------------------------


def test_the_steps_of_two_enclaves() -> None:
    stream = nonces()
    assert signing.expected(stream.state) == {xonly(TOWER): "nonces"}
    stream.steps((TOWER, "nonces"))
    assert signing.expected(stream.state) == {xonly(VAULT): "both"}
    stream.steps((VAULT, "both"))
    assert (stream.state.phase, signing.expected(stream.state)) == (Phase.PSIGS, {xonly(TOWER): "psigs"})
    stream.steps((TOWER, "psigs"))
    assert (stream.state.phase, signing.expected(stream.state)) == (Phase.CONFIRMING, {})


def test_an_enclave_alone_sends_signatures_at_once() -> None:
    stream = asked(slots=2).open()
    assert signing.expected(stream.state) == {xonly(VAULT): "signatures"}
    stream.steps((VAULT, "signatures"))
    assert stream.state.phase is Phase.CONFIRMING and stream.state.psig_sent


def three() -> Signing:
    """Three enclaves of one slot each; the vault is last."""
    keygen = Keygen(3)
    for slot, name in enumerate(("vault", "castle", "tower")):
        keygen.hear(keygen.join(slot, enclave=key_of(name)))
        keygen.hear(keygen.accept(slot, by=key_of(name)))
    return Signing(keygen).open()


@pytest.mark.parametrize("order", [("castle", "tower"), ("tower", "castle")])
def test_those_who_are_not_last_speak_in_any_order(order: tuple[str, str]) -> None:
    stream = three()
    for name in order:
        assert stream.state.phase is Phase.NONCES and "both" not in signing.expected(stream.state).values()
        stream.steps((key_of(name), "nonces"))
    stream.steps((VAULT, "both"))
    for name in order:
        assert stream.state.phase is Phase.PSIGS
        stream.steps((key_of(name), "psigs"))
    assert stream.state.phase is Phase.CONFIRMING


def test_over_hashes_the_nonces_by_lowest_slot_whoever_was_first() -> None:
    stream = three().steps((key_of("tower"), "nonces"), (key_of("castle"), "nonces"))
    tower, castle = stream.state.contributions
    assert signing.nonces_hash(stream.state) == over(stream.stream, 1, [castle.id, tower.id])


def test_holdouts_are_the_slots_that_owe_the_next_step() -> None:
    assert nonces().state.holdouts() == (2,)
    assert nonces().steps((TOWER, "nonces")).state.holdouts() == (0, 1)
    assert psigs().state.holdouts() == (2,)
    assert confirming().state.holdouts() == ()


@pytest.mark.parametrize("step", ["nonces", "psigs", "both", "signatures"])
@pytest.mark.parametrize("who", [VAULT, TOWER], ids=["vault", "tower"])
@pytest.mark.parametrize("make", [nonces, lambda: nonces().steps((TOWER, "nonces")), psigs])
def test_a_step_that_is_not_owed_is_refused(make: Callable[[], Signing], who: object, step: str) -> None:
    stream = make()
    said = stream.contribute(who, step)  # type: ignore[arg-type]
    done = {(c.by, c.step) for c in stream.state.contributions}
    if signing.expected(stream.state).get(said.payload.by) == step:
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
    refused(stream, stream.contribute(TOWER, "psigs", over=without_the_last), Reason.FORK, "over")


def test_a_psig_over_an_earlier_attempts_nonces_is_a_fork() -> None:
    stream = nonces().steps((TOWER, "nonces"))
    earlier = signing.nonces_hash(stream.state)
    stream.now += GRACE
    stream.open().steps((TOWER, "nonces"))
    refused(stream, stream.contribute(VAULT, "both", over=earlier), Reason.FORK, "over")


# Retrying ---------------------------------------------------------------------------------------------------------


def test_a_retry_opens_the_next_attempt_without_waiting() -> None:
    stream = nonces()
    stream.hear(stream.retry(TOWER))
    due = signing.due(stream.state, NOON, key_list(VAULT, TOWER))
    assert due is not None and due["attempt"] == 2
    assert stream.open().state.attempt == 2


def test_a_retry_is_said_once_by_a_signer_for_the_attempt_under_way() -> None:
    stream = nonces()
    for who in (STRANGER, COORDINATOR, stream.keygen.auth(0)):
        refused(stream, stream.retry(who), Reason.NOT_ALLOWED, "by")
    refused(stream, stream.retry(TOWER, attempt=2), Reason.STALE_ATTEMPT, "attempt")
    stream.hear(stream.retry(TOWER))
    refused(stream, stream.retry(VAULT), Reason.ALREADY_SAID, "attempt")


def sixteenth() -> Signing:
    stream = asked()
    for _ in range(MAX_ATTEMPTS):
        stream.open()
        stream.now += GRACE
    return stream


def test_attack_20_the_sixteenth_attempt_fails_at_once_when_its_nonces_are_gone() -> None:
    stream = sixteenth()
    stream.hear(stream.retry(TOWER))
    assert (stream.state.phase, stream.state.code, stream.state.blamed) == (Phase.FAILED, "too_many_attempts", (2,))


def test_whoever_gives_up_last_is_named_beside_the_holdouts() -> None:
    stream = sixteenth().steps((TOWER, "nonces"))
    stream.hear(stream.retry(TOWER))
    assert stream.state.blamed == (0, 1, 2)


def test_attack_20_the_sixteenth_attempt_fails_when_its_grace_has_passed() -> None:
    stream = sixteenth()
    assert signing.due(stream.state, stream.now - 1, key_list(VAULT, TOWER)) is None
    assert stream.state.deadline() == stream.now
    refused(stream, stream.expired(), Reason.NOT_ALLOWED, "kind", at=stream.now - 1)
    assert signing.due(stream.state, stream.now, frozenset()) == {"type": SigningExpired}
    stream.hear(stream.expired())
    assert (stream.state.phase, stream.state.code, stream.state.blamed) == (Phase.FAILED, "too_many_attempts", (2,))


def test_there_is_no_seventeenth_attempt() -> None:
    stream = sixteenth()
    assert not signing.may_open(stream.state, stream.now)


def test_the_sixteenth_attempt_may_still_succeed() -> None:
    stream = sixteenth().steps((TOWER, "nonces"), (VAULT, "both"), (TOWER, "psigs"))
    stream.hear(stream.confirm(TOWER))
    assert stream.state.phase is Phase.COMPLETED


# Ending -----------------------------------------------------------------------------------------------------------


def test_a_signer_confirms_and_nobody_else() -> None:
    stream = confirming()
    for who in (STRANGER, COORDINATOR, stream.keygen.auth(0)):
        refused(stream, stream.confirm(who), Reason.NOT_ALLOWED, "by")
    refused(stream, stream.confirm(TOWER, attempt=2), Reason.STALE_ATTEMPT, "attempt")
    stream.hear(stream.confirm(VAULT))
    assert stream.state.confirmed == stream.chain.offset


def test_an_enclave_refuses_for_needed_slots_it_holds() -> None:
    stream = asked()
    stream.hear(stream.refuse(VAULT, 0, 1))
    assert (stream.state.phase, stream.state.code, stream.state.blamed) == (Phase.FAILED, "rule_not_met", (0, 1))


def test_nobody_refuses_for_others() -> None:
    stream = asked()
    refused(stream, stream.refuse(VAULT, 0, 2), Reason.NOT_ALLOWED, "slots")
    for who in (STRANGER, COORDINATOR, stream.keygen.auth(0)):
        refused(stream, stream.refuse(who, 0), Reason.NOT_ALLOWED, "slots")
    few = Signing(completed(), slots=(0, 1))
    refused(few, few.refuse(TOWER, 2), Reason.NOT_ALLOWED, "slots")


def test_a_refusal_of_another_attempt_is_stale() -> None:
    refused(asked(), asked().refuse(VAULT, 0, attempt=1), Reason.STALE_ATTEMPT, "attempt")
    refused(nonces(), nonces().refuse(VAULT, 0, attempt=0), Reason.STALE_ATTEMPT, "attempt")


def test_attack_42_nothing_is_said_once_the_request_has_expired_even_if_the_notice_is_withheld() -> None:
    for make, said in (
        (asked, lambda s: s.approve(1)), (asked, lambda s: s.opening()), (nonces, lambda s: s.contribute(TOWER, "nonces")),
        (psigs, lambda s: s.contribute(TOWER, "psigs")), (confirming, lambda s: s.confirm(TOWER)),
    ):  # fmt: skip
        stream = make()
        refused(stream, said(stream), Reason.EXPIRED, "kind", at=NOON + HOUR)


def test_a_request_expires_at_its_time_and_by_the_coordinators_word() -> None:
    stream = asked()
    refused(stream, stream.expired(), Reason.NOT_ALLOWED, "kind", at=NOON + HOUR - 1)
    for who in (STRANGER, VAULT, stream.keygen.auth(0)):
        refused(stream, stream.expired(by=who), Reason.NOT_ALLOWED, "by", at=NOON + HOUR)


def test_a_session_that_ended_after_a_psig_may_be_signed() -> None:
    for begin in (psigs, confirming):
        stream = begin()
        stream.hear(stream.expired(), at=NOON + HOUR)
        assert stream.state.may_be_signed
    assert not IN[Phase.COMPLETED]().state.may_be_signed
    assert not ended(lambda s: s.expired(), nonces)().state.may_be_signed


def test_a_psig_of_an_earlier_attempt_is_remembered() -> None:
    stream = psigs()
    stream.hear(stream.opening(), at=NOON + GRACE)
    stream.hear(stream.refuse(VAULT))
    assert stream.state.may_be_signed


def test_a_veto_after_a_psig_ends_the_session_and_says_that_it_may_be_signed() -> None:
    stream = asked(NONE, SELF)
    stream.hear(stream.approve(1))
    stream.open().steps((TOWER, "nonces"), (VAULT, "both"))
    stream.hear(stream.reject(1))
    assert stream.state.phase is Phase.REJECTED and stream.state.may_be_signed


def test_members_readers_and_the_needed_enclaves_hear() -> None:
    stream = Signing(completed(), slots=(0, 1))
    assert stream.state.hearers() == key_list(*(stream.keygen.auth(i) for i in range(3)), VAULT)


def test_attack_13_any_member_may_ask() -> None:
    keygen = completed()
    for slot in range(3):
        stream = Signing(keygen, by=slot)
        stream.open().steps((TOWER, "nonces"), (VAULT, "both"), (TOWER, "psigs"))
        stream.hear(stream.confirm(TOWER))
        assert isinstance(stream.state.request, SigningRequest) and stream.state.phase is Phase.COMPLETED

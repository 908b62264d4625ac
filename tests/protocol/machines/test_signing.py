"""The signing's table, event by event: what may happen when, and that nothing else does; how it begins and ends."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.machines import signing
from keymeld_protocol.machines.signing import TRANSITIONS
from keymeld_protocol.machines.signing_state import ENDS, SigningPhase
from keymeld_protocol.values import Hash
from keymeld_protocol.wire.payloads import (
    KINDS,
    AttemptOpened,
    SigningApprove,
    SigningCancel,
    SigningContribute,
    SigningExpired,
    SigningHeard,
    SigningRefuse,
    SigningReject,
    SigningRetry,
)
from keymeld_protocol.wire.shapes import REQUEST_LIFE_MS, Payload, Rule
from keymeld_protocol.wire.statements import Statement
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
    refused,
)
from tests.support.phases import DELAYED, IN, SELF, asked, ended, nonces, psigs, quorum, signed, waiting
from tests.support.spoil import sample

SAYS: dict[type[Payload], Callable[[Signing], Statement]] = {
    SigningApprove: lambda s: s.approve(1),
    SigningReject: lambda s: s.reject(1),
    SigningCancel: lambda s: s.cancel(),
    SigningContribute: lambda s: s.contribute(TOWER, "signatures" if s.state.phase is SigningPhase.PSIGS else "nonces"),
    SigningRetry: lambda s: s.retry(TOWER),
    SigningRefuse: lambda s: s.refuse(VAULT),
    SigningHeard: lambda s: s.hears(TOWER),
    AttemptOpened: lambda s: s.opening(),
    SigningExpired: lambda s: s.expired(),
}
"""What the right speaker would say, for every kind that this machine takes; the others are samples."""

TABLE: dict[tuple[SigningPhase, type[Payload]], SigningPhase] = {
    (SigningPhase.APPROVING, SigningApprove): SigningPhase.NONCES,
    (SigningPhase.APPROVING, SigningReject): SigningPhase.REJECTED,
    (SigningPhase.APPROVING, SigningCancel): SigningPhase.CANCELLED,
    (SigningPhase.APPROVING, SigningHeard): SigningPhase.APPROVING,
    (SigningPhase.APPROVING, SigningRefuse): SigningPhase.FAILED,
    (SigningPhase.APPROVING, AttemptOpened): SigningPhase.NONCES,
    (SigningPhase.APPROVING, SigningExpired): SigningPhase.EXPIRED,
    (SigningPhase.NONCES, SigningContribute): SigningPhase.NONCES,
    (SigningPhase.NONCES, SigningApprove): SigningPhase.NONCES,
    (SigningPhase.NONCES, SigningReject): SigningPhase.NONCES,
    (SigningPhase.NONCES, SigningCancel): SigningPhase.CANCELLED,
    (SigningPhase.NONCES, SigningRetry): SigningPhase.NONCES,
    (SigningPhase.NONCES, SigningRefuse): SigningPhase.FAILED,
    (SigningPhase.NONCES, AttemptOpened): SigningPhase.NONCES,
    (SigningPhase.NONCES, SigningExpired): SigningPhase.EXPIRED,
    (SigningPhase.PSIGS, SigningContribute): SigningPhase.COMPLETED,
    (SigningPhase.PSIGS, SigningApprove): SigningPhase.PSIGS,
    (SigningPhase.PSIGS, SigningReject): SigningPhase.PSIGS,
    (SigningPhase.PSIGS, SigningRetry): SigningPhase.PSIGS,
    (SigningPhase.PSIGS, SigningRefuse): SigningPhase.FAILED,
    (SigningPhase.PSIGS, AttemptOpened): SigningPhase.NONCES,
    (SigningPhase.PSIGS, SigningExpired): SigningPhase.EXPIRED,
}
"""The specification's table: what may happen when, and where it leads with two enclaves, from APPROVING by slot 1."""

BEGIN: dict[tuple[SigningPhase, type[Payload]], Callable[[], Signing]] = {
    (SigningPhase.APPROVING, SigningHeard): lambda: asked(NONE, NONE, DELAYED),
    (SigningPhase.APPROVING, AttemptOpened): lambda: asked(Rule(approval="none", not_before=NOON + GRACE)),
}
"""Where an event needs more than its phase: a delay, or a rule that time alone meets."""

AT: dict[type[Payload], int] = {SigningExpired: NOON + HOUR}
"""When an event is possible at all; an attempt that is under way may be replaced once its grace has passed."""


def test_the_table_is_the_specifications() -> None:
    assert set(TRANSITIONS) == set(TABLE)


@pytest.mark.parametrize("phase", SigningPhase)
def test_each_phase_is_reached(phase: SigningPhase) -> None:
    stream = IN[phase]()
    assert stream.state.phase is phase and stream.state.open is (phase not in ENDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("phase", SigningPhase)
def test_every_event_moves_as_the_table_says_or_is_refused(phase: SigningPhase, kind: type[Payload]) -> None:
    stream = BEGIN.get((phase, kind), IN[phase])()
    said = SAYS[kind](stream) if kind in SAYS else sample(kind)
    if (phase, kind) not in TABLE:
        refused(stream, said, Reason.WRONG_STATE, "kind")
        return
    at = AT.get(kind, NOON + GRACE if kind is AttemptOpened else NOON)
    assert stream.hear(said, at=at).phase is TABLE[phase, kind]


@pytest.mark.parametrize("phase", SigningPhase)
def test_a_note_by_a_member_moves_nothing_in_any_phase(phase: SigningPhase) -> None:
    stream = IN[phase]()
    before = stream.state
    stream.hear(stream.note(stream.keygen.auth(1)))
    assert replace(stream.state, words={}) == before
    refused(stream, stream.note(STRANGER), Reason.NOT_ALLOWED, "by")


def test_from_expires_at_on_everything_but_its_notice_and_notes_is_expired() -> None:
    stream = IN[SigningPhase.APPROVING]()
    for say in (stream.approve(1), stream.cancel(), stream.refuse(VAULT), stream.contribute(VAULT, "both")):
        refused(stream, say, Reason.EXPIRED, "kind", at=NOON + HOUR)
    stream.hear(stream.note(stream.keygen.auth(1)), at=NOON + HOUR)
    stream.hear(stream.expired(), at=NOON + HOUR)
    stream.hear(stream.note(stream.keygen.auth(1), "late"), at=NOON + 2 * HOUR)


def test_a_no_behind_none_without_a_delay_moves_nothing_but_the_slots_own_yes() -> None:
    stream = asked(NONE, NONE, SELF)
    stream.hear(stream.approve(1), stream.reject(1))
    assert stream.state.phase is SigningPhase.APPROVING and stream.state.consent.rejected == {1}
    assert not stream.state.consent.counts(1, NOON)
    assert stream.hear(stream.approve(2)).phase is SigningPhase.NONCES
    own = waiting()
    assert own.hear(own.reject(0)).phase is SigningPhase.REJECTED, "the requester's"


# The request ------------------------------------------------------------------------------------------------------


def request(keygen: Keygen | None = None, by: int = 0, **fields: object) -> WireError:
    with pytest.raises(WireError) as caught:
        Signing(keygen or completed(), by, **fields)
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
    assert asked(expires_at=NOON + REQUEST_LIFE_MS).state.open


def test_a_request_whose_rules_can_never_be_met_is_rejected_at_once() -> None:
    keygen = completed(3, quorum(1, 2))
    assert Signing(keygen, slots=(0, 2)).state.open
    assert Signing(keygen, slots=(0, 1)).state.phase is SigningPhase.REJECTED


def test_attack_6_a_request_is_bound_to_its_keygen() -> None:
    one, two = completed(name="one"), completed(name="two")
    said = one.cast.request(one.chain.hash, one.state.roster or Hash(bytes(32)), NOON)
    with pytest.raises(WireError) as caught:
        signing.opened(two.chain.next(two.records[0].epoch, NOON, said), two.state)
    assert caught.value.field == "roster"


# Ending -----------------------------------------------------------------------------------------------------------


def test_an_enclave_refuses_for_needed_slots_it_holds() -> None:
    stream = asked()
    stream.hear(stream.refuse(VAULT, 0, 1))
    assert (stream.state.phase, stream.state.code, stream.state.blamed) == (SigningPhase.FAILED, "rule_not_met", (0, 1))


def test_nobody_refuses_for_others() -> None:
    stream = asked()
    refused(stream, stream.refuse(VAULT, 0, 2), Reason.NOT_ALLOWED, "slots")
    for who in (STRANGER, COORDINATOR, stream.keygen.auth(0)):
        refused(stream, stream.refuse(who, 0), Reason.NOT_ALLOWED, "slots")
    few = Signing(completed(), slots=(0, 1))
    refused(few, few.refuse(TOWER, 2), Reason.NOT_ALLOWED, "slots")


def test_a_refusal_of_another_attempt_is_stale() -> None:
    refused(waiting(), waiting().refuse(VAULT, 0, attempt=1), Reason.STALE_ATTEMPT, "attempt")
    refused(nonces(), nonces().refuse(VAULT, 0, attempt=0), Reason.STALE_ATTEMPT, "attempt")


def test_attack_42_nothing_is_said_once_the_request_has_expired_even_if_the_notice_is_withheld() -> None:
    for make, kinds in (
        (waiting, (SigningApprove, AttemptOpened)),
        (nonces, (SigningContribute, SigningRetry)),
        (psigs, (SigningContribute, SigningReject)),
    ):
        for kind in kinds:
            stream = make()
            refused(stream, SAYS[kind](stream), Reason.EXPIRED, "kind", at=NOON + HOUR)


def test_a_request_expires_at_its_time_and_by_the_coordinators_word() -> None:
    stream = asked()
    refused(stream, stream.expired(), Reason.NOT_ALLOWED, "kind", at=NOON + HOUR - 1)
    for who in (STRANGER, VAULT, stream.keygen.auth(0)):
        refused(stream, stream.expired(by=who), Reason.NOT_ALLOWED, "by", at=NOON + HOUR)


def test_a_session_that_ended_after_a_psig_may_be_signed() -> None:
    stream = psigs()
    stream.hear(stream.expired(), at=NOON + HOUR)
    assert stream.state.may_be_signed
    assert not IN[SigningPhase.COMPLETED]().state.may_be_signed
    assert not ended(lambda s: s.expired(), nonces)().state.may_be_signed


def test_a_psig_of_an_earlier_attempt_is_remembered() -> None:
    stream = psigs()
    stream.hear(stream.opening(), at=NOON + GRACE)
    stream.hear(stream.refuse(VAULT))
    assert stream.state.may_be_signed


def test_a_veto_after_a_psig_ends_the_session_and_says_that_it_may_be_signed() -> None:
    stream = asked(NONE, SELF)
    stream.hear(stream.approve(1))
    stream.steps((TOWER, "nonces"), (VAULT, "both"))
    stream.hear(stream.reject(1))
    assert stream.state.phase is SigningPhase.REJECTED and stream.state.may_be_signed


def test_members_readers_and_the_needed_enclaves_hear() -> None:
    stream = Signing(completed(), slots=(0, 1))
    assert stream.state.hearers() == key_list(*(stream.keygen.auth(i) for i in range(3)), VAULT)


def test_attack_13_any_member_may_ask() -> None:
    keygen = completed()
    for slot in range(3):
        stream = Signing(keygen, by=slot)
        stream.steps((TOWER, "nonces"), (VAULT, "both"), (TOWER, "signatures"))
        assert stream.state.phase is SigningPhase.COMPLETED


# Taking it back ---------------------------------------------------------------------------------------------------


def test_the_requester_takes_it_back_until_somebody_has_sent_a_psig() -> None:
    for stream in (waiting(), nonces()):
        assert stream.hear(stream.cancel()).phase is SigningPhase.CANCELLED and not stream.state.may_be_signed
    owed = nonces().steps((TOWER, "nonces"))
    assert owed.hear(owed.cancel()).phase is SigningPhase.CANCELLED
    assert owed.state.may_be_signed, "the vault owed a psig: it may be on its way"
    late = psigs()
    refused(late, late.cancel(), Reason.WRONG_STATE, "kind")
    late.hear(late.retry(TOWER))
    late.open()
    assert late.state.phase is SigningPhase.NONCES
    refused(late, late.cancel(), Reason.WRONG_STATE, "kind")
    done = signed()
    refused(done, done.cancel(), Reason.WRONG_STATE, "kind")

"""A rule with a delay: which enclave says that it begins, once, and what waits for its end."""

import pytest

from keymeld_protocol.errors import Reason
from keymeld_protocol.machines import signing_state
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.wire.shapes import Rule
from tests.support.machines import (
    COORDINATOR,
    HOUR,
    NONE,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Signing,
    completed,
    key_list,
    refused,
)
from tests.support.phases import DELAY, DELAYED, SELF, asked


def heard(*rules: Rule, at: int = NOON) -> Signing:
    """A request whose slot 2 has a delay of a minute, which has begun; or with these rules."""
    stream = asked(*(rules or (NONE, NONE, DELAYED)))
    stream.hear(stream.hears(TOWER, at), at=NOON)
    return stream


def test_an_attempt_opens_when_the_delay_is_over_and_no_sooner() -> None:
    stream = heard()
    assert stream.state.ripe_at() == {0: 0, 1: 0, 2: NOON + DELAY} and stream.state.deadline() == NOON + DELAY
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + DELAY - 1)
    assert stream.hear(stream.opening(), at=NOON + DELAY).phase is SigningPhase.NONCES


def test_nothing_opens_before_the_enclave_has_said_that_the_delay_begins() -> None:
    stream = asked(NONE, NONE, DELAYED)
    assert stream.state.ripe_at()[2] is None and stream.state.unheard() == (2,)
    refused(stream, stream.opening(), Reason.NOT_ALLOWED, "kind", at=NOON + HOUR - 1)
    assert signing_state.due(stream.state, NOON + HOUR - 1, key_list(VAULT, TOWER)) is None


def test_only_an_enclave_that_holds_a_needed_slot_with_a_delay_begins_it() -> None:
    stream = asked(NONE, NONE, DELAYED)
    for who in (VAULT, STRANGER, COORDINATOR, stream.keygen.auth(2), stream.keygen.auth(0)):
        refused(stream, stream.hears(who), Reason.NOT_ALLOWED, "by")
    other = Signing(completed(3, NONE, SELF, DELAYED), slots=(0, 1))
    refused(other, other.hears(TOWER), Reason.NOT_ALLOWED, "by")


def test_a_delay_begins_once() -> None:
    stream = heard()
    refused(stream, stream.hears(TOWER, NOON - HOUR), Reason.ALREADY_SAID, "by")


def test_one_word_begins_the_delays_of_every_slot_that_the_enclave_holds() -> None:
    stream = asked(DELAYED, Rule(approval="none", delay_ms=2 * DELAY), DELAYED)
    stream.hear(stream.hears(VAULT))
    assert stream.state.consent.heard == {0: NOON, 1: NOON} and stream.state.unheard() == (2,)
    stream.hear(stream.hears(TOWER))
    assert stream.state.ripe_at() == {0: NOON + DELAY, 1: NOON + 2 * DELAY, 2: NOON + DELAY}


@pytest.mark.parametrize(("at", "begun"), [(NOON - 5, NOON), (NOON, NOON), (NOON + 5, NOON + 5)])
def test_the_later_of_the_enclaves_time_and_the_records_counts(at: int, begun: int) -> None:
    assert heard(at=at).state.consent.heard == {2: begun}


def test_the_clock_is_asked_at_each_rules_end() -> None:
    stream = heard(NONE, Rule(approval="none", not_before=NOON + 2 * DELAY), DELAYED)
    assert stream.state.deadline() == NOON + DELAY
    assert stream.state.deadline(after=NOON + DELAY) == NOON + 2 * DELAY
    assert stream.state.deadline(after=NOON + 2 * DELAY) == NOON + HOUR


def test_a_no_during_the_delay_stops_it() -> None:
    stream = heard()
    assert stream.hear(stream.reject(2)).phase is SigningPhase.REJECTED
    quiet = heard()
    assert quiet.hear(quiet.reject(1)).phase is SigningPhase.APPROVING, (
        "slot 1 has no delay, and its rule gives it no veto"
    )


def test_a_delay_that_outlives_its_window_is_rejected_as_it_begins() -> None:
    rule = Rule(approval="none", delay_ms=DELAY, not_after=NOON + DELAY - 1)
    assert heard(NONE, NONE, rule).state.phase is SigningPhase.REJECTED


def test_whoever_waits_for_a_delay_has_nobody_to_blame() -> None:
    assert heard().state.holdouts() == () and asked(NONE, NONE, DELAYED).state.holdouts() == ()

"""The signing machine, as far as small bounds reach: every state, everybody, every kind, at every time that matters."""

from dataclasses import replace
from functools import cache
from typing import Any, cast

import pytest

from keymeld_protocol.machines import signing
from keymeld_protocol.machines.machine import Move
from keymeld_protocol.machines.signing import TRANSITIONS
from keymeld_protocol.machines.signing_state import SigningPhase, SigningState
from keymeld_protocol.machines.streams import machine_of
from keymeld_protocol.wire.payloads import KINDS, AttemptOpened, SigningContribute, SigningRetry
from keymeld_protocol.wire.records import Record
from tests.model.explored import Found, explore, notices
from tests.model.signings import MIXES, small
from tests.support.machines import key_list

ANSWERS = {
    "attempt.opened": {"not_allowed", "stale_attempt"},
    "signing.approve": {"not_allowed", "already_said", "expired", "over_limit"},
    "signing.cancel": {"not_allowed"},
    "signing.contribute": {"stale_attempt", "not_allowed", "already_contributed", "wrong_state", "fork"},
    "signing.expired": {"not_allowed"},
    "signing.heard": {"not_allowed", "already_said"},
    "signing.refuse": {"stale_attempt", "not_allowed"},
    "signing.reject": {"not_allowed", "already_said"},
    "signing.retry": {"stale_attempt", "not_allowed", "already_said"},
    "note.word": {"not_allowed", "over_limit"},
}
"""The words that §7.2 has for each kind; beside them `wrong_state` and, from the deadline on, `expired`."""


@cache
def found(name: str) -> Found:
    """One mix, explored once for each process: every step was asked for what must hold."""
    return explore(small(name))


every_mix = pytest.mark.parametrize("name", MIXES)


@every_mix
def test_on_every_step_that_anybody_takes_holds_what_must_hold(name: str) -> None:
    assert found(name).steps > len(found(name).places) > 50


@every_mix
def test_from_every_open_state_an_end_is_reached(name: str) -> None:
    assert found(name).stuck() == []


@every_mix
def test_a_refusal_has_a_word_of_the_kinds_own_rows(name: str) -> None:
    for (phase, kind, reason), _ in found(name).refusals.items():
        assert reason in ANSWERS[kind] | {"wrong_state", "expired"}, (phase, kind, reason)


def test_every_lead_of_the_table_is_taken_and_no_other_one() -> None:
    tags = {kind: tag for tag, kind in KINDS.items()}
    leads = {(phase, tags[kind], to) for (phase, kind), move in TRANSITIONS.items() for to in move.leads}
    assert set().union(*(found(name).leads for name in MIXES)) == leads


def test_every_word_that_a_kind_can_be_answered_with_is_heard() -> None:
    heard = {(kind, reason) for name in MIXES for _, kind, reason in found(name).refusals}
    wanted = {(kind, reason) for kind, reasons in ANSWERS.items() for reason in reasons - {"over_limit"}}
    assert wanted - heard == set()


@every_mix
def test_the_clock_looks_when_time_alone_brings_something(name: str) -> None:
    bounds = small(name)
    everybody = (key_list(*MIXES[name].enclaves),)
    for state, moment in found(name).places.values():
        if state.open and not list(notices(state, bounds.moments[moment], everybody)):
            later = (at for at in bounds.moments[moment + 1 :] if list(notices(state, at, everybody)))
            first, named = next(later, None), state.deadline(0, bounds.moments[moment])
            assert first is None or (named is not None and named <= first), (state.phase, moment)


@every_mix
def test_nobody_is_waited_for_who_can_do_nothing(name: str) -> None:
    bounds = small(name)
    for state, moment in found(name).places.values():
        missing = set(state.holdouts())
        assert missing <= set(state.request.slots) and (state.open or not missing)
        if state.phase in (SigningPhase.NONCES, SigningPhase.PSIGS):
            assert missing, "a step has begun that nobody owes"
        assert machine_of(state).due(state, bounds.moments[moment], frozenset(), 0) is None or state.open


# A search that finds nothing is worth what it would have found --------------------------------------------------


def forgets_psigs(after: SigningState, before: SigningState) -> SigningState:
    return replace(after, psig_sent=False)


def notes_nothing_owed(after: SigningState, before: SigningState) -> SigningState:
    return replace(after, psig_owed=False)


def goes_back(after: SigningState, before: SigningState) -> SigningState:
    return replace(after, attempt=max(0, after.attempt - 1))


def keeps_what_was_said(after: SigningState, before: SigningState) -> SigningState:
    return replace(after, contributions=before.contributions)


def hears_twice(after: SigningState, before: SigningState) -> SigningState:
    return replace(after, contributions=(*after.contributions, after.contributions[-1]))


def completes_at_once(after: SigningState, before: SigningState) -> SigningState:
    return replace(after, phase=SigningPhase.COMPLETED)


FAULTS: list[tuple[SigningPhase, type, Any]] = [
    (SigningPhase.NONCES, SigningRetry, forgets_psigs),
    (SigningPhase.NONCES, SigningContribute, notes_nothing_owed),
    (SigningPhase.NONCES, SigningRetry, goes_back),
    (SigningPhase.NONCES, AttemptOpened, keeps_what_was_said),
    (SigningPhase.PSIGS, SigningContribute, hears_twice),
    (SigningPhase.NONCES, SigningContribute, completes_at_once),
]


@pytest.mark.parametrize(("phase", "kind", "spoil"), FAULTS, ids=lambda case: getattr(case, "__name__", None))
def test_a_machine_with_a_fault_is_found_out(
    monkeypatch: pytest.MonkeyPatch, phase: SigningPhase, kind: type, spoil: Any
) -> None:
    move = TRANSITIONS[phase, kind]
    leads = dict.fromkeys(SigningPhase, "")

    def faulty(state: SigningState, said: Any, record: Record) -> SigningState:
        return cast(SigningState, spoil(move.handler(state, said, record), state))

    monkeypatch.setitem(cast(dict[Any, Any], TRANSITIONS), (phase, kind), Move(faulty, leads))
    with pytest.raises(AssertionError):
        explore(small("none"))


def test_an_attempt_that_opens_without_a_yes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "may_open", lambda state, at, up_since=0: True)
    with pytest.raises(AssertionError, match="somebody has not agreed"):
        explore(small("self"))

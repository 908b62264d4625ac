"""The keygen machine, as far as small bounds reach: every state, everybody, every kind, at every time that matters."""

from dataclasses import replace
from functools import cache
from typing import Any, cast

import pytest

from keymeld_protocol.machines.keygen import TRANSITIONS
from keymeld_protocol.machines.keygen_state import KeygenPhase, KeygenState
from keymeld_protocol.machines.machine import Move
from keymeld_protocol.wire.payloads import KINDS, CustodyRefuse, KeygenConfirm, KeygenLeave, KeygenRelease
from keymeld_protocol.wire.records import Record
from tests.model.explored import Found, explore
from tests.model.keygens import bounds, small
from tests.support.machines import NOON

CUSTODY = {"bad_field", "gone", "not_allowed", "already_said"}
ANSWERS = {
    "keygen.join": {"bad_field", "not_allowed", "slot_taken", "over_limit"},
    "custody.accept": CUSTODY,
    "custody.refuse": CUSTODY,
    "keygen.release": {"bad_field", "gone", "not_allowed"},
    "keygen.confirm": {"not_allowed", "already_said"},
    "keygen.leave": {"bad_field", "not_allowed", "already_said"},
    "custody.wiped": {"bad_field", "not_allowed", "already_said"},
    "keygen.expired": {"not_allowed"},
    "note.word": {"not_allowed", "over_limit"},
}
"""The words that §6.2 has for each kind; beside them `wrong_state` and, from the deadline on, `expired`."""


@cache
def found() -> Found:
    """Explored once for each process: every step was asked for what must hold."""
    return explore(small())


def test_on_every_step_that_anybody_takes_holds_what_must_hold() -> None:
    assert found().steps > len(found().places) > 1000


def test_from_every_open_keygen_an_end_is_reached() -> None:
    assert found().stuck() == []


def test_a_refusal_has_a_word_of_the_kinds_own_rows() -> None:
    for phase, kind, reason in found().refusals:
        assert reason in ANSWERS[kind] | {"wrong_state", "expired"}, (phase, kind, reason)


def test_every_word_that_a_kind_can_be_answered_with_is_heard() -> None:
    heard = {(kind, reason) for _, kind, reason in found().refusals}
    assert {(kind, reason) for kind, reasons in ANSWERS.items() for reason in reasons} - heard == set()


def test_every_lead_of_the_table_is_taken_and_no_other_one() -> None:
    tags = {kind: tag for tag, kind in KINDS.items()}
    leads = {(phase, tags[kind], to) for (phase, kind), move in TRANSITIONS.items() for to in move.leads}
    assert {lead for lead in found().leads if not lead[1].startswith("note.")} == leads
    assert {lead for lead in found().leads if lead[1].startswith("note.")} == {(p, "note.word", p) for p in KeygenPhase}


def test_the_clock_has_nothing_to_say_but_the_deadline_of_who_collects() -> None:
    for state in found().states():
        collecting = state.phase == KeygenPhase.COLLECTING
        assert state.deadline() == (state.create.expires_at if collecting else None)


# A search that finds nothing is worth what it would have found --------------------------------------------------


def empties_all(after: KeygenState, before: KeygenState) -> KeygenState:
    return replace(after, seats=(None,) * len(after.seats))


def wipes_too(after: KeygenState, before: KeygenState) -> KeygenState:
    return replace(after, wiped=frozenset({0, 1}))


def comes_back(after: KeygenState, before: KeygenState) -> KeygenState:
    return replace(after, left={0: 2} if not before.left else {1: 2})


def changes_the_roster(after: KeygenState, before: KeygenState) -> KeygenState:
    return replace(after, roster=None)


FAULTS: list[tuple[KeygenPhase, type, Any]] = [
    (KeygenPhase.COLLECTING, CustodyRefuse, empties_all),
    (KeygenPhase.COLLECTING, KeygenRelease, empties_all),
    (KeygenPhase.COMPLETED, KeygenLeave, wipes_too),
    (KeygenPhase.COMPLETED, KeygenLeave, comes_back),
    (KeygenPhase.COMPLETED, KeygenConfirm, changes_the_roster),
]


@pytest.mark.parametrize(("phase", "kind", "spoil"), FAULTS, ids=lambda case: getattr(case, "__name__", None))
def test_a_machine_with_a_fault_is_found_out(
    monkeypatch: pytest.MonkeyPatch, phase: KeygenPhase, kind: type, spoil: Any
) -> None:
    move = TRANSITIONS[phase, kind]

    def faulty(state: KeygenState, said: Any, record: Record) -> KeygenState:
        return cast(KeygenState, spoil(move.handler(state, said, record), state))

    monkeypatch.setitem(cast(dict[Any, Any], TRANSITIONS), (phase, kind), Move(faulty, dict.fromkeys(KeygenPhase, "")))
    with pytest.raises(AssertionError):
        explore(bounds(2, NOON))

"""Where the tables lead: in some situation each lead is taken, and in none is another one.

Every situation hears everything that its people could say, at every time that means something.  What is refused moves
nothing; whatever is not has taken a lead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from keymeld_protocol.errors import WireError
from keymeld_protocol.machines.machine import Machine
from keymeld_protocol.machines.streams import MACHINES, machine_of, step
from keymeld_protocol.wire.payloads import KINDS
from keymeld_protocol.wire.records import Chain
from keymeld_protocol.wire.shapes import MAX_ATTEMPTS, Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.logs import Scribe
from tests.support.machines import EPOCH, GRACE, HOUR, NONE, NOON, TOWER, VAULT, Keygen, Signing, completed, key_of
from tests.support.phases import DELAY, DELAYED, IN, SELF, asked, given_up, quorum, sixteenth, three
from tests.vectors.diagrams import phases_of

Lead = tuple[Any, str, Any]
"""A phase, the kind that was said in it, and the phase to which that led."""
Situation = tuple[Any, Chain, Iterable[Statement]]
"""A state, the chain that tells it, and what could be said now."""

CASTLE = key_of("castle")
TOO_LATE = Rule(approval="none", delay_ms=DELAY, not_after=NOON + 1)
"""A delay that ends when its key may no longer be used."""
SOON = Rule(approval="none", not_before=NOON + 1)


def keygens() -> Iterator[Keygen]:
    """Empty, short of a device, completed, short of two slots, of an acceptance, of a leaving; closed, expired."""
    yield from (Keygen(2), Keygen(1), completed(2))
    for stream in (Keygen(3).fill(1), Keygen(2).fill(1)):
        stream.hear(stream.join(0))
        yield stream
    for left in ((0,), (0, 1)):
        stream = completed(2)
        stream.hear(*(stream.leave(slot) for slot in left))
        yield stream
    expired = Keygen(2)
    expired.hear(expired.expired(), at=NOON + HOUR)
    yield expired


def said_in_keygen(stream: Keygen) -> Iterator[Statement]:
    """What the right speakers could say about each slot, and the coordinator about all."""
    for slot, _ in enumerate(stream.state.seats):
        for make in (stream.device, stream.join, stream.accept, stream.refuse, stream.release, stream.leave):
            yield make(slot)
        yield from (stream.wiped(slot), stream.confirm(stream.auth(slot)))
    yield from (stream.confirm(VAULT), stream.expired())


def signings() -> Iterator[Signing]:
    """Each phase; rules that wait or have a delay; one enclave, and three; a yes that was needed; the last attempt."""
    yield from (make() for make in IN.values())
    yield from (asked(NONE, NONE, rule) for rule in (SELF, DELAYED, TOO_LATE, SOON))
    yield asked(slots=2)
    yield given_up()
    yield three().steps((TOWER, "nonces"), (CASTLE, "nonces"), (VAULT, "both"))
    for made in (approved(), sixteenth()):
        yield made
        yield made.steps((TOWER, "nonces"))
        yield made.steps((VAULT, "both"))


def approved() -> Signing:
    """An attempt that is open because slot 1 said yes for itself."""
    stream = asked(NONE, SELF)
    stream.hear(stream.approve(1))
    return stream


def said_in_signing(stream: Signing) -> Iterator[Statement]:
    """What each member and each enclave could say, and the coordinator."""
    for slot in range(len(stream.keygen.state.seats)):
        yield from (stream.approve(slot), stream.reject(slot), stream.cancel(slot))
    for who in (VAULT, TOWER, CASTLE):
        for enclave_step in ("nonces", "both", "psigs", "signatures"):
            yield stream.contribute(who, enclave_step)
        for make in (stream.hears, stream.retry):
            yield make(who)
    yield from (stream.refuse(VAULT), stream.expired())
    if stream.state.attempt < MAX_ATTEMPTS:
        yield stream.opening()


def situations() -> Iterator[Situation]:
    """Of every machine."""
    for group in keygens():
        yield group.state, group.chain, said_in_keygen(group)
    for asking in signings():
        yield asking.state, asking.chain, said_in_signing(asking)
    scribe = Scribe(EPOCH)
    yield step(None, scribe.open()), scribe.chain, [scribe.note().statement]


@pytest.fixture(scope="module")
def taken() -> set[tuple[str, Lead]]:
    """Every lead that is taken in some situation, with the name of its machine."""
    return set(_taken())


def _taken() -> Iterator[tuple[str, Lead]]:
    for state, chain, statements in situations():
        for said in statements:
            for at in (chain.at, chain.at + GRACE, NOON + HOUR):
                try:
                    moved = step(state, chain.next(EPOCH, at, said))
                except WireError:
                    continue
                yield machine_of(state).name, (state.phase, said.payload.kind, moved.phase)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_lead_of_a_table_is_taken_and_no_other_one(taken: set[tuple[str, Lead]], machine: Machine[Any]) -> None:
    tags = {kind: tag for tag, kind in KINDS.items()}
    leads = {(phase, tags[kind], to) for (phase, kind), move in machine.table.items() for to in move.leads}
    assert {lead for name, lead in taken if name == machine.name} == leads


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_phase_is_led_to_and_one_that_leads_nowhere_is_an_end(machine: Machine[Any]) -> None:
    reached = {to for move in machine.table.values() for to in move.leads} | set(machine.begins)
    assert reached == set(phases_of(machine))
    ends = reached - {phase for phase, _ in machine.table}
    states = [state for state, _, _ in situations() if machine_of(state) is machine and state.phase in ends]
    assert {state.phase for state in states} == ends and not any(state.open for state in states)


def openings() -> Iterator[tuple[str, Any]]:
    """Where an opening has led."""
    yield "keygen", Keygen(2).state.phase
    yield from (("signing", asked(NONE, rule).state.phase) for rule in (NONE, SELF))
    yield "signing", Signing(completed(3, quorum(1, 2)), slots=(0, 1)).state.phase
    yield "wallet", step(None, Scribe(EPOCH).open()).phase


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_an_opening_leads_where_its_machine_says(machine: Machine[Any]) -> None:
    assert {phase for name, phase in openings() if name == machine.name} == set(machine.begins)

"""decide.py: one decision is a statement and whatever time and presence call for, before it and after it."""

from __future__ import annotations

import pytest

from keymeld_protocol.errors import Reason
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.values import Hash, XOnlyKey
from keymeld_protocol.wire.payloads import SigningApprove, SigningRetry
from keymeld_protocol.wire.shapes import Rule
from keymeld_server.decide import PAUSE_S, Decider, Decision
from keymeld_server.session import Session
from tests.support.build import HOUR, Cast, say, xonly
from tests.support.coordinator import NOON, key_of
from tests.support.logs import Scribe

VAULT = key_of("vault")
HERE = frozenset({xonly(VAULT)})
NONE, SELF = Rule(approval="none"), Rule(approval="self")


class Bench:
    """A keygen of two slots, both sealed to the vault, and the decider of its coordinator."""

    def __init__(self, second: Rule = NONE) -> None:
        """Completed; the key of slot 0 follows any request, that of slot 1 this rule."""
        self.decider = Decider(key_of("coordinator"), up_since=0)
        self.cast = Cast("treasury", self.decider.key, 2)
        create = self.cast.create(NOON)
        self.keygen = Session(create.id, Scribe.EPOCH)
        self.decider.decide(self.keygen, create, NOON, HERE)
        for slot, rule in enumerate((NONE, second)):
            join = self.cast.join(slot, self.keygen.chain.hash, xonly(VAULT), rule=rule)
            self.decider.decide(self.keygen, join, NOON, HERE)
            accept = self.cast.accept(slot, join, self.keygen.chain.hash, VAULT)
            self.decider.decide(self.keygen, accept, NOON, HERE)

    def request(self, now: int = NOON, here: frozenset[XOnlyKey] = HERE) -> tuple[Session, Decision]:
        """The member of slot 0 asks for a signature."""
        state = self.keygen.state
        assert isinstance(state, KeygenState) and state.roster is not None
        said = self.cast.request(self.keygen.chain.hash, state.roster, NOON)
        signing = Session(said.id, Scribe.EPOCH)
        return signing, self.decider.decide(signing, said, now, here, self.keygen)


def kinds(decision: Decision) -> list[str]:
    """What it adds."""
    return [] if decision.part is None else [record.statement.payload.kind for record in decision.part.records]


def signing_grace(signing: Session) -> int:
    """How long (ms) an attempt of it may wait."""
    assert isinstance(signing.state, SigningState)
    return signing.state.request.grace_ms


def test_after_a_pause_of_the_process_a_grace_runs_anew() -> None:
    """Nobody was late: nobody could be heard.  Without it, sixteen attempts were spent at once on waking."""
    bench, ticks = Bench(), [0.0]
    bench.decider._ticks = lambda: ticks[0]
    signing, _ = bench.request()
    late = NOON + 10 * signing_grace(signing)
    ticks[0] += 2 + PAUSE_S
    assert kinds(bench.decider.look(signing, late, HERE)) == []
    assert bench.decider.deadline(signing, late) == late + signing_grace(signing)
    ticks[0] += 1
    assert kinds(bench.decider.look(signing, late + signing_grace(signing), HERE)) == ["attempt.opened"]


def test_time_that_is_set_is_no_pause() -> None:
    bench, ticks = Bench(), [0.0]
    bench.decider._ticks = lambda: ticks[0]
    signing, _ = bench.request()
    ticks[0] += PAUSE_S
    assert kinds(bench.decider.look(signing, NOON + signing_grace(signing), HERE)) == ["attempt.opened"]


def test_a_request_is_one_record_of_its_own_stream_and_none_of_its_keygens() -> None:
    bench = Bench(SELF)
    top = bench.keygen.chain.offset
    _, decision = bench.request()
    assert kinds(decision) == ["signing.request"]
    assert (decision.offset, decision.problem, bench.keygen.chain.offset) == (1, None, top)


def test_what_is_due_is_said_with_the_statement_that_makes_it_due() -> None:
    bench = Bench(SELF)
    signing, _ = bench.request()
    yes = say(bench.cast.auth(1), SigningApprove, signing.stream, signing.chain.hash)
    bench.decider.decide(signing, yes, NOON, HERE)
    retry = say(VAULT, SigningRetry, signing.stream, signing.chain.hash, attempt=1)
    assert kinds(bench.decider.decide(signing, retry, NOON, HERE)) == ["signing.retry", "attempt.opened"]


def test_another_attempt_waits_for_its_enclave_and_says_for_which() -> None:
    bench = Bench()
    signing, _ = bench.request(here=frozenset())
    assert not bench.decider.waits_for(signing, NOON, frozenset()), "the first one is under way, whoever is away"
    late = NOON + signing_grace(signing)
    assert bench.decider.waits_for(signing, late, frozenset()) == HERE
    assert not bench.decider.is_due(signing, late, frozenset()) and bench.decider.is_due(signing, late, HERE)
    assert kinds(bench.decider.look(signing, late, HERE)) == ["attempt.opened"]
    assert kinds(bench.decider.look(signing, late, HERE)) == []


def test_a_refused_statement_leaves_what_time_called_for() -> None:
    bench = Bench(SELF)
    signing, _ = bench.request()
    late = say(bench.cast.auth(1), SigningApprove, signing.stream, signing.chain.hash)
    decision = bench.decider.decide(signing, late, NOON + HOUR, HERE)
    assert kinds(decision) == ["signing.expired"]
    assert decision.problem is not None and decision.problem.reason in (Reason.WRONG_STATE, Reason.EXPIRED)
    assert decision.offset == 0


def test_a_refused_request_adds_nothing_to_its_keygen() -> None:
    bench = Bench()
    top = bench.keygen.chain.offset
    said = bench.cast.request(bench.keygen.chain.hash, Hash(bytes(32)), NOON)
    decision = bench.decider.decide(Session(said.id, Scribe.EPOCH), said, NOON, HERE, bench.keygen)
    assert decision.problem is not None and decision.part is None
    assert bench.keygen.chain.offset == top


def test_a_clock_that_is_set_back_orders_nothing_anew() -> None:
    bench = Bench(SELF)
    signing, _ = bench.request(now=NOON + 5)
    yes = say(bench.cast.auth(1), SigningApprove, signing.stream, signing.chain.hash)
    part = bench.decider.decide(signing, yes, NOON, HERE).part
    assert part is not None and {record.at for record in part.records} == {NOON + 5}


def test_notices_are_signed_by_the_coordinator() -> None:
    bench = Bench()
    signing, _ = bench.request()
    part = bench.decider.look(signing, NOON + signing_grace(signing), HERE).part
    assert part is not None and part.records[0].statement.payload.by == bench.decider.key


@pytest.mark.parametrize("phase", ["keygen", "signing"])
def test_a_session_that_is_open_has_a_deadline(phase: str) -> None:
    bench = Bench(SELF)
    session = bench.request()[0] if phase == "signing" else Session(bench.cast.stream, Scribe.EPOCH)
    if phase == "keygen":
        bench.decider.decide(session, bench.cast.create(NOON), NOON, HERE)
    assert bench.decider.deadline(session, NOON) == NOON + HOUR

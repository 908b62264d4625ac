"""A watch that sees nothing is worth nothing: each enclave and hearer here is spoilt in one way, and must be caught."""

from collections.abc import Iterator
from typing import Any

import pytest

from keymeld_enclave.custody import Custody
from keymeld_protocol.curve.musig_secret import CollapsedSigner
from keymeld_protocol.machines import consent
from keymeld_protocol.machines.consent import Consent
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.contributing import Contributor
from keymeld_protocol.member.own_rules import OwnRules
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.policy import Policy
from keymeld_protocol.wire.records import Chain, Record
from keymeld_protocol.wire.shapes import Rule
from tests.support.world import HOUR, MINUTE, NONE, SECOND, SELF
from tests.world.machine import MOST, Sessions
from tests.world.test_hostile_coordinator import HostileCoordinator

Spoil = pytest.MonkeyPatch
PAIRS = (3, ((0, 1), (1, 2)))
NORTH, SOUTH = 3, 4


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    made = Sessions()
    yield made
    made.world.close()


@pytest.fixture
def hostile() -> Iterator[HostileCoordinator]:
    made = HostileCoordinator()
    yield made
    made.world.close()


def asked(
    sessions: Sessions, approval: Rule, subsets: list[int | None] | None = None, away: tuple[int, ...] = (NORTH, SOUTH)
) -> None:
    """Three people, a request of the first, and enclaves that are ``away``."""
    sessions.gather(shape=PAIRS, approval=approval, joined=3, asked=[], away=False)
    for vault in away:
        sessions.peers[vault].leave()
    sessions.request(0, 0, subsets or [None], HOUR)
    sessions.world.run()


def caught(sessions: Sessions, why: str) -> None:
    """The enclaves come back, and one is seen at its deed."""
    sessions.come_back(NORTH)
    sessions.come_back(SOUTH)
    with pytest.raises(AssertionError, match=why):
        sessions.deliver_all()


def test_an_enclave_that_is_not_spoilt_is_not_accused(sessions: Sessions) -> None:
    asked(sessions, SELF)
    sessions.agree(0, None)
    sessions.everybody_is_here()
    sessions.world.require_sound()
    sessions.world.require_honest()
    assert sessions.world.require_results() == 3


def test_a_yes_that_has_run_out_does_not_count(sessions: Sessions, monkeypatch: Spoil) -> None:
    def forever(self: Consent, slot: int, at: int) -> bool:
        return slot not in self.rejected and slot in self.approvals

    monkeypatch.setattr(Consent, "counts", forever)
    asked(sessions, SELF)
    sessions.agree(0, 2 * SECOND)
    sessions.time_passes(MINUTE)
    caught(sessions, "its participant has not approved")


def test_a_delay_that_is_not_over_is_seen(sessions: Sessions, monkeypatch: Spoil) -> None:
    monkeypatch.setattr(consent, "ripe_at", lambda rule, slot, consent: 0)
    asked(sessions, Rule(approval="none", delay_ms=MINUTE))
    caught(sessions, "its delay is not over")


def test_a_yes_that_was_taken_back_does_not_count(sessions: Sessions, monkeypatch: Spoil) -> None:
    def whatever_followed(self: Consent, slot: int, at: int) -> bool:
        return self.approvals.get(slot, -1) > at

    monkeypatch.setattr(Consent, "counts", whatever_followed)
    asked(sessions, MOST)
    sessions.approve(1, 0, None)
    sessions.reject(1, 0)
    caught(sessions, "the quorum is not reached")


def test_whoever_is_not_in_the_key_list_does_not_count(sessions: Sessions, monkeypatch: Spoil) -> None:
    evaluate = consent.evaluate

    def of_everybody(rule: Rule, slot: int, key_list: frozenset[int], said: Consent, at: int) -> Any:
        return evaluate(rule, slot, frozenset(range(3)), said, at)

    monkeypatch.setattr(consent, "evaluate", of_everybody)
    asked(sessions, NONE, [0, 1])
    caught(sessions, "the requester's key does not sign this item")


def test_a_request_that_has_run_out_is_not_signed(sessions: Sessions, monkeypatch: Spoil) -> None:
    monkeypatch.setattr(OwnRules, "met", lambda self, *_: True)
    asked(sessions, NONE)
    sessions.vaults[0].skew = sessions.vaults[1].skew = HOUR
    caught(sessions, "the request has expired")


def test_a_key_that_is_used_although_its_owner_left_is_seen(sessions: Sessions, monkeypatch: Spoil) -> None:
    monkeypatch.setattr(Contributor, "_require_present", lambda self: None)
    monkeypatch.setattr(Custody, "leave", lambda self, slot: None)
    asked(sessions, SELF)
    sessions.deliver_all()
    monkeypatch.setattr(Custody, "take", lambda self, slot: self._held[slot])
    sessions.leave(1, 0, 1)
    sessions.deliver_all()
    sessions.agree(0, None)
    caught(sessions, "slot 1 has left")


def test_an_envelope_whose_rule_is_not_the_public_one_is_not_taken(sessions: Sessions, monkeypatch: Spoil) -> None:
    monkeypatch.setattr(Custody, "_policy", lambda self, raw, seat: contents.parse(Policy, raw))
    sessions.gather(shape=PAIRS, approval=SELF, joined=0, asked=[], away=False)
    sessions.join(1, 0, 1, 0, SELF, "rule")
    caught(sessions, "takes an envelope that does not hold")


def test_a_nonce_that_comes_twice_is_seen(sessions: Sessions, monkeypatch: Spoil) -> None:
    draw = CollapsedSigner.nonce_gen

    def careless(self: CollapsedSigner, keyagg: Any, message: bytes, extra: bytes) -> Any:
        return draw(self, keyagg, bytes(32), bytes(32), bytearray(b"\x01" * 32))

    monkeypatch.setattr(CollapsedSigner, "nonce_gen", careless)
    asked(sessions, NONE, [None, None])
    caught(sessions, "a nonce appears twice")


def test_a_hearer_that_takes_any_hash_is_seen(hostile: HostileCoordinator, monkeypatch: Spoil) -> None:
    def anything(self: Chain, record: Record) -> None:
        return None

    monkeypatch.setattr(Chain, "check", anything)
    asked(hostile, SELF, away=(NORTH,))
    hostile.agree(0, None)
    hostile.meddle(SOUTH, "hash", 0)
    hostile.world.run()
    with pytest.raises(AssertionError, match="does not follow"):
        hostile.world.require_sound()


def test_a_hearer_that_takes_the_word_of_another_history_is_seen(
    hostile: HostileCoordinator, monkeypatch: Spoil
) -> None:
    monkeypatch.setattr(Replay, "_check_after", lambda self, record: None)
    asked(hostile, SELF)
    hostile.split(0, 1)
    hostile.graft(0)
    hostile.world.run()
    with pytest.raises(AssertionError, match="of another history"):
        hostile.world.require_sound()


def test_a_record_that_is_lost_is_seen(sessions: Sessions) -> None:
    asked(sessions, SELF)
    sessions.world.require_sound()
    replay = sessions.people[0].heard(sessions.keygens[0].keygen)
    replay.chain.hashes.pop()
    with pytest.raises(AssertionError, match="has lost a record"):
        sessions.world.require_sound()


def test_a_fork_is_seen_where_heads_meet(hostile: HostileCoordinator) -> None:
    asked(hostile, SELF)
    hostile.split(0, 1)
    hostile.approve(2, 0, None)
    hostile.world.run()
    hostile.world.require_forks_show()
    hostile.heads_meet(0, 1, 0)
    assert hostile.people[0].heard(hostile.signings[0]).broken is not None

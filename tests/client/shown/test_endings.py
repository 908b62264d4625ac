"""endings.py: how a signing ended, in words; what the log proves takes the place of what somebody says."""

from __future__ import annotations

import pytest

from keymeld_client.errors import SigningEnded
from keymeld_client.shown.blame import Fault, Judgement, Refusal
from keymeld_client.shown.endings import _DID, ended, tell_judgement
from keymeld_protocol.values import Id
from tests.support.party import Party
from tests.support.world import HOUR, SELF

NOTHING = Judgement()


def name(slot: int) -> str:
    """Names of three people."""
    return f"slot {slot} " + ('"Alice"', '"Bob"', '"Carol"')[slot]


def told(*faults: Fault, refusal: Refusal | None = None, unread: int | None = None) -> list[str]:
    return list(tell_judgement(Judgement(faults, refusal, unread), name))


def test_nothing_amiss_needs_no_words() -> None:
    assert told() == []


@pytest.mark.parametrize("code", sorted(_DID))
def test_every_fault_is_told_with_who_did_it_and_what(code: str) -> None:
    (line,) = told(Fault(code, (1,), 1))
    who = 'slot 1 "Bob"' if code == "bad_request" else 'the enclave of slot 1 "Bob"'
    assert line == f"{who} {_DID[code]}"


def test_a_fault_of_a_later_version_is_told_by_its_code() -> None:
    assert told(Fault("bad_weather", (0,), 1)) == ['the enclave of slot 0 "Alice" bad_weather']


def test_a_fault_says_where_in_printable_words() -> None:
    assert told(Fault("bad_psig", (0,), 1, "item 3")) == [
        'the enclave of slot 0 "Alice" sent a bad partial signature (item 3)'
    ]
    (line,) = told(Fault("bad_psig", (0,), 1, "\x1b[2J"))
    assert "\x1b" not in line


def test_the_slots_of_one_enclave_are_told_together() -> None:
    (line,) = told(Fault("bad_nonce", (0, 1, 2), 1))
    assert line == 'the enclave of slot 0 "Alice", slot 1 "Bob" and slot 2 "Carol" sent a bad nonce'


def test_a_fault_of_an_earlier_attempt_says_in_which() -> None:
    lines = told(Fault("missing_psig", (0,), 1), Fault("bad_psig", (1,), 2))
    assert lines[0].endswith("sent no partial signature, in attempt 1")
    assert lines[1].endswith("sent a bad partial signature")


def test_who_refused_because_somebody_else_is_at_fault_had_cause() -> None:
    refusal = Refusal("bad_psig", (0,), 1)
    assert told(Fault("bad_psig", (1,), 1), refusal=refusal)[1:] == [
        'the enclave of slot 0 "Alice" refused because of it'
    ]


def test_who_refused_without_cause_is_at_fault_himself() -> None:
    refusal = Refusal("bad_psig", (0,), 1)
    assert told(Fault("without_cause", (0,), 1), refusal=refusal) == [
        'the enclave of slot 0 "Alice" refused with bad_psig, but everything that was sent verifies: it is at fault '
        "itself"
    ]


def test_where_sealed_values_are_missing_nobody_can_tell() -> None:
    (line,) = told(refusal=Refusal("bad_psig", (0,), 1), unread=4)
    assert line == (
        'the enclave of slot 0 "Alice" refused; nobody can tell here why: the sealed values of offset 4 are missing'
    )


def test_a_refusal_that_accuses_nobody_is_not_judged() -> None:
    assert told(refusal=Refusal("rule_not_met", (0,), 1), unread=4) == []


# Of whole signings ----------------------------------------------------------------------------------------------


def ending(party: Party, signing: Id, judged: Judgement = NOTHING) -> SigningEnded:
    """How Alice is told that it ended."""
    return ended(party.alice.heard(signing), judged, party.alice.groups[party.group], name)


def waiting() -> tuple[Party, Id]:
    """A request that waits for Bob."""
    party = Party("vault")
    party.gather(SELF, SELF, SELF)
    signing = party.alice.request(party.group, b"m" * 32)
    party.world.run()
    return party, signing


def test_a_no_names_who_said_it_and_nobody_is_at_fault() -> None:
    party, signing = waiting()
    party.bob.reject(signing)
    party.world.run()
    error = ending(party, signing, Judgement((Fault("bad_psig", (2,), 1),)))
    assert (error.phase, error.code, error.slots, error.at_fault) == ("rejected", "rejected", (1,), ())
    assert not error.may_be_signed


def test_what_was_taken_back_is_nobodys_fault_either() -> None:
    party, signing = waiting()
    party.alice.cancel(signing)
    party.world.run()
    error = ending(party, signing, Judgement((Fault("bad_psig", (2,), 1),)))
    assert (error.phase, error.slots, error.at_fault) == ("cancelled", (), ())


def test_an_expired_request_says_so() -> None:
    party, signing = waiting()
    party.world.wait(HOUR)
    assert ending(party, signing).phase == "expired"


def test_a_refusal_is_told_with_its_code_its_slots_and_its_sealed_words() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0), allow=[{}, {"no_blind": True}, {}])
    signing = party.alice.request(party.group, b"m" * 32)
    party.world.run()
    error = ending(party, signing)
    assert (error.phase, error.code, error.slots) == ("failed", "blind_not_allowed", (1,))
    assert error.detail and error.detail in str(error)

"""Who must say yes before a key is used, and who counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.machines.consent import Consent, Verdict, evaluate, missing, ripe_at
from keymeld_protocol.wire.shapes import Rule

NONE, SELF = Rule(approval="none"), Rule(approval="self")
ALL = frozenset({0, 1, 2})
NOW, LATER = 100, 1_000
MET, WAITING, HOPELESS = Verdict.MET, Verdict.WAITING, Verdict.HOPELESS


def quorum(threshold: int, *of: int) -> Rule:
    return Rule(approval="quorum", threshold=threshold, of=of)


def said(*yes: int, no: tuple[int, ...] = (), requester: int = 0, until: int = LATER) -> Consent:
    """The requester asks; ``yes`` and ``no`` are the slots that answered."""
    return Consent(requester, dict.fromkeys((requester, *yes), until), frozenset(no))


def judged(rule: Rule, consent: Consent, slot: int = 1, key_list: frozenset[int] = ALL, at: int = NOW) -> Verdict:
    return evaluate(rule, slot, key_list, consent, at)


def test_rule_none_needs_a_members_request() -> None:
    assert judged(NONE, said()) is MET


def test_rule_self_needs_its_own_participant() -> None:
    assert judged(SELF, said()) is WAITING
    assert judged(SELF, said(2)) is WAITING
    assert judged(SELF, said(1)) is MET


def test_a_request_is_its_requesters_approval() -> None:
    assert judged(SELF, said(), slot=0) is MET
    assert judged(quorum(2, 0, 1), said(1)) is MET


def test_a_quorum_counts_to_its_threshold() -> None:
    rule = quorum(2, 0, 1, 2)
    assert judged(rule, said()) is WAITING
    assert judged(rule, said(2)) is MET


def test_attack_38_a_requester_outside_the_key_list_has_no_power() -> None:
    for rule in (NONE, SELF, quorum(1, 0, 1, 2)):
        assert judged(rule, said(1, 2), key_list=frozenset({1, 2})) is HOPELESS


def test_attack_38_a_voter_outside_the_key_list_does_not_count() -> None:
    rule, pair = quorum(2, 0, 1, 2), frozenset({0, 1})
    assert judged(rule, said(2), key_list=pair) is WAITING
    assert judged(rule, said(1, 2), key_list=pair) is MET
    assert judged(quorum(1, 2), said(2), key_list=pair) is HOPELESS


def test_one_slot_counts_once() -> None:
    assert judged(quorum(2, 0, 1), said(0, 0)) is WAITING


def test_a_reject_withdraws_ones_own_yes() -> None:
    assert judged(SELF, said(1, no=(1,))) is HOPELESS
    assert judged(quorum(2, 0, 1, 2), said(1, no=(1,))) is WAITING
    assert judged(quorum(2, 0, 1, 2), said(2, no=(1,))) is MET
    assert judged(quorum(2, 1, 2), said(1, no=(2,))) is HOPELESS


def test_nobody_has_a_veto_unless_a_rule_gives_it() -> None:
    assert judged(NONE, said(no=(1, 2))) is MET


def test_a_requester_who_rejects_takes_the_request_back() -> None:
    for rule in (NONE, SELF, quorum(1, 1)):
        assert judged(rule, said(1, no=(0,))) is HOPELESS


def test_a_yes_ends_when_it_says() -> None:
    assert judged(SELF, said(1, until=NOW + 1)) is MET
    assert judged(SELF, said(1, until=NOW)) is WAITING


def test_a_rule_may_begin_and_end() -> None:
    rule = Rule(approval="none", not_before=NOW, not_after=LATER)
    assert judged(rule, said(), at=NOW - 1) is WAITING
    assert judged(rule, said(until=LATER + 9), at=NOW) is MET
    assert judged(rule, said(until=LATER + 9), at=LATER) is MET
    assert judged(rule, said(until=LATER + 9), at=LATER + 1) is HOPELESS


def test_a_time_does_not_replace_a_yes() -> None:
    assert judged(Rule(approval="self", not_before=NOW), said(), at=NOW) is WAITING


def test_a_delay_waits_until_it_has_begun_and_is_over() -> None:
    rule = Rule(approval="none", delay_ms=60)
    assert judged(rule, said(), at=LATER - 1) is WAITING, "nobody has said when it began"
    begun = replace(said(), heard={1: NOW})
    assert judged(rule, begun, at=NOW + 59) is WAITING
    assert judged(rule, begun, at=NOW + 60) is MET
    assert judged(rule, replace(begun, heard={2: NOW}), at=LATER - 1) is WAITING, "another slot's"


def test_a_delay_does_not_replace_a_yes_nor_a_window() -> None:
    begun = replace(said(), heard={1: NOW})
    assert judged(Rule(approval="self", delay_ms=60), begun, at=LATER - 1) is WAITING
    assert judged(Rule(approval="none", delay_ms=60, not_before=NOW + 70), begun, at=NOW + 69) is WAITING
    assert ripe_at(Rule(approval="none", delay_ms=60, not_before=NOW + 50), 1, begun) == NOW + 60


def test_a_delay_that_ends_after_the_window_has_closed_is_hopeless_as_soon_as_it_begins() -> None:
    rule = Rule(approval="none", delay_ms=60, not_after=NOW + 59)
    assert judged(rule, said()) is WAITING
    assert judged(rule, replace(said(), heard={1: NOW})) is HOPELESS


def test_during_a_delay_the_slots_own_no_counts_also_behind_rule_none() -> None:
    rule = Rule(approval="none", delay_ms=60)
    assert judged(rule, said(no=(1,))) is HOPELESS
    assert judged(rule, said(no=(2,))) is WAITING
    vote = Rule(approval="quorum", threshold=1, of=(0, 2), delay_ms=60)
    assert judged(vote, said(2, no=(1,))) is WAITING, "a quorum has said whose no counts"


def test_a_delay_is_no_holdouts_fault() -> None:
    assert missing(Rule(approval="none", delay_ms=60), 1, ALL, said(), NOW) == frozenset()


def test_the_missing_are_those_whose_yes_would_help() -> None:
    assert missing(SELF, 1, ALL, said(), NOW) == {1}
    assert missing(SELF, 1, ALL, said(1), NOW) == frozenset()
    assert missing(quorum(2, 0, 1, 2), 1, ALL, said(), NOW) == {1, 2}
    assert missing(quorum(2, 0, 1, 2), 1, ALL, said(no=(2,)), NOW) == {1}
    assert missing(quorum(2, 0, 1, 2), 1, ALL, said(2), NOW) == frozenset()
    assert missing(quorum(2, 0, 1, 2), 1, frozenset({0, 1}), said(), NOW) == {1}
    assert missing(NONE, 1, ALL, said(), NOW) == frozenset()


SLOTS = st.sets(st.integers(0, 4))


@given(st.integers(1, 5), SLOTS.filter(bool), SLOTS, SLOTS, SLOTS)
def test_a_quorum_is_met_exactly_when_enough_of_its_voters_in_the_key_list_agree(
    threshold: int, of: set[int], key_list: set[int], yes: set[int], no: set[int]
) -> None:
    rule, consent = quorum(threshold, *sorted(of)), said(*yes, no=tuple(no))
    agreeing = (({0} | yes) - no) & of & key_list
    met = 0 in key_list and 0 not in no and len(agreeing) >= threshold
    assert (judged(rule, consent, key_list=frozenset(key_list)) is MET) == met


@pytest.mark.parametrize("rule", [NONE, SELF, quorum(2, 0, 1, 2), Rule(approval="self", not_before=NOW)])
@given(yes=SLOTS, no=SLOTS, more=SLOTS, at=st.integers(0, LATER))
def test_what_is_hopeless_stays_hopeless_whatever_else_is_said(
    rule: Rule, yes: set[int], no: set[int], more: set[int], at: int
) -> None:
    if judged(rule, said(*yes, no=tuple(no)), at=at) is HOPELESS:
        assert judged(rule, said(*yes, *more, no=tuple(no)), at=at) is HOPELESS
        assert judged(rule, said(*yes, no=tuple(no | more)), at=at) is HOPELESS

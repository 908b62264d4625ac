"""policies.py: what our policies say of a request, all of them together."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from keymeld_protocol.errors import Blamed
from keymeld_protocol.member import content_policy
from keymeld_protocol.member.content_policy import Payment, Payments
from keymeld_protocol.member.own_scripts import Own, OwnScripts
from keymeld_protocol.member.plan import Plan, plan
from keymeld_protocol.member.policies import judged
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Asked, Bip86, Body, SignInput
from keymeld_protocol.plaintext.contributions import Failed
from keymeld_protocol.plaintext.policy import Policy
from keymeld_protocol.values import Salt
from tests.support.payments import SHOP, blind, payment, spend
from tests.support.world import NONE, World

FREE: dict[str, Any] = {}
LIMIT: dict[str, Any] = {"max_amount": 5_000}
PAIR = 0


@cache
def group() -> Roster:
    world = World()
    members = [world.member(name) for name in ("alice", "bob", "carol")]
    return members[0].roster(world.gather(members, at=world.enclave("vault"), subsets=((0, 1),)))


def policies(*fields: dict[str, Any]) -> dict[int, Policy]:
    """One for each slot."""
    return {slot: Policy(v=1, salt=Salt(bytes([slot]) * 32), rule=NONE, **each) for slot, each in enumerate(fields)}


def asked(*items: Asked, worth: int = 1_000) -> Plan:
    """A plan of these items, beside a payment of the pair's that is signed."""
    coins = payment([(worth, group().script(PAIR))], [(0, SHOP)])
    return plan(spend(coins, items=[SignInput(transaction=0, input=0, subset=PAIR), *items]), group())


def refused(made: Plan, *fields: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    with pytest.raises(Blamed) as caught:
        judged(made, 0, policies(*fields), group())
    return caught.value.code, caught.value.slots


def test_what_no_policy_forbids_is_left_as_it_is() -> None:
    made = asked(blind())
    found = judged(made, 0, policies(FREE, FREE, FREE), group())
    assert (found.items, found.forbidden) == (made.items, {})


def test_an_item_that_any_policy_in_its_key_list_forbids_fails_alone() -> None:
    found = judged(asked(blind(), blind("again", PAIR)), 0, policies(FREE, FREE, {"no_blind": True}), group())
    assert found.forbidden == {1: Failed("blind_not_allowed")}, "the pair does not ask slot 2"


def test_a_rule_about_the_request_refuses_it_and_names_its_slot() -> None:
    assert refused(asked(worth=9_000), FREE, LIMIT, FREE) == ("amount_not_allowed", (1,))


def test_a_policy_of_a_slot_that_is_not_needed_is_not_asked() -> None:
    assert not judged(asked(worth=9_000), 0, policies(FREE, FREE, LIMIT), group()).forbidden


def test_only_the_policies_of_our_own_slots_are_asked() -> None:
    ours = {slot: policy for slot, policy in policies(FREE, LIMIT, FREE).items() if slot != 1}
    assert not judged(asked(worth=9_000), 0, ours, group()).forbidden


def test_if_nothing_else_is_left_the_request_is_refused_in_words() -> None:
    made = plan(spend(items=[blind(), blind("again")]), group())
    with pytest.raises(Blamed, match="items\\[0\\]: the owner of this key allows no blind messages") as caught:
        judged(made, 0, policies(FREE, FREE, LIMIT), group())
    assert (caught.value.code, caught.value.slots) == ("blind_not_allowed", (2,))


def test_what_nobody_can_sign_is_nothing_that_is_left() -> None:
    coin = payment([(1_000, SHOP)], [(0, SHOP)])
    made = plan(spend(coin, items=[SignInput(transaction=0, input=0, tweaks=(Bip86(),)), blind()]), group())
    assert refused(made, FREE, FREE, {"no_blind": True}) == ("blind_not_allowed", (2,))


def test_slots_of_a_kind_are_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[int]()

    def judge(policy: Policy, slot: int, *rest: Any) -> None:
        calls.append(slot)

    monkeypatch.setattr(content_policy, "judge", judge)
    judged(asked(blind()), 0, policies(FREE, FREE, {"max_fee": 10**6}), group())
    assert calls == [0, 2], "slots 0 and 1 sit in the same key lists under the same policy"


def test_attack_21_a_policy_for_each_slot_does_not_multiply_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """21: unbounded work: everybody of a large group limits himself otherwise, and one request is judged by each."""
    seen, looked, pay, find = list[int](), list[bytes](), Payments._payment, OwnScripts.find

    def counted(payments: Payments, index: int, *rest: int) -> Payment:
        seen.append(index)
        return pay(payments, index, *rest)

    def noted(own: OwnScripts, script: bytes, *rest: int) -> Own | None:
        looked.append(script)
        return find(own, script, *rest)

    monkeypatch.setattr(Payments, "_payment", counted)
    several = [payment([(1_000, group().script())], [(0, SHOP)]) for _ in range(5)]
    limits = [{"max_fee": 10**6 + slot} for slot in range(3)]
    judged(plan(spend(*several), group()), 0, policies(*limits), group())
    assert sorted(seen) == [0, 1, 2, 3, 4], "all three see the same of each"
    monkeypatch.setattr(OwnScripts, "find", noted)
    judged(plan(spend(*several), group()), 0, policies(*limits), group())
    thrice = len(looked)
    looked.clear()
    judged(plan(spend(*several), group()), 0, policies(limits[0]), group())
    assert thrice == len(looked)


def computed(monkeypatch: pytest.MonkeyPatch, body: Body) -> list[int]:
    """Whose scripts are computed where this is judged twice, for a roster of which nothing is known yet."""
    fresh, steps, compute = replace(group()), list[int](), OwnScripts._compute

    def counted(own: OwnScripts, number: int, childless: bool) -> None:
        steps.append(number)
        compute(own, number, childless)

    monkeypatch.setattr(OwnScripts, "_compute", counted)
    for _ in range(2):
        judged(plan(body, fresh), 0, policies(*[{"max_amount": 10**6 + slot} for slot in range(3)]), fresh)
    return sorted(steps)


def test_attack_62_only_the_key_lists_that_can_matter_are_computed_and_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """62: many subsets, and outputs to strangers; what everybody pays comes back to a list of everybody alone."""
    strangers = [(100, b"\x51\x20" + bytes([n]) * 32) for n in range(9)]
    many = [payment([(1_000, group().script())], strangers) for _ in range(3)]
    assert computed(monkeypatch, spend(*many)) == [0, 0], "the group's address, and its children"


def test_attack_62_a_coin_that_no_item_signs_may_be_any_lists_and_costs_all_of_them_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """62: whether a coin is one of ours that this request does not sign is asked of every list, once in a keygen."""
    script = group().script()
    coins = payment([(1_000, script), (1_000, SHOP)], [(100, script)])
    signed = [SignInput(transaction=0, input=0)]
    assert computed(monkeypatch, spend(coins, items=signed)) == [0, 0, 1, 1]

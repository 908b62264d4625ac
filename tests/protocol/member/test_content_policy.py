"""What a sealed policy says about a whole request: who asks, what goes to whom, what it costs (attack 33)."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from msgspec import structs

from keymeld_protocol.bitcoin.transaction import key_hash_script, taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.errors import Blamed
from keymeld_protocol.member import content_policy
from keymeld_protocol.member.own_scripts import GAP
from keymeld_protocol.member.plan import plan
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Adaptor, Bip86, Body, SignInput
from keymeld_protocol.plaintext.contents import Leaf, Script, Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript, Policy
from keymeld_protocol.values import PlainKey, Salt
from tests.support.payments import MALLORY, SHOP, blind, every_input, payment, spend
from tests.support.world import NONE, SELF, World

PAIR, ALONE, OTHERS = 0, 1, 2
SUBSETS = ((0, 1), (0,), (1, 2))
TREE = Terms(v=1, label="", network="regtest", tweak="tree", tree=(Leaf(depth=0, version=0xC0, script=Script(b"Q")),))


@cache
def group(terms: Terms | None = None) -> Roster:
    world = World()
    members = [world.member(name) for name in ("alice", "bob", "carol")]
    keygen = world.gather(members, at=world.enclave("vault"), subsets=SUBSETS, terms=terms)
    return members[0].roster(keygen)


def ours(subset: int | None = None, *path: int) -> bytes:
    """A script of the group's, of a subset's, or of a child's."""
    roster = group()
    return roster.script(subset) if not path else taproot_script(roster.child(path, subset).output)


def shop(most: int | None = None, script: bytes = SHOP) -> AllowedOutput:
    return AllowedOutput(script=AllowedScript(script), most=most)


def judged(body: Body, *, slot: int = 0, requester: int = 0, roster: Roster | None = None, **fields: Any) -> str | None:
    """The code with which the policy of ``slot`` refuses the request; None: it does not."""
    roster = roster or group()
    policy = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, **fields)
    try:
        content_policy.judge(policy, slot, requester, content_policy.Payments(plan(body, roster), roster))
    except Blamed as refusal:
        assert refusal.slots == (slot,) and len(refusal.message) <= 512
        return refusal.code
    return None


def why(body: Body, **fields: Any) -> str:
    """The words with which slot 0 refuses."""
    with pytest.raises(Blamed) as caught:
        policy = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, **fields)
        content_policy.judge(policy, 0, 0, content_policy.Payments(plan(body, group()), group()))
    return caught.value.message


def honest(amount: int = 60_000, fee: int = 1_000) -> Body:
    """100,000 sat of the group's pay the shop; the rest comes back."""
    return spend(payment([(100_000, ours())], [(amount, SHOP), (100_000 - amount - fee, ours(None, 1, 0))]))


# Who asks ---------------------------------------------------------------------------------------------------------


def test_only_the_requesters_that_are_named_may_ask() -> None:
    assert judged(honest(), requesters=(0, 2)) is None
    assert judged(honest(), requester=1, requesters=(0, 2)) == "requester_not_allowed"
    assert judged(spend(items=[blind()]), requester=1, requesters=(0,)) == "requester_not_allowed"


def test_whoever_names_none_serves_every_member() -> None:
    assert [judged(honest(), requester=slot) for slot in range(3)] == [None] * 3


# How much ---------------------------------------------------------------------------------------------------------


def test_what_leaves_the_group_is_limited_fee_included() -> None:
    assert judged(honest(60_000, 1_000), max_amount=61_000) is None
    assert judged(honest(60_000, 1_000), max_amount=60_999) == "amount_not_allowed"


def test_the_fee_is_limited() -> None:
    assert judged(honest(fee=1_000), max_fee=1_000) is None
    assert judged(honest(fee=1_001), max_fee=1_000) == "fee_not_allowed"


def test_a_refusal_names_what_was_asked_and_what_is_allowed() -> None:
    assert why(honest(60_000, 1_000), max_amount=50_000) == (
        "this request spends 0.00061000 BTC (61,000 sat); allowed are 0.00050000 BTC (50,000 sat)"
    )
    assert "pays 0.00060000 BTC (60,000 sat) to bcrt1p" in why(honest(), outputs=(shop(script=MALLORY),))
    assert "allowed are 0.00000500 BTC (500 sat)" in why(honest(), max_fee=500)


def test_attack_33_a_thousand_transactions_under_the_limit_are_over_it_together() -> None:
    """33: 1,000 transactions under the limit."""
    many = [payment([(10_000, ours())], [(9_000, SHOP)]) for _ in range(1_000)]
    assert judged(spend(many[0]), max_amount=10_000) is None
    assert judged(spend(*many), max_amount=9_999_999) == "amount_not_allowed"
    assert judged(spend(*many), max_amount=10_000_000) is None
    assert judged(spend(*many), max_fee=999_999) == "fee_not_allowed"


def test_attack_33_conflicting_transactions_count_each() -> None:
    """33: 1,000 transactions under the limit; here all spend one coin."""
    one = payment([(100_000, ours())], [(50_000, SHOP), (49_000, ours())])
    assert judged(spend(one, one), max_amount=51_000) == "amount_not_allowed"


def test_attack_33_change_that_comes_back_twice_counts_once() -> None:
    """33: change counted twice: what one transaction gains makes up for nothing that another spends."""
    pays = payment([(100_000, ours())], [(99_000, SHOP)])
    gains = payment([(1_000, ours()), (500_000, MALLORY)], [(500_000, ours())])
    items = (SignInput(transaction=0, input=0), SignInput(transaction=1, input=0))
    assert judged(spend(pays, gains, items=items), max_amount=99_999) == "amount_not_allowed"
    assert judged(spend(pays, gains, items=items), max_amount=100_000) is None


def test_what_strangers_bring_into_one_transaction_makes_up_for_what_is_spent() -> None:
    together = payment([(100_000, ours()), (50_000, MALLORY)], [(100_000, ours()), (49_000, SHOP)])
    assert judged(spend(together, items=[SignInput(transaction=0, input=0)]), max_amount=0) is None


# To whom ----------------------------------------------------------------------------------------------------------


def test_only_outputs_on_the_list_are_paid() -> None:
    assert judged(honest(), outputs=(shop(),)) is None
    assert judged(honest(), outputs=(shop(script=MALLORY),)) == "output_not_allowed"


def test_an_output_worth_nothing_is_on_the_list_or_refused() -> None:
    told = payment([(100_000, ours())], [(99_000, ours()), (0, b"\x6a\x02hi")])
    assert judged(spend(told), outputs=(shop(),)) == "output_not_allowed"
    assert judged(spend(told), outputs=(shop(script=b"\x6a\x02hi"),)) is None


def test_an_output_on_the_list_gets_no_more_than_it_may_in_the_whole_request() -> None:
    assert judged(honest(60_000), outputs=(shop(60_000),)) is None
    assert judged(honest(60_001), outputs=(shop(60_000),)) == "output_not_allowed"
    twice = [payment([(50_000, ours())], [(30_000, SHOP), (1_000, SHOP), (18_000, ours())]) for _ in range(2)]
    assert judged(spend(*twice), outputs=(shop(61_999),)) == "output_not_allowed"
    assert judged(spend(*twice), outputs=(shop(62_000),)) is None


def test_what_comes_back_needs_no_place_on_the_list() -> None:
    for script in (ours(), ours(None, 0, 0), ours(None, 1, GAP - 1)):
        assert judged(spend(payment([(5_000, ours())], [(4_000, script)])), outputs=(shop(),), max_amount=1_000) is None


@pytest.mark.parametrize("script", [(None, 0, GAP), (None, 1, GAP), (None, 2, 0), (PAIR,), (PAIR, 1, 0), (OTHERS,)])
def test_attack_33_change_beyond_the_gap_or_to_fewer_people_is_paid_out(script: tuple[Any, ...]) -> None:
    """33: change to where the owner does not look, or where not everybody who pays holds it."""
    back = spend(payment([(100_000, ours())], [(99_000, ours(*script))]))
    assert judged(back, outputs=(shop(),)) == judged(back, outputs=(shop(),), slot=1) == "output_not_allowed"
    assert judged(back, max_amount=99_999) == "amount_not_allowed"


def test_attack_33_change_to_the_own_internal_key_with_a_foreign_tree_is_paid_out() -> None:
    """33: change to the own internal key with a foreign tree."""
    roster = group(TREE)
    for steps in ((), (Bip86(),)):
        back = taproot_script(roster.keyagg(None, steps).output)
        body = spend(payment([(100_000, roster.script())], [(99_000, back)]))
        assert judged(body, roster=roster, max_amount=1_000) == "amount_not_allowed"
        assert judged(body, roster=roster, outputs=(shop(),)) == "output_not_allowed"
    home = spend(payment([(100_000, roster.script())], [(99_000, roster.script())]))
    assert judged(home, roster=roster, max_amount=1_000, outputs=(shop(),)) is None


def test_change_to_p2wpkh_of_the_own_key_is_paid_out_because_no_policy_would_spend_it() -> None:
    hashed = key_hash_script(group().cards[0].pubkey)
    alone = spend(payment([(100_000, ours(ALONE))], [(99_000, hashed)]), subset=ALONE)
    assert judged(alone, alone=True, max_amount=99_999) == "amount_not_allowed"
    assert "back to this group" in "".join(group().summary(plan(alone, group()).spends[0], {}).lines()), "people see it"


def test_a_pre_signature_counts_as_the_signature_that_it_becomes() -> None:
    locked = Adaptor(mode="single", points=(PlainKey(group().cards[1].pubkey),))
    over = honest(60_000, 1_000)
    item = structs.replace(over.items[0], adaptor=locked)
    assert judged(structs.replace(over, items=(item,)), max_amount=60_999) == "amount_not_allowed"
    assert judged(structs.replace(over, items=(item,)), max_amount=61_000) is None


def test_what_a_subset_pays_to_the_group_comes_back_to_more_people() -> None:
    up = spend(payment([(100_000, ours(PAIR))], [(99_000, ours())]), subset=PAIR)
    assert judged(up, max_amount=1_000) is None


def test_change_to_a_key_list_that_this_key_never_signs_for_is_lost() -> None:
    up = spend(payment([(100_000, ours(ALONE))], [(99_000, ours(PAIR))]), subset=ALONE)
    for fields, code in (({}, None), ({"subsets": (PAIR, ALONE)}, None), ({"subsets": (ALONE,)}, "amount_not_allowed")):
        assert judged(up, alone=True, max_amount=1_000, **fields) == code
    assert judged(up, alone=True, subsets=(ALONE,), outputs=(shop(),)) == "output_not_allowed"
    home = spend(payment([(100_000, ours(ALONE))], [(99_000, ours())]), subset=ALONE)
    assert judged(home, alone=True, subsets=(ALONE,), max_amount=1_000) is None, "the whole group's is always served"


def test_two_key_lists_that_pay_get_change_only_where_both_are() -> None:
    pair = [SignInput(transaction=0, input=0, subset=PAIR), SignInput(transaction=0, input=1)]
    for script, spent in ((ours(PAIR), 100_000), (ours(), 1_000)):
        both = spend(payment([(50_000, ours(PAIR)), (50_000, ours())], [(99_000, script)]), items=pair)
        assert judged(both, max_amount=spent) is None
        assert judged(both, max_amount=spent - 1) == "amount_not_allowed"


def test_a_key_list_without_this_slot_is_somebody_else() -> None:
    mixed = payment([(50_000, ours(PAIR)), (50_000, ours(OTHERS))], [(49_000, ours(PAIR)), (50_000, ours(OTHERS))])
    items = [SignInput(transaction=0, input=0, subset=PAIR)]
    body = spend(mixed, items=items)
    assert judged(body, slot=0, max_amount=1_000) is None
    assert judged(body, slot=1, max_amount=1_000) == "own_input_missing", "slot 1 is in both"
    assert judged(body, slot=0, outputs=(shop(),)) == "output_not_allowed"


# Whole transactions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [{"max_amount": 10**9}, {"max_fee": 10**9}, {"outputs": (shop(),)}])
def test_attack_33_an_own_input_that_is_not_signed_here_refuses(rule: dict[str, Any]) -> None:
    """33: half of a payment is signed in this request, and the other half in the next."""
    for script in (ours(), ours(None, 0, 4), ours(PAIR), ours(PAIR, 1, 2), ours(ALONE)):
        half = payment([(50_000, ours()), (50_000, script)], [(99_000, SHOP)])
        assert judged(spend(half, items=[SignInput(transaction=0, input=0)]), **rule) == "own_input_missing"


def test_attack_33_an_own_input_that_cannot_be_signed_as_asked_is_not_signed() -> None:
    half = payment([(50_000, ours()), (50_000, ours())], [(99_000, SHOP)])
    foreign = SignInput(transaction=0, input=1, tweaks=child_steps((0, 0)))
    items = [SignInput(transaction=0, input=0), foreign]
    assert judged(spend(half, items=items), max_amount=10**9) == "own_input_missing"


def test_the_inputs_of_children_are_own_and_counted() -> None:
    coins = [(50_000, ours()), (50_000, ours(None, 0, 7))]
    items = [SignInput(transaction=0, input=0), SignInput(transaction=0, input=1, tweaks=child_steps((0, 7)))]
    both = spend(payment(coins, [(99_000, SHOP)]), items=items)
    assert judged(both, max_amount=100_000) is None
    assert judged(both, max_amount=99_999) == "amount_not_allowed"


def test_a_transaction_that_this_key_does_not_sign_is_not_judged() -> None:
    big, small = payment([(10**6, ours(OTHERS))], [(999_000, MALLORY)]), payment([(5_000, ours())], [(4_000, SHOP)])
    items = [SignInput(transaction=0, input=0, subset=OTHERS), SignInput(transaction=1, input=0)]
    assert judged(spend(big, small, items=items), max_amount=5_000, outputs=(shop(),)) is None
    assert judged(spend(big, small, items=items), slot=1, max_amount=5_000) == "amount_not_allowed"


def test_a_transaction_whose_only_item_fails_alone_is_not_judged() -> None:
    big, small = payment([(10**6, ours(ALONE))], [(999_000, MALLORY)]), payment([(5_000, ours())], [(4_000, SHOP)])
    items = [SignInput(transaction=0, input=0, subset=ALONE), SignInput(transaction=1, input=0)]
    assert judged(spend(big, small, items=items), max_amount=5_000) is None
    assert judged(spend(big, small, items=items), max_amount=5_000, alone=True) == "amount_not_allowed"


def test_without_a_transaction_rule_nothing_of_it_is_asked() -> None:
    half = payment([(50_000, ours()), (50_000, ours())], [(1, MALLORY)])
    assert judged(spend(half, items=[SignInput(transaction=0, input=0)]), no_blind=True, subsets=()) is None


def test_every_input_of_a_payment_by_a_subset_of_one_is_its_own() -> None:
    alone = spend(
        payment([(9_000, ours(ALONE))], [(8_000, SHOP)]), items=every_input([payment([(1, ours())], [])], ALONE)
    )
    assert judged(alone, alone=True, max_amount=8_999) == "amount_not_allowed"
    assert judged(alone, alone=True, max_amount=9_000, outputs=(shop(),)) is None


# Many slots of a kind ---------------------------------------------------------------------------------------------


def test_slots_that_allow_the_same_in_the_same_key_lists_are_judged_once() -> None:
    same = [Policy(v=1, salt=Salt(bytes([n]) * 32), rule=rule, max_fee=1) for n, rule in ((1, NONE), (2, SELF))]
    bare = replace(group(), subsets=())
    assert content_policy.distinct({0: same[0], 2: same[1]}, bare) == {0: same[0]}
    assert content_policy.distinct({0: same[0], 2: same[1]}, group()).keys() == {0, 2}, "0 sits alone too"
    other = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, max_fee=2)
    assert content_policy.distinct({0: same[0], 1: other, 2: same[1]}, bare).keys() == {0, 1}


def test_slots_that_see_a_transaction_differently_are_judged_by_what_each_sees() -> None:
    mixed = payment([(70_000, ours(PAIR)), (30_000, ours())], [(69_000, ours(PAIR)), (30_000, SHOP)])
    items = [SignInput(transaction=0, input=0, subset=PAIR), SignInput(transaction=0, input=1)]
    payments = content_policy.Payments(plan(spend(mixed, items=items), group()), group())
    assert [payments.added((0,), slot, -1).spent for slot in (0, 2, 1)] == [100_000, 30_000, 100_000]

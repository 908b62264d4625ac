"""What a sealed policy says about one item: its subset, its tweaks, and whether anybody can see what it signs."""

from functools import cache
from typing import Any

import pytest

from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.member.item_policy import WHY, forbids
from keymeld_protocol.member.own_scripts import GAP
from keymeld_protocol.member.plan import plan
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Asked, Bip86, Scalar, SignEcdsa, SignInput, Step, TermsStep
from keymeld_protocol.plaintext.contributions import Failed
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript, Policy
from keymeld_protocol.values import Hash, Message, Salt
from tests.support.payments import SHOP, blind, payment, spend
from tests.support.world import NONE, World, secret_of

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
SCALAR = Scalar(scalar=Hash(secret_of("a scalar")))
RULES: list[dict[str, Any]] = [
    {"outputs": (AllowedOutput(script=AllowedScript(SHOP)),)}, {"max_amount": 10**9}, {"max_fee": 10**9},
]  # fmt: skip


@cache
def roster() -> Roster:
    world = World()
    members = [world.member(name) for name in ("alice", "bob", "carol")]
    keygen = world.gather(members, at=world.enclave("vault"), subsets=((0, 1), (0,), (0, 2)))
    return members[0].roster(keygen)


def code(item: Asked, *coins: bytes, **fields: Any) -> str | None:
    """The code with which a policy forbids an item, if it does."""
    policy = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, **fields)
    transactions = [payment([(1_000, script) for script in coins], [(900, SHOP)])] if coins else []
    found = forbids(policy, plan(spend(*transactions, items=[item]), roster()).item(0), roster())
    assert found is None or found.code in WHY
    return None if found is None else found.code


def pays(*steps: Step, subset: int | None = None, **fields: Any) -> str | None:
    """The code for an input of a key list with these tweaks (none: the terms' one)."""
    tweaks = steps or None
    script = taproot_script(roster().keyagg(subset, tweaks).output)
    return code(SignInput(transaction=0, input=0, subset=subset, tweaks=tweaks), script, **fields)


def test_by_default_everything_is_served_but_a_subset_of_one() -> None:
    assert pays() is None and pays(subset=0) is None and code(blind()) is None and code(blind(subset=2)) is None
    assert pays(subset=1) == code(blind(subset=1)) == "alone_not_allowed"
    assert code(blind(subset=1), alone=True) == "blind_alone_not_allowed"


def test_subsets_that_are_named_are_served_and_no_others() -> None:
    assert pays(subset=0, subsets=(0,)) is None and pays(subset=2, subsets=(0,)) == "subset_not_allowed"
    assert pays(subset=0, subsets=()) == "subset_not_allowed"
    assert code(blind(subset=2), subsets=(0,)) == "subset_not_allowed"


def test_the_whole_group_is_served_whatever_subsets_are_named() -> None:
    assert pays(subsets=()) is None and code(blind(), subsets=()) is None


def test_a_subset_of_one_takes_its_own_yes_even_if_it_is_named() -> None:
    assert pays(subset=1, subsets=(1,)) == "alone_not_allowed"
    assert pays(subset=1, subsets=(1,), alone=True) is None


def test_who_allows_no_blind_messages_signs_transactions() -> None:
    assert code(blind(), no_blind=True) == "blind_not_allowed" and pays(no_blind=True) is None


@pytest.mark.parametrize("rule", RULES)
def test_attack_33_a_blind_message_is_refused_under_every_transaction_rule(rule: dict[str, Any]) -> None:
    assert code(blind(), **rule) == code(blind(tweaks=child_steps((0, 0))), **rule) == "blind_not_allowed"
    assert code(blind(subset=1), alone=True, **rule) == "blind_alone_not_allowed"


@pytest.mark.parametrize("rule", [*RULES, {"no_blind": True}])
def test_attack_33_ecdsa_is_a_blind_message(rule: dict[str, Any]) -> None:
    """33: a sighash of any type, signed as P2WPKH signs it."""
    item = SignEcdsa(message=Message(secret_of("BIP-143")), subset=1)
    assert code(item, alone=True, alone_blind=True) is None
    assert code(item, alone=True) == "blind_alone_not_allowed"
    lone = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, **rule)
    world = World()
    alice = world.member("alice")
    single = alice.roster(world.gather([alice], at=world.enclave("vault")))
    made = plan(spend(items=[SignEcdsa(message=item.message)]), single)
    assert forbids(lone, made.item(0), single) == Failed("blind_not_allowed")


@pytest.mark.parametrize("rule", RULES)
def test_under_a_transaction_rule_the_terms_address_and_its_children_are_signed(rule: dict[str, Any]) -> None:
    assert pays(**rule) is None and pays(Bip86(), **rule) is None, "the terms' tweak, by name or without"
    assert pays(*child_steps((0, 0)), **rule) is None and pays(*child_steps((1, GAP - 1)), subset=0, **rule) is None


@pytest.mark.parametrize("steps", [(SCALAR,), (SCALAR, Bip86()), child_steps((0, GAP)), child_steps((2, 0)),
                                   child_steps((0, 0))[:1]])  # fmt: skip
@pytest.mark.parametrize("rule", RULES)
def test_attack_33_under_a_transaction_rule_no_other_tweak_is(steps: tuple[Step, ...], rule: dict[str, Any]) -> None:
    assert pays(*steps, accept_opaque_tweak=True, **rule) == "tweak_not_allowed"
    assert pays(*steps, accept_opaque_tweak=True) is None


def test_attack_33_one_key_does_not_pass_for_two_by_a_scalar_that_stands_for_the_other() -> None:
    """33: whoever knows the other secret can write the pair's key as one key and a scalar, and nobody sees a pair."""
    world = World()
    members = [world.member(name) for name in ("alice", "bob")]
    keygen = world.gather(members, at=world.enclave("vault"), subsets=((0,), (1,)))
    found = members[0].roster(keygen)
    pair = found.keyagg(None, ())
    second = next(s for s in (0, 1) if int.from_bytes(pair.coefficient(found.cards[s].pubkey), "big") == 1)
    with members[1 - second].signing_key(keygen, 1 - second) as secret:
        factor = int.from_bytes(pair.coefficient(found.cards[1 - second].pubkey), "big")
        scalar = factor * int.from_bytes(secret.buffer, "big") % ORDER
    steps = (Scalar(scalar=Hash(scalar.to_bytes(32, "big"))), TermsStep())
    transaction = payment([(1_000, found.script())], [(900, SHOP)])
    lone = plan(spend(transaction, items=[SignInput(transaction=0, input=0, subset=second, tweaks=steps)]), found)
    policy = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, alone=True, accept_opaque_tweak=True, max_amount=10**9)
    assert forbids(policy, lone.item(0), found) == Failed("tweak_not_allowed")


def test_an_opaque_tweak_takes_its_own_yes() -> None:
    assert pays(SCALAR) == "opaque_tweak" and pays(SCALAR, accept_opaque_tweak=True) is None

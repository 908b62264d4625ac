"""telling.py: with which key a request is signed, what nobody can see through; times and spans in words."""

from dataclasses import replace
from typing import Literal

import pytest

from keymeld_client.said.asking import make_body, make_transaction
from keymeld_client.shown.telling import BLIND, LOST, OPAQUE, UNLOCKED, moment, span, tell_plan
from keymeld_protocol.bitcoin.tweaks import Steps, child_steps
from keymeld_protocol.curve.secp256k1 import pubkey_of
from keymeld_protocol.member.plan import plan
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Adaptor, Bip86, Body, Scalar, SignInput, SignMessage
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import Hash, Message, PlainKey
from tests.client.coins import payment
from tests.client.paper import Tale

HIDDEN = Scalar(scalar=Hash(bytes(31) + b"\1"))
MESSAGES = [bytes([i]) * 32 for i in range(3)]


@pytest.fixture(scope="module")
def roster() -> Roster:
    """A group of two, with subsets of one and of both."""
    tale = Tale()
    return replace(tale.alice.roster(tale.keygen), subsets=((1,), (0, 1)))


def told(roster: Roster, subset: int | None = None, tweaks: Steps | None = None, count: int = 1) -> list[str]:
    """The lines of a request for messages."""
    return list(tell_plan(plan(make_body(roster, [], MESSAGES[:count], "", subset, tweaks=tweaks), roster), roster))


def test_the_groups_own_key_needs_no_words(roster: Roster) -> None:
    assert told(roster) == [f"Message 1 of 1  {MESSAGES[0].hex()}", f"  {BLIND}"]


def test_a_subset_is_told_with_its_slots_and_a_child_with_its_path(roster: Roster) -> None:
    assert told(roster, 0, child_steps((0, 5)), 3)[0] == (
        "Signs   3 items with the key of subset 0, slot 1; child 0/5, then the tweak of the terms"
    )
    assert told(roster, tweaks=())[0] == "Signs   1 item with the key of the whole group; no tweak"


def test_every_key_of_a_request_is_told_beside_the_groups_own(roster: Roster) -> None:
    coins = [(9, roster.script()), (9, roster.script(0)), (9, roster.script(steps=child_steps((1, 2))))]
    lines = list(tell_plan(plan(make_body(roster, [payment(coins, 1)], [], "", None), roster), roster))
    assert [line for line in lines if line.startswith("Signs")] == [
        "Signs   1 item with the key of the whole group",
        "Signs   1 item with the key of subset 0, slot 1",
        "Signs   1 item with the key of the whole group; child 1/2, then the tweak of the terms",
    ]


def test_what_hides_something_is_warned_of_once_for_all_items(roster: Roster) -> None:
    lines = told(roster, None, (Bip86(), HIDDEN), 3)
    assert lines[0].endswith(f"the tweak of BIP-86, then plain tweak {HIDDEN.scalar.hex()}")
    assert lines[1] == f"  {OPAQUE}" and sum(OPAQUE in line for line in lines) == 1


def test_terms_that_hide_something_are_warned_of_too(roster: Roster) -> None:
    opaque = replace(roster, terms=Terms(v=1, label="", network="regtest", tweak="root", root=Hash(bytes(32))))
    assert told(opaque)[0] == f"  {OPAQUE}"


def test_change_to_a_child_of_those_who_pay_is_change(roster: Roster) -> None:
    change, coins = child_steps((1, 0)), [(90, roster.script(steps=child_steps((0, 4))))]
    paid = payment(coins, 80, roster.script(steps=change))
    lines = list(tell_plan(plan(make_body(roster, [paid], [], "", None), roster), roster))
    (line,) = [line for line in lines if "Change" in line]
    assert roster.child_address((1, 0)) in line and "back to this group" in line


def test_an_output_to_a_key_of_whoever_left_is_called_lost(roster: Roster) -> None:
    """Slot 0 left: a subset's change must not go to the whole group, though it holds all those that pay."""
    paid = payment([(90, roster.script(0))], 80, roster.script(steps=child_steps((1, 0))))
    made = plan(make_body(roster, [paid], [], "", None), roster)
    where = roster.child_address((1, 0))
    assert f"  {LOST} {where}: slot 0 left this group" in tell_plan(made, roster, {0: 9})
    assert not any(LOST in line for line in tell_plan(made, roster))
    kept = plan(make_body(roster, [payment([(90, roster.script(0))], 80, roster.script(0))], [], "", None), roster)
    assert not any(LOST in line for line in tell_plan(kept, roster, {0: 9}))


def test_a_time_is_told_in_utc() -> None:
    assert moment(0) == "1970-01-01 00:00 UTC"
    assert moment(61_000, "%H:%M:%S") == "00:01:01"


def test_an_impossible_time_of_a_stranger_is_a_number() -> None:
    assert moment(2**53 - 1) == "9007199254740991 ms after 1970, which no calendar holds"


@pytest.mark.parametrize(
    ("ms", "told"), [(86_400_000, "1d"), (5_400_000, "1h30m"), (90_061_001, "1d1h1m1s1ms"), (1, "1ms"), (0, "0s")]
)
def test_a_span_is_told_as_it_is_typed(ms: int, told: str) -> None:
    assert span(ms) == told


@pytest.mark.parametrize(
    ("mode", "told"),
    [("single", "the secret of {0}, which its use gives away"), ("and", "all of the secrets of {0}, {1}"),
     ("or", "any one of the secrets of {0}, {1}")],
)  # fmt: skip
def test_who_approves_is_told_whose_secrets_complete_an_item(
    roster: Roster, mode: Literal["single", "and", "or"], told: str
) -> None:
    points = tuple(PlainKey(pubkey_of(bytes(31) + bytes([i]))) for i in (1, 2))[: 1 if mode == "single" else 2]
    adaptor, spend = Adaptor(mode=mode, points=points), payment([(9, roster.script())], 1)
    last = list(tell_plan(plan(make_body(roster, [spend], [], "", None, adaptor=adaptor), roster), roster))[-1]
    whose = told.format(*(point.hex() for point in points))
    assert last == f"Item 1 of 1, input 1 of transaction 1: a pre-signature: completes only with {whose}"


ONE, TWO = (PlainKey(pubkey_of(bytes(31) + bytes([i]))) for i in (1, 2))
LOCK = Adaptor(mode="single", points=(ONE,))


def lines_of(roster: Roster, *items: SignInput | SignMessage, transactions: int = 0) -> list[str]:
    """The lines of a request with these items, of transactions that are all the same."""
    same = make_transaction(*payment([(9, roster.script())], 1))
    return list(tell_plan(plan(Body(v=1, transactions=(same,) * transactions, items=items, memo=""), roster), roster))


def test_who_approves_is_told_which_input_waits_for_a_secret_and_which_does_not(roster: Roster) -> None:
    items = SignInput(transaction=1, input=0, adaptor=LOCK), SignInput(transaction=0, input=0)
    found = [line for line in lines_of(roster, *items, transactions=2) if line.startswith("Item")]
    assert found[0].startswith("Item 1 of 2, input 1 of transaction 2: a pre-signature: completes only with")
    assert found[1] == "Item 2 of 2, input 1 of transaction 1: a signature: complete as it is, with no secret"


@pytest.mark.parametrize("other", [None, Adaptor(mode="single", points=(TWO,)), Adaptor(mode="or", points=(ONE, TWO))])
def test_who_approves_is_warned_where_another_item_completes_what_is_locked(
    roster: Roster, other: Adaptor | None
) -> None:
    asked = [SignInput(transaction=0, input=0, adaptor=LOCK), SignInput(transaction=1, input=0, adaptor=other)]
    assert lines_of(roster, *asked, transactions=2).count(f"  {UNLOCKED}") == 1 + (other is not None)
    blind = [SignMessage(message=Message(bytes(32)), adaptor=lock) for lock in (LOCK, other)]
    assert f"  {UNLOCKED}" in lines_of(roster, *blind)


def test_who_approves_is_not_warned_of_messages_that_differ_or_are_locked_alike(roster: Roster) -> None:
    one, two = (SignMessage(message=Message(bytes([i]) * 32), adaptor=LOCK) for i in (1, 2))
    plain = SignMessage(message=one.message, subset=0)
    assert f"  {UNLOCKED}" not in lines_of(roster, one, one, two, plain)

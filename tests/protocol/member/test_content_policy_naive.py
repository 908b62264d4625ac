"""Property: a policy passes exactly what a naive recomputation from the raw bytes says that it may pass.

Hypothesis builds transactions that conflict, change to own, foreign and lookalike scripts, items that leave inputs out
or name wrong keys, and sighashes of every type as blind messages; tests/support/naive_payments.py judges them anew.
"""

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest
from btclib.script import sig_hash
from btclib.tx import Tx, TxOut
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from examples.helpers.regtest import Coin
from examples.helpers.regtest import transaction as unsigned
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps, terms_root
from keymeld_protocol.errors import BadInput, Blamed
from keymeld_protocol.member import content_policy
from keymeld_protocol.member.item_policy import forbids
from keymeld_protocol.member.plan import Item, Plan, plan
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import (
    Asked,
    BareRoot,
    Bip86,
    Body,
    Child,
    RawTransaction,
    Scalar,
    SignInput,
    SignMessage,
    Spent,
    Step,
    TermsStep,
    Transaction,
)
from keymeld_protocol.plaintext.contents import Leaf, Script, Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript, Policy
from keymeld_protocol.values import Hash, Message, Salt
from tests.support import naive_payments
from tests.support.naive_payments import Question
from tests.support.payments import MALLORY, SHOP
from tests.support.world import NONE, World, secret_of

SUBSETS = ((0, 1), (0,), (1, 2))
TREE = Terms(v=1, label="", network="regtest", tweak="tree", tree=(Leaf(depth=0, version=0xC0, script=Script(b"Q")),))
SOME = Hash(secret_of("something"))
LISTS = (None, 0, 1, 2)
STEPS: tuple[tuple[Step, ...] | None, ...] = (
    None, child_steps((0, 0)), child_steps((1, 0)), child_steps((1, 19)), child_steps((0, 20)), child_steps((2, 0)),
    (), (Bip86(),), (Child(path=(0, 0)),), (Child(path=(0, 0)), Bip86()), (BareRoot(root=SOME),),
    (Scalar(scalar=SOME), TermsStep()),
)  # fmt: skip
STRANGERS = (SHOP, MALLORY, b"\x6a\x02hi", b"\x00\x14" + bytes(20))
TYPES = (0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83)
Place = tuple[int | None, tuple[Step, ...] | None]


@cache
def roster(terms: Terms | None) -> Roster:
    world = World()
    members = [world.member(name) for name in ("alice", "bob", "carol")]
    return members[0].roster(world.gather(members, at=world.enclave("vault"), subsets=SUBSETS, terms=terms))


@cache
def script(terms: Terms | None, place: Place) -> bytes:
    return taproot_script(roster(terms).keyagg(*place).output)


def naive(terms: Terms | None) -> naive_payments.Group:
    found = roster(terms)
    root = terms_root(found.terms)
    assert root is not None
    return naive_payments.Group(tuple(card.pubkey for card in found.cards), SUBSETS, root)


# What hypothesis builds -------------------------------------------------------------------------------------------

PLACES = st.one_of(
    st.sampled_from([(None, None), (None, STEPS[1]), (0, None), (2, None)]),
    st.tuples(st.sampled_from(LISTS), st.sampled_from(STEPS)),
)
AMOUNTS = st.integers(0, 9).map(lambda n: n * 1_000)


@st.composite
def transactions(draw: st.DrawFn, terms: Terms | None) -> tuple[Transaction, list[Place | None]]:
    """A transaction, and whose its inputs are; a few coins are there to be spent twice."""
    names = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True))
    whose = [draw(st.one_of(PLACES, PLACES, st.none())) for _ in names]
    scripts = [script(terms, place) if place is not None else draw(st.sampled_from(STRANGERS)) for place in whose]
    coins = [Coin(secret_of(f"coin {n}"), 0, 1_000 + draw(AMOUNTS), s) for n, s in zip(names, scripts, strict=True)]
    left, outputs = sum(coin.amount for coin in coins), list[tuple[int, bytes]]()
    for place in draw(st.lists(st.one_of(PLACES, st.none()), min_size=1, max_size=3)):
        amount = min(left, draw(AMOUNTS))
        left -= amount
        outputs.append((amount, draw(st.sampled_from(STRANGERS)) if place is None else script(terms, place)))
    if draw(st.booleans()):
        outputs.append((left, script(terms, draw(PLACES))))
    spent = tuple(Spent(amount=coin.amount, script=Script(coin.script)) for coin in coins)
    return Transaction(unsigned=RawTransaction(unsigned(coins, outputs)), spent=spent), whose


@st.composite
def bodies(draw: st.DrawFn, terms: Terms | None) -> Body:
    """A request: most inputs as their owner would sign them, some wrongly, some not at all, and blind messages."""
    made = draw(st.lists(transactions(terms), max_size=3))
    items = list[Asked]()
    for number, (_, whose) in enumerate(made):
        for index, place in enumerate(whose):
            found = draw(st.sampled_from([place] * 8 + [None, (None, None)])) if place else draw(st.none() | PLACES)
            if found is not None or (index == 0 and not any(whose)):
                subset, tweaks = found or (None, None)
                items.append(SignInput(transaction=number, input=index, subset=subset, tweaks=tweaks))
    for sort in draw(st.lists(st.sampled_from(TYPES), max_size=1 if made else 2)):
        items.append(draw(blind(sort, made[0][0] if made else None)))
    assume(items)
    return Body(v=1, transactions=tuple(t for t, _ in made), items=tuple(items), memo="")


@st.composite
def blind(draw: st.DrawFn, sort: int, made: Transaction | None) -> SignMessage:
    """The sighash of any type of a transaction's first input, or any 32 bytes, as a message."""
    message = SOME
    if made is not None and (sort & 3 != 3 or len(Tx.parse_without_witness(made.unsigned).vout) > 0):
        spent = [TxOut(coin.amount, coin.script) for coin in made.spent]
        message = Hash(sig_hash.taproot(Tx.parse_without_witness(made.unsigned), 0, spent, sort, 0, b"", b""))
    subset, tweaks = draw(PLACES)
    return SignMessage(message=Message(message), subset=subset, tweaks=tweaks)


@st.composite
def policies(draw: st.DrawFn, terms: Terms | None) -> Policy:
    """Any policy that does not contradict itself."""
    payable = [*STRANGERS, script(terms, (None, None)), script(terms, (0, None)), script(terms, (None, STEPS[4]))]
    paid = st.lists(st.sampled_from(payable), min_size=1, max_size=4, unique=True)
    most, rarely = AMOUNTS | st.none(), st.integers(0, 3).map(lambda n: n == 0)
    fields: dict[str, Any] = {
        "alone": draw(st.booleans()), "accept_opaque_tweak": draw(st.booleans()), "no_blind": draw(rarely),
        "requesters": draw(st.none() | st.sampled_from([(0,), (0, 1), (2,)])) if draw(rarely) else None,
        "subsets": draw(st.sampled_from([(), (0,), (0, 1), (2,)])) if draw(rarely) else None,
        "outputs": tuple(AllowedOutput(script=AllowedScript(s), most=draw(most)) for s in draw(paid))
        if draw(rarely) else None,
        "max_amount": draw(st.none() | st.integers(0, 12).map(lambda n: n * 1_000)),
        "max_fee": draw(st.none() | st.integers(0, 12).map(lambda n: n * 1_000)),
    }  # fmt: skip
    made = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, **fields)
    return Policy(
        v=1, salt=made.salt, rule=NONE, **fields, alone_blind=made.alone and made.blind and draw(st.booleans())
    )


# What is held against it ------------------------------------------------------------------------------------------


def passes(policy: Policy, slot: int, requester: int, made: Plan, found: Roster) -> list[bool]:
    """The items that the policy lets this slot's key sign."""
    try:
        content_policy.judge(policy, slot, requester, content_policy.Payments(made, found))
    except Blamed:
        return [False] * len(made.items)
    return [
        isinstance(item, Item) and slot in item.slots and forbids(policy, item, found) is None for item in made.items
    ]


def compared(body: Body, policy: Policy, slot: int, requester: int, terms: Terms | None) -> list[str | None]:
    """Hold every item of this slot against the naive answer; gives these answers."""
    found, group = roster(terms), naive(terms)
    try:
        raw, made = contents.encode(body), plan(body, found)
    except BadInput:
        assume(False)
    question = Question(json.loads(contents.encode(policy)), slot, requester, json.loads(raw), group)
    answers = list[str | None]()
    for index, passed in enumerate(passes(policy, slot, requester, made, found)):
        asked = question.body["items"][index]
        if slot in group.slots(asked):
            answers.append(question.why_not(index))
            assert passed == (answers[-1] is None), answers[-1]
        if passed and asked["sign"] == "input":
            transaction = naive_payments.Transaction(question.body["transactions"][asked["transaction"]])
            assert made.item(index).message == transaction.sighash(asked["input"])
            assert taproot_script(made.item(index).keyagg.output) == transaction.spent[asked["input"]][1]
    return answers


@pytest.mark.parametrize("terms", [None, TREE], ids=["bip86", "tree"])
def test_attack_33_a_policy_passes_what_a_naive_recomputation_passes_and_nothing_else(terms: Terms | None) -> None:
    """33: all of it, mixed by chance; and chance has met every reason, and many a yes."""
    answers: Counter[str | None] = Counter()

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies(terms), policies(terms), st.integers(0, 2), st.integers(0, 2))
    def agree(body: Body, policy: Policy, slot: int, requester: int) -> None:
        answers.update(compared(body, policy, slot, requester, terms))

    agree()
    assert answers[None] > 20 and len(answers) > 9, answers

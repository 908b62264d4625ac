"""What is asked for: every own input, every blind message, and nothing that cannot be signed."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest

from keymeld_client.asking import life_of, make_body, requester
from keymeld_protocol.body import SignEcdsa, SignInput, SignMessage
from keymeld_protocol.errors import BadInput, Refused
from keymeld_protocol.plan import needed_slots
from keymeld_protocol.roster import Roster
from keymeld_protocol.shapes import MAX_DELAY_MS, REQUEST_LIFE_MS, Rule
from keymeld_protocol.values import Message
from tests.client.coins import FOREIGN, payment, psbt
from tests.client.paper import Tale

MESSAGE = b"m" * 32


@pytest.fixture(scope="module")
def roster() -> Roster:
    """A group of two."""
    tale = Tale()
    return tale.alice.roster(tale.keygen)


def test_every_input_of_the_group_is_an_item(roster: Roster) -> None:
    unsigned = payment([(50_000, roster.script()), (60_000, FOREIGN), (70_000, roster.script())], 100_000)
    body = make_body(roster, [unsigned], [], "", None)
    assert [(i.transaction, i.input) for i in body.items if isinstance(i, SignInput)] == [(0, 0), (0, 2)]


def test_every_input_of_a_psbt_that_the_group_or_a_subset_can_sign_is_an_item(roster: Roster) -> None:
    group = replace(roster, subsets=((0, 1), (1,)))
    coins = [(50_000, group.script(1)), (60_000, FOREIGN), (70_000, group.script())]
    body = make_body(group, [], [MESSAGE], "", None, [b64encode(psbt(coins, 100_000))])
    asked = [(i.transaction, i.input, i.subset) for i in body.items if isinstance(i, SignInput)]
    assert asked == [(0, 0, 1), (0, 2, None)]
    only = make_body(group, [], [], "", 1, [psbt(coins, 100_000)])
    assert [i.input for i in only.items if isinstance(i, SignInput)] == [0]


def test_psbts_follow_transactions_and_seal_nothing_but_their_reduction(roster: Roster) -> None:
    coins = [(50_000, roster.script())]
    body = make_body(roster, [payment(coins, 40_000)], [], "", None, [psbt(coins, 30_000)])
    assert [i.transaction for i in body.items if isinstance(i, SignInput)] == [0, 1]
    plain = make_body(roster, [payment(coins, 40_000), payment(coins, 30_000)], [], "", None)
    assert body == plain


def test_messages_follow_inputs(roster: Roster) -> None:
    body = make_body(roster, [payment([(50_000, roster.script())], 40_000)], [MESSAGE], "", None)
    assert [type(item) for item in body.items] == [SignInput, SignMessage]


def test_ecdsa_is_asked_of_a_key_list_of_one(roster: Roster) -> None:
    group = replace(roster, subsets=((1,),))
    body = make_body(group, [], [MESSAGE], "", 0, ecdsa=[MESSAGE])
    assert body.items == (
        SignMessage(message=Message(MESSAGE), subset=0),
        SignEcdsa(message=Message(MESSAGE), subset=0),
    )


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda roster: make_body(roster, [], [], "", None), "nothing to sign"),
        (lambda roster: make_body(roster, [], [], "", None, ecdsa=[MESSAGE]), "only a key of one slot signs ECDSA"),
        (
            lambda roster: make_body(replace(roster, subsets=((1,),)), [], [], "", 0, ecdsa=[b""]),
            "ecdsa\\[0\\]: must be",
        ),
        (lambda roster: make_body(roster, [], [b"short"], "", None), "messages\\[0\\]: must be 32 bytes"),
        (lambda roster: make_body(roster, [payment([(1, FOREIGN)], 1)], [], "", None), "spends nothing of this group"),
        (lambda roster: make_body(roster, [], [MESSAGE], "", 7), "has 0"),
        (lambda roster: make_body(roster, [], [], "", None, [b"psbt"]), "psbts\\[0\\]: must be a PSBT"),
        (lambda roster: make_body(roster, [], [], "", None, [psbt([(9, FOREIGN)], 1)]), "spends nothing of this group"),
    ],
)
def test_what_cannot_be_signed_is_refused(roster: Roster, ask: Callable[[Roster], object], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        ask(roster)


def test_only_a_member_that_is_needed_asks(roster: Roster) -> None:
    body = make_body(roster, [], [MESSAGE], "", None)
    slot, made = requester(roster, body, [1])
    assert (slot, needed_slots(made)) == (1, (0, 1))
    with pytest.raises(Refused, match="whose slot is needed"):
        requester(roster, body, [])


DAY = 86_400_000


def test_a_request_lives_a_day_longer_than_its_rules_wait_and_a_week_at_most() -> None:
    none, delayed = Rule(approval="none"), Rule(approval="none", delay_ms=DAY)
    assert life_of({0: none, 1: none}, None, 0) == DAY
    assert life_of({0: none, 1: delayed}, None, 0) == 2 * DAY
    assert life_of({0: Rule(approval="none", not_before=9 * DAY), 1: delayed}, None, 5 * DAY) == 5 * DAY
    assert life_of({0: Rule(approval="none", delay_ms=MAX_DELAY_MS)}, None, 0) == REQUEST_LIFE_MS
    assert life_of({1: delayed}, DAY + 1, 0) == DAY + 1


@pytest.mark.parametrize(
    ("rule", "wanted"), [(Rule(approval="none", delay_ms=DAY), DAY), (Rule(approval="none", not_before=7 * DAY), None)]
)
def test_a_request_that_would_end_before_a_rule_lets_it_be_signed_is_not_made(rule: Rule, wanted: int | None) -> None:
    with pytest.raises(Refused, match=r"slot 1 signs nothing before 1970-01-0[28] .*, and the request would end"):
        life_of({0: Rule(approval="none"), 1: rule}, wanted, 0)

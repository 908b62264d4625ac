"""joining.py: what a client refuses to seal, and what it warns of."""

from typing import Any

import pytest

from keymeld_client.said.joining import NOTHING, Allow, Choice, check_choice, warnings
from keymeld_protocol.errors import BadInput, Reason, Refused, WireError
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript
from keymeld_protocol.values import Hash
from keymeld_protocol.wire.shapes import Rule
from tests.support.machines import Keygen
from tests.support.world import NONE, SELF, quorum

TERMS = Terms(v=1, label="", network="regtest", tweak="bip86")
SHOP = AllowedOutput(script=AllowedScript(b"\x51\x20" + b"\x07" * 32))


def state(*, tickets: str = "named") -> KeygenState:
    """A keygen of three slots that nobody has joined, with subsets (0, 1) and (2)."""
    return Keygen(3, subsets=((0, 1), (2,)), open=tickets == "open").state


def refused(allow: Allow, rule: Rule = SELF, terms: Terms = TERMS, tickets: str = "named") -> WireError:
    """Why slot 0 may not be sealed like this."""
    with pytest.raises(WireError) as caught:
        check_choice(state(tickets=tickets), terms, Choice(0, "sealed", rule, None, "", allow))
    return caught.value


def accepted(allow: Allow = NOTHING, rule: Rule = SELF, tickets: str = "named") -> bool:
    check_choice(state(tickets=tickets), TERMS, Choice(0, "sealed", rule, None, "", allow))
    return True


def test_a_policy_that_fits_the_keygen_is_accepted() -> None:
    assert accepted()
    assert accepted(Allow(requesters=(0, 2), subsets=(0,), no_blind=True, outputs=(SHOP,), max_amount=1, max_fee=1))


@pytest.mark.parametrize(
    ("allow", "field"),
    [
        (Allow(requesters=(0, 3)), "requesters"),
        (Allow(requesters=()), "requesters"),
        (Allow(subsets=(1,)), "subsets"),
        (Allow(subsets=(2,)), "subsets"),
        (Allow(outputs=()), "outputs"),
        (Allow(outputs=(SHOP, SHOP)), "outputs"),
        (Allow(max_amount=-1), "max_amount"),
        (Allow(alone_blind=True), "alone_blind"),
        (Allow(alone=True, alone_blind=True, no_blind=True), "alone_blind"),
        (Allow(alone=True, alone_blind=True, max_fee=1), "alone_blind"),
    ],
)
def test_a_policy_that_contradicts_itself_or_the_keygen_is_refused_before_a_key_is_made(
    allow: Allow, field: str
) -> None:
    error = refused(allow)
    assert isinstance(error, BadInput) and error.field == field


def test_a_policy_that_fits_no_envelope_is_refused() -> None:
    long = tuple(AllowedOutput(script=AllowedScript(bytes([n]) * 520)) for n in range(100))
    error = refused(Allow(outputs=long))
    assert (error.reason, error.field) == (Reason.TOO_BIG, "policy")


def test_under_open_tickets_rule_none_names_who_may_ask() -> None:
    error = refused(NOTHING, NONE, tickets="open")
    assert isinstance(error, Refused) and "requesters" in error.message
    assert accepted(Allow(requesters=(0,)), NONE, tickets="open")
    assert accepted(NOTHING, NONE) and accepted(NOTHING, quorum(1, 0, 1), tickets="open")


def test_an_opaque_tweak_in_the_terms_takes_a_yes() -> None:
    hidden = Terms(v=1, label="", network="regtest", tweak="root", root=Hash(bytes(32)))
    assert refused(NOTHING, terms=hidden).field == "terms.root"


@pytest.mark.parametrize(
    ("fields", "rule", "warned"),
    [
        ({"max_amount": 1}, NONE, True),
        ({"max_amount": 1, "outputs": (SHOP,)}, NONE, False),
        ({"max_amount": 1}, SELF, False),
        ({"max_fee": 1}, NONE, False),
        ({}, NONE, False),
    ],
)
def test_a_limit_for_each_request_is_no_rate(fields: dict[str, Any], rule: Rule, warned: bool) -> None:
    told = warnings(rule, Allow(**fields))
    assert bool(told) == warned and all("not a rate" in line for line in told)


@pytest.mark.parametrize(
    ("fields", "rule", "warned"),
    [
        ({"outputs": (SHOP,)}, NONE, True),
        ({"outputs": (SHOP,)}, quorum(1, 0, 1), True),
        ({"outputs": (SHOP,)}, SELF, False),
        ({"outputs": (SHOP,), "max_fee": 1}, NONE, False),
        ({"outputs": (SHOP,), "max_amount": 1}, NONE, False),
    ],
)
def test_a_fee_without_a_limit_gets_round_the_list_of_who_is_paid(
    fields: dict[str, Any], rule: Rule, warned: bool
) -> None:
    told = warnings(rule, Allow(**fields))
    assert bool(told) == warned and all("miner" in line for line in told)

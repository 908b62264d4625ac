"""The sealed policy: what it can say, what contradicts itself, and where it fits."""

from typing import Any

import pytest

from keymeld_protocol.errors import BadInput
from keymeld_protocol.keys.envelope import MAX_POLICY
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import MAX_MONEY
from keymeld_protocol.plaintext.policy import MAX_ALLOWED, AllowedOutput, AllowedScript, Policy
from keymeld_protocol.values import Salt
from keymeld_protocol.wire.shapes import Rule

SHOP = AllowedOutput(script=AllowedScript(b"\x51\x20" + b"\x07" * 32), most=1)


def policy(**fields: Any) -> Policy:
    return Policy(v=1, salt=Salt(bytes(32)), rule=Rule(approval="none"), **fields)


def complaint(**fields: Any) -> str | None:
    """The field that is named when a policy is refused."""
    with pytest.raises(BadInput) as caught:
        contents.encode(policy(**fields))
    return caught.value.field


def allowed(number: int, size: int = 34) -> AllowedOutput:
    return AllowedOutput(script=AllowedScript(number.to_bytes(size, "big")), most=MAX_MONEY)


def test_a_policy_says_who_asks_for_what_and_how_much() -> None:
    full = policy(
        alone=True, requesters=(0, 2), subsets=(1,), outputs=(SHOP,), max_amount=50_000, max_fee=1_000, no_blind=True
    )
    raw = contents.encode(full)
    assert contents.parse(Policy, raw) == full
    tail = (
        b'"no_blind":true,"outputs":[{"script":"5120' + b"07" * 32 + b'","most":1}],"max_amount":50000,"max_fee":1000}'
    )
    assert raw.endswith(b'"requesters":[0,2],"subsets":[1],' + tail)


def test_no_subset_at_all_is_something_else_than_nothing_said() -> None:
    raw = contents.encode(policy(subsets=()))
    assert contents.parse(Policy, raw).subsets == () and policy().subsets is None


@pytest.mark.parametrize("rule", [{"outputs": (SHOP,)}, {"max_amount": 0}, {"max_fee": 0}])
def test_any_transaction_rule_forbids_blind_messages(rule: dict[str, Any]) -> None:
    assert policy(**rule).transaction_rule and not policy(**rule).blind


def test_without_a_transaction_rule_blind_messages_are_served_unless_it_says_no() -> None:
    assert policy(requesters=(1,)).blind and not policy(requesters=(1,)).transaction_rule
    assert not policy(no_blind=True).blind


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"requesters": ()}, "requesters"),
        ({"requesters": (2, 1)}, "requesters"),
        ({"requesters": (1, 1)}, "requesters"),
        ({"requesters": (1000,)}, "requesters[0]"),
        ({"subsets": (1, 0)}, "subsets"),
        ({"subsets": (200,)}, "subsets[0]"),
        ({"outputs": ()}, "outputs"),
        ({"outputs": (SHOP, AllowedOutput(script=SHOP.script))}, "outputs"),
        ({"outputs": (AllowedOutput(script=AllowedScript(b"")),)}, "outputs"),
        ({"outputs": tuple(allowed(n) for n in range(MAX_ALLOWED + 1))}, "outputs"),
        ({"outputs": (AllowedOutput(script=AllowedScript(bytes(521))),)}, "outputs[0].script"),
        ({"outputs": (AllowedOutput(script=SHOP.script, most=MAX_MONEY + 1),)}, "outputs[0].most"),
        ({"max_amount": -1}, "max_amount"),
        ({"max_fee": MAX_MONEY + 1}, "max_fee"),
        ({"alone_blind": True}, "alone_blind"),
        ({"alone": True, "alone_blind": True, "no_blind": True}, "alone_blind"),
        ({"alone": True, "alone_blind": True, "max_fee": 1}, "alone_blind"),
    ],
)
def test_what_breaks_its_rule_or_contradicts_itself_is_refused(fields: dict[str, Any], field: str) -> None:
    assert complaint(**fields) == field


def test_unknown_fields_refuse_everything() -> None:
    raw = contents.encode(policy())
    for more in (b',"max_a_day":1}', b',"no_blind":false}', b',"requesters":null}'):
        with pytest.raises(BadInput):
            contents.parse(Policy, raw[:-1] + more)


def test_as_many_addresses_as_it_may_name_fit_an_envelope() -> None:
    full = policy(outputs=tuple(allowed(n) for n in range(MAX_ALLOWED)), requesters=tuple(range(100)))
    assert len(contents.encode(full)) <= MAX_POLICY


@pytest.mark.parametrize(("fields", "fits"), [
    ({"requesters": (2,)}, True), ({"requesters": (0, 3)}, False),
    ({"subsets": (0,)}, True), ({"subsets": (1,)}, False), ({"subsets": (2,)}, False), ({"subsets": ()}, True),
])  # fmt: skip
def test_it_names_slots_that_are_there_and_subsets_with_its_slot(fields: dict[str, Any], fits: bool) -> None:
    made, subsets = policy(**fields), ((0, 1), (1, 2))
    if fits:
        return made.check_place(0, 3, subsets)
    with pytest.raises(BadInput) as caught:
        made.check_place(0, 3, subsets)
    assert caught.value.field in fields

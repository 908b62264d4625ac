"""choosing.py: how somebody may take part, what a client refuses to seal, and what it warns of."""

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from keymeld_client.said import choosing
from keymeld_client.said.choosing import NOTHING, USUAL, Allow, Choice, Wish, check_choice, warnings
from keymeld_protocol.curve.secp256k1 import Secret
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


KEY = bytes(range(1, 33))
ORDER = bytes.fromhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")


def state(*, tickets: str = "named") -> KeygenState:
    """A keygen of three slots that nobody has joined, with subsets (0, 1) and (2)."""
    return Keygen(3, subsets=((0, 1), (2,)), open=tickets == "open").state


def refused(allow: Allow, rule: Rule = SELF, terms: Terms = TERMS, tickets: str = "named") -> WireError:
    """Why slot 0 may not be sealed like this."""
    with pytest.raises(WireError) as caught:
        check_choice(state(tickets=tickets), terms, 0, Choice(rule=rule, allow=allow))
    return caught.value


def accepted(allow: Allow = NOTHING, rule: Rule = SELF, tickets: str = "named") -> bool:
    check_choice(state(tickets=tickets), TERMS, 0, Choice(rule=rule, allow=allow))
    return True


def test_without_a_word_a_fresh_key_is_sealed_under_its_owners_yes() -> None:
    assert (
        Choice(
            custody="sealed", rule=SELF, enclave=None, label="", allow=NOTHING, key=None, again=False, strangers=False
        )
        == USUAL
    )


def test_keywords_say_all_that_a_choice_says() -> None:
    said, wished = get_type_hints(Choice), get_type_hints(Wish)
    assert list(wished) == [field.name for field in fields(Choice)]
    assert {name: said[name] for name in wished} == wished | {"rule": Rule}


def test_what_is_wished_wins_and_none_wishes_nothing() -> None:
    alice = Choice(rule=NONE, label="Alice")
    assert alice.but({"label": "Carol", "rule": None}) == Choice(rule=NONE, label="Carol")
    assert alice.but({}) == alice
    with pytest.raises(TypeError, match="labl"):
        alice.but({"labl": "Carol"})  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize("key", [bytes(32), ORDER, b"\xff" * 32, bytes(31), b"\x01" * 33])
def test_what_is_no_secret_key_is_refused_and_not_quoted(key: bytes) -> None:
    with pytest.raises(BadInput, match="key: must be 32 bytes, not zero and below the order") as caught:
        check_choice(state(), TERMS, 0, Choice(key=key))
    assert key.hex() not in str(caught.value)


def test_a_key_that_nothing_would_hold_is_refused() -> None:
    with pytest.raises(BadInput, match="would be lost with custody device"):
        check_choice(state(), TERMS, 0, Choice(key=KEY, custody="device"))


def test_a_key_that_was_looked_at_is_still_its_owners_and_no_copy_of_it_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, copies = bytearray(KEY), list[Secret]()

    def copied(secret: bytes) -> Secret:
        copies.append(Secret(secret))
        return copies[-1]

    monkeypatch.setattr(choosing, "Secret", copied)
    check_choice(state(), TERMS, 0, Choice(key=key))
    assert key == KEY and [bytes(copy.buffer) for copy in copies] == [bytes(32)]


def test_a_choice_that_is_printed_shows_no_key() -> None:
    shown = repr(Choice(key=KEY))
    assert "key" not in shown and repr(KEY) not in shown and KEY.hex() not in shown


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
    assert accepted(NOTHING, NONE)
    with pytest.raises(Refused, match="requesters"):
        check_choice(state(tickets="open"), TERMS, 0, Choice(rule=NONE, strangers=True))


def test_under_open_tickets_a_rule_that_strangers_can_meet_takes_a_yes() -> None:
    told = refused(NOTHING, quorum(2, 0, 1, 2), tickets="open")
    assert isinstance(told, Refused) and "anybody may sit in slots 1 and 2" in told.message
    opened = state(tickets="open")
    check_choice(opened, TERMS, 0, Choice(rule=quorum(2, 0, 1, 2), strangers=True))
    check_choice(opened, TERMS, 0, Choice(rule=quorum(2, 0, 1, 2)), own=(1,))
    assert accepted(NOTHING, quorum(2, 0, 1, 2))


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

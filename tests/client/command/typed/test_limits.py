"""command/typed/limits.py: what a key may be used for, as it is typed, and in words before it is sealed."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from keymeld_client.command.typed.limits import Limits, told, with_limits
from keymeld_client.said.choosing import NOTHING, Allow
from keymeld_protocol.bitcoin.transaction import taproot_address, taproot_script
from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript
from tests.support.machines import Keygen

TERMS = Terms(v=1, label="", network="regtest", tweak="bip86")
KEY = bytes([7]) * 32
SHOP, MAIN = taproot_address(KEY, "regtest"), taproot_address(KEY, "bitcoin")
SUBSETS = ((0, 1), (0, 2))


def typed(*words: str) -> Allow:
    """What these options mean in a keygen on regtest with subsets (0, 1) and (0, 2)."""
    found: list[Allow] = []

    @click.command()
    @with_limits
    def command(limits: Limits) -> None:
        found.append(limits.allow(Keygen(3, subsets=SUBSETS).state, TERMS))

    result = CliRunner().invoke(command, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found[0]


def complaint(*words: str) -> str:
    """Why they mean nothing."""
    with pytest.raises((BadInput, AssertionError)) as caught:
        typed(*words)
    return str(caught.value)


def lines(**fields: Any) -> str:
    return "\n".join(told(Allow(**fields), TERMS, SUBSETS))


def test_nothing_typed_is_nothing_more_than_the_rule() -> None:
    assert typed() == NOTHING and lines() == ""


def test_addresses_and_amounts_become_scripts_and_satoshi() -> None:
    allow = typed("--allow", f"{SHOP}:0.5btc", "--max-amount", "0.1btc", "--max-fee", "20000sat")
    paid = AllowedOutput(script=AllowedScript(taproot_script(KEY)), most=50_000_000)
    assert (allow.outputs, allow.max_amount, allow.max_fee) == ((paid,), 10_000_000, 20_000)
    assert typed("--allow", SHOP).outputs == (AllowedOutput(script=AllowedScript(taproot_script(KEY))),)


def test_requesters_and_subsets_are_slots() -> None:
    allow = typed("--requester", "2,0", "--subset-only", "0,2", "--subset-only", "0,1", "--no-blind")
    assert (allow.requesters, allow.subsets, allow.no_blind) == ((0, 2), (0, 1), True)
    assert typed("--subset-only", "none").subsets == ()


def test_alone_and_opaque_tweaks_are_as_before() -> None:
    assert typed("--alone", "blind", "--accept-opaque-tweak") == Allow(alone=True, alone_blind=True, opaque_tweak=True)
    assert typed("--alone", "transactions") == Allow(alone=True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--allow", MAIN), "none of the network regtest"),
        (("--allow", SHOP[:-1] + "q"), "no Bitcoin address"),
        (("--allow", f"{SHOP}:"), "ADDRESS:AMOUNT"),
        (("--allow", f"{SHOP}:0.5"), "btc"),
        (("--max-amount", "lots"), "satoshi"),
        (("--requester", "0;2"), "commas"),
        (("--requester", "0,7"), "--requester: this keygen has slots 0…2"),
        (("--subset-only", "1,2"), "has no subset of slots 1 and 2; it has 0,1 · 0,2"),
        (("--subset-only", "all"), "commas"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_would_be_right(words: tuple[str, ...], why: str) -> None:
    assert why in complaint(*words)


def test_a_policy_is_told_in_words() -> None:
    paid = AllowedOutput(script=AllowedScript(taproot_script(KEY)), most=50_000_000)
    shown = lines(requesters=(0, 2), subsets=(1,), no_blind=True, outputs=(paid,), max_amount=10, max_fee=20_000)
    assert shown.splitlines() == [
        "only slots 0 and 2 may ask for signatures",
        "the whole group's key, and of the subsets only 0 and 2",
        "no blind messages: transactions only, which everybody can read",
        f"may pay {SHOP}, at most 0.50000000 BTC (50,000,000 sat) in one request",
        "may pay nobody else",
        "at most 0.00000010 BTC (10 sat) may leave in one request, fees included",
        "at most 0.00020000 BTC (20,000 sat) may go to miners in one request",
        "no blind messages, and no coins but those of the addresses and their first 20 children",
    ]


def test_each_kind_of_limit_is_told() -> None:
    assert "BLIND" in lines(alone=True, alone_blind=True) and "no blind messages" in lines(alone=True)
    assert "the whole group's key only" in lines(subsets=()) and "hide" in lines(opaque_tweak=True)
    assert "no blind messages" in lines(max_fee=1) and "nobody else" not in lines(max_amount=1)

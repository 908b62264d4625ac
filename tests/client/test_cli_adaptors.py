"""A coin that a secret moves, by typing: points, pre-signatures, what completes them, and consensus code."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from examples.helpers.house import House
from examples.helpers.regtest import COIN, Coin, Regtest, transaction
from tests.client.terminal import Person

PAYEE = b"\x51\x20" + bytes([2]) * 32
MESSAGE = "5f" * 32


@pytest.mark.processes
@pytest.mark.asyncio
async def test_a_secret_completes_a_payment_and_is_read_off_the_chain(tmp_path: Path) -> None:
    async with House(enclaves=2) as house:
        alice, bob = (Person(name, house) for name in ("alice", "bob"))
        session = await _opened(alice, bob)
        secret = str(tmp_path / "secret")
        point = (await alice.types("adaptor", "point", "--new", secret)).strip()
        with Regtest() as chain:
            coin = chain.fund(bytes.fromhex((await alice.asks("address", session))["script"]))
            signing = await _asked(alice, bob, session, coin, point)
            (locked,) = (await bob.asks("result", signing))["presignatures"]
            assert chain.mine(await _completed(alice, signing, locked, secret))
            seen = chain.signature_that_spent(coin).hex()
        found = await bob.types("adaptor", "extract", locked["presignature"], seen, "--point", point)
        assert (await bob.types("adaptor", "point", "--secret", "-", input=found)).strip() == point
        await alice.types("adaptor", "point", "--new", other := str(tmp_path / "other"))
        await _any_or_all(alice, bob, session, (secret, other))


async def _opened(alice: Person, bob: Person) -> str:
    """Bob has his say, so that he is shown what he says it to."""
    made = await alice.asks("create", "--slots", "2", "--network", "regtest", "--server", alice.house.url)
    tickets = [each["ticket"] for each in made["tickets"]]
    keys = [("--trust-enclave", enclave.identity) for enclave in alice.house.enclaves]
    await asyncio.gather(
        alice.types("join", tickets[0], *keys[0], "--yes", "--approve", "none"),
        bob.types("join", tickets[1], *keys[1], "--yes"),
    )
    await bob.types("address", made["session"][:8])
    return str(made["session"][:8])


async def _asked(alice: Person, bob: Person, session: str, coin: Coin, point: str) -> str:
    """Alice asks, and both are told what completes it; Bob approves, and there is no transaction yet."""
    unsigned = transaction([coin], [(COIN, PAYEE)]).hex()
    asked = ("request", session, "--tx", unsigned, "--spent", str(coin.amount), "--adaptor", point)
    told = f"Item 1 of 1, input 1 of transaction 1: a pre-signature: completes only with the secret of {point}"
    assert told in await alice.types(*asked, input="n\n", code=1)
    signing = (await alice.types(*asked, "--yes", "-q")).strip()
    assert told in await bob.types("show", signing)
    shown = await bob.asks("show", signing)
    (item,) = shown["items"]
    assert item["adaptor"] == {"mode": "single", "points": [point]} and shown["warnings"] == []
    await bob.types("approve", signing, "--yes")
    told = await alice.types("result", signing, "--wait")
    assert f"waits for the secret of {point}" in told and "transaction 0  is not complete" in told
    return signing


async def _completed(alice: Person, signing: str, locked: Any, secret: str) -> bytes:
    """The pre-signature holds; offline it becomes the signature that `result` puts into the transaction."""
    item = ("--message", locked["message"], "--key", locked["key"])
    assert "holds" in await alice.types("adaptor", "verify", locked["presignature"], "--point", locked["point"], *item)
    signature = await alice.types("adaptor", "adapt", locked["presignature"], "--secret", secret, *item)
    assert "completes nothing here" in await alice.types("result", signing, "--secret", "-", input="07" * 32, code=2)
    result = await alice.asks("result", signing, "--secret", secret)
    assert (result["signatures"], result["complete"]) == ([signature.strip()], [True])
    assert result["presignatures"] == [locked]
    assert (await alice.types("result", signing, "-q")).strip() == locked["presignature"]
    return bytes.fromhex(await alice.types("result", signing, "--secret", secret, "-q"))


async def _any_or_all(alice: Person, bob: Person, session: str, secrets: tuple[str, str]) -> None:
    """`or:` is completed by either secret, `and:` only by both."""
    points = [(await alice.types("adaptor", "point", "--secret", secret)).strip() for secret in secrets]
    first, second = (("--secret", secret) for secret in secrets)
    result = await _presigned(alice, bob, session, f"or:{points[0]},{points[1]}")
    assert f"waits for the secret of {points[1]}" in await alice.types(*result)
    for secret in (first, second):
        assert "signature 0" in await alice.types(*result, *secret)
    result = await _presigned(alice, bob, session, f"and:{points[0]},{points[1]}")
    assert f"waits for the secrets of {points[0]} and {points[1]}" in await alice.types(*result)
    (locked,) = (await alice.asks(*result))["presignatures"]
    assert (await alice.types("adaptor", "point", *reversed(points))).strip() == locked["point"]
    missing = await alice.types(*result, *first, code=2)
    assert f"completes nothing here; an item needs the secret of {points[1]} too" in missing
    signature = (await alice.types(*result, *second, *first, "-q")).strip()
    item = ("--message", locked["message"], "--key", locked["key"])
    assert (await alice.types("adaptor", "adapt", locked["presignature"], *first, *second, *item)).strip() == signature


async def _presigned(alice: Person, bob: Person, session: str, adaptor: str) -> tuple[str, ...]:
    """A message, signed for this adaptor; gives what to type for the result."""
    asked = ("request", session, "--message", MESSAGE, "--adaptor", adaptor, "--yes", "-q")
    signing = (await alice.types(*asked)).strip()
    await bob.types("approve", signing, "--yes")
    await alice.types("result", signing, "--wait")
    return ("result", signing)

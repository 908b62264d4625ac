"""Several items in one request, by typing: one fails alone, is told with its reason, and the others are signed."""

import asyncio
import json

import pytest

from examples.helpers.house import House
from examples.helpers.regtest import COIN, Coin, transaction
from tests.client.terminal import Person

PAYEE = b"\x51\x20" + bytes([2]) * 32
MESSAGE = "5f" * 32


@pytest.mark.processes
@pytest.mark.asyncio
async def test_an_item_that_fails_alone_is_told_with_its_reason() -> None:
    async with House(enclaves=1) as house:
        alice, bob = (Person(name, house) for name in ("alice", "bob"))
        session = await _opened(alice, bob)
        asked = ("request", session, *await _alone(alice, session), "--message", MESSAGE, "--yes", "-q")
        signing = (await alice.types(*asked)).strip()
        told = "alone_not_allowed, slot 0: the owner of this key has not allowed a subset of it alone"
        shown, failed = await _result(alice, signing)
        assert f"FAILED    0  {told}" in shown and "signature 1  " in shown
        assert "item 0 was not signed" in failed and "prints what came of each" in failed
        (item,) = json.loads((await _result(alice, signing, "--json"))[0])["failed"]
        assert (item["item"], item["code"], item["slots"]) == (0, "alone_not_allowed", [0])
        assert "one of those has to ask" in await bob.types(*asked, code=1)


async def _opened(alice: Person, bob: Person) -> str:
    """A key of two, and one of Alice alone, which she does not allow."""
    terms = ("--slots", "2", "--subset", "0", "--network", "regtest", "--server", alice.house.url)
    made = await alice.asks("create", *terms)
    rule = ("--trust-enclave", alice.house.enclaves[0].identity, "--approve", "none", "--yes")
    await asyncio.gather(
        *(who.types("join", each["ticket"], *rule) for who, each in zip((alice, bob), made["tickets"], strict=True))
    )
    return str(made["session"][:8])


async def _alone(alice: Person, session: str) -> tuple[str, ...]:
    """The options that ask for a transaction which spends a coin of Alice alone."""
    script = (await alice.asks("address", session, "--subset", "0"))["script"]
    unsigned = transaction([Coin(bytes(32), 0, COIN, bytes.fromhex(script))], [(COIN - 500, PAYEE)])
    return "--tx", unsigned.hex(), "--spent", f"{COIN}:{script}"


async def _result(alice: Person, signing: str, *options: str) -> tuple[str, str]:
    """What `keymeld result` prints, and what it complains about."""
    return await alice.hears("result", signing, "--wait", *options, code=1)

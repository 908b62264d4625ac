"""A treasury of child addresses by typing: scripts beside the key, receive and change, a PSBT, and consensus code."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from examples.helpers.house import House
from examples.helpers.regtest import COIN, Coin, Regtest, transaction
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.transaction import Spend
from tests.client.terminal import Person

LEAVES = ("--leaf", "20" + "79" * 32 + "ac", "--leaf", "51")
ROOFER = b"\x51\x20" + bytes([2]) * 32


@pytest.mark.processes
@pytest.mark.asyncio
async def test_coins_come_to_receive_addresses_and_change_goes_to_change_addresses(tmp_path: Path) -> None:
    async with House(enclaves=1) as house:
        alice, bob = (Person(name, house) for name in ("alice", "bob"))
        session = await _opened(alice, bob)
        found = await alice.asks("address", session, "--child", "0/5")
        with Regtest() as chain:
            coin = chain.fund(bytes.fromhex(found["children"][0]["script"]))
            assert chain.mine(await _spent_by_psbt(alice, bob, session, coin, tmp_path / "spend.psbt"))
            assert chain.mine(await _spent_far_down(alice, bob, session, chain))


async def _opened(alice: Person, bob: Person) -> str:
    """Alice sees the scripts before she opens the session; Bob before he joins."""
    terms = ("create", "--slots", "2", "--network", "regtest", "--server", alice.house.url, *LEAVES)
    shown = await alice.types(*terms, input="n\n", code=1)
    assert "Script  depth 1, version 0xc0, script 2079" in shown and "Open a session with this?" in shown
    made = await alice.asks(*terms, "--yes")
    tickets, session = [each["ticket"] for each in made["tickets"]], str(made["session"][:8])
    enclave = ("--trust-enclave", alice.house.enclaves[0].identity)
    assert "depth 1, version 0xc0, script 51" in await bob.types("join", tickets[1], *enclave, input="n\n", code=1)
    await asyncio.gather(
        alice.types("join", tickets[0], *enclave, "--yes", "--approve", "none"),
        bob.types("join", tickets[1], *enclave, "--yes"),
    )
    await bob.types("address", session)
    assert "each child has one" in await bob.types("address", session, "--xpub", "--descriptor", code=2)
    return session


async def _spent_by_psbt(alice: Person, bob: Person, session: str, coin: Coin, file: Path) -> bytes:
    """A receive child pays the roofer, and the rest comes back to a change child; all of it in a PSBT."""
    change = (await alice.asks("address", session, "--child", "1/0-1"))["children"][1]
    unsigned = transaction([coin], [(COIN, ROOFER), (coin.amount - COIN - 500, bytes.fromhex(change["script"]))])
    await asyncio.to_thread(file.write_bytes, Psbt.of(Spend(unsigned, [(coin.amount, coin.script)])).sign({}).psbt)
    signing = (await alice.asks("request", session, "--psbt", str(file), "--yes"))["signing"][:10]
    shown = await bob.types("show", signing)
    assert "Signs   1 item with the key of the whole group; child 0/5, then the tweak of the terms" in shown
    assert f"to {change['address']}  (back to this group)" in shown
    (item,) = (await bob.asks("show", signing))["items"]
    assert item["tweaks"] == [{"tweak": "child", "path": [0, 5]}, {"tweak": "terms"}] and not item["opaque"]
    await bob.types("approve", signing, "--yes")
    result = await alice.asks("result", signing, "--wait", "--psbt", str(file))
    assert result["complete"] == [True]
    return bytes.fromhex(result["transactions"][0])


async def _spent_far_down(alice: Person, bob: Person, session: str, chain: Regtest) -> bytes:
    """A child beyond the gap limit is signed for whoever names it."""
    found: Any = (await alice.asks("address", session, "--child", "0/25"))["children"][0]
    coin = chain.fund(bytes.fromhex(found["script"]))
    unsigned = transaction([coin], [(coin.amount - 500, ROOFER)]).hex()
    asked = ("request", session, "--tx", unsigned, "--yes", "-q", "--spent")
    refused = await alice.types(*asked, f"{coin.amount}:{found['script']}", code=2)
    assert "spends nothing of this group" in refused and "a child after the first 20 has to be named" in refused
    signing = (await alice.types(*asked, str(coin.amount), "--child", "0/25")).strip()
    await bob.types("approve", signing, "--yes")
    return bytes.fromhex(await alice.types("result", signing, "--wait", "-q"))

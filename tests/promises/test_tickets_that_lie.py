"""A ticket names a session; whoever hands one out may name anything that the coordinator stores.

ticket ─▶ wallet's stream, signing's stream ─▶ refused, forgotten; what the wallet holds already goes on
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Client, Rule
from keymeld_client.errors import WalletError
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_protocol.errors import Refused
from keymeld_protocol.keys.ticket import Ticket, TicketSecret
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import WalletOpen
from tests.client.house import House, house
from tests.support.coordinator import key_of
from tests.support.peer import dial

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


async def wallet_stream(home: House) -> Id:
    """A stream that anybody may open, and that is no keygen."""
    mallory = key_of("mallory")
    opening = statements.make(WalletOpen(v=1, by=XOnlyKey(mallory.key)), mallory.sign)
    async with dial(home.url) as peer:
        await peer.greeted
        await peer.say(opening)
    return opening.id


def ticket_to(home: House, stream: Id) -> Ticket:
    """A well-formed ticket to any stream."""
    secret = TicketSecret(b"\1" * 32)
    host = home.url.removeprefix("ws://")
    return Ticket(host=host, secure=False, keygen_id=stream, group_secret=secret, slot=0, secret=secret)


async def confirmed(client: Client) -> None:
    """A keygen of its own is confirmed by the client, by itself."""
    keygen = await client.create_keygen(1, network="regtest")
    await keygen.join(rule=Rule(approval="self"))
    await keygen.completed()
    async with asyncio.timeout(10):
        await client.ledger.until(keygen.id, lambda _: keygen.safety.by_participant == (0,) or None)


async def test_a_ticket_to_something_that_is_no_keygen_spoils_nothing(home: House) -> None:
    async with home.person("bob") as bob:
        stream = await wallet_stream(home)
        with pytest.raises(WalletError, match="no keygen"):
            await bob.open_ticket(ticket_to(home, stream))
        assert bob.wallet.keygen(stream) is None
        await confirmed(bob)


async def test_a_lie_that_an_interrupted_process_left_behind_spoils_nothing(home: House) -> None:
    """Before, one such ticket ended the confirming of every keygen, in every later process."""
    async with home.person("bob") as bob:
        stream = await wallet_stream(home)
        bob.wallet.remember(KeygenEntry(stream, home.url, bytearray(32)))
    async with home.person("bob") as bob:
        assert bob.ledger.position(stream) is not None, "its first record was heard"
        assert bob.keygens() == ()
        await confirmed(bob)


async def test_a_ticket_to_nothing_is_forgotten(home: House) -> None:
    async with home.person("bob") as bob:
        with pytest.raises(Refused, match="no such stream"):
            await bob.open_ticket(ticket_to(home, Id(bytes(32))))
        assert bob.wallet.keygens() == ()
        await confirmed(bob)

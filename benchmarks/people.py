"""Three people on loopback, with wallets on disk, and the ceremonies that are timed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from examples.helpers.house import House
from keymeld_client.client import Client, connect
from keymeld_client.keygens import Keygen
from keymeld_client.said.choosing import Choice
from keymeld_client.said.joining import make_join
from keymeld_client.wallet.trust import Trust
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.shapes import Rule

SLOTS = 3
NONE = Rule(approval="none")
ROOMY = {
    "requests_per_second": "100000",
    "open_sessions_per_key": "100000",
    "connections_per_address": "1000",
    "proofs_per_connection": "10000",
    "work_ms_per_second": "10000",
}


@dataclass
class Trio:
    """Three clients of one house; slot i is sealed to enclave i mod the number of enclaves."""

    house: House
    clients: list[Client]
    away: AsyncExitStack

    def enclave(self, slot: int) -> XOnlyKey:
        """The enclave that holds ``slot``."""
        return XOnlyKey.from_hex(self.house.enclaves[slot % len(self.house.enclaves)].identity)

    async def keygen(self, slots: int = SLOTS) -> tuple[Keygen, float]:
        """A keygen of sealed slots; seconds from saying the last join until the creator sees all confirmed."""
        keygen = await self.clients[0].create_keygen(slots, label="benchmark", network="regtest")
        for slot, ticket in enumerate(keygen.tickets):
            client = self.clients[slot % len(self.clients)]
            invited = await client.open_ticket(ticket)
            with client.wallet.identity.auth(keygen.id, slot) as auth:
                await client.courier.prove([auth])
            choice = Choice(rule=NONE, enclave=self.enclave(slot))
            statement = make_join(client.wallet, invited.entry, invited.heard, client.group(keygen.id), slot, choice)
            began = perf_counter()
            await client.say(statement)
        await keygen.safe()
        return keygen, perf_counter() - began

    async def leave(self) -> None:
        """Everybody but the creator goes offline."""
        await self.away.aclose()


@asynccontextmanager
async def trio(enclaves: int, settings: Mapping[str, str] = ROOMY) -> AsyncIterator[Trio]:
    """A house with so many enclaves, and three people in it; enclaves confirm, nobody else does."""
    async with House(enclaves, settings) as house, AsyncExitStack() as here, AsyncExitStack() as away:
        trust = Trust(frozenset(XOnlyKey.from_hex(enclave.identity) for enclave in house.enclaves))
        clients = []
        for slot in range(SLOTS):
            stack = away if slot else here
            wallet = stack.enter_context(Wallet.open(house.folder / f"person-{slot}"))
            client = await stack.enter_async_context(connect(house.url, wallet, trust, auto_confirm=False))
            await client.ready()
            clients.append(client)
        yield Trio(house, clients, away)


async def sign(keygen: Keygen) -> float:
    """One signature of a fresh message; seconds from the request until the requester has verified it."""
    message = os.urandom(32)
    began = perf_counter()
    signing = await keygen.request(messages=[message])
    await signing.signatures()
    return perf_counter() - began

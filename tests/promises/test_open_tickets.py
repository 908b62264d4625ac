"""Under open tickets no key is sealed that people whom its owner does not know could use without him.

mallory takes two of three slots ─▶ alice joins under 2of3 ─▶ refused, no key is made ─▶ named, or accepted: sealed
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Allow, Client, Rule
from keymeld_client.keygens import Keygen
from keymeld_protocol.errors import Refused
from keymeld_protocol.keys.ticket import Ticket
from tests.client.house import House, house
from tests.support.world import NONE, SELF, quorum

pytestmark = pytest.mark.asyncio
TWO_OF_THREE = quorum(2, 0, 1, 2)


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


async def squatted(mallory: Client) -> Ticket:
    """The open ticket of a group of three in which mallory holds two slots."""
    opened = await mallory.create_keygen(3, network="regtest", open_tickets=True)
    for slot in (0, 1):
        await opened.join(slot, rule=SELF)
    await opened.joined()
    return opened.tickets[0]


async def nothing_is_sealed(keygen: Keygen, rule: Rule, allow: Allow) -> None:
    with pytest.raises(Refused, match="without your yes"):
        await keygen.join(rule=rule, allow=allow)
    assert keygen.entry.joins == {}


async def test_no_key_is_sealed_that_strangers_could_use(home: House) -> None:
    async with home.person("mallory") as mallory, home.person("alice") as alice:
        keygen = await alice.open_ticket(await squatted(mallory))
        await nothing_is_sealed(keygen, TWO_OF_THREE, Allow())
        await nothing_is_sealed(keygen, quorum(1, 0), Allow())


async def test_a_free_slot_is_nobody_whom_one_could_name(home: House) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(2, network="regtest", open_tickets=True)
        await nothing_is_sealed(keygen, NONE, Allow(requesters=(1,)))


async def test_who_names_those_who_sit_there_or_accepts_whoever_comes_is_let_in(home: House) -> None:
    async with home.person("mallory") as mallory, home.person("alice") as alice, home.person("bob") as bob:
        ticket = await squatted(mallory)
        keygen = await alice.open_ticket(ticket)
        assert await keygen.join(rule=TWO_OF_THREE, allow=Allow(requesters=(0, 1))) == 2
        other = await bob.create_keygen(3, network="regtest", open_tickets=True)
        assert await other.join(rule=TWO_OF_THREE, strangers=True) == 0
        await other.joined()

"""Strangers at the door of real processes: whatever they send, the honest are served meanwhile, and memory is bounded.

strangers ── pings · fragments · requests, unread · proofs that do not hold · half a handshake ─▶ keymeld-server
newcomer  ── dials, joins, signs ────────────────────────────────────────────────────────────▶   the same, meanwhile
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.peer import dial
from tests.support.stranger import ATTACKS, crowd

from .stage import NONE, gather, house, people
from .test_floods import MIB, memory

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]

STRANGERS = 8
LIMITS: dict[str, Any] = {"connections_per_address": "40", "requests_per_second": "1000"}


@pytest.mark.parametrize("name", ATTACKS)
async def test_attack_21_the_honest_are_served_meanwhile_and_memory_is_bounded(name: str) -> None:
    """21: unbounded work per unauthenticated request; with `connections_per_address` of them at most."""
    async with house(**LIMITS) as home, people(home, "alice") as (alice,):
        group = await gather([alice], [NONE])
        before = memory(home.coordinator)
        async with crowd(home.coordinator.port, name, STRANGERS), people(home, "newcomer") as (newcomer,):
            await gather([newcomer], [NONE])
            for number in range(3):
                signing = await alice.keygen(group).request(messages=[bytes([number]) * 32])
                assert len(await signing.signatures()) == 1
        assert memory(home.coordinator) - before < 8 * STRANGERS * MIB


async def test_attack_21_an_enclave_comes_in_where_strangers_have_filled_every_place() -> None:
    """21: a crowd of idle strangers locks nobody's keys away."""
    async with AsyncExitStack() as idle:
        home = await idle.enter_async_context(house(connections_max="30", connections_per_address="40"))
        (alice,) = await idle.enter_async_context(people(home, "alice"))
        group = await gather([alice], [NONE])
        await home.enclaves[0].kill()
        for _ in range(29):
            await (await idle.enter_async_context(dial(home.url))).greeted
        assert await (await idle.enter_async_context(dial(home.url))).closed() == 4103
        async with asyncio.timeout(30):
            await home.enclaves[0].start()
        signing = await alice.keygen(group).request(messages=[bytes(32)])
        assert len(await signing.signatures()) == 1

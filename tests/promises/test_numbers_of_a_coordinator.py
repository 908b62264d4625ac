"""Numbers that a hostile coordinator names: a client neither stops for good nor sleeps for ever because of one.

requests_per_second 0 ─▶ sixty-five sessions are resumed all the same         retry_after_ms 2**53 − 1 ─▶ half a minute
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.errors import Reason, Refused, Unavailable
from keymeld_protocol.values import Id
from keymeld_protocol.wire import frames
from tests.client.line.test_courier import courier, note
from tests.client.scripted import Talk, scripted
from tests.support.coordinator import NOON, secret_of

pytestmark = pytest.mark.asyncio


async def test_a_coordinator_that_allows_no_request_a_second_ends_no_client() -> None:
    asked = asyncio.Event()

    async def script(talk: Talk) -> None:
        hello = {
            "challenge": bytes(32).hex(), "versions": [frames.SUBPROTOCOL], "time": NOON, "heartbeat_ms": 60_000,
            "limits": {"requests_per_second": 0}, "coordinator": bytes(32).hex(), "epoch": bytes(16).hex(),
        }  # fmt: skip
        await talk.send(frames.notification("hello", hello))
        while True:
            request = await talk.next()
            if request.method == "subscribe":
                asked.set()
                await talk.refuse(request, Refused(Reason.UNKNOWN_STREAM, "no such stream"))
            else:
                await talk.answer(request, {"sessions": [], "keys": []})

    async with scripted(script) as url:
        wallet = Wallet.in_memory()
        for number in range(65):
            wallet.remember(KeygenEntry(Id(secret_of(str(number))), url, bytearray(32)))
        async with courier(url, wallet) as (carrier, naps, task):
            async with asyncio.timeout(10):
                await asyncio.wait([task, asyncio.create_task(carrier.online())], return_when=asyncio.FIRST_COMPLETED)
            assert asked.is_set() and not task.done() and max(naps.taken) <= 1


async def test_a_coordinator_that_says_never_again_is_asked_in_half_a_minute() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        later = Unavailable(Reason.UNAVAILABLE, "later", retry_after_ms=2**53 - 1)
        await talk.refuse(await talk.next("submit"), later)
        await talk.answer(await talk.next("submit"), {"stream": "00" * 32, "offset": 1})
        with suppress(AssertionError):
            await talk.until_closed()

    async with scripted(script) as url, courier(url) as (carrier, naps, _):
        await carrier.say(note())
    assert naps.taken == [30.0]

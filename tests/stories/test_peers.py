"""A participant and an enclave are peers of the same kind: whatever ends a conversation, they come back alike.

coordinator ── goodbye {retry_after_ms}, close with a code ──▶ Courier, EnclaveLink ──▶ the same wait
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from keymeld_client.line.courier import Courier
from keymeld_client.line.ledger import Ledger
from keymeld_client.wallet.wallet import Wallet
from keymeld_enclave.agent import Agent
from keymeld_enclave.clock import now_ms
from keymeld_enclave.config import Address
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_enclave.link import EnclaveLink
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.peer.waits import Backoff, Ended, Return
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Close
from tests.support.coordinator import secret_of

pytestmark = pytest.mark.asyncio

PATIENCE_S = 20.0


@asynccontextmanager
async def closing_with(code: int | None, retry_after_ms: int) -> AsyncIterator[str]:
    """A coordinator that ends every conversation in one way, None without a word; gives where it listens."""

    async def end(socket: ServerConnection) -> None:
        if code is None:
            socket.transport.abort()
            return
        said = {"code": code, "reason": "because", "retry_after_ms": retry_after_ms}
        await socket.send(frames.notification("goodbye", said), text=True)
        await socket.close(code, "because")

    async with serve(end, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def waits(peer: Any, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How long a peer that was just begun waits after its first conversation, and after its second."""
    found: list[int | None] = []
    enough, after = asyncio.Event(), Backoff.after

    def noted(backoff: Backoff, ended: Ended, stood_ms: int = 0) -> int | None:
        found.append(after(backoff, ended, stood_ms))
        if len(found) == 2 or found[-1] is None:
            enough.set()
        return None if found[-1] is None else 0

    with monkeypatch.context() as patch:
        patch.setattr(Backoff, "after", noted)
        running = asyncio.create_task(peer.run())
        async with asyncio.timeout(PATIENCE_S):
            await enough.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return found[:2]


@pytest.mark.parametrize("retry_after_ms", [0, 1500])
@pytest.mark.parametrize("code", [*Close, 1000, 1011, 4299, None])
async def test_both_peers_wait_alike_after_each_close_code(
    code: int | None, retry_after_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with closing_with(code, retry_after_ms) as url:
        with Wallet.in_memory() as wallet:
            backoff = Backoff(lambda: 1.0)
            participants = await waits(Courier(wallet, Ledger(wallet, url, now_ms), backoff=backoff), monkeypatch)
        agent = Agent(EnclaveIdentity(Secret(secret_of("vault"))), now_ms)
        enclaves = await waits(EnclaveLink(agent, Address(url=url), random=lambda: 1.0), monkeypatch)
    asked = 0 if code is None else retry_after_ms
    first = 0 if Return.after(code) is Return.AT_ONCE and not asked else asked + 250
    expected = [None] if Return.after(code) is Return.NEVER else [first, asked + 500]
    assert participants == enclaves == expected

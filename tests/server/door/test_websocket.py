"""websocket.py: read when it is its turn, held back by its own messages, and paid for what it makes us do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_server.app import Coordinator
from keymeld_server.door.websocket import PONGS_BYTES, Socket
from keymeld_server.fairness import CONTROL_US
from tests.support.peer import dial
from tests.support.serving import serving, until
from tests.support.stranger import PING, TEXT, frame, knock, request

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def app(tmp_path: Path) -> AsyncIterator[Coordinator]:
    """A coordinator that serves."""
    async with serving(tmp_path) as app:
        yield app


@pytest_asyncio.fixture
async def writer(app: Coordinator) -> AsyncIterator[asyncio.StreamWriter]:
    """What a stranger writes to, who reads nothing."""
    _, writer = await knock(app.port)
    yield writer
    writer.transport.abort()


async def only(app: Coordinator) -> Socket:
    """The other end of it."""
    await until(lambda: app._people._sockets)
    (socket,) = app._people._sockets
    return socket


async def test_every_frame_and_byte_is_paid_for_and_control_frames_dearly(
    app: Coordinator, writer: asyncio.StreamWriter
) -> None:
    socket = await only(app)
    before = socket.account.had
    writer.write(frame(PING) * 10)
    await until(lambda: socket.account.had - before >= 10 * CONTROL_US)
    assert socket.account.had - before < 11 * CONTROL_US


async def test_who_pings_without_end_is_read_no_further_until_it_has_paid(
    app: Coordinator, writer: asyncio.StreamWriter
) -> None:
    socket = await only(app)
    writer.write(frame(PING) * 20_000)
    await until(lambda: socket.account.wait_s > 0 and socket.unread)
    assert 2048 < socket.unread <= 256 * 1024
    async with dial(app.url) as honest:
        assert await honest.call("ping")
    assert socket.unread, "it still waits, and nobody with it"


async def test_pings_of_a_peer_that_takes_no_pongs_are_not_answered(
    app: Coordinator, writer: asyncio.StreamWriter
) -> None:
    socket = await only(app)
    socket.account.purse = None
    for _ in range(40):
        writer.write(frame(PING, b"p" * 125) * 2_000)
        await asyncio.sleep(0)
    await until(lambda: not socket.unread)
    assert socket.transport.get_write_buffer_size() <= PONGS_BYTES + 2 * 1024 * 127 // 6


async def test_a_peer_that_asks_and_takes_no_answers_is_read_no_further(
    app: Coordinator, writer: asyncio.StreamWriter
) -> None:
    socket = await only(app)
    writer.write(request("ping", {}) * 4_000)
    await until(lambda: socket.unread and socket._held)
    assert len(socket.recv_messages.frames) <= 32, "so many as one piece may bring"


async def test_a_message_that_comes_in_pieces_is_whole(app: Coordinator) -> None:
    reader, writer = await knock(app.port)
    said = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{}' + b" " * 100_000 + b"}"
    for begin in range(0, len(whole := frame(TEXT, said)), 999):
        writer.write(whole[begin : begin + 999])
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert b'"time"' in await reader.readuntil(b'"id":1') + await reader.read(200)
    writer.close()


async def test_who_was_paused_with_us_is_not_late(app: Coordinator, writer: asyncio.StreamWriter) -> None:
    socket = await only(app)
    socket.pinged_at = socket.sending_since = socket.heard_at = -1_000.0
    socket.excuse()
    assert app._people._verdict(socket, socket.loop.time()) is None


async def test_it_counts_from_accept_until_it_has_gone(app: Coordinator) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", app.port)
    limits = app._people._limits
    await until(lambda: limits.count == 1)
    writer.transport.abort()
    await until(lambda: limits.count == 0)

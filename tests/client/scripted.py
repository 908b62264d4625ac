"""A coordinator that does what a test's script says, over a real loopback socket.

async with scripted(script) as url: …          script(talk) runs once for each connection, in order
await talk.hello(); request = await talk.next("authenticate"); await talk.answer(request, {})
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from keymeld_protocol.errors import WireError
from keymeld_protocol.values import Epoch, Salt, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import CoordinatorSide, Request
from tests.support.coordinator import NOON, key_of


class Talk:
    """One connection, from the coordinator's side; requests are those that a strict coordinator would read."""

    def __init__(self, socket: ServerConnection, port: int) -> None:
        self.socket = socket
        self.side = CoordinatorSide(Salt(bytes(32)), (f"ws://127.0.0.1:{port}",))
        self.seen: list[str] = []

    async def hello(self, heartbeat_ms: int = 60_000) -> None:
        """The first words."""
        key, epoch = XOnlyKey(key_of("coordinator").key), Epoch(bytes(16))
        await self.send(self.side.hello(time=NOON, limits={}, heartbeat_ms=heartbeat_ms, coordinator=key, epoch=epoch))

    async def send(self, data: bytes) -> None:
        """One frame."""
        await self.socket.send(data, text=True)

    async def next(self, method: str | None = None) -> Request:
        """The next request, which must be for ``method``."""
        request = self.side.receive(await self.socket.recv(), NOON)
        assert isinstance(request, Request), request
        assert method is None or request.method == method, request.method
        self.seen.append(request.method)
        return request

    async def answer(self, request: Request, value: dict[str, Any]) -> None:
        """A result."""
        assert request.ident is not None
        await self.send(frames.result(request.ident, value))

    async def refuse(self, request: Request, problem: WireError) -> None:
        """An error."""
        await self.send(frames.error(request.ident, problem))

    async def resumed(self) -> None:
        """Hello to a wallet without sessions, which asks for nothing more."""
        await self.hello()

    async def until_closed(self) -> None:
        """Until the client has gone."""
        with suppress(ConnectionClosed):
            while True:
                await self.socket.recv()


Script = Callable[[Talk], Awaitable[None]]


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[str]:
    """A coordinator that plays one script for each connection, the last one again and again; gives its URL."""
    left = list(scripts)

    async def handle(socket: ServerConnection) -> None:
        script = left.pop(0) if len(left) > 1 else left[0]
        with suppress(ConnectionClosed):
            await script(Talk(socket, socket.local_address[1]))

    server = await serve(
        handle, "127.0.0.1", 0, subprotocols=[Subprotocol(frames.SUBPROTOCOL)], compression=None, ping_interval=None
    )
    async with server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"

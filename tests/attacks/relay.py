"""A network that listens, and lets through what it likes: one hop between peers and the real coordinator.

people ── ws ──▶ Relay ── ws ──▶ coordinator            relay.sent, relay.told     every frame of both directions
enclave ── unix ──▶ Relay ── unix ──▶ coordinator       relay.hold(word)           frames to peers that hold a word wait

Proofs are bound to what was dialled: a coordinator accepts them through a relay only if the relay's address is among
its ``origins``, which an operator says of his own proxy alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from keymeld_protocol.wire.frames import SUBPROTOCOL

WORDS = [Subprotocol(SUBPROTOCOL)]


class Relay:
    """One listening address; ``target`` is where its connections are carried on to: a URL, or a socket's path."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self.target: str | Path = ""
        self.port = 0
        self.sent: list[str | bytes] = []
        self.told: list[str | bytes] = []
        self.held = asyncio.Event()
        self._word: bytes | None = None
        self._released = asyncio.Event()

    def hold(self, word: str) -> None:
        """From now on a frame to a peer that has ``word`` in it waits, and all behind it; ``held``: one does."""
        self._word = word.encode()
        self.held.clear()
        self._released.clear()

    def release(self) -> None:
        """Let everything through again."""
        self._word = None
        self._released.set()

    async def carry(self, peer: ServerConnection) -> None:
        """Carry one connection until either side closes it."""
        try:
            onward = await self._dial()
        except OSError:
            await peer.close(4200)  # the coordinator is away: come back
            return
        try:
            copies = [
                asyncio.create_task(self._copy(peer, onward, self.sent)),
                asyncio.create_task(self._copy(onward, peer, self.told)),
            ]
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for task in copies:
                task.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
        finally:
            await onward.close()

    async def _copy(self, one: Connection, other: Connection, heard: list[str | bytes]) -> None:
        try:
            while True:
                frame = await one.recv()
                heard.append(frame)
                raw = frame if isinstance(frame, bytes) else frame.encode()
                if heard is self.told and self._word is not None and self._word in raw:
                    self.held.set()
                    await self._released.wait()
                await other.send(frame)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 1001
            with suppress(ValueError):
                await other.close(code)

    async def _dial(self) -> ClientConnection:
        """A connection to the real coordinator."""
        if isinstance(self.target, Path):
            return await unix_connect(
                str(self.target), "ws://localhost/", subprotocols=WORDS, compression=None, ping_interval=None,
                max_size=None,
            )  # fmt: skip
        return await connect(self.target, subprotocols=WORDS, compression=None, ping_interval=None, max_size=None)


@asynccontextmanager
async def relay(path: Path | None = None, target: str | Path = "") -> AsyncIterator[Relay]:
    """A relay on a free TCP port, or on a Unix socket; ``target`` may be set later, once it is known."""
    made = Relay()
    made.target = target
    server: Server
    if path is None:
        server = await serve(
            made.carry, "127.0.0.1", 0, subprotocols=WORDS, compression=None, ping_interval=None, max_size=None
        )
        made.port = next(iter(server.sockets)).getsockname()[1]
    else:
        server = await unix_serve(
            made.carry, str(path), subprotocols=WORDS, compression=None, ping_interval=None, max_size=None
        )
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()

"""A peer for tests: one real socket to a coordinator, words to speak with, and what was heard, by stream.

    async with dial(app.url) as alice:
        await alice.prove(key)
        await alice.say(statement)                     the result of submit, or the error as an exception
        await alice.subscribe(stream)
        record = await alice.next_record(stream)

It verifies nothing and answers nothing by itself, so that a test sees what the coordinator does.
"""

from __future__ import annotations

import asyncio
import socket as socket_module
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.values import Id
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Answer, Goodbye, Heard, Hello, PeerSide, Presence
from keymeld_protocol.wire.frames import SUBPROTOCOL, WireRecord
from keymeld_protocol.wire.records import Position, Record
from keymeld_protocol.wire.statements import Statement

PATIENCE_S = 10.0
"""A test that waits longer has failed."""


class Ended(Exception):
    """The conversation is over; ``args`` is the close code."""


class SocketPeer:
    """One conversation; queues of what was heard."""

    def __init__(self, socket: ClientConnection, origin: str) -> None:
        self.socket = socket
        self.side = PeerSide(origin)
        self.records: defaultdict[Id, asyncio.Queue[WireRecord]] = defaultdict(asyncio.Queue)
        self.presences: asyncio.Queue[Presence] = asyncio.Queue()
        self.stray: asyncio.Queue[Answer] = asyncio.Queue()
        self.order: list[Any] = []
        self.goodbye: Goodbye | None = None
        self.greeted: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._calls: dict[int | str, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    # Hearing

    async def _read(self) -> None:
        """Hear until the end; whoever still waits for an answer then learns of it."""
        problem: Exception = Ended(1006)
        try:
            while True:
                self._hear(await self.socket.recv())
        except ConnectionClosed as closed:
            problem = Ended(closed.rcvd.code if closed.rcvd is not None else 1006)
            self.ended.set_result(problem.args[0])
        except Exception as error:
            problem = error
            self.ended.set_exception(error)
        for waiting in [*self._calls.values(), self.greeted]:
            if not waiting.done():
                waiting.set_exception(problem)
                waiting.exception()

    def _hear(self, data: str | bytes) -> None:
        event = self.side.receive(data)
        self.order.append(event)
        if isinstance(event, Hello):
            self.greeted.set_result(event)
        elif isinstance(event, Heard):
            self.records[event.stream].put_nowait(event.record)
        elif isinstance(event, Presence):
            self.presences.put_nowait(event)
        elif isinstance(event, Goodbye):
            self.goodbye = event
        elif isinstance(event, Answer):
            self._answered(event)

    def _answered(self, answer: Answer) -> None:
        call = self._calls.pop(answer.ident, None)
        if call is None:
            self.stray.put_nowait(answer)
        elif answer.problem is not None:
            call.set_exception(answer.problem)
        else:
            call.set_result(msgspec.json.decode(answer.result or b"null"))

    async def next_record(self, stream: Id) -> Record:
        """The next record of a stream, parsed."""
        async with asyncio.timeout(PATIENCE_S):
            return frames.record_of(await self.records[stream].get())

    async def until(self, stream: Id, kind: str) -> Record:
        """Hear records of a stream until one is of ``kind``; gives that one."""
        while (record := await self.next_record(stream)).statement.payload.kind != kind:
            pass
        return record

    def silent(self, stream: Id) -> bool:
        """Whether nothing more of a stream has come so far."""
        return self.records[stream].empty()

    async def next_presence(self) -> Presence:
        """The next word about somebody's presence."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.presences.get()

    async def next_stray(self) -> Answer:
        """The next answer to something that was no request."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.stray.get()

    async def closed(self) -> int:
        """Wait for the end; gives the close code (1006: without a word)."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(self.ended)

    # Speaking

    async def send(self, data: str | bytes) -> None:
        """Send any frame: text, or binary for bytes."""
        await self.socket.send(data)

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> asyncio.Future[Any]:
        """Send a request; the future is its answer."""
        ident, data = self.side.request(method, params or {})
        answer = self._calls[ident] = asyncio.get_running_loop().create_future()
        await self.socket.send(data, text=True)
        return answer

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Ask and wait.

        Raises:
            WireError: the coordinator's error.
        """
        answer = await self.ask(method, params)
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    async def prove(self, *keys: Keypair, token: str | None = None) -> Any:
        """Authenticate for ``keys``."""
        await self.greeted
        return await self.call("authenticate", self.side.authenticate(list(keys), token))

    async def say(self, statement: Statement) -> dict[str, Any]:
        """Submit a statement."""
        answer: dict[str, Any] = await self.call("submit", {"statement": frames.statement_json(statement.wire)})
        return answer

    async def subscribe(self, stream: Id, since: Position | None = None) -> dict[str, Any]:
        """Subscribe, from ``since``."""
        params: dict[str, Any] = {"stream": stream.hex()}
        if since is not None:
            params["since"] = frames.since_json(since)
        answer: dict[str, Any] = await self.call("subscribe", params)
        return answer

    async def hear(self, stream: Id, kind: str) -> Record:
        """Subscribe from the first record and hear until ``kind``."""
        await self.subscribe(stream)
        return await self.until(stream, kind)

    async def leave(self) -> None:
        """Go away."""
        if not self.ended.done():
            await self.socket.close()
        await self._reader


@asynccontextmanager
async def dial(
    url: str, *, protocol: str = SUBPROTOCOL, origin: str | None = None, receive_bytes: int | None = None
) -> AsyncIterator[SocketPeer]:
    """A conversation with the coordinator at ``url``; ``receive_bytes`` makes its socket hold little unread."""
    raw = socket_module.socket()
    if receive_bytes is not None:
        raw.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_RCVBUF, receive_bytes)
    host, _, port = url.removeprefix("ws://").rpartition(":")
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    socket = await connect(
        url, sock=raw, subprotocols=[Subprotocol(protocol)], compression=None, ping_interval=None, max_size=None
    )
    peer = SocketPeer(socket, origin or url)
    try:
        yield peer
    finally:
        await peer.leave()


@asynccontextmanager
async def dial_unix(path: Path) -> AsyncIterator[SocketPeer]:
    """A conversation over the enclaves' Unix socket."""
    socket = await unix_connect(
        str(path), "ws://localhost/", subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, ping_interval=None,
        max_size=None,
    )  # fmt: skip
    peer = SocketPeer(socket, "unix")
    try:
        yield peer
    finally:
        await peer.leave()


@asynccontextmanager
async def enclave_at(path: Path, key: Keypair) -> AsyncIterator[SocketPeer]:
    """An enclave that has announced itself as ``key``; it says nothing by itself."""
    async with dial_unix(path) as peer:
        await peer.prove(key)
        await peer.call("announce", {"capacity": 100})
        yield peer

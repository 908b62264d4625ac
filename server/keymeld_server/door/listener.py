"""The sockets: the only file that awaits a peer.

    accept ─▶ limits ─▶ hello ─┬▶ read: frame ─▶ its turn ─▶ Dispatch.receive, one after another
                               ├▶ pump: Outbox.next ─▶ send, one after another: back-pressure
                               └▶ keeper: pings who is silent, ends what does not answer (4101) or read (4100)

Every end that we choose is preceded by ``goodbye`` and has a code of its own (§2.8), never 1000; a peer that
does not even take the goodbye is cut off.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket as socket_module
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from keymeld_host.logs import tell
from keymeld_protocol.values import Salt
from keymeld_protocol.wire.connection import Close, CoordinatorSide
from keymeld_protocol.wire.frames import SUBPROTOCOL

from ..config import ServerConfig
from ..dispatch import Dispatch, Peer
from ..fairness import BYTE_US, REQUEST_US, Fairness
from ..observe import Metrics
from ..outbox import Outbox
from .addresses import Addresses
from .connection_limits import ConnectionLimits, Entrance
from .http import answer
from .peer_tag import peer_tag
from .websocket import Socket

WRITE_BYTES: Final = 32 * 1024
"""What may wait in a socket's buffer before its pump waits too."""
CLOSE_SECONDS: Final = 2.0
"""Time for a goodbye and the closing handshake; then the socket is cut off."""
PAUSE_SECONDS: Final = 3.0
"""Whoever looks so much later than he meant to did not run: nobody is late because of that."""
ENCLAVE_REQUESTS: Final = 100
"""An enclave speaks for many: its listener allows so many times the requests of a participant."""
ENCLAVE_WEIGHT: Final = 0.001
"""What an enclave's work counts where others wait for their turn: it goes before them."""


class Listener:
    """One listening socket and the connections that came in by it."""

    def __init__(
        self,
        dispatch: Dispatch,
        config: ServerConfig,
        metrics: Metrics,
        fairness: Fairness,
        *,
        hello: Callable[[CoordinatorSide], bytes],
        is_enclave: bool = False,
    ) -> None:
        """Nobody is let in before `open`; ``fairness`` orders the work of all listeners."""
        self._dispatch = dispatch
        self._config = config
        self._metrics = metrics
        self._fairness = fairness
        self._limits = ConnectionLimits(config)
        self._addresses = Addresses(config.trusted_proxies, config.ipv6_bits)
        self._hello = hello
        self._is_enclave = is_enclave
        self._server: Server | None = None
        self._path: Path | None = None
        self._sockets: set[Socket] = set()
        self._keeper: asyncio.Task[None] | None = None
        self.origins: tuple[str, ...] = ()
        self.ready = False

    # Open and close ---------------------------------------------------------------------------------------------

    async def open_tcp(self, host: str, port: int) -> int:
        """Listen on TCP; gives the port that was bound.

        Raises:
            OSError: the address cannot be bound.
        """
        with _named(f"{host}:{port}"):
            self._server = await serve(self._converse, host, port, backlog=4096, **self._options())
        self._keeper = asyncio.create_task(self._keep())
        bound: int = next(iter(self._server.sockets)).getsockname()[1]
        return bound

    async def open_unix(self, path: Path) -> None:
        """Listen on a Unix socket that only this user may dial; one left behind by a crash is replaced.

        Raises:
            OSError: the path cannot be bound, or another process listens there.
        """
        before = os.umask(0o177)
        try:
            with _named(f"unix:{path}"):
                _clear(path)
                self._server = await unix_serve(self._converse, str(path), **self._options())
        finally:
            os.umask(before)
        self._path = path
        self._keeper = asyncio.create_task(self._keep())

    def _options(self) -> dict[str, Any]:
        return {
            "create_connection": partial(
                Socket,
                fairness=self._fairness,
                limits=self._limits,
                addresses=self._addresses,
                weight=ENCLAVE_WEIGHT if self._is_enclave else 1.0,
                work_ms_per_second=None if self._is_enclave else self._config.work_ms_per_second,
            ),
            "subprotocols": [Subprotocol(SUBPROTOCOL)],
            "select_subprotocol": _offered,
            "process_request": self._requested,
            "compression": None,
            "server_header": None,
            "open_timeout": self._config.handshake_ms / 1000,
            "ping_interval": None,
            "close_timeout": CLOSE_SECONDS,
            "max_size": self._config.frame_bytes,
            "max_queue": (1, 0),
            "write_limit": WRITE_BYTES,
        }

    def _requested(self, socket: ServerConnection, request: Request) -> Response | None:
        """A handshake, or plain HTTP."""
        assert isinstance(socket, Socket)
        socket.forwarded(request.headers.get_all("X-Forwarded-For"))
        return answer(request, self._metrics, ready=self.ready)

    def stop(self) -> None:
        """Let nobody else in."""
        if self._server is not None:
            self._server.close(close_connections=False)

    async def close(self) -> None:
        """Say goodbye to everybody (4200), and wait until they have gone."""
        self.stop()
        await asyncio.gather(*(self._end(socket, Close.DRAINING) for socket in list(self._sockets)))
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    # One connection ---------------------------------------------------------------------------------------------

    async def _converse(self, socket: ServerConnection) -> None:
        """A conversation from hello to its end."""
        assert isinstance(socket, Socket)
        if socket.subprotocol is None or socket.entry is not Entrance.SERVED:
            await self._end(socket, Close.VERSION if socket.subprotocol is None else Close.TOO_MANY_CONNECTIONS)
            self._ended(socket)
            return
        side = self._metrics.connections.labels("enclave" if self._is_enclave else "participant")
        self._sockets.add(socket)
        side.inc()
        try:
            await self._talk(socket)
        finally:
            side.dec()
            self._sockets.discard(socket)
            self._ended(socket)

    async def _talk(self, socket: Socket) -> None:
        peer = self._peer(socket)
        peer.outbox.notify(self._hello(peer.side))
        pump = asyncio.create_task(self._pump(socket, peer.outbox))
        try:
            await self._read(socket, peer)
        except ConnectionClosed:
            pass  # they have gone, with or without a word; their streams wait for them
        finally:
            pump.cancel()
            self._dispatch.leave(peer)
            await asyncio.gather(pump, return_exceptions=True)
        if peer.side.close_code is not None:
            await self._end(socket, peer.side.close_code)

    def _peer(self, socket: Socket) -> Peer:
        faster = ENCLAVE_REQUESTS if self._is_enclave else 1
        per_second = self._config.requests_per_second * faster
        side = CoordinatorSide(
            Salt(os.urandom(32)),
            self.origins,
            per_second,
            2 * per_second,
            max_proven=self._config.proofs_per_connection,
        )
        outbox = Outbox(self._dispatch.sessions, side.proven, self._dispatch.hub.drop, socket.account)
        return Peer(side, outbox, self._is_enclave, account=socket.account)

    async def _read(self, socket: Socket, peer: Peer) -> None:
        """Frame after frame, while not too many requests are under way."""
        while peer.side.close_code is None:
            if (room := peer.outbox.room()) is not None:
                await room
            data = await socket.recv()
            if socket.ending is not None:
                return
            await peer.account.turn(REQUEST_US + BYTE_US * len(data))
            await self._dispatch.receive(peer, data)

    async def _pump(self, socket: Socket, outbox: Outbox) -> None:
        """Send what is next whenever the socket takes more."""
        try:
            while True:
                batch = [await outbox.next()]
                await asyncio.sleep(0)  # what else this turn of the loop brings leaves in the same write
                size = len(batch[0])
                while size < WRITE_BYTES and (frame := outbox.ready()) is not None:
                    batch.append(frame)
                    size += len(frame)
                if not socket.write(batch):
                    await self._wait_and_send(socket, batch)
        except ConnectionClosed:
            pass
        except Exception as problem:
            tell(logging.WARNING, "a peer could not be told what it should hear", problem)
            await self._end(socket, Close.UNREADABLE)
        finally:
            outbox.close()

    async def _wait_and_send(self, socket: Socket, batch: list[bytes]) -> None:
        """Send as the peer takes it; the keeper looks at how long the socket has taken nothing."""
        for frame in batch:
            socket.sending_since = socket.loop.time()
            await socket.send(frame, text=True)
        socket.sending_since = None

    async def _end(self, socket: Socket, code: int) -> None:
        """Say goodbye and close with ``code``; cut off a peer that takes neither."""
        socket.say_goodbye(code)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.wait_closed()
        socket.transport.abort()

    def _ended(self, socket: Socket) -> None:
        """Note an end that we chose."""
        if socket.ending is not None:
            self._metrics.closed(socket.ending)
            tell(logging.INFO, "connection ended", code=socket.ending, peer=peer_tag(socket.address or "local"))

    # The keeper -------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Look at every connection a few times within the shortest of the times that matter."""
        config = self._config
        shortest = min(config.heartbeat_ms, config.heartbeat_answer_ms, config.send_stall_ms) / 1000
        ends: set[asyncio.Task[None]] = set()
        loop, often = asyncio.get_running_loop(), min(1.0, shortest / 4)
        while True:
            slept_at = loop.time()
            await asyncio.sleep(often)
            paused = loop.time() - slept_at > often + PAUSE_SECONDS
            for socket in list(self._sockets):
                if paused:
                    socket.excuse()
                code = self._verdict(socket, socket.loop.time())
                if code is not None and socket.ending is None:
                    task = asyncio.create_task(self._end(socket, code))
                    ends.add(task)
                    task.add_done_callback(ends.discard)

    def _verdict(self, socket: Socket, now: float) -> Close | None:
        """Why this connection has to end now, if it has to; pings it when it has been silent."""
        config = self._config
        if socket.sending_since is not None:
            return Close.SLOW if now - socket.sending_since >= config.send_stall_ms / 1000 else None
        if socket.pinged_at is not None:
            return Close.NO_HEARTBEAT if now - socket.pinged_at >= config.heartbeat_answer_ms / 1000 else None
        if socket.unread:
            return None  # it has spoken, and waits for its turn
        silent = now - socket.heard_at >= config.heartbeat_ms / 1000
        if silent and socket.protocol.state is State.OPEN:
            socket.pinged_at = now
            socket.protocol.send_ping(b"")
            socket.send_data()
        return None


@contextmanager
def _named(address: str) -> Iterator[None]:
    """What the system says about an address, with the address and in its words.

    Raises:
        OSError: the same, told so.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0  # below 0 where a name does not resolve
        told = os.strerror(number).lower() if number > 0 else error.strerror or str(error)
        raise OSError(number, f"cannot listen on {address}: {told}") from None


def _clear(path: Path) -> None:
    """Remove a Unix socket that nobody listens on any more.

    Raises:
        OSError: somebody does.
    """
    if not path.is_socket():
        return
    with closing(socket_module.socket(socket_module.AF_UNIX)) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    path.unlink()


def _offered(socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Ours if it was offered; a peer without it is told so in a WebSocket, not by HTTP."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None

"""One conversation on one socket, the participant's side.

    client                                    coordinator
      ── opens the socket (keymeld.v1) ─────▶
      ◀─ hello
      ── call: request 1 ───────────────────▶
      ◀─ record …, result 1, record …            results and records are handled in the order in which they come
      ── ping (heard nothing for heartbeat_ms) ▶
      ◀─ result                                  else closed with 4101
      ◀─ goodbye, close 42xx

What the bytes mean is decided by `keymeld_protocol.wire.connection.PeerSide`; here is only the waiting.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from socket import gaierror
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidMessage, WebSocketException
from websockets.typing import Subprotocol

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import BadInput, KeymeldError, Reason
from keymeld_protocol.keys.ticket import split_url
from keymeld_protocol.printable import printable
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Answer, Close, Goodbye, Heard, Hello, PeerSide, Presence

ANSWER_S: Final = 10.0
"""Seconds that the socket may take to open, hello to come, and a ping to be answered."""

_PORTS: Final = {"ws": "80", "wss": "443"}
_ERRNO: Final = re.compile(r"\[Errno ([0-9]{1,4})\]")
T = TypeVar("T")


def origin_of(url: str) -> str:
    """``scheme://host[:port if not default]``: what proofs are bound to, and how the wallet names a coordinator.

    Raises:
        BadInput: not ``ws://host[:port]`` or ``wss://host[:port]``.
    """
    host, secure = split_url(url)
    scheme = "wss" if secure else "ws"
    return f"{scheme}://{host.removesuffix(f':{_PORTS[scheme]}')}"


class LinkClosed(KeymeldError):
    """The conversation has ended; ``code`` is the close code, None when the network failed."""

    def __init__(self, code: int | None, reason: str, retry_after_ms: int = 0) -> None:
        super().__init__(f"{reason} ({code})" if code is not None else reason)
        self.code = code
        self.retry_after_ms = retry_after_ms


@dataclass
class _Call:
    """A request that waits for its answer; ``then`` runs before any later frame is read."""

    kind: Any
    then: Callable[[Any], None] | None
    future: asyncio.Future[Any]


class Link:
    """An open conversation; use `dial`."""

    def __init__(self, socket: ClientConnection, origin: str, hear: Callable[[Heard | Presence], None]) -> None:
        self.peer = PeerSide(origin)
        self.ended: asyncio.Future[LinkClosed] = asyncio.get_running_loop().create_future()
        self.follows = False
        self._socket = socket
        self._hear = hear
        self._calls: dict[int | str, _Call] = {}
        self._greeted = asyncio.Event()
        self._goodbye: Goodbye | None = None

    @property
    def hello(self) -> Hello:
        """What the coordinator said first."""
        if self.peer.greeting is None:
            raise BadInput(Reason.WRONG_STATE, "the coordinator has not said hello")
        return self.peer.greeting

    async def call(
        self, method: str, params: dict[str, Any], kind: type[T], then: Callable[[T], None] | None = None
    ) -> T:
        """Ask, and wait for the answer; ``then`` gets it before any later frame is handled.

        Raises:
            WireError: what the coordinator answered instead.
            LinkClosed: the conversation ended before the answer came.
        """
        if self.ended.done():
            raise self.ended.result()
        ident, data = self.peer.request(method, params)
        call = _Call(kind, then, asyncio.get_running_loop().create_future())
        self._calls[ident] = call
        try:
            with suppress(ConnectionClosed):  # the reader learns of it too, and ends every call
                await self._socket.send(data, text=True)
            return await call.future  # type: ignore[no-any-return]
        finally:
            self._calls.pop(ident, None)

    async def authenticate(self, keys: list[Keypair], token: str | None = None) -> None:
        """Prove ``keys`` on this connection, as many at a time as a frame may hold.

        Raises:
            WireError: a proof was refused.
            LinkClosed: the conversation ended before the answer came.
        """
        for start in range(0, max(len(keys), 1 if token else 0), frames.MAX_PROOFS):
            params = self.peer.authenticate(keys[start : start + frames.MAX_PROOFS], token)
            await self.call("authenticate", params, dict)

    async def _read(self) -> None:
        """Read until the socket closes; every waiting call learns how it ended."""
        closed = LinkClosed(None, "closed by us")
        try:
            while True:
                self._receive(await self._next())
        except LinkClosed as error:
            closed = error
        except ConnectionClosed as error:
            closed = self._closed(error)
        except BadInput as error:
            terminal = error.reason is Reason.UNKNOWN_VERSION
            closed = LinkClosed(Close.VERSION if terminal else None, f"the coordinator broke the protocol: {error}")
        finally:
            self.ended.set_result(closed)
            self._greeted.set()
            for call in self._calls.values():
                if not call.future.done():
                    call.future.set_exception(closed)

    async def _next(self) -> str | bytes:
        """The next frame; after ``heartbeat_ms`` of silence a ping, and then it must come.

        Raises:
            LinkClosed: nothing came.
        """
        silence = self.peer.greeting.heartbeat_ms / 1000 if self.peer.greeting else ANSWER_S
        try:
            async with asyncio.timeout(silence):
                return await self._socket.recv()
        except TimeoutError:
            if self.peer.greeting is None:
                raise LinkClosed(None, "the coordinator said nothing") from None
        await self._socket.send(self.peer.request("ping", {})[1], text=True)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._socket.recv()
        except TimeoutError:
            raise LinkClosed(Close.NO_HEARTBEAT, "the coordinator does not answer") from None

    def _receive(self, data: str | bytes) -> None:
        """Handle one frame, completely, before the next is read."""
        event = self.peer.receive(data)
        if isinstance(event, Answer):
            self._answered(event)
        elif isinstance(event, Heard | Presence):
            self._hear(event)
        elif isinstance(event, Hello):
            self._greeted.set()
        elif isinstance(event, Goodbye):
            self._goodbye = event

    def _answered(self, answer: Answer) -> None:
        """Give an answer to who asked; one that nobody waits for is dropped."""
        call = self._calls.pop(answer.ident, None)
        if call is None or call.future.done():
            return
        if answer.problem is not None:
            answer.problem.message = printable(answer.problem.message[:500])
            call.future.set_exception(answer.problem)
            return
        result = {} if call.kind is dict else frames.convert(answer.result, call.kind)
        if call.then is not None:
            call.then(result)
        call.future.set_result(result)

    def _closed(self, error: ConnectionClosed) -> LinkClosed:
        """How the coordinator closed, with what it said before."""
        received = error.rcvd
        code = received.code if received is not None else None
        told = self._goodbye
        reason = (received.reason if received is not None else "") or (told.reason if told else "") or "connection lost"
        reason = "the coordinator stops or restarts" if code == Close.DRAINING else reason
        return LinkClosed(code, printable(reason[:200]), told.retry_after_ms if told else 0)


@asynccontextmanager
async def dial(url: str, hear: Callable[[Heard | Presence], None]) -> AsyncIterator[Link]:
    """Open a conversation with the coordinator at ``url`` and wait for its hello; closed at the block's end.

    Raises:
        LinkClosed: it cannot be reached, or said nothing.
    """
    try:
        socket = await open_socket(
            url,
            subprotocols=[Subprotocol(frames.SUBPROTOCOL)],
            compression=None,
            max_size=frames.PEER_FRAME_BYTES,
            open_timeout=ANSWER_S,
            close_timeout=1,
            ping_interval=None,
            proxy=True if urlsplit(url).scheme == "wss" else None,
        )
    except (OSError, WebSocketException, TimeoutError) as error:
        raise LinkClosed(None, f"{url} cannot be reached: {_why(error)}") from None
    link = Link(socket, origin_of(url), hear)
    reader = asyncio.create_task(link._read())
    try:
        await link._greeted.wait()
        if link.ended.done():
            raise link.ended.result()
        yield link
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        await socket.close()


def _why(error: Exception) -> str:
    """Why no socket opened, as a person would say it: ``connection refused``, not a number of the system."""
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_S:g} s"
    if isinstance(error, gaierror):
        return "its name is not known, or name resolution does not work"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {getattr(error, 'verify_message', '') or error}"
    if isinstance(error, ssl.SSLError | ConnectionResetError | EOFError | InvalidMessage):
        return "what listens there is no coordinator, or wss:// and ws:// (with TLS and without) were mixed up"
    if isinstance(error, OSError):  # of several addresses tried, the event loop lists what went wrong with each
        found = {error.errno} if error.errno else {int(number) for number in _ERRNO.findall(str(error))}
        if len(found) == 1:
            return os.strerror(found.pop()).lower()
    return str(error) or type(error).__name__

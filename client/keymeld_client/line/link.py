"""The socket of one conversation, the participant's side: what is asked is written, what is read is handled at once.

    call ─▶ Talk ─▶ writer ─▶ socket            at the pace that hello allows
    call ◀─ Talk ◀─ reader ◀─ socket            results and records are handled in the order in which they come

What the bytes mean, and when they leave, is decided by `keymeld_protocol.peer`; here is only the waiting.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable, Set
from contextlib import asynccontextmanager, suppress
from functools import partial
from socket import gaierror
from time import monotonic_ns
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import KeymeldError, Reason
from keymeld_protocol.foreign import REASON_CELLS, quoted
from keymeld_protocol.peer.resuming import SessionPage, proofs_of
from keymeld_protocol.peer.talk import Talk
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Hello

OPEN_S: Final = 10.0
SEND_S: Final = 30.0
"""How long the coordinator may read nothing of a frame before it counts as lost."""
"""Seconds that the socket may take to open."""

_ERRNO: Final = re.compile(r"\[Errno ([0-9]{1,4})\]")
T = TypeVar("T")


def steady_ms() -> int:
    """Milliseconds of a clock that nobody sets."""
    return monotonic_ns() // 1_000_000


class Link:
    """An open conversation that was resumed; use `dial`."""

    def __init__(
        self, socket: ClientConnection, talk: Talk, sleep: Callable[[float], Any], now: Callable[[], int]
    ) -> None:
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._talk = talk
        self._socket = socket
        self._sleep, self._now = sleep, now
        self._waiting: set[asyncio.Future[Any]] = set()
        self._ready, self._asked = asyncio.Event(), asyncio.Event()
        self._broken: Ended | None = None

    @property
    def hello(self) -> Hello:
        """What the coordinator said first."""
        assert self._talk.side.greeting is not None, "dialled, and greeted"
        return self._talk.side.greeting

    # What is asked

    async def call(self, method: str, params: dict[str, Any], kind: type[T], *, again: Set[Reason] | None = None) -> T:
        """Ask, and wait for the answer.

        ``again`` names the refusals after which it is asked again, where they are others than this wallet's.

        Raises:
            WireError: what the coordinator answered instead.
            Ended: the conversation ended before the answer came.
        """
        promise = self._promise()
        then, refused = partial(_keep, promise), partial(_break, promise)
        self._talk.calls.ask(method, params, then, kind, refused=refused, again=again)
        return await self._kept(promise)  # type: ignore[no-any-return]

    async def subscribe(self, stream: Id) -> None:
        """Hear ``stream`` from where its verified part ends; returns when that is answered, also with a refusal.

        Raises:
            Ended: the conversation ended before the answer came.
        """
        promise = self._promise()
        self._talk.resuming.subscribe(stream, anew=True, then=partial(_keep, promise, None))
        await self._kept(promise)

    async def prove(self, keys: list[Keypair]) -> None:
        """Prove ``keys`` beside those that were proven at first.

        Raises:
            WireError: a proof was refused.
            Ended: the conversation ended before the answer came.
        """
        for params in proofs_of(self._talk.side, keys):
            await self.call("authenticate", params, dict, again=frozenset())

    async def follow(self) -> None:
        """From now on, sessions that begin to concern a proven key are heard by themselves.

        Raises:
            WireError: no key was proven.
            Ended: the conversation ended before the answer came.
        """
        if not self._talk.resuming.follows:
            await self.call("sessions", {"limit": 1}, SessionPage, again=frozenset())
            self._talk.resuming.follows = True

    def _promise(self) -> asyncio.Future[Any]:
        """What an answer keeps, and the end of the conversation breaks."""
        if self.ended.done():
            raise self.ended.result()
        promise: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.add(promise)
        return promise

    async def _kept(self, promise: asyncio.Future[Any]) -> Any:
        self._asked.set()
        try:
            return await promise
        finally:
            self._waiting.discard(promise)

    # The socket

    async def _read(self) -> None:
        """Read until the socket closes; everybody who waits learns how it ended."""
        ended = Ended("closed by us")
        try:
            while True:
                self._talk.receive(await self._next(), self._now())
                if self._talk.ready:
                    self._ready.set()
        except Ended as error:
            ended = error
        except ConnectionClosed as error:
            received = error.rcvd
            ended = self._talk.closed(received.code, received.reason) if received else self._talk.closed(None)
            ended = self._broken or ended
        finally:
            self.ended.set_result(ended)
            self._ready.set()
            for promise in self._waiting:
                _break(promise, ended)

    async def _next(self) -> str | bytes:
        """The next frame; silence is the heartbeat's to judge.

        Raises:
            Ended: nothing came for too long.
        """
        while True:
            self._talk.tick(self._now())
            if self._talk.due is not None:
                self._asked.set()
            due = self._talk.heartbeat.due
            silence = None if due is None else max(0, due - self._now()) / 1000
            with suppress(TimeoutError):
                async with asyncio.timeout(silence):
                    return await self._socket.recv()

    async def _write(self) -> None:
        """Write what is asked, at once where the pace allows; the reader learns of every end."""
        try:
            while True:
                self._asked.clear()
                for frame in self._talk.take(self._now()):
                    async with asyncio.timeout(SEND_S):
                        await self._socket.send(frame, text=True)
                await self._until(self._talk.due)
        except ConnectionClosed:
            return
        except TimeoutError:
            self._broken = Ended("the coordinator reads nothing")
        except Exception as error:  # nobody looks at this task: whoever waits for an answer has to learn of it
            self._broken = Ended(f"a request could not be written: {type(error).__name__}")
        self._socket.transport.abort()

    async def _until(self, due: int | None) -> None:
        """Until that time, or until something is asked."""
        if due is None or self._asked.is_set():
            await self._asked.wait()
            return
        waits = [
            asyncio.ensure_future(self._sleep(max(0, due - self._now()) / 1000)),
            asyncio.ensure_future(self._asked.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _keep(promise: asyncio.Future[Any], result: object) -> None:
    """Give whoever waits his answer; he may have gone."""
    if not promise.done():
        promise.set_result(result)


def _break(promise: asyncio.Future[Any], error: KeymeldError) -> None:
    """Tell whoever waits why there is none."""
    if not promise.done():
        promise.set_exception(error)


@asynccontextmanager
async def dial(
    url: str, talk: Talk, *, sleep: Callable[[float], Any] = asyncio.sleep, now: Callable[[], int] = steady_ms
) -> AsyncIterator[Link]:
    """Open a conversation with the coordinator at ``url`` and resume it; closed at the block's end.

    Raises:
        Ended: it cannot be reached, said nothing, or let nothing be resumed.
    """
    try:
        socket = await open_socket(
            url,
            subprotocols=[Subprotocol(frames.SUBPROTOCOL)],
            compression=None,
            max_size=frames.PEER_FRAME_BYTES,
            open_timeout=OPEN_S,
            close_timeout=1,
            ping_interval=None,
            proxy=True if urlsplit(url).scheme == "wss" else None,
        )
    except (OSError, WebSocketException, TimeoutError) as error:
        raise Ended(f"{url} cannot be reached: {_why(error)}") from None
    link = Link(socket, talk, sleep, now)
    reader, writer = asyncio.create_task(link._read()), asyncio.create_task(link._write())
    try:
        await link._ready.wait()
        if link.ended.done():
            raise link.ended.result()
        yield link
    finally:
        writer.cancel()
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        await socket.close()


def _why(error: Exception) -> str:
    """Why no socket opened, as a person would say it: ``connection refused``, not a number of the system."""
    if isinstance(error, TimeoutError):
        return f"no answer within {OPEN_S:g} s"
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
    foreign = isinstance(error, WebSocketException) and not isinstance(error, InvalidStatus)
    return (quoted(str(error), REASON_CELLS) if foreign else str(error)) or type(error).__name__

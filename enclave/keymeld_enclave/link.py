"""The socket to the coordinator: dialled, read, written, lost and dialled again.

    run ─▶ open (unix or ws) ─▶ Conversation ─▶ lost ─▶ wait ─▶ open …
                │  frame ─▶ receive ─▶ take ─▶ frames, written at once
                └  every 500 ms ─▶ tick ─▶ take

    closed with 40xx      never again: the process ends and says why
    closed with 41xx      later: full jitter over 0.25 s, 0.5 s … 30 s, and not before the coordinator asked for
    closed with 42xx      at once, the first time
    anything else         later

One at a time is in the conversation: what is heard and what is said keep their order, also where a big batch is handled
on a thread.  Meanwhile frames, whatever their stream, are read and wait their turn, and pings are answered.  The agent
and its outbox outlive the sockets: nothing that was heard is heard again, nothing that was said is lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from random import SystemRandom
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from keymeld_host.logs import named, tell
from keymeld_protocol.wire.frames import PEER_FRAME_BYTES, SUBPROTOCOL

from .agent import Agent
from .clock import now_ms
from .config import Address
from .conversation import Conversation, Ended
from .outbox import Unanswered
from .worker_thread import beside

TICK_S: Final = 0.5
PACE_S: Final = 0.01
OPEN_S: Final = 10.0
SEND_S: Final = 30.0
"""How long the coordinator may read nothing of a frame before it counts as lost."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 30.0
FRAMES_WAITING: Final = 128
"""Frames that are read while a batch is handled; beyond them nothing is read from the socket, pings neither."""
_CHANCE: Final = SystemRandom()


class EnclaveLink:
    """This enclave's way to its coordinator; ``on_ready`` is called when it has come, also when it has come again."""

    def __init__(
        self,
        agent: Agent,
        address: Address,
        capacity: int,
        on_ready: Callable[[], None] = lambda: None,
        *,
        random: Callable[[], float] = _CHANCE.random,
    ) -> None:
        self.agent = agent
        self.address = address
        self._capacity = capacity
        self._on_ready = on_ready
        self._outbox = Unanswered()
        self._waits = Waits(random)
        self._stopped = False

    def stop(self, running: asyncio.Task[object]) -> None:
        """End ``running``, which runs this link: a cancellation alone is lost where a connection ends just then."""
        self._stopped = True
        running.cancel()

    async def run(self) -> None:
        """Stay connected until cancelled, or told to `stop`.

        Raises:
            Ended: the coordinator refuses this enclave for good.
        """
        while not self._stopped:
            code, retry_after_ms = await self._once()
            pause = self._waits.after(code, retry_after_ms)
            tell(logging.INFO, "dialling again", code=code or 0, ms=int(pause * 1000))
            await asyncio.sleep(pause)

    async def _once(self) -> tuple[int | None, int]:
        """One connection, from dialling to its end; gives the close code and when the coordinator wants us back."""
        talk = Conversation(self.agent, self._outbox, self.address.origin, self._capacity)
        turn, line = asyncio.Lock(), asyncio.Lock()
        code: int | None = None
        why: Ended | None = None
        try:
            async with self._dial() as socket, asyncio.TaskGroup() as tasks:
                tasks.create_task(_ticks(socket, talk, turn, line))
                await self._read(socket, talk, turn, line)
        except* ConnectionClosed as lost:
            code = _close_code(lost)
        except* (OSError, TimeoutError, WebSocketException) as lost:
            tell(logging.WARNING, "not connected", error=f"{self.address}: {_why(lost.exceptions[0])}")
        except* Ended as ended:
            why = next(error for error in ended.exceptions if isinstance(error, Ended))
            tell(logging.WARNING, "conversation ended", error=str(why))
        if code is not None and 4000 <= code < 4100:
            why = Ended(f"the coordinator closed the connection with {code}: coming back cannot help", terminal=True)
        if why is not None and why.terminal:
            raise why
        return code, talk.goodbye.retry_after_ms if talk.goodbye is not None else 0

    def _dial(self) -> AbstractAsyncContextManager[ClientConnection]:
        """Open the WebSocket. The library answers the coordinator's pings; ours are requests of the conversation."""
        settings: Final[dict[str, Any]] = {
            "subprotocols": [Subprotocol(SUBPROTOCOL)],
            "compression": None,
            "max_size": PEER_FRAME_BYTES,
            "max_queue": FRAMES_WAITING,
            "open_timeout": OPEN_S,
            "close_timeout": 1,
            "ping_interval": None,
        }
        if self.address.url is None:
            return unix_connect(self.address.path, **settings)
        return connect(self.address.url, proxy=None, **settings)

    async def _read(self, socket: ClientConnection, talk: Conversation, turn: asyncio.Lock, line: asyncio.Lock) -> None:
        """Hear and answer until the socket closes."""
        ready = False
        while True:
            frame = await socket.recv(decode=False)
            async with turn:
                await _receive(talk, frame)
            await _send(socket, talk, turn, line)
            if talk.ready and not ready:
                ready = True
                self._waits.reset()
                tell(logging.INFO, "connected")
                self._on_ready()


async def _send(socket: ClientConnection, talk: Conversation, turn: asyncio.Lock, line: asyncio.Lock) -> None:
    """Write what may leave now; what has to wait for the pace leaves a little later.

    Whoever has the line takes and writes all of it: where the socket is slow, what was said first still leaves first.

    Raises:
        TimeoutError: the coordinator does not read.
    """
    async with line:
        async with turn:
            frames = talk.take(now_ms())
        for frame in frames:
            async with asyncio.timeout(SEND_S):
                await socket.send(frame, text=True)


async def _receive(talk: Conversation, frame: bytes) -> None:
    """Handle a frame; one of a big batch on a thread, so that neither signals nor pings are held up."""
    handle = partial(talk.receive, frame, now_ms())
    await beside(handle) if talk.is_heavy(frame) else handle()


async def _tick(talk: Conversation) -> None:
    """Look at what waits for time; where that is a big batch, on a thread."""
    look = partial(talk.tick, now_ms())
    await beside(look) if talk.tick_is_heavy else look()


async def _ticks(socket: ClientConnection, talk: Conversation, turn: asyncio.Lock, line: asyncio.Lock) -> None:
    while True:
        await asyncio.sleep(PACE_S if talk.waiting else TICK_S)
        async with turn:
            await _tick(talk)
        await _send(socket, talk, turn, line)


class Waits:
    """How long to wait before dialling again (seconds); ``random`` gives numbers in 0…1."""

    def __init__(self, random: Callable[[], float]) -> None:
        """Begin without failures."""
        self._random = random
        self._failures = 0

    def reset(self) -> None:
        """We had come: the next failure is the first."""
        self._failures = 0

    def after(self, code: int | None, retry_after_ms: int) -> float:
        """The wait after a connection that ended with ``code``."""
        self._failures += 1
        asked = min(LONGEST_WAIT_S, retry_after_ms / 1000)
        if code is not None and 4200 <= code < 4300 and self._failures == 1:
            return asked
        most = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._failures - 1, 16))
        return asked + most * self._random()


def _why(error: Exception) -> str:
    """Why nobody was reached, without what the other side may have put into it."""
    if isinstance(error, FileNotFoundError):
        return "nobody listens there yet"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number is not None and number > 0 else named(error)


def _close_code(lost: BaseExceptionGroup[ConnectionClosed]) -> int | None:
    """What the coordinator closed with."""
    codes = [error.rcvd.code for error in lost.exceptions if isinstance(error, ConnectionClosed) and error.rcvd]
    return codes[0] if codes else None

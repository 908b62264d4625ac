"""The socket to the coordinator: dialled, read, written, lost and dialled again.

    run ─▶ open (unix or ws) ─▶ Conversation ─▶ ended ─▶ wait, as every peer does ─▶ open …
                │  frame ─▶ receive ─▶ work, keygen by keygen ─┐                    └─▶ never: the process ends
                │  every 500 ms ─▶ tick ───────────────────────┴─▶ the writer: take ─▶ frames
                └  who reads waits for no writing: a coordinator that waits for us to read would wait for ever

One at a time is in the conversation, also where a big batch is handled on a thread: meanwhile frames are read and pings
are answered.  All that has come takes its place before the next work is done, so that whoever is next is next of all.
The agent and its outbox outlive the sockets: nothing that was heard is heard again, nothing that was said is lost.
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
from keymeld_protocol.peer.waits import Backoff, Ended
from keymeld_protocol.wire.frames import PEER_FRAME_BYTES, SUBPROTOCOL

from .agent import Agent
from .clock import now_ms
from .config import Address
from .conversation import Conversation
from .outbox import Unanswered
from .worker_thread import on_a_thread

TICK_S: Final = 0.5
PACE_S: Final = 0.01
"""How often what waits for the pace is looked at."""
OPEN_S: Final = 10.0
SEND_S: Final = 30.0
"""How long the coordinator may read nothing of a frame before it counts as lost."""
FRAMES_WAITING: Final = 128
"""Frames that are read while a batch is handled; beyond them nothing is read from the socket, pings neither."""
_CHANCE: Final = SystemRandom()


class EnclaveLink:
    """This enclave's way to its coordinator; ``on_ready`` is called when it has come, also when it has come again."""

    def __init__(
        self,
        agent: Agent,
        address: Address,
        on_ready: Callable[[], None] = lambda: None,
        *,
        random: Callable[[], float] = _CHANCE.random,
    ) -> None:
        self.agent = agent
        self.address = address
        self._on_ready = on_ready
        self._outbox = Unanswered()
        self._backoff = Backoff(random)
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
            ended, stood_ms = await self._once()
            pause = self._backoff.after(ended, stood_ms)
            if pause is None:
                raise ended
            tell(logging.INFO, "dialling again", code=ended.code or 0, ms=pause)
            await asyncio.sleep(pause / 1000)

    async def _once(self) -> tuple[Ended, int]:
        """One connection, from dialling to its end; gives how it ended, and how long (ms) it had been resumed."""
        talk = Conversation(self.agent, self._outbox, self.address.origin)
        turn, said = asyncio.Lock(), asyncio.Event()
        ended, stood_ms = Ended("the connection was lost"), 0
        try:
            async with self._dial() as socket:
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(_write(socket, talk, turn, said))
                        tasks.create_task(_ticks(talk, turn, said))
                        await self._serve(socket, talk, turn, said)
                finally:
                    stood_ms = talk.outer.stood_ms(now_ms())  # closing the socket, which takes a while, is no standing
        except* ConnectionClosed as lost:
            ended = talk.outer.closed(*_close_frame(lost))
        except* (OSError, TimeoutError, WebSocketException) as lost:
            ended = Ended(f"{self.address}: {_why(lost.exceptions[0])}")
            tell(logging.WARNING, "not connected", error=str(ended))
        except* Ended as group:
            ended = next(error for error in group.exceptions if isinstance(error, Ended))
            tell(logging.WARNING, "conversation ended", error=str(ended))
        return ended, stood_ms

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

    async def _serve(
        self, socket: ClientConnection, talk: Conversation, turn: asyncio.Lock, said: asyncio.Event
    ) -> None:
        """Hear and answer until the socket closes: all that has come takes its place before the next work is done."""
        ready, reading = False, asyncio.create_task(socket.recv(decode=False))
        try:
            while True:
                if talk.waiting > 1 or talk.is_heavy:
                    await asyncio.sleep(0)  # what lies in the socket is read
                if talk.waiting and not (reading.done() and (talk.waiting > 1 or talk.is_heavy)):
                    async with turn:
                        await _work(talk)
                else:
                    frame = await reading
                    reading = asyncio.create_task(socket.recv(decode=False))
                    async with turn:
                        talk.receive(frame, now_ms())
                if talk.due is not None:
                    said.set()
                    await asyncio.sleep(0)  # the writer's turn: what follows leaves before the next work is done
                if talk.ready and not ready:
                    ready = True
                    tell(logging.INFO, "connected")
                    self._on_ready()
        finally:
            reading.add_done_callback(_looked_at)
            reading.cancel()


async def _write(socket: ClientConnection, talk: Conversation, turn: asyncio.Lock, said: asyncio.Event) -> None:
    """Write whatever is ``said``, as the socket takes it; nobody else writes, so that what was said first leaves first.

    Raises:
        TimeoutError: the coordinator does not read.
    """
    while True:
        await said.wait()
        said.clear()
        async with turn:
            frames = talk.take(now_ms())
        for frame in frames:
            async with asyncio.timeout(SEND_S):
                await socket.send(frame, text=True)


def _looked_at(reading: asyncio.Task[bytes]) -> None:
    """How a read ended for which nobody waits any more; nobody needs to know."""
    if not reading.cancelled():
        reading.exception()


async def _work(talk: Conversation) -> None:
    """Do what is next; what may take long on a thread, so that neither signals nor pings are held up."""
    heavy, work = talk.is_heavy, partial(talk.work, now_ms())
    await on_a_thread(work) if heavy else work()


async def _ticks(talk: Conversation, turn: asyncio.Lock, said: asyncio.Event) -> None:
    """Look at what waits for time, and for the pace that hello allows."""
    while True:
        due = talk.due
        await asyncio.sleep(TICK_S if due is None else min(TICK_S, max(PACE_S, (due - now_ms()) / 1000)))
        async with turn:
            talk.tick(now_ms())
        while talk.waiting:  # where a frame is waited for, nobody else does it
            async with turn:
                await _work(talk)
        said.set()


def _why(error: Exception) -> str:
    """Why nobody was reached, without what the other side may have put into it."""
    if isinstance(error, FileNotFoundError):
        return "nobody listens there yet"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number is not None and number > 0 else named(error)


def _close_frame(lost: BaseExceptionGroup[ConnectionClosed]) -> tuple[int | None, str]:
    """What the coordinator closed with: code and reason; no code where the connection was lost."""
    received = [error.rcvd for error in lost.exceptions if isinstance(error, ConnectionClosed) and error.rcvd]
    return (received[0].code, received[0].reason) if received else (None, "")

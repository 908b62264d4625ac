"""link.py: big batches are handled beside the event loop, which reads on and answers pings meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from keymeld_enclave import link
from keymeld_enclave.agent import Agent
from keymeld_enclave.clock import now_ms
from keymeld_enclave.config import Address
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_protocol.curve.secp256k1 import Secret

pytestmark = pytest.mark.asyncio

PATIENCE_S = 20.0
FRAMES, LONG = 100, "x" * 65_536  # more than what one read of a socket takes
MANY = 4 * link.FRAMES_WAITING  # more than what both sides keep unread


class Talk:
    """A conversation that notes on which threads it is held; it waits to be let go on where that is ``heavy``."""

    ready, due, sends = False, None, False
    outer = SimpleNamespace(stood_ms=lambda now: 0)

    def __init__(self, *, heavy: bool) -> None:
        self.is_heavy, self.waiting = heavy, 0
        self.threads: list[threading.Thread] = []
        self.go_on = threading.Event()

    def receive(self, frame: bytes, now: int) -> None:
        self.waiting += 1

    def work(self, now: int) -> None:
        if self.is_heavy:
            self.go_on.wait(2 * PATIENCE_S)
        self.threads.append(threading.current_thread())
        self.waiting -= 1

    def tick(self, now: int) -> None:
        return

    def take(self, now: int) -> list[bytes]:
        return []


@pytest.mark.parametrize("heavy", [False, True])
async def test_what_is_small_is_handled_at_once_and_a_big_batch_on_a_thread(heavy: bool) -> None:
    talk: Any = Talk(heavy=heavy)
    talk.go_on.set()
    await link._work(talk)
    assert [thread is threading.main_thread() for thread in talk.threads] == [not heavy]


async def test_pings_are_answered_while_a_batch_is_handled_and_other_frames_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, answered, path = Talk(heavy=True), asyncio.Event(), str(tmp_path / "e.sock")
    monkeypatch.setattr(link, "Conversation", lambda *_: talk)

    async def coordinate(socket: ServerConnection) -> None:
        for _ in range(FRAMES):
            await socket.send(LONG)
        await (await socket.ping())
        answered.set()
        await socket.wait_closed()

    agent = Agent(EnclaveIdentity(Secret.generate()), now_ms)
    async with unix_serve(coordinate, path, compression=None):
        running = asyncio.create_task(link.EnclaveLink(agent, Address(path=path)).run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await answered.wait()
            assert talk.threads == []
        finally:
            talk.go_on.set()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


class Slow:
    """A socket that takes its first frame only when it is told to; ``frames`` are those that it was given, in order."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.given, self.go_on = asyncio.Event(), asyncio.Event()
        self.more = asyncio.Condition()

    async def send(self, frame: bytes, *, text: bool) -> None:
        self.frames.append(frame)
        self.given.set()
        await self.go_on.wait()
        async with self.more:
            self.more.notify_all()

    async def until(self, count: int) -> None:
        """Wait until so many frames were given."""
        async with self.more:
            await self.more.wait_for(lambda: len(self.frames) >= count)


class Said(Talk):
    """A conversation that has said these frames, a few at a time."""

    def __init__(self, *said: list[bytes]) -> None:
        super().__init__(heavy=False)
        self.said = list(said)

    @property
    def due(self) -> int | None:  # type: ignore[override]
        return 0 if self.said else None

    def take(self, now: int) -> list[bytes]:
        return self.said.pop(0) if self.said else []


@asynccontextmanager
async def writing(socket: Any, talk: Any, turn: asyncio.Lock) -> AsyncIterator[asyncio.Event]:
    """The writer of a conversation, which something was ``said`` in."""
    said = asyncio.Event()
    said.set()
    writer = asyncio.create_task(link._write(socket, talk, turn, said))
    try:
        yield said
    finally:
        writer.cancel()


async def test_whoever_waits_to_be_read_is_read_although_he_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator that answers no more until its records are read, at an enclave that asks for a thousand keygens."""
    talk, heard, path = Said([LONG.encode()] * MANY), asyncio.Event(), str(tmp_path / "e.sock")
    sockets: list[ServerConnection] = []
    monkeypatch.setattr(link, "Conversation", lambda *_: talk)

    async def coordinate(socket: ServerConnection) -> None:
        sockets.append(socket)
        for _ in range(MANY):
            await socket.send(LONG)
        for _ in range(MANY):
            await socket.recv()
        heard.set()
        await socket.wait_closed()

    agent = Agent(EnclaveIdentity(Secret.generate()), now_ms)
    async with unix_serve(coordinate, path, compression=None):
        running = asyncio.create_task(link.EnclaveLink(agent, Address(path=path)).run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await heard.wait()
        finally:
            sockets[0].transport.abort()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def test_what_was_said_first_leaves_first_though_the_socket_is_slow() -> None:
    socket: Any = Slow()
    talk: Any = Said([b"contribute", b"confirm"], [b"later"])
    async with writing(socket, talk, asyncio.Lock()) as said:
        await socket.given.wait()
        said.set()
        await asyncio.sleep(0)  # whoever else might write would do it now
        socket.go_on.set()
        await socket.until(3)
    assert socket.frames == [b"contribute", b"confirm", b"later"]


async def test_nothing_is_taken_from_a_conversation_in_which_a_thread_is() -> None:
    socket: Any = Slow()
    talk: Any = Said([b"frame"])
    turn = asyncio.Lock()
    socket.go_on.set()
    await turn.acquire()
    async with writing(socket, talk, turn):
        await asyncio.sleep(0)
        assert talk.said and not socket.frames
        turn.release()
        await socket.until(1)
    assert socket.frames == [b"frame"]

"""link.py: big batches are handled beside the event loop, which reads on and answers pings meanwhile."""

import asyncio
import threading
from contextlib import suppress
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

    async def send(self, frame: bytes, *, text: bool) -> None:
        self.frames.append(frame)
        self.given.set()
        await self.go_on.wait()


class Said(Talk):
    """A conversation that has said these frames, a few at a time."""

    def __init__(self, *said: list[bytes]) -> None:
        super().__init__(heavy=False)
        self.said = list(said)

    def take(self, now: int) -> list[bytes]:
        return self.said.pop(0)


async def test_what_was_said_first_leaves_first_though_the_socket_is_slow() -> None:
    socket: Any = Slow()
    talk: Any = Said([b"contribute", b"confirm"], [b"later"])
    turn, line = asyncio.Lock(), asyncio.Lock()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(link._send(socket, talk, turn, line))
        await socket.given.wait()
        await asyncio.sleep(0)  # the other one would write now
        socket.go_on.set()
    assert socket.frames == [b"contribute", b"confirm", b"later"]


async def test_nothing_is_taken_from_a_conversation_in_which_a_thread_is() -> None:
    socket: Any = Slow()
    talk: Any = Said([b"frame"])
    turn, line = asyncio.Lock(), asyncio.Lock()
    socket.go_on.set()
    async with turn:
        sending = asyncio.create_task(link._send(socket, talk, turn, line))
        await asyncio.sleep(0)
        assert talk.said and not sending.done()
    await sending
    assert socket.frames == [b"frame"]

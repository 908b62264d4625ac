"""A coordinator without sockets: the whole line over a store in memory, and a clock that is moved by hand.

line = Line()                         line = Line(line.store)     the same log, a new coordinator
place = await line.say(statement)     decided and committed
cast = await line.completed()         a keygen of two slots, both sealed to ``line.vault``
line.time.wait(60_000); await line.look(stream)
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.signing import SigningState
from keymeld_protocol.values import Hash, Id, Salt
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import CoordinatorSide
from keymeld_protocol.wire.statements import Statement
from keymeld_server.app import Coordinator
from keymeld_server.config import ServerConfig
from keymeld_server.dispatch import Peer
from keymeld_server.observe import Metrics
from keymeld_server.outbox import Outbox
from keymeld_server.sessions import Standing
from keymeld_server.store.port import EnclaveRow

from .build import Cast, xonly
from .coordinator import NOON, key_of
from .memory_store import MemoryStore


class Time:
    """Milliseconds since the Unix epoch, moved by hand."""

    def __init__(self, now: int = NOON) -> None:
        """Begin at noon."""
        self.now = now

    def __call__(self) -> int:
        """What time it is."""
        return self.now

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now += ms


class Line:
    """One coordinator, and the vault that it runs: it has announced itself before, and is here after ``arrive``."""

    def __init__(self, store: MemoryStore | None = None, time: Time | None = None, **settings: Any) -> None:
        """Put a coordinator on top of ``store``."""
        self.store = store or MemoryStore()
        self.time = time or Time()
        chosen: dict[str, Any] = {"database": Path("/nowhere/log.sqlite"), "listen_port": 0, **settings}
        config = ServerConfig(**chosen)
        self.app = Coordinator(config, self.store, key_of("coordinator"), Metrics(), self.time)
        self.sessions = self.app.sessions
        self.vault = key_of("vault")
        self.app.enclaves.known[xonly(self.vault)] = EnclaveRow(xonly(self.vault), NOON, "100")

    def restart(self, **settings: Any) -> Line:
        """Another coordinator on the same log, at the same time."""
        return Line(self.store, self.time, **settings)

    # Sessions

    def cast(self, name: str = "treasury", slots: int = 2) -> Cast:
        """People who have said nothing yet."""
        return Cast(name, self.app.key, slots)

    async def say(self, said: Statement) -> Standing:
        """Submit and wait for the commit."""
        return await (await self.sessions.submit(said))

    async def created(self, name: str = "treasury", slots: int = 2, **fields: Any) -> Cast:
        """A keygen that collects joins."""
        cast = self.cast(name, slots)
        await self.say(cast.create(self.time(), **fields))
        return cast

    async def joined(self, cast: Cast, slot: int, **fields: Any) -> Statement:
        """Fill a slot, sealed to the vault."""
        join = cast.join(slot, self.hash(cast.stream), xonly(self.vault), **fields)
        await self.say(join)
        return join

    async def completed(self, name: str = "treasury", slots: int = 2, **fields: Any) -> Cast:
        """A keygen whose slots are all sealed to the vault, and accepted; ``fields`` go into the joins."""
        cast = await self.created(name, slots)
        for slot in range(slots):
            join = await self.joined(cast, slot, **fields)
            await self.say(cast.accept(slot, join, self.hash(cast.stream), self.vault))
        return cast

    async def requested(self, cast: Cast, **fields: Any) -> Statement:
        """A signing of a completed keygen."""
        request = self.request(cast, **fields)
        await self.say(request)
        return request

    def request(self, cast: Cast, **fields: Any) -> Statement:
        """A request that was not said yet."""
        return cast.request(self.hash(cast.stream), self.roster(cast), self.time(), **fields)

    def hash(self, stream: Id) -> Hash:
        """The hash of the latest record on disk."""
        return self.store.logs[stream][-1].hash

    def roster(self, cast: Cast) -> Hash:
        """The roster, as everybody computes it."""
        state = self.state(cast.stream)
        assert isinstance(state, KeygenState) and state.roster is not None
        return state.roster

    def state(self, stream: Id) -> KeygenState | SigningState:
        """The state on disk, as the coordinator in memory has it."""
        session = self.sessions.live(stream)
        assert session is not None and isinstance(session.settled, KeygenState | SigningState)
        return session.settled

    async def look(self, stream: Id) -> list[str]:
        """What the clock does when a deadline has passed."""
        return await self.sessions.look(stream)

    def arrive(self) -> list[Id]:
        """The vault connects; gives the streams that may go on."""
        return self.app.enclaves.come(xonly(self.vault))

    # Peers without sockets

    def peer(self, *, is_enclave: bool = False) -> PaperPeer:
        """Somebody connects."""
        return PaperPeer(self, is_enclave)


class PaperPeer(Peer):
    """A connection without a socket: frames go in, and what its outbox gives is read here."""

    def __init__(self, line: Line, is_enclave: bool = False) -> None:
        """Connect with a known challenge."""
        side = CoordinatorSide(Salt(bytes(32)), ("ws://here",))
        outbox = Outbox(line.sessions, side.proven, line.app.hub.drop)
        super().__init__(side, outbox, is_enclave)
        self._line = line
        self._count = 0

    def prove(self, *keys: Any) -> None:
        """Have proven ``keys``, without the ceremony."""
        new = {xonly(key) for key in keys}
        self.side.proven |= new
        self._line.app.dispatch.presence.come(new)

    async def give(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Hand in a request; its answer lies in the outbox."""
        self._count += 1
        await self._line.app.dispatch.receive(self, frames.request(self._count, method, params or {}).decode())

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Hand in a request and take the next frame, which is its answer: ``result`` or ``error``'s data."""
        await self.give(method, params)
        answer = await self.take()
        return answer["result"] if "result" in answer else answer["error"]["data"]  # type: ignore[no-any-return]

    async def submit(self, said: Statement) -> dict[str, Any]:
        """Submit a statement."""
        return await self.ask("submit", {"statement": frames.statement_json(said.wire)})

    async def subscribe(self, stream: Id, since: dict[str, Any] | None = None) -> dict[str, Any]:
        """Subscribe."""
        return await self.ask("subscribe", {"stream": stream.hex()} | ({"since": since} if since else {}))

    async def take(self) -> dict[str, Any]:
        """The next frame on the wire."""
        frame: dict[str, Any] = msgspec.json.decode(await self.outbox.next())
        return frame

    async def offsets(self, count: int) -> list[int]:
        """The offsets of the next records."""
        return [(await self.take())["params"]["record"]["offset"] for _ in range(count)]

    async def silent(self) -> bool:
        """Whether nothing more is to be sent, however often everybody else has had his turn."""
        next_ = asyncio.create_task(self.outbox.next())
        for _ in range(20):
            await asyncio.sleep(0)
        if next_.done():
            return False
        next_.cancel()
        return True

    def go(self) -> None:
        """The connection ends."""
        self._line.app.dispatch.leave(self)


def since(line: Line, stream: Id, offset: int, **changes: Any) -> dict[str, Any]:
    """A position in a stream, right unless it is changed."""
    record = line.store.logs[stream][offset - 1]
    return frames.since_json(replace(record.position, **changes))

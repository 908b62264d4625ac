"""Members of the world in memory, brought to a real coordinator: one socket, over which all of them speak.

async with remote(app.url, app.key) as house:
    alice = house.member("alice")
    invitation = alice.create(2); await house.flush()       what members say is sent here
    await house.until(stream, "keygen.confirm")              and what is heard, each of them verifies
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time_ns

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.values import Id, Salt
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.payloads import KeygenCreate
from keymeld_protocol.wire.statements import Statement

from .coordinator import Coordinator, Log, Peer
from .peer import SocketPeer, dial
from .people import Member


class Remote(Coordinator):
    """Stands where members expect the coordinator; keeps what they say until it is flushed."""

    def __init__(self, socket: SocketPeer) -> None:
        """Speak over ``socket``."""
        super().__init__()
        self.now = time_ns() // 1_000_000
        self._socket = socket
        if socket.side.greeting is not None:
            self.key = socket.side.greeting.coordinator
        self._pending: list[Statement] = []

    def member(self, name: str) -> Member:
        """A participant, who trusts the coordinator at the other end."""
        return Member(self, name)

    def salt_of(self, keygen: Id) -> Salt:
        """The salt of a keygen that is about to be created."""
        create = next(statement for statement in self._pending if statement.id == keygen).payload
        assert isinstance(create, KeygenCreate)
        return create.salt

    def submit(self, statement: Statement, speaker: Peer | None = None) -> tuple[Id, int]:
        """Keep it for `flush`."""
        self._pending.append(statement)
        return statement.id, 0

    async def flush(self) -> None:
        """Say what was kept, all at once, and wait for every answer."""
        said, self._pending = self._pending, []
        answers = [
            await self._socket.ask("submit", {"statement": frames.statement_json(statement.wire)}) for statement in said
        ]
        for answer in answers:
            await answer

    async def prove(self, *keys: Keypair) -> None:
        """Be told of everything that concerns these keys."""
        await self._socket.prove(*keys)
        await self._socket.call("sessions", {})

    async def until(self, stream: Id, kind: str, step: str | None = None) -> None:
        """Let every member hear a stream until a record of ``kind``, and of this ``step`` if it has one."""
        while True:
            record = await self._socket.next_record(stream)
            log = self.logs.setdefault(stream, Log(stream, self.epoch))
            if record.offset == len(log.records) + 1:
                log.records.append(record)
                log.chain.append(record)
            for peer in self.peers.values():
                peer.hear(stream, self.wire(record, peer))
            said = record.statement.payload
            if said.kind == kind and step in (None, getattr(said, "step", None)):
                return


@asynccontextmanager
async def remote(url: str) -> AsyncIterator[Remote]:
    """A house of members at the coordinator at ``url``."""
    async with dial(url) as socket:
        await socket.greeted
        yield Remote(socket)

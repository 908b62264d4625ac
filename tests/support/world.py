"""A world in memory that behaves like the real one: a coordinator, enclaves, members, a clock moved by hand.

    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    group = world.gather([alice, bob], at=vault)       create, join, run until every slot has confirmed
    signing = alice.request(group, MESSAGE)
    world.run()                                        until nobody has anything more to hear or say
    assert bob.signatures(signing)

Enclaves are real agents with a socket of paper.  Nothing happens by itself: ``run`` lets peers move in turn,
``Peer.step`` moves one of them once, ``wait`` moves the clock.  Names decide all keys, so that a failing run can be
repeated.  What a hostile coordinator can do is in coordinator.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from keymeld_enclave.agent import Agent
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import WireError
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement

from .coordinator import NOON, Coordinator, Log, Peer, key_of, secret_of
from .people import HOUR, Invitation, JoinDraft, Member

SECOND, MINUTE = 1_000, 60_000
NONE, SELF = Rule(approval="none"), Rule(approval="self")
MESSAGE = b"thirty-two bytes to be signed..."
assert len(MESSAGE) == 32

__all__ = [
    "HOUR", "MESSAGE", "MINUTE", "NONE", "NOON", "SECOND", "SELF", "Enclave", "Invitation", "JoinDraft", "Log",
    "Member", "Peer", "World", "key_of", "quorum", "secret_of",
]  # fmt: skip


def quorum(threshold: int, *slots: int) -> Rule:
    """The rule ``threshold`` of ``slots``."""
    return Rule(approval="quorum", threshold=threshold, of=slots)


class Enclave(Peer):
    """A real agent with a socket of paper; ``said`` is everything that all its lives have submitted."""

    signs = True
    skew = 0
    """How far this enclave's clock is ahead (ms)."""

    def __init__(self, world: World, name: str) -> None:
        self.said: list[Statement] = []
        self.refused: list[tuple[Statement, WireError]] = []
        self.concerns: list[str] = []
        self.outbox: deque[Statement] = deque()
        self.world = world
        super().__init__(world, name)
        self.agent = self._born()

    def _born(self) -> Agent:
        with Secret(secret_of(self.name)) as secret:
            identity = EnclaveIdentity(Secret(secret.buffer))
        return Agent(identity, lambda: self.world.now + self.skew, self.concerns.append)

    @property
    def key(self) -> XOnlyKey:
        """Its identity."""
        return self.agent.identity.key

    @property
    def keys(self) -> frozenset[XOnlyKey]:
        """Its identity alone."""
        return frozenset({self.key})

    def kinds(self) -> list[str]:
        """The kinds of what it has said, in order."""
        return [statement.payload.kind for statement in self.said]

    def hear(self, stream: Id, wire: WireRecord) -> None:
        """Give the record to the agent; what it says goes to the outbox."""
        self.outbox.extend(self.agent.hear(stream, frames.record_of(wire)))
        self._go_on()
        for again in self.agent.unplanned():
            if self.sent.get(again) == self.world.logs[again].chain.offset and not self._comes(again):
                self.sent[again] = 0
                self.world.publish(self.world.logs[again], only=self)

    def _go_on(self) -> None:
        """Do all pieces of what takes several."""
        while going_on := self.agent.going_on():
            for stream in going_on:
                self.outbox.extend(self.agent.look(stream))

    def _comes(self, stream: Id) -> bool:
        """Whether the first record of a stream is on its way."""
        return any(on_its_way == stream and wire.offset == 1 for on_its_way, wire in self.inbox)

    def resume(self, stream: Id, top: int) -> int:
        """From where the agent stands."""
        self.outbox.extend(self.agent.subscribed(stream, top))
        self._go_on()
        position = self.agent.position(stream)
        return 0 if position is None else position.offset

    def step(self) -> bool:
        """Submit one statement, else hear one record; False when there is neither."""
        if not self.outbox or not self.here:
            return super().step()
        statement = self.outbox.popleft()
        self.said.append(statement)
        try:
            self.world.submit(statement, self)
        except WireError as error:
            self.refused.append((statement, error))
        return True

    def tick(self) -> None:
        """Let the agent look at its clock."""
        self.outbox.extend(self.agent.tick())

    def crash(self) -> None:
        """Lose everything but the identity, and stay away."""
        self.leave()
        self.outbox.clear()
        self.agent.wipe()
        self.agent = self._born()

    def restart(self) -> None:
        """Crash, and come back as a new process that hears everything from the first record."""
        self.crash()
        self.come_back()


class World(Coordinator):
    """The coordinator in memory, and everybody who dials it."""

    def enclave(self, name: str) -> Enclave:
        """A new enclave that the coordinator runs."""
        return Enclave(self, name)

    def member(self, name: str) -> Member:
        """A new participant."""
        return Member(self, name)

    @property
    def enclaves(self) -> list[Enclave]:
        """All enclaves."""
        return [peer for peer in self.peers.values() if isinstance(peer, Enclave)]

    def gather(
        self,
        members: Sequence[Member],
        *,
        at: Enclave | Sequence[Enclave],
        rule: Rule | Sequence[Rule] = NONE,
        subsets: Sequence[tuple[int, ...]] = (),
        terms: Terms | None = None,
        allow: Sequence[dict[str, Any]] = (),
    ) -> Id:
        """A keygen: the first member creates it, everybody joins sealed ``at`` these enclaves, and all confirm it.

        One enclave or one for each slot; one ``rule`` or one for each slot; ``allow``: further fields of each policy.
        """
        enclaves = [at] * len(members) if isinstance(at, Enclave) else list(at)
        rules = [rule] * len(members) if isinstance(rule, Rule) else list(rule)
        allowed = allow or [{}] * len(members)
        invitation = members[0].create(len(members), subsets=subsets, terms=terms)
        for slot, (member, enclave, its) in enumerate(zip(members, enclaves, rules, strict=True)):
            member.join(invitation, slot, enclave.key, its, **allowed[slot])
        self.run()
        return invitation.keygen

    def run(self, limit: int = 10_000) -> None:
        """Let everybody hear and speak in turn until nobody has anything more to do."""
        for _ in range(limit):
            moved = [peer.step() for peer in self.peers.values()]
            if not any(moved):
                return
        raise AssertionError("this world does not come to rest")

    def wait(self, ms: int) -> None:
        """Let time pass, then run."""
        self.now += ms
        self.clock()
        for enclave in self.enclaves:
            enclave.tick()
        self.run()

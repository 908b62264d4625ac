"""The coordinator's desk at which one enclave's conversation is held, without a socket.

desk = Desk(world, "vault"); desk.run()      frames go to and fro until both are silent; the world moves as well
desk.asked                                   the methods that were asked, in order
desk.refuse["submit"] = [problem]            the next answers to a method
desk.waits = True; desk.work()               what was heard has no turn before it is let
desk.hang_up()                               a new conversation of the same agent, with the same outbox
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from keymeld_enclave.agent import Agent
from keymeld_enclave.conversation import Conversation
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_enclave.outbox import Unanswered
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Reason, Refused, WireError
from keymeld_protocol.values import Id, Salt, XOnlyKey
from keymeld_protocol.wire import frames, statements
from keymeld_protocol.wire.connection import CoordinatorSide, Request
from keymeld_protocol.wire.frames import WireRecord

from .coordinator import Coordinator, Log, Peer, secret_of


class Desk(Peer):
    """An enclave of the world that talks in frames."""

    signs = True

    def __init__(self, world: Coordinator, name: str, *, per_second: int = 1000) -> None:
        """Make the enclave; it has not said hello."""
        super().__init__(world, name)
        self.agent = Agent(EnclaveIdentity(Secret(secret_of(name))), lambda: world.now)
        self.outbox = Unanswered()
        self.limits = {"requests_per_second": per_second}
        self.refuse: dict[str, list[WireError]] = defaultdict(list)
        self.page: int | None = None
        self.requests: list[Request] = []
        self.mute = False
        self.waits = False
        self.hang_up()

    @property
    def key(self) -> XOnlyKey:
        """Its identity."""
        return self.agent.identity.key

    @property
    def keys(self) -> frozenset[XOnlyKey]:
        """Its identity alone."""
        return frozenset({self.key})

    @property
    def asked(self) -> list[str]:
        """The methods of this conversation's requests, in order."""
        return [request.method for request in self.requests]

    def hang_up(self, *, hello: bool = True) -> None:
        """End the conversation and begin another."""
        self.leave()
        self.requests = []
        self.side = CoordinatorSide(Salt(secret_of("challenge")), ("unix",), per_second=10**6, burst=10**6)
        self.talk = Conversation(self.agent, self.outbox, "unix")
        if hello:
            world = self.coordinator
            self.tell(
                self.side.hello(
                    time=world.now, limits=self.limits, heartbeat_ms=20_000, epoch=world.epoch,
                    coordinator=XOnlyKey(world.coordinator.key),
                )
            )  # fmt: skip

    def tell(self, frame: bytes) -> None:
        """Give the enclave a frame."""
        self.talk.receive(frame, self.coordinator.now)
        if not self.waits:
            self.work()

    def work(self) -> None:
        """Let everything have its turn."""
        while self.talk.work(self.coordinator.now):
            pass

    def hear(self, stream: Id, wire: WireRecord) -> None:
        """A record leaves for the enclave."""
        record = frames.record_of(wire)
        self.tell(frames.record_frame(stream, record))

    def step(self) -> bool:
        """Answer what was asked, else deliver one record."""
        asked = self.talk.take(self.coordinator.now)
        for frame in asked:
            request = self.side.receive(frame.decode(), self.coordinator.now)
            assert isinstance(request, Request)
            self.requests.append(request)
            if not self.mute:
                self._answer(request)
        return bool(asked) or super().step()

    def run(self) -> None:
        """Let the world, and this conversation, come to rest."""
        while any([peer.step() for peer in self.coordinator.peers.values()]):  # noqa: C419 - everybody moves
            pass

    def wait(self, ms: int) -> None:
        """Let time pass, then run."""
        self.coordinator.now += ms
        self.coordinator.clock()
        self.talk.tick(self.coordinator.now)
        self.work()
        self.run()

    def _answer(self, request: Request) -> None:
        ident = request.ident
        assert ident is not None
        try:
            if self.refuse[request.method]:
                raise self.refuse[request.method].pop(0)
            result = getattr(self, f"_{request.method}")(request.params)
        except WireError as problem:
            self.tell(frames.error(ident, problem))
            return
        self.tell(frames.result(ident, result))
        if request.method == "subscribe":
            log = self.coordinator.log(request.params.stream, self)
            assert log is not None
            self.coordinator.publish(log, only=self)
        if request.method == "announce":
            self.here = True
            self.coordinator.clock()

    def _authenticate(self, params: Any) -> dict[str, Any]:
        return {"keys": [key.hex() for key in self.side.authenticate(params)]}

    def _sessions(self, params: frames.ListSessions) -> dict[str, Any]:
        self.here = True
        logs = sorted(self.coordinator.logs_of(self), key=lambda log: log.stream)
        after = [log for log in logs if log.state is not None and log.state.open]
        page = [log for log in after if params.after is None or log.stream > params.after]
        for log in logs:
            self.sent.setdefault(log.stream, log.chain.offset)
        return {"sessions": [_row(log) for log in page[: self.page or params.limit]]}

    def _subscribe(self, params: frames.Subscribe) -> dict[str, Any]:
        log = self.coordinator.log(params.stream, self)
        if log is None:
            raise Refused(Reason.UNKNOWN_STREAM, "stream: no such stream here", field="stream")
        self.sent[params.stream] = params.since.offset if params.since is not None else 0
        self.inbox = deque(told for told in self.inbox if told[0] != params.stream)  # one subscription at a time
        return {"top": log.chain.offset, "recovered": params.since is not None, "present": []}

    def _unsubscribe(self, params: frames.Unsubscribe) -> dict[str, Any]:
        return {}

    def _announce(self, params: frames.Announce) -> dict[str, Any]:
        return {}

    def _ping(self, params: object) -> dict[str, Any]:
        return {"time": self.coordinator.now}

    def _submit(self, params: frames.Submit) -> dict[str, Any]:
        stream, offset = self.coordinator.submit(statements.parse(params.statement), self)
        return {"stream": stream.hex(), "offset": offset}


def _row(log: Log) -> dict[str, Any]:
    assert log.state is not None
    keygen = {"keygen": log.state.parent.hex()} if log.state.parent is not None else {}
    told = {"stream": log.stream.hex(), "kind": log.state.kind, "state": "open", "top": log.chain.offset}
    return told | keygen | {"hash": log.chain.hash.hex()}

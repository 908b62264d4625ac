"""The outer half of a peer, with an inner half that a test looks into, and the coordinator's end of the conversation.

outer = Outer(key); outer.greet(); outer.answer("authenticate", {})      the oldest of that method that waits
outer.asked, outer.requests                                              everything that was asked, in order
"""

from __future__ import annotations

from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import WireError
from keymeld_protocol.peer.talk import Talk
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import CoordinatorSide, Request

from .coordinator import key_of
from .inner import Noting


class Outer:
    """One conversation; time stands still but for ``wait``."""

    def __init__(self, *keys: Keypair, **streams: Any) -> None:
        """Nothing was said."""
        self.inner = Noting(*keys, **streams)
        self.talk = Talk("unix", self.inner)
        self.side = CoordinatorSide(Salt(bytes(32)), ("unix",), per_second=10**6, burst=10**6)
        self.requests: list[Request] = []
        self.now = 0
        self._waiting: list[Request] = []

    @property
    def asked(self) -> list[str]:
        """Methods, in order."""
        return [request.method for request in self.requests]

    def streams(self, method: str) -> list[Id]:
        """The streams for which ``method`` was asked."""
        return [request.params.stream for request in self.requests if request.method == method]

    def hello(self, per_second: int = 100, heartbeat_ms: int = 20_000) -> bytes:
        """The coordinator's first words."""
        key, limits = XOnlyKey(key_of("coordinator").key), {"requests_per_second": per_second}
        return self.side.hello(
            time=0, limits=limits, heartbeat_ms=heartbeat_ms, coordinator=key, epoch=Epoch(bytes(16))
        )

    def greet(self, **said: int) -> None:
        """Say hello."""
        self.tell(self.hello(**said))

    def tell(self, frame: bytes) -> None:
        """Any frame, and what is asked after it."""
        self.talk.receive(frame, self.now)
        self.send()

    def send(self) -> None:
        """Take what may leave now."""
        for frame in self.talk.take(self.now):
            request = self.side.receive(frame.decode(), self.now)
            assert isinstance(request, Request)
            self.requests.append(request)
            self._waiting.append(request)

    def answer(self, method: str, result: dict[str, Any]) -> None:
        """Answer the oldest request for ``method``."""
        self.tell(frames.result(self._oldest(method), result))

    def refuse(self, method: str, problem: WireError) -> None:
        """Refuse the oldest request for ``method``."""
        self.tell(frames.error(self._oldest(method), problem))

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now += ms
        self.talk.tick(self.now)
        self.send()

    def _oldest(self, method: str) -> int | str:
        request = next(request for request in self._waiting if request.method == method)
        self._waiting.remove(request)
        assert request.ident is not None
        return request.ident

"""The inner half of a peer that a test looks into: it decides what the test says, and notes what it is told.

inner = Noting(keys=[key]); inner.streams = {"keygens": [a], "signings": [b]}; talk = Talk("unix", inner)
inner.told                                  what it was told, in order
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import WireError
from keymeld_protocol.peer.resuming import InnerHalf
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id, Salt
from keymeld_protocol.wire.connection import Heard, Hello, Presence, SessionInfo, Subscribed
from keymeld_protocol.wire.records import Position


class Noting(InnerHalf):
    """Decides by its attributes; ``behind`` are the keygens that have not caught up."""

    def __init__(self, *keys: Keypair, keygens: Sequence[Id] = (), signings: Sequence[Id] = ()) -> None:
        """Prove ``keys``, subscribe these."""
        self.proves, self.in_keygens, self.in_signings = keys, keygens, signings
        self.capacity: int | None = None
        self.positions: dict[Id, Position] = {}
        self.behind: set[Id] = set()
        self.told: list[str] = []
        self.heard: list[Heard] = []
        self.listed: Sequence[SessionInfo] = ()
        self.fresh: Salt | None = None
        self.nonces: list[Salt | None] = []

    def keys(self, hello: Hello) -> Sequence[Keypair]:
        """Those that the test named."""
        return self.proves

    def authenticated(self) -> None:
        """Noted."""
        self.told.append("authenticated")

    def keygens(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """Those that the test named."""
        self.listed = listed
        return self.in_keygens

    def signings(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """Those that the test named."""
        return self.in_signings

    def position(self, stream: Id) -> Position | None:
        """Where the test says."""
        return self.positions.get(stream)

    def subscribed(self, stream: Id, answer: Subscribed, nonce: Salt | None) -> None:
        """Noted."""
        self.nonces.append(nonce)
        self.told.append(f"subscribed {answer.top}")

    def nonce(self) -> Salt | None:
        """What the test says."""
        return self.fresh

    def not_subscribed(self, stream: Id, problem: WireError) -> None:
        """Noted."""
        self.told.append(f"not subscribed: {problem.reason}")

    def caught_up(self, stream: Id) -> bool:
        """Whether the test does not say otherwise."""
        return stream not in self.behind

    def announcement(self) -> dict[str, Any] | None:
        """The capacity, if it has one."""
        return None if self.capacity is None else {"capacity": self.capacity}

    def not_resumed(self, problem: WireError) -> None:
        """This conversation is over."""
        raise Ended(f"not resumed: {problem.reason}")

    def put_off(self, problem: WireError) -> None:
        """Noted."""
        self.told.append(f"put off: {problem.reason}")

    def refused(self, method: str, problem: WireError) -> None:
        """Noted."""
        self.told.append(f"{method} refused: {problem.reason}")

    def hear(self, heard: Heard) -> None:
        """Noted."""
        self.heard.append(heard)
        self.told.append(f"record {heard.record.offset}")

    def rights(self, stream: Id, *, whole: bool) -> None:
        """Noted."""
        self.told.append(f"whole {whole}")

    def presence(self, told: Presence) -> None:
        """Noted."""
        self.told.append("presence")

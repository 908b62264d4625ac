"""Finding a keygen again of which the wallet has nothing but a ticket: which of its keys may hear it? (§4.4)

    nothing proven ──▶ the first record: how many slots there are          open to whoever knows the name
    candidates ──────▶ prove as many as a connection takes, subscribe      the ticket's slot first
                 └───▶ first record only, or slot_taken: the next ones, on a connection of their own

A conversation of its own for each, so that keys which turn out to be nobody's are not linked to the others of the
wallet.  What is heard goes into the ledger, where it is verified like everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from os import urandom
from random import SystemRandom
from typing import TYPE_CHECKING, Final, TypeAlias

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.peer.resuming import InnerHalf
from keymeld_protocol.peer.talk import Talk
from keymeld_protocol.peer.waits import Backoff, Ended
from keymeld_protocol.values import Id, Salt
from keymeld_protocol.wire.connection import Heard, Hello, SessionInfo, Subscribed
from keymeld_protocol.wire.records import Position

from ..errors import NotConnected
from .courier import AGAIN
from .ledger import Ledger
from .link import dial

if TYPE_CHECKING:
    from .courier import Courier

Candidate: TypeAlias = Callable[[], Keypair]
"""A key that may hear the keygen, made when it is proven."""
PROOFS: Final = 1000
"""Keys on one connection where the coordinator names no limit."""


class Search(InnerHalf):
    """Proves candidates and hears one keygen; ``taken`` is how many were proven, ``found`` whether one of them may."""

    def __init__(self, ledger: Ledger, keygen: Id, candidates: Sequence[Candidate]) -> None:
        """The first candidates are proven, as many as the coordinator takes on one connection."""
        self.ledger, self.keygen = ledger, keygen
        self.taken, self.found = 0, False
        self.problem: WireError | None = None
        self._candidates = candidates

    def keys(self, hello: Hello) -> Sequence[Keypair]:
        """As many of the candidates as a connection may prove."""
        self.taken = max(1, hello.limits.get("proofs_per_connection", PROOFS))
        return [make() for make in self._candidates[: self.taken]]

    def keygens(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """The one that is looked for."""
        return [self.keygen]

    def signings(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """None: they are heard where everything else is."""
        return []

    def position(self, stream: Id) -> Position | None:
        """Where its verified part ends."""
        return self.ledger.position(stream)

    def nonce(self) -> Salt:
        """The head of the answer is signed after this was drawn."""
        return Salt(urandom(32))

    def subscribed(self, stream: Id, answer: Subscribed, nonce: Salt | None) -> None:
        """It is heard, or no more than its first record."""
        self.found = answer.reason != "first_record_only"
        self.ledger.subscribed(stream, answer, nonce)

    def not_subscribed(self, stream: Id, problem: WireError) -> None:
        """An invitation that was used hears nothing: another candidate may."""
        self.problem = problem

    def caught_up(self, stream: Id) -> bool:
        """Whether it was heard as far as it has come."""
        heard = self.ledger.replay(stream)
        return self.ledger.trouble(stream) is not None or (heard is not None and heard.caught_up)

    def not_resumed(self, problem: WireError) -> None:
        """This conversation is over; another one may fare better."""
        raise Ended(f"the coordinator refused to look for a session: {problem}", None, problem.retry_after_ms or 0)

    def hear(self, heard: Heard) -> None:
        """A record of the keygen; what else concerns a candidate is heard elsewhere."""
        if heard.stream == self.keygen:
            self.ledger.hear(heard.stream, heard.record, heard.head)


async def hear_as_any(courier: Courier, keygen: Id, candidates: Sequence[Candidate]) -> bool:
    """Whether one of the ``candidates`` hears more than the first record of ``keygen``; the ledger has it then.

    Raises:
        NotConnected: coming back cannot help.
        WireError: the coordinator does not know the keygen.
    """
    rest = list(candidates)
    while True:
        search = await _ask(courier, keygen, rest)
        if search.problem is not None and search.problem.reason is not Reason.SLOT_TAKEN:
            raise search.problem
        if search.problem is None and search.found:
            return True
        rest = rest[search.taken :]
        if not rest:
            return False


async def _ask(courier: Courier, keygen: Id, candidates: Sequence[Candidate]) -> Search:
    """One whole conversation, begun again until it was not lost on the way."""
    backoff = Backoff(SystemRandom().random)
    while True:
        await courier.online()
        search = Search(courier.ledger, keygen, candidates)
        try:
            async with dial(courier.url, Talk(courier.url, search, AGAIN)):
                return search
        except Ended as ended:
            wait = backoff.after(ended, 0)
            if wait is None:
                raise NotConnected(str(ended)) from None
            await asyncio.sleep(wait / 1000)

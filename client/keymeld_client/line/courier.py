"""Keeps one conversation alive: dials again, resumes, carries what was said.

    dial ▶ hello ▶ resuming ▶ online                      as every peer does: `keymeld_protocol.peer`
      ▲                         │ submit, until answered
      └───── wait ◀─ ended ◀────┘
             stop ◀─ for good

A statement is stored before it is submitted, and the same bytes are submitted until they are answered: on this
connection, on the next, or by the next process that opens the wallet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from random import SystemRandom
from typing import Any, Final, TypeVar

import msgspec

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import KeymeldError, Reason, WireError
from keymeld_protocol.peer.calls import REPEATABLE
from keymeld_protocol.peer.talk import Talk
from keymeld_protocol.peer.waits import Backoff, Ended
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.connection import Placed
from keymeld_protocol.wire.frames import statement_json
from keymeld_protocol.wire.statements import Statement

from ..errors import NotConnected
from ..status import Bell, Status
from ..wallet.journal import Pending
from ..wallet.wallet import Wallet
from .inner import WalletHalf
from .ledger import Ledger
from .link import Link, dial, steady_ms

AGAIN: Final = REPEATABLE - {Reason.OVER_LIMIT}
"""Answers after which a wallet says the same bytes again; of a limit a person is told, who can make room below it."""

_CHANCE: Final = SystemRandom()
T = TypeVar("T")


class EnclaveInfo(msgspec.Struct, frozen=True):
    """One line of the answer to ``enclaves``: what the coordinator says of an enclave; believe none of it."""

    identity: XOnlyKey
    online: bool = True
    capacity: int | None = None


class EnclavePage(msgspec.Struct, frozen=True):
    """The answer to ``enclaves``."""

    enclaves: tuple[EnclaveInfo, ...]


class Courier:
    """The connection of one wallet to one coordinator, across every interruption."""

    def __init__(
        self, wallet: Wallet, ledger: Ledger, *, token: str | None = None, backoff: Backoff | None = None,
        sleep: Callable[[float], Any] = asyncio.sleep, now: Callable[[], int] = steady_ms,
    ) -> None:  # fmt: skip
        """``sleep`` waits a number of seconds, ``now`` gives milliseconds; tests give others."""
        self.wallet, self.ledger, self.url = wallet, ledger, ledger.url
        self.status = Status("connecting")
        self.changed = Bell()
        self.problems: list[KeymeldError] = []
        self._inner = WalletHalf(wallet, ledger, token, self._put_off, self.problems.append)
        self.presence = self._inner.online
        self._backoff, self._sleep, self._now = backoff or Backoff(_CHANCE.random), sleep, now
        self._link: Link | None = None
        self._carried: dict[Id, asyncio.Task[Placed]] = {}
        self._errands: set[asyncio.Task[None]] = set()
        ledger.look_again = self._look_again

    # Coming and going -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Converse until the coordinator closes for good.

        Raises:
            NotConnected: it did; says why.
        """
        while True:
            self._tell(Status("connecting", self.status.error))
            ended, stood_ms = await self._converse()
            wait = self._backoff.after(ended, stood_ms)
            if wait is None:
                raise NotConnected(str(ended))
            self._tell(Status("waiting", str(ended), wait / 1000))
            await self._sleep(wait / 1000)

    async def _converse(self) -> tuple[Ended, int]:
        """One conversation; gives how it ended, and for how long (ms) it had been resumed."""
        talk, stood_ms = Talk(self.url, self._inner, AGAIN), 0
        try:
            async with dial(self.url, talk, sleep=self._sleep, now=self._now) as link:
                try:
                    self._link = link
                    self._tell(Status("online"))
                    self._carry_all()
                    ended = await asyncio.shield(link.ended)
                    stood_ms = talk.stood_ms(self._now())  # closing the socket, which takes a while, is no standing
                finally:
                    self._link = None
        except Ended as error:
            ended = error
        return ended, stood_ms

    def _put_off(self, problem: WireError) -> None:
        """Whoever waits for the conversation is told why it is not yet there."""
        self._tell(Status("connecting", f"the coordinator asks to wait: {problem}"))

    def stop(self, why: KeymeldError) -> None:
        """No more conversations: whoever waits is told."""
        self._tell(Status("stopped", str(why)))
        self.ledger.stop(why)
        for task in [*self._carried.values(), *self._errands]:
            task.cancel()

    async def online(self) -> Link:
        """The conversation, once there is one that was resumed.

        Raises:
            NotConnected: there will be none.
        """
        while self._link is None or self._link.ended.done():
            if self.status.state == "stopped":
                raise NotConnected(self.status.error or "the client has stopped")
            await self.changed.wait()
        return self._link

    def _tell(self, status: Status) -> None:
        self.status = status
        self.changed.ring()

    # Hearing and asking -----------------------------------------------------------------------------------------

    async def subscribe(self, stream: Id) -> None:
        """Hear ``stream`` on the present conversation; the next ones resume it by themselves if the wallet knows it.

        Raises:
            NotConnected: there will be no conversation.
        """
        while self.ledger.trouble(stream) is None:
            try:
                await (await self.online()).subscribe(stream)
                return
            except Ended:
                continue

    def _look_again(self, stream: Id) -> None:
        """Ask anew how far ``stream`` has come, beside everything else."""
        task = asyncio.create_task(self.subscribe(stream))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def prove(self, keys: list[Keypair]) -> None:
        """Prove keys that the wallet has gained; those that it remembers are proven again on every conversation.

        Raises:
            NotConnected: there will be no conversation.
            WireError: a proof was refused.
        """
        while True:
            try:
                link = await self.online()
                await link.prove(keys)
                if keys:
                    await link.follow()
                return
            except Ended:
                continue

    async def ask(self, method: str, params: dict[str, Any], kind: type[T]) -> T:
        """Ask something that changes nothing, on this conversation or the next; any refusal is told.

        Raises:
            NotConnected: there will be no conversation.
            WireError: what the coordinator answered instead.
        """
        while True:
            try:
                return await (await self.online()).call(method, params, kind, again=frozenset())
            except Ended:
                continue

    # Saying -----------------------------------------------------------------------------------------------------

    async def say(self, statement: Statement) -> Placed:
        """Store a statement, then submit it until it is answered; a caller that gives up does not take it back.

        Raises:
            WireError: the coordinator refused it.
            NotConnected: there will be no conversation; it waits in the wallet.
            WalletError: it could not be stored, and was not submitted.
        """
        carrying = self._carry(self.wallet.post(self.url, statement))
        try:
            return await asyncio.shield(carrying)
        except asyncio.CancelledError:
            if carrying.cancelled():
                raise NotConnected(self.status.error or "the client has stopped") from None
            raise

    def _carry_all(self) -> None:
        """Take up what an earlier process had said."""
        for pending in self.wallet.outbox(self.url):
            self._carry(pending)

    def _carry(self, pending: Pending) -> asyncio.Task[Placed]:
        """The task that submits a statement until it is answered; there is one for each."""
        task = self._carried.get(pending.statement.id)
        if task is None:
            task = asyncio.create_task(self._submit(pending))
            self._carried[pending.statement.id] = task
            task.add_done_callback(partial(self._done, pending))
        return task

    def _done(self, pending: Pending, task: asyncio.Task[Placed]) -> None:
        """Forget the task; remember what went wrong, also if nobody waits for it."""
        self._carried.pop(pending.statement.id, None)
        if not task.cancelled() and isinstance(error := task.exception(), KeymeldError):
            self.problems.append(error)

    async def _submit(self, pending: Pending) -> Placed:
        """Submit the same bytes until they are answered (§2.5)."""
        params = {"statement": statement_json(pending.statement.wire)}
        while True:
            link = await self.online()
            try:
                placed = await link.call("submit", params, Placed)
            except Ended:
                continue
            except WireError:
                self.wallet.turn_away(pending.statement)
                self.wallet.answered(pending)
                raise
            stream = getattr(pending.statement.payload, "stream", pending.statement.id)
            if self.ledger.has_heard(stream, pending.statement.id):
                self.wallet.answered(pending)
            if placed.head is not None:
                self.ledger.head(stream, placed.head, pushed=True)
            return placed

"""Keeps one conversation alive: dials again, proves the wallet's keys, resumes every stream, carries what was said.

    dial ▶ hello ▶ authenticate ▶ sessions (paged) ▶ subscribe keygens ▶ subscribe signings ▶ online
      ▲                                                                                        │ submit, until answered
      └───────────── wait (backoff.py) ◀── closed: later, or at once ◀─────────────────────────┘
                     stop ◀─────────────── closed: never

A statement is stored before it is submitted, and the same bytes are submitted until they are answered: on this
connection, on the next, or by the next process that opens the wallet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import KeymeldError, Reason, WireError
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.connection import Heard, Placed, Presence, SessionInfo, Subscribed
from keymeld_protocol.wire.frames import since_json, statement_json
from keymeld_protocol.wire.statements import Statement

from ..errors import NotConnected
from ..status import Bell, Status
from ..wallet.entries import KeygenEntry
from ..wallet.journal import Pending
from ..wallet.wallet import Wallet
from .backoff import Backoff, is_terminal
from .ledger import Ledger
from .link import Link, LinkClosed, dial

AGAIN: Final = frozenset({Reason.TOO_MANY_REQUESTS, Reason.UNAVAILABLE, Reason.DRAINING})
"""Answers after which the same bytes are submitted again."""

PAGE: Final = 1000
AT_ONCE: Final = 16
"""Subscriptions that are asked for together."""

LONGEST_MS: Final = 30_000
"""What a coordinator may make one request wait; it can say so again, and a connection that was lost is noticed."""

MANY: Final = 64
"""Subscriptions from which on we keep to the coordinator's pace, so that it does not take them for a flood."""

T = TypeVar("T")


class SessionPage(msgspec.Struct, frozen=True):
    """The answer to ``sessions``."""

    sessions: tuple[SessionInfo, ...]


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

    def __init__(self, wallet: Wallet, ledger: Ledger, *, token: str | None = None, backoff: Backoff | None = None,
                 sleep: Callable[[float], Any] = asyncio.sleep) -> None:  # fmt: skip
        """``sleep`` waits a number of seconds before coming back; tests give another."""
        self.wallet, self.ledger, self.url = wallet, ledger, ledger.url
        self.status = Status("connecting")
        self.changed = Bell()
        self.presence: dict[XOnlyKey, bool] = {}
        self.problems: list[KeymeldError] = []
        self._token, self._backoff, self._sleep = token, backoff or Backoff(), sleep
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
            closed = await self._converse()
            if is_terminal(closed.code):
                raise NotConnected(str(closed))
            wait = self._backoff.failed(closed.code, closed.retry_after_ms)
            self._tell(Status("waiting", str(closed), wait))
            await self._sleep(wait)

    async def _converse(self) -> LinkClosed:
        """One conversation, from its hello to its end."""
        try:
            async with dial(self.url, self._heard) as link:
                try:
                    await self._resume(link)
                    self._link = link
                    self._backoff.succeeded()
                    self._tell(Status("online"))
                    self._carry_all()
                    return await asyncio.shield(link.ended)
                finally:
                    self._link = None
        except LinkClosed as closed:
            return closed
        except WireError as problem:
            return LinkClosed(None, f"the coordinator refused to resume: {problem}", problem.retry_after_ms or 0)

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

    def _heard(self, event: Heard | Presence) -> None:
        """A record or a presence, in the order in which they come."""
        if isinstance(event, Presence):
            self.presence[event.key] = event.online
            return
        self.ledger.hear(event.stream, event.record)

    # Resuming ---------------------------------------------------------------------------------------------------

    async def _resume(self, link: Link) -> None:
        """Prove every key, find every session, and go on where each stream stood: keygens before signings."""
        self.ledger.greet(link.hello.coordinator)
        entries = self.wallet.keygens(self.url)
        keys = [key for entry in entries for key in keys_of(self.wallet, entry, collecting=self._collects(entry.id))]
        await link.authenticate(keys, self._token)
        sessions = await self._sessions(link) if keys else []
        keygens = [entry.id for entry in entries]
        await self._subscribe_all(link, keygens)
        known = [r.stream for r in self.ledger.streams() if r.as_signing is not None]
        found = [info.stream for info in sessions if info.keygen is not None and self.wallet.keygen(info.keygen)]
        await self._subscribe_all(link, [s for s in dict.fromkeys([*known, *found]) if not self._has_ended(s)])

    def _collects(self, keygen: Id) -> bool:
        """Whether an invitation to ``keygen`` may still be of use."""
        heard = self.ledger.replay(keygen)
        state = heard.as_keygen if heard is not None else None
        return state is None or state.phase == KeygenPhase.COLLECTING

    async def _sessions(self, link: Link) -> list[SessionInfo]:
        """Every session that concerns the proven keys, page by page; from now on new ones are heard by themselves."""
        found: list[SessionInfo] = []
        link.follows = True
        while True:
            after = {"after": found[-1].stream.hex()} if found else {}
            page = (await link.call("sessions", {"limit": PAGE, **after}, SessionPage)).sessions
            found += page
            if len(page) < PAGE:
                return found

    def _has_ended(self, stream: Id) -> bool:
        """Whether a signing was heard to its end: nothing follows."""
        heard = self.ledger.replay(stream)
        state = heard.as_signing if heard is not None else None
        return state is not None and not state.open

    async def _subscribe_all(self, link: Link, streams: Iterable[Id]) -> None:
        """Subscribe, a few at a time; a stream that we may not hear is noted, and the others go on."""
        todo = list(streams)
        pause = AT_ONCE / max(1, link.hello.limits.get("requests_per_second", 100)) if len(todo) > MANY else 0.0
        for start in range(0, len(todo), AT_ONCE):
            await asyncio.gather(*(self._subscribe(link, stream) for stream in todo[start : start + AT_ONCE]))
            if pause:
                await self._sleep(pause)

    async def _subscribe(self, link: Link, stream: Id) -> None:
        if self.ledger.trouble(stream) is not None:
            return
        position = self.ledger.position(stream)
        since = {"since": since_json(position)} if position is not None else {}
        self.ledger.expect(stream)
        then = partial(self.ledger.subscribed, stream)
        while True:
            try:
                await link.call("subscribe", {"stream": stream.hex(), **since}, Subscribed, then)
                return
            except WireError as problem:
                if problem.reason not in AGAIN:
                    self.ledger.refuse(stream, problem)
                    return
                await self._sleep(min(problem.retry_after_ms or 100, LONGEST_MS) / 1000)

    async def subscribe(self, stream: Id) -> None:
        """Hear ``stream`` on the present conversation; the next ones resume it by themselves if the wallet knows it.

        Raises:
            NotConnected: there will be no conversation.
        """
        while True:
            try:
                await self._subscribe(await self.online(), stream)
                return
            except LinkClosed:
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
                await link.authenticate(keys)
                if keys and not link.follows:
                    await self._sessions(link)
                return
            except LinkClosed:
                continue

    async def ask(self, method: str, params: dict[str, Any], kind: type[T]) -> T:
        """Ask something that changes nothing, on this conversation or the next.

        Raises:
            NotConnected: there will be no conversation.
            WireError: what the coordinator answered instead.
        """
        while True:
            try:
                return await (await self.online()).call(method, params, kind)
            except LinkClosed:
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
            except LinkClosed:
                continue
            except WireError as problem:
                if problem.reason in AGAIN:
                    await self._sleep(min(problem.retry_after_ms or 250, LONGEST_MS) / 1000)
                    continue
                self.wallet.answered(pending)
                raise
            self.wallet.answered(pending)
            if placed.head is not None:
                self.ledger.head(getattr(pending.statement.payload, "stream", pending.statement.id), placed.head)
            return placed


def keys_of(wallet: Wallet, entry: KeygenEntry, *, collecting: bool) -> list[Keypair]:
    """The keys that let this wallet hear a keygen: creator key, auth keys; while it collects, the invite keys too."""
    keys = [wallet.identity.auth(entry.id, slot) for slot in entry.slots]
    if entry.salt is not None:
        keys.append(wallet.identity.creator(entry.salt))
    invited = sorted({*entry.slot_secrets, *entry.slots}) if collecting else []
    return keys + [entry.invite(slot) for slot in invited]

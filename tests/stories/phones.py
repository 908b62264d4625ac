"""Phones that keep notes of all that they verify, say and are told.

every record verified ─┐
every statement said ──┼─▶ Notebook ─▶ the blow whose moment this is
every resumption ──────┘
"""

from __future__ import annotations

import asyncio
import io
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from examples.helpers.minutes import Minutes
from examples.helpers.people import Person
from keymeld_client.client import Client, connect
from keymeld_client.wallet.journal import Pending
from keymeld_client.wallet.trust import Trust
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.peer.waits import Backoff, Ended
from keymeld_protocol.values import Hash, Id, Salt
from keymeld_protocol.wire.connection import Subscribed
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement

from .blow import Blow, Heard, Moment, Saying


@dataclass(frozen=True)
class Resumption:
    """What a phone was told as it subscribed; ``stood`` is the offset after which it asked."""

    who: str
    stream: Id
    stood: int
    recovered: bool
    reason: str | None


@dataclass
class Notebook:
    """What all phones have verified and been told; one that is deaf to a kind dies before it reads the answer."""

    hashes: dict[tuple[Id, int], Hash] = field(default_factory=dict)
    deaf_to: str | None = None
    resumed: list[Resumption] = field(default_factory=list)
    closed: list[tuple[int | None, int]] = field(default_factory=list)
    blow: Blow | None = None

    def verified(self, stream: Id, record: Record) -> None:
        """A phone has stored a verified record: the same for everybody, for ever."""
        assert self.hashes.setdefault((stream, record.offset), record.hash) == record.hash, "two histories"
        said = record.statement.payload
        self._reached(Heard(said.kind), Heard(said.kind, getattr(said, "step", None)))

    def said(self, statement: Statement) -> None:
        """A phone is about to submit a statement."""
        self._reached(Saying(statement.payload.kind))

    def _reached(self, *moments: Moment) -> None:
        if self.blow is not None and self.blow.moment in moments:
            self.blow.fall()


class NotedWallet(Wallet):
    """A wallet that tells the notebook what it stores."""

    notebook: Notebook

    def append(self, stream: Id, record: Record) -> None:
        """Store, then note."""
        super().append(stream, record)
        self.notebook.verified(stream, record)

    def post(self, url: str, statement: Statement) -> Pending:
        """Store, then note."""
        pending = super().post(url, statement)
        self.notebook.said(statement)
        return pending

    def answered(self, pending: Pending) -> None:
        """Take the answer, unless it is lost."""
        if pending.statement.payload.kind != self.notebook.deaf_to:
            super().answered(pending)


class NotedBackoff(Backoff):
    """Comes back soon, and notes how each conversation closed and how long (ms) it then waited."""

    def __init__(self, notebook: Notebook) -> None:
        """A quarter of the longest wait, every time."""
        super().__init__(lambda: 0.25)
        self.notebook = notebook

    def after(self, ended: Ended, stood_ms: int = 0) -> int | None:
        """Note, then wait as always."""
        wait = super().after(ended, stood_ms)
        assert wait is not None, ended
        self.notebook.closed.append((ended.code, wait))
        return wait


class Phone(Person):
    """A person whose phone keeps notes; it waits with its next business until a blow has healed."""

    notebook: Notebook

    async def wake(self) -> Client:
        """As everybody's."""
        if self.notebook.blow is not None:
            await self.notebook.blow.healed()
        if self._client is None:
            self._awake = AsyncExitStack()
            wallet = self._awake.enter_context(NotedWallet.open(self.folder))
            wallet.notebook = self.notebook
            trust, backoff = Trust(frozenset({self.enclave})), NotedBackoff(self.notebook)
            self._client = await self._awake.enter_async_context(connect(self.url, wallet, trust, backoff=backoff))
            self._note_resumptions(self._client)
            await self._client.ready()
        return self._client

    @property
    def awake(self) -> bool:
        """Whether it holds its wallet open."""
        return self._client is not None

    def _note_resumptions(self, client: Client) -> None:
        ledger, take = client.ledger, client.ledger.subscribed

        def noted(stream: Id, answer: Subscribed, nonce: Salt | None = None) -> None:
            position = ledger.position(stream)
            stood = position.offset if position is not None else 0
            note = Resumption(self.name, stream, stood, answer.recovered, answer.reason)
            self.notebook.resumed.append(note)
            take(stream, answer, nonce)

        ledger.subscribed = noted  # type: ignore[method-assign]

    def forget(self) -> None:
        """Lose every record, as a new phone with the same identity and tickets: it will hear everything from 1."""
        shutil.rmtree(self.folder / "streams")


class Unread(Minutes):
    """Minutes that nobody reads."""

    def __init__(self) -> None:
        """Into the void."""
        super().__init__(io.StringIO())

    async def stop(self) -> None:
        """Follow nothing more: who followed puts the phone away."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

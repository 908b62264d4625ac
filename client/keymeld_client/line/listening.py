"""Who waits for what a ledger hears: for a state, for the next record, for anything at all.

    record verified ──▶ the stream's bell, and everybody's ──▶ each who waits looks whether his time has come
    log broken, client stopped ──▶ all bells ──▶ whoever waits is told why: nothing hangs

A bell carries no news; it only wakes.  What is true is looked up in the verified log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from keymeld_protocol.errors import KeymeldError, WireError
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Hash, Id
from keymeld_protocol.wire.records import Record

from ..errors import ReadOnly
from ..status import Bell

T = TypeVar("T")


class Listening(ABC):
    """The waiting side of a ledger; ``heard`` is every record verified in this process, in order."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self.heard: list[tuple[Id, Record]] = []
        self.refused: dict[Id, WireError] = {}
        self._bells: dict[Id, Bell] = {}
        self._all = Bell()
        self._stopped: KeymeldError | None = None

    @abstractmethod
    def replay(self, stream: Id) -> Replay | None:
        """What was verified of ``stream``; None before its first record."""

    @abstractmethod
    def trouble(self, stream: Id) -> str | None:
        """Why nothing is said in ``stream`` any more, or None."""

    async def until(self, stream: Id, look: Callable[[Replay], T | None]) -> T:
        """Until ``look`` gives something other than None for what was verified of ``stream``.

        Raises:
            ReadOnly: the session's log broke.
            KeymeldError: the client has stopped, or the coordinator will not let us hear it.
        """
        bell = self._bells.setdefault(stream, Bell())
        while True:
            heard = self.replay(stream)
            if heard is not None and (found := look(heard)) is not None:
                return found
            if (why := self.trouble(stream)) is not None:
                raise ReadOnly(f"this session is read-only: {why}")
            if stream in self.refused and heard is None:
                raise self.refused[stream]
            self._check_running()
            await bell.wait()

    async def until_all(self, look: Callable[[], bool]) -> None:
        """Until ``look`` holds; it is asked whenever anything was heard.

        Raises:
            KeymeldError: the client has stopped.
        """
        while not look():
            self._check_running()
            await self._all.wait()

    async def follow(self, stream: Id) -> AsyncIterator[Record]:
        """Every verified record of ``stream``, from the first, then as they come; of one told anew what differs.

        Raises:
            ReadOnly: the session's log broke.
            KeymeldError: the client has stopped.
        """
        told = list[Hash]()
        while True:
            record = await self.until(stream, partial(_next_record, told))
            told[record.offset - 1 :] = [record.hash]
            yield record

    async def watch(self) -> AsyncIterator[tuple[Id, Record]]:
        """Every record as it is verified, from now on, until the client stops."""
        seen = len(self.heard)
        while self._stopped is None:
            while seen < len(self.heard):
                seen += 1
                yield self.heard[seen - 1]
            await self._all.wait()

    async def changed(self) -> None:
        """Until anything is heard.

        Raises:
            KeymeldError: the client has stopped.
        """
        self._check_running()
        await self._all.wait()
        self._check_running()

    def stop(self, why: KeymeldError) -> None:
        """Nothing more will be heard: whoever waits is told."""
        self._stopped = why
        self.ring(None)

    def ring(self, stream: Id | None) -> None:
        """Wake who waits for ``stream``; None: everybody."""
        woken = list(self._bells.values()) if stream is None else [self._bells.get(stream)]
        for bell in woken:
            if bell is not None:
                bell.ring()
        self._all.ring()

    def _check_running(self) -> None:
        if self._stopped is not None:
            raise self._stopped


def _next_record(told: list[Hash], heard: Replay) -> Record | None:
    """The first record that was not ``told``: the next, or after a restored backup the first that differs (§4.3)."""
    hashes, index = heard.chain.hashes, len(told)
    if index and (index > len(hashes) or hashes[index - 1] != told[-1]):
        pairs = enumerate(zip(told, hashes, strict=False))
        index = next((i for i, (ours, theirs) in pairs if ours != theirs), min(index, len(hashes)))
    return heard.records[index] if len(heard.records) > index else None

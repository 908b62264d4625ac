"""Sessions as they happen, in the terminal: every record a sentence, whoever is missing named, each reconnect seen.

    keygen ──▶ its records, from the first, and those of each of its signings, until that has ended
                                   └── on a terminal a status line stays below: who is still missing

A session whose log does not hold is said so loudly, and the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.live import Live
from rich.text import Text

from keymeld_protocol.machines.keygen import KeygenPhase, KeygenState
from keymeld_protocol.machines.signing import SigningPhase, SigningState
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.records import Record

from ..errors import ReadOnly
from ..keygens import Keygen
from ..shown.telling import moment
from ..signings import Signing
from ..status import Bell
from .app import SHORT, trouble
from .names import Names
from .opened import detail_of, names_of, words_of
from .screen import Screen
from .sentences import Sentence, sentence

if TYPE_CHECKING:
    from ..client import Client

Watched = Keygen | Signing


class Watch:
    """Tells sessions on a screen; one for each client."""

    def __init__(self, client: Client, screen: Screen) -> None:
        """Nothing is told yet."""
        self.client, self.screen = client, screen
        self.broken: list[ReadOnly] = []
        self._names: dict[Id, Names] = {}
        self._tasks: dict[Id, asyncio.Task[None]] = {}
        self._waiting: dict[Id, str] = {}
        self._told: dict[Id, int] = {}
        self._seen: dict[Id, list[str]] = {}
        self._bell = Bell()

    def follow(self, handle: Watched, since: int = 0) -> asyncio.Task[None]:
        """Tell a session beside everything else, from the record after offset ``since``; a second time is once.

        With a keygen its signings are told, those that open later too.
        """
        if handle.id not in self._tasks:
            self._tasks[handle.id] = asyncio.create_task(self._follow(handle, since))
            for signing in handle.signings() if isinstance(handle, Keygen) else ():
                self.follow(signing)
        return self._tasks[handle.id]

    async def until_ended(self) -> None:
        """Until everything that is followed has ended, which a keygen never does."""
        while pending := [task for task in self._tasks.values() if not task.done()]:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)

    async def until_told(self, handle: Watched) -> None:
        """Until every record that is here was told, of a session that is followed."""
        offset, task = handle.heard.chain.offset, self._tasks.get(handle.id)
        while task is not None and not task.done() and self._told.get(handle.id, 0) < offset:
            await self._bell.wait()

    async def _follow(self, handle: Watched, since: int) -> None:
        """Tell the records of one session."""
        try:
            async for record in handle:
                if record.offset > since:
                    await self._tell(handle, record)
                self._told[handle.id] = record.offset
                self._bell.ring()
        except ReadOnly as error:
            self.broken.append(error)
            self.screen.complain(f"{handle.id.hex()[:SHORT]}: {error}", code=4)
            self._told[handle.id] = handle.heard.chain.offset
            self._bell.ring()

    async def _follow_signings(self) -> None:
        """Follow the signings of a keygen that is told, as they open."""
        async for stream, record in self.client.watch():
            said = record.statement.payload
            if isinstance(said, SigningRequest) and said.keygen in self._tasks:
                self.follow(self.client.signing(stream))

    def names(self, keygen: Id) -> Names:
        """The people of one keygen."""
        if keygen not in self._names:
            self._names[keygen] = names_of(self.client, keygen)
        return self._names[keygen]

    # Lines ------------------------------------------------------------------------------------------------------

    async def _tell(self, handle: Watched, record: Record) -> None:
        """One record: a sentence, who is missing if that is news, and who is at fault."""
        keygen = handle.id if isinstance(handle, Keygen) else handle.state.request.keygen
        told = sentence(record, self.names(keygen), detail_of(self.client, keygen, record))
        newest = record.offset == handle.heard.chain.offset
        missing = self.missing(handle) if newest else self._waiting.get(handle.id, "")
        news = missing if missing != self._waiting.get(handle.id, "") else ""
        self._waiting[handle.id] = missing
        amiss = await self._amiss(handle) if newest else []
        self.screen.result(_lines(handle.id, told, news, amiss), self._data(handle, record, told, amiss))

    async def _amiss(self, handle: Watched) -> list[str]:
        """Who is at fault, where nothing more comes of a signing, or nothing may come of it; and who was pushed out."""
        if isinstance(handle, Keygen):
            return self._seats(handle)
        if handle.phase not in (
            SigningPhase.COMPLETED,
            SigningPhase.FAILED,
            SigningPhase.EXPIRED,
        ):
            return []
        return await asyncio.to_thread(handle.judgement)  # a big batch takes its time

    def _seats(self, keygen: Keygen) -> list[str]:
        """Which own joins were pushed out, and which seats were filled anew: said when it is news."""
        told = [*map(str, keygen.pushed_out), *keygen.named] if keygen.read_only is None else []
        news = [each for each in told if each not in self._seen.get(keygen.id, ())]
        self._seen[keygen.id] = told
        return news

    def _data(self, handle: Watched, record: Record, told: Sentence, amiss: list[str]) -> dict[str, Any]:
        """The same for scripts; ``words`` are a stranger's as they came."""
        keygen = handle.id if isinstance(handle, Keygen) else handle.state.request.keygen
        return {
            "session": handle.id.hex(),
            "offset": record.offset,
            "at": record.at,
            "hash": record.hash.hex(),
            "kind": record.statement.payload.kind,
            "who": told.who,
            "what": told.what,
            "words": words_of(self.client, keygen, record),
            "phase": handle.state.phase.value,
            "holdouts": list(handle.state.holdouts()),
            "judgement": amiss,
        }

    def missing(self, handle: Watched) -> str:
        """Who is waited for, in words; "" if nobody is."""
        if isinstance(handle, Keygen):
            return missing_in_keygen(handle.state, self.names(handle.id))
        return missing_in_signing(handle.state, self.names(handle.state.request.keygen), self.client.now())

    # A terminal's status line -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """While this lasts, reconnects are told, and on a terminal a status line says who is missing."""
        beside = [asyncio.create_task(self._tell_reconnects()), asyncio.create_task(self._follow_signings())]
        live = self.screen.out.is_terminal and not self.screen.as_json and not self.screen.quiet
        try:
            if live:
                with Live(console=self.screen.out, get_renderable=self._status, transient=True):
                    self.screen.live = True
                    yield
            else:
                yield
        finally:
            self.screen.live = False
            for task in (tasks := [*beside, *self._tasks.values()]):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell_reconnects(self) -> None:
        """Say when the connection is lost, once, and when it is back."""
        lost = False
        async for status in self.client.statuses():
            if status.state == "waiting" and not lost:
                self.screen.note(trouble(status), style="yellow")
                lost = True
            elif status.state == "online" and lost:
                self.screen.note("… connected again; every stream goes on where it stood", style="yellow")
                lost = False

    def _status(self) -> Text:
        """The status line: connection, and for each session who is missing."""
        dot = Text("● ", "green" if self.client.status.state == "online" else "yellow")
        dot.append(str(self.client.status.state), "dim")
        for stream, missing in self._waiting.items():
            if missing:
                dot.append(f"\n  {stream.hex()[:SHORT]}  {missing}")
        return dot


_WANTED: Final = {"approving": "the approval of ", "nonces": "nonces for ", "psigs": "partial signatures for "}
"""What a signing waits for, by phase; other phases wait for nobody."""


def missing_in_signing(state: SigningState, names: Names, now: int) -> str:
    """Whose approval or contribution a signing waits for, and at ``now`` (ms) until when."""
    holdouts, rules = state.holdouts(), [join.rule for join in state.keygen.joins]
    people = f"waiting for {_WANTED[state.phase.value]}{names.all(holdouts)}" if holdouts else ""
    if len(holdouts) > 1 and state.phase == SigningPhase.APPROVING and any(r.approval == "quorum" for r in rules):
        people = f"waiting for approvals from among {names.all(holdouts)}"
    return "; ".join(filter(None, (people, waits_told(state, names, now))))


def waits_told(state: SigningState, names: Names, now: int) -> str:
    """Until when (ms) rules make a signing wait, whoever has approved; "" if they do not at ``now``."""
    if state.phase != SigningPhase.APPROVING:
        return ""
    begun = {slot: time for slot, time in state.ripe_at().items() if time is not None and time > now}
    waits = [f"for {names.who(key)} to begin a delay" for key in _beginners(state)]
    if begun:
        waits.append(f"until {moment(max(begun.values()))}, as the rule of {names.all(tuple(begun))} wants it")
    return f"waiting {', and '.join(waits)}" if waits else ""


def _beginners(state: SigningState) -> list[XOnlyKey]:
    """The enclaves whose delays have not begun: they are away, or have not said so yet."""
    homes = (state.keygen.joins[slot].enclave for slot in state.unheard())
    return list(dict.fromkeys(key for key in homes if key is not None))


def missing_in_keygen(state: KeygenState, names: Names) -> str:
    """Whose join, enclave, confirmation or wiping a keygen waits for."""
    if state.roster is not None:
        unconfirmed = state.unconfirmed()
        waits = [f"for the confirmation of {names.all(unconfirmed)}"] if unconfirmed else []
        waits += [f"for the key of {names.slot(slot)} to be wiped" for slot in state.unwiped()]
        return _waiting(waits)
    if state.phase != KeygenPhase.COLLECTING:
        return f"missing: {names.all(state.holdouts())}"
    sealed = [(i, seat.join.enclave) for i, seat in enumerate(state.seats) if seat is not None and not seat.ready]
    waits = [f"for {names.who(enclave)} to hold the key of {names.slot(i)}" for i, enclave in sealed if enclave]
    if free := tuple(i for i, seat in enumerate(state.seats) if seat is None):
        waits.append(f"for {names.all(free)} to join")
    return _waiting(waits)


def _waiting(waits: Sequence[str]) -> str:
    """What is waited for, in one clause."""
    return f"waiting {', and '.join(waits)}" if waits else ""


def _lines(stream: Id, told: Sentence, missing: str, amiss: Iterable[str]) -> Iterable[Text]:
    """A record as a line, and who is missing or at fault as others."""
    yield Text.assemble(
        (told.clock, "dim"), "  ", (stream.hex()[:6], "dim"), "  ", (told.who, "bold cyan"), " ", told.what
    )
    if missing:
        yield Text(f"{'':18}… {missing}", "yellow")
    for line in amiss:
        yield Text(f"{'':18}! {line}", "bold red")

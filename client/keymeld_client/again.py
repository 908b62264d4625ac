"""What a client says again by itself after its coordinator was restored from a backup, and lost what was said (§4.3).

    lost, and ours ─▶ the same bytes where their ``after`` survives, else the same statement with a new one
    lost, others'  ─▶ the same bytes where their ``after`` survives; what else is missing is theirs to say, and so is
                      what they may have taken back in what nobody else heard: joins, requests, yeses

A no comes before anything else.  What the log does not take is not said; what the coordinator refuses is a problem.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from keymeld_protocol.errors import Astray, KeymeldError, WireError
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.rewound import REFUSALS
from keymeld_protocol.machines.streams import step
from keymeld_protocol.values import Epoch, Id
from keymeld_protocol.wire.frames import statement_json
from keymeld_protocol.wire.payloads import OPENERS, KeygenJoin, SigningApprove, SigningRequest
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement

from .errors import NotConnected, WalletError
from .said.again import Speakers, said_anew, speakers_of

if TYPE_CHECKING:
    from .client import Client

_ITS_SPEAKER_S: Final = (KeygenJoin, SigningRequest, SigningApprove)
"""What nobody submits again for another: he may have released, cancelled or refused it since."""

FROM_ANOTHER_FOLDER: Final = (
    "a join of yours that the coordinator has lost was said from another folder, and only that folder can say it again"
)
"""Of a wallet that was restored from its identity: nobody gives it the envelope back, so it tells what it lacks."""


class Again:
    """Says again what one client's coordinator has lost; what was tried once is not tried again in the same epoch."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._turn = asyncio.Lock()
        self._tried: set[tuple[Epoch | None, Id]] = set()

    async def run(self) -> None:
        """Look whenever anything was heard, until there is no conversation any more."""
        with suppress(NotConnected):
            await self.client.ready()
            while True:
                await self.look()
                await self.client.ledger.changed()

    async def look(self) -> None:
        """Say whatever can be said now: of keygens first, since their signings build on them.

        Raises:
            NotConnected: there will be no conversation.
        """
        async with self._turn:
            ledger = self.client.ledger
            streams = dict.fromkeys([*self.client.wallet.lost.streams(), *ledger.gone])
            heard = [each for stream in streams if (each := ledger.replay(stream)) is not None]
            for each in sorted(heard, key=lambda one: one.as_signing is not None):
                while await self._say_next(each):
                    pass

    async def _say_next(self, heard: Replay) -> bool:
        """Say one statement of those that are missing; whether there was one."""
        stream, missing = heard.stream, self.client.ledger.missing(heard.stream)
        speakers = speakers_of(self.client.wallet, heard, self.client.auth_keys(self._keygen(heard))) if missing else {}
        for record in _in_order(missing, speakers):
            if (tried := (self.client.ledger.epoch, record.statement.id)) in self._tried:
                continue
            earlier = any(each.offset < record.offset for each in missing)
            try:
                statement = self._statement(heard, record, speakers, earlier=earlier)
            except KeymeldError as error:  # a join that this folder has not got whole: told once, the others go on
                self._tried.add(tried)
                self.client.courier.problems.append(error)
                continue
            if statement is None:
                continue
            self._tried.add(tried)
            try:
                await self._say(stream, statement, ours=record.statement.payload.by in speakers)
            except NotConnected:
                raise
            except KeymeldError:
                continue  # of ours it is among the client's problems; what others said is theirs to see to
            return True
        return False

    def _statement(self, heard: Replay, record: Record, speakers: Speakers, *, earlier: bool) -> Statement | None:
        """What is said of it now; None if nothing can be.

        Who seals a key relies on who sits there: while something ``earlier`` is missing, no join is said anew.
        """
        said, gone = record.statement, heard.stream in self.client.ledger.gone
        if isinstance(said.payload, _ITS_SPEAKER_S) and said.payload.by not in speakers:
            return None
        whole = None not in said.blobs
        if not whole and (kept := self.client.wallet.join(said.id)) is not None:
            said, whole = kept, True
        if gone or isinstance(said.payload, OPENERS):
            return said if whole and isinstance(said.payload, OPENERS) and self._may_open(said.payload) else None
        if whole and heard.chain.knows(getattr(said.payload, "after", b"")) and _is_taken(heard, said):
            return said
        if not whole and isinstance(said.payload, KeygenJoin):
            raise WalletError(f"{FROM_ANOTHER_FOLDER} (joins/{said.id.hex()}.json)")
        if not whole or (earlier and isinstance(said.payload, KeygenJoin)):
            return None
        anew = said_anew(self.client.wallet, heard, record, said, speakers)
        return anew if anew is not None and _is_taken(heard, anew) else None

    def _may_open(self, said: object) -> bool:
        """A request names a record of its keygen: one that is there still."""
        keygen = self.client.ledger.replay(said.keygen) if isinstance(said, SigningRequest) else None
        return not isinstance(said, SigningRequest) or (keygen is not None and keygen.chain.knows(said.after))

    async def _say(self, stream: Id, statement: Statement, *, ours: bool) -> None:
        """Submit it, and wait until it was heard."""
        ledger, courier = self.client.ledger, self.client.courier
        if ours:
            if isinstance(said := statement.payload, KeygenJoin):
                self.client.wallet.note_join(said.stream, said.slot, statement.id)  # in the place of the one lost
            await courier.say(statement)
        else:
            await courier.ask("submit", {"statement": statement_json(statement.wire)}, dict[str, Any])
        if stream in ledger.gone:
            await courier.subscribe(stream)
        await ledger.until(
            stream, lambda heard: (stream not in ledger.gone and statement.id in heard.chain.ids) or None
        )

    def _keygen(self, heard: Replay) -> Id:
        state = heard.state
        return (state.parent if state is not None else None) or heard.stream


def _in_order(missing: tuple[Record, ...], speakers: Speakers) -> list[Record]:
    """Ours first, a no before anything else; while one waits for what was said before it, nothing later is said."""
    ours = [each for each in missing if each.statement.payload.by in speakers]
    noes = [each for each in ours if isinstance(each.statement.payload, REFUSALS)]
    before = [each for each in ours if each not in noes and (not noes or each.offset < noes[0].offset)]
    return [*noes, *before, *(each for each in missing if each not in ours)]


def _is_taken(heard: Replay, statement: Statement) -> bool:
    """Whether the log, as it is here, would take a statement now; others may be faster."""
    record, keygen = heard.records[-1], heard.keygen
    try:
        placed = heard.chain.next(record.epoch, record.at, statement)
        step(heard.state, placed, keygen.as_keygen if keygen is not None else None)
    except (WireError, Astray):
        return False
    return statement.id not in heard.chain.ids

"""The line: DECIDE on the tentative state, APPEND in one commit, APPLY, PUBLISH.

    submit ─▶ known? ─▶ admission ─▶ DECIDE ─▶ APPEND ─ ─ ─ one await ─ ─ ─▶ APPLY ─▶ PUBLISH ─▶ the answer
                                       │                                      │
                                 tentative state                        committed state

Statements are decided one after another, without waiting for the commits of those before; the store takes what was
decided while its last commit ran into the next one, and answers in the same order.  A failed commit drops the tentative
states that it touched: the next to ask loads them from the store, and what was decided on them fails too, because the
store knows what each append expected.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from keymeld_host.logs import tell
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import BrokenLog, Reason, Refused, Unavailable, WireError
from keymeld_protocol.machines.streams import as_keygen
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey
from keymeld_protocol.wire.payloads import OPENERS, SigningRequest
from keymeld_protocol.wire.records import Head
from keymeld_protocol.wire.statements import Statement

from .admission import Admission
from .decide import Decider
from .session import Part, Session, Told
from .store.port import Conflict, Store

LIVE_SESSIONS = 8192
"""Sessions in memory; the least recently used are loaded anew when somebody asks for them."""
LIVE_BYTES = 128 * 1024 * 1024
"""What the ends of their logs may take together, payloads and blobs; sent frames may come to three times as much."""
WEIGH_BYTES = 16 * 1024 * 1024
"""They are weighed whenever they have grown by so much."""
READ_RECORDS = 256
READ_BYTES = 512 * 1024
"""One read from the store."""


@dataclass(frozen=True)
class Standing:
    """Where a statement stands in its session's stream; ``known``: it stood there before."""

    session: Session
    offset: int
    known: bool = False


Now: TypeAlias = Callable[[], int]


class Sessions:
    """Every session of this coordinator: those in memory, and the way to the others."""

    def __init__(
        self,
        store: Store,
        keypair: Keypair,
        decider: Decider,
        admission: Admission,
        *,
        now: Now,
        here: Callable[[], frozenset[XOnlyKey]],
        live_max: int = LIVE_SESSIONS,
    ) -> None:
        """Nothing is loaded yet; ``here`` are the enclaves connected, ``now`` is in milliseconds.

        ``publish`` is told of every part that is on disk, ``watch`` of every session whose deadline may have changed.
        """
        self._store = store
        self._sign = keypair.sign
        self._decider = decider
        self._admission = admission
        self._now = now
        self._here = here
        self._live_max = live_max
        self._bytes_max = LIVE_BYTES
        self._grown = 0
        self._live: OrderedDict[Id, Session] = OrderedDict()
        self._loading: dict[Id, asyncio.Task[bool]] = {}
        self._commits: set[asyncio.Task[Standing]] = set()
        self.publish: Callable[[Part], None] = lambda part: None
        self.watch: Callable[[Session], None] = lambda session: None

    # Submit -----------------------------------------------------------------------------------------------------

    async def submit(self, said: Statement, token: str | None = None) -> asyncio.Future[Standing]:
        """Decide ``said``; the future answers after the commit.

        Whoever awaits this before submitting the next statement keeps the order of his statements, and still has many
        commits under way.

        Raises:
            WireError: the statement is refused; nothing of it is stored.
        """
        self._admission.check_kind(said)
        if isinstance(said.payload, OPENERS):
            return await self._open(said, token)
        session = await self.get(said.payload.stream)  # type: ignore[union-attr]
        if session is None:
            raise Refused(Reason.UNKNOWN_STREAM, "stream: no such stream here", field="stream")
        if (known := self._known(session, said)) is not None:
            return known  # before any check of state (§2.5)
        self._admission.check(session, said)
        return self._decided(session, said)

    async def _open(self, said: Statement, token: str | None) -> asyncio.Future[Standing]:
        """An opening statement; that its stream exists already is noticed where it costs the hot path nothing.

        A refusal is followed by a look into the store: what is there already is known, whatever its state.
        """
        payload = said.payload
        parent = await self.get(payload.keygen) if isinstance(payload, SigningRequest) else None
        try:
            if said.id not in self._live:
                self._admission.check_opener(said, self._now(), parent, token)
                return self._decided(Session(said.id, self._store.epoch), said, parent)
        except WireError:
            if await self.get(said.id) is None:
                raise
        session = await self.get(said.id)
        known = self._known(session, said) if session is not None else None
        if known is None:
            raise Unavailable(Reason.UNAVAILABLE, "the session could not be opened; nothing was stored")
        return known

    def _known(self, session: Session, said: Statement) -> asyncio.Future[Standing] | None:
        """The answer to a statement that was decided before, also while its commit is under way."""
        offset = session.chain.ids.get(said.id)
        if offset is None:
            return None
        return asyncio.ensure_future(self._known_place(session, offset))

    async def _known_place(self, session: Session, offset: int) -> Standing:
        if offset > session.top and session.commit is not None:
            await asyncio.shield(session.commit)
        return Standing(session, offset, known=True)

    def _decided(self, session: Session, said: Statement, parent: Session | None = None) -> asyncio.Future[Standing]:
        """DECIDE, and begin the commit."""
        decision = self._decider.decide(session, said, self._now(), self._here(), parent)
        if decision.problem is None and decision.part is not None:
            self._live.setdefault(session.stream, session)
            self._evict()
            return self._append(decision.part, said, decision.offset)
        if decision.part is not None:
            self._append(decision.part, None, decision.offset)
        assert decision.problem is not None, "a statement is said or refused"
        raise decision.problem

    async def look(self, stream: Id) -> list[str]:
        """Say what time or presence calls for in ``stream``, if anything; gives the kinds that were said.

        Raises:
            Unavailable: the store failed.
        """
        session = await self.get(stream)
        if session is None:
            return []
        decision = self._decider.look(session, self._now(), self._here())
        if decision.part is None:
            self.watch(session)
            return []
        await asyncio.shield(self._append(decision.part, None, decision.offset))
        return [record.statement.payload.kind for record in decision.part.records]

    # Append, apply, publish -------------------------------------------------------------------------------------

    def _append(self, part: Part, said: Statement | None, offset: int) -> asyncio.Task[Standing]:
        """Begin the commit of a decision; it ends whether or not anybody still waits for the answer."""
        task = asyncio.create_task(self._commit(part, said, offset))
        self._commits.add(task)
        task.add_done_callback(self._committed)
        part.session.commit = task
        part.session.under_way += 1
        return task

    async def _commit(self, part: Part, said: Statement | None, offset: int) -> Standing:
        session = part.session
        try:
            await self._store.append(part.append())  # APPEND
            session.settle(part)  # APPLY
            self._grown += part.size
            self.publish(part)  # PUBLISH
            self.watch(session)
            if session.under_way == 1:
                session.commit = None  # its result is a Place in this session: a cycle
        except BaseException as problem:
            self._drop(session)
            if said is not None and isinstance(problem, Conflict) and (place := await self._stored(said)) is not None:
                return place
            raise
        finally:
            session.under_way -= 1
        return Standing(session, offset)

    def _committed(self, task: asyncio.Task[Standing]) -> None:
        """Forget a commit that has ended; one that failed is the operator's business too."""
        self._commits.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            tell(logging.ERROR, "commit failed", problem)

    def _drop(self, session: Session) -> None:
        """Its tentative state is worth nothing any more."""
        if self._live.get(session.stream) is session:
            del self._live[session.stream]

    async def _stored(self, said: Statement) -> Standing | None:
        """Where the store has an opening statement whose append found that its stream exists."""
        session = await self.get(said.id) if isinstance(said.payload, OPENERS) else None
        return None if session is None else Standing(session, 1, known=True)

    async def drain(self) -> None:
        """Wait until every commit under way has ended."""
        while self._commits:
            await asyncio.wait(self._commits)

    # Sessions in memory, and the store --------------------------------------------------------------------------

    def live(self, stream: Id) -> Session | None:
        """The session, if it is in memory and something of it is on disk."""
        session = self._live.get(stream)
        return session if session is not None and session.top else None

    async def get(self, stream: Id) -> Session | None:
        """The session, loaded if need be; None if this store holds no such stream.

        Raises:
            Unavailable: the store failed, or holds a log that cannot be.
        """
        while True:
            if (session := await self._settled_or_none(stream)) is not None:
                return session
            loading = self._loading.get(stream)
            if loading is None:
                loading = asyncio.create_task(self._load(stream))
                self._loading[stream] = loading
                loading.add_done_callback(lambda _: self._loading.pop(stream, None))
            if not await asyncio.shield(loading):
                return None

    async def _settled_or_none(self, stream: Id) -> Session | None:
        """The session in memory; one whose opening is still under way is waited for."""
        while (session := self._live.get(stream)) is not None:
            self._live.move_to_end(stream)
            if session.top or session.commit is None:
                return session
            await asyncio.wait([session.commit])
        return None

    async def _load(self, stream: Id) -> bool:
        """Apply the log of ``stream``, a signing's after its keygen's; whether the store has it."""
        session, parent = Session(stream, self._store.epoch), None
        while records := await self._store.read(stream, session.top, READ_RECORDS, READ_BYTES):
            opener = records[0].statement.payload
            if session.top == 0 and isinstance(opener, SigningRequest):
                parent = await self.get(opener.keygen)
            state = as_keygen(parent.settled) if parent is not None else None
            try:
                for record in records:
                    session.load(record, state)
            except (BrokenLog, WireError) as problem:
                tell(logging.ERROR, "a stored log does not hold", problem, stream=stream)
                raise Unavailable(Reason.UNAVAILABLE, "stream: its stored log is damaged", field="stream") from problem
        if session.top == 0:
            return False
        session.loaded()
        self._live.setdefault(stream, session)
        self._grown += session.weight
        self._evict()
        return True

    def _evict(self) -> None:
        """Let go of the sessions that nobody asked for longest; what is under way stays."""
        surplus = len(self._live) - self._live_max
        for stream in list(islice(self._live, surplus)) if surplus > 0 else ():
            if not self._live[stream].under_way:
                del self._live[stream]
        if self._grown > min(WEIGH_BYTES, self._bytes_max):
            self._shed()

    def _shed(self) -> None:
        """Weigh what is in memory; beyond the limit the least recently used go, so that strangers do not fill it."""
        self._grown, weight = 0, sum(session.weight for session in self._live.values())
        for stream, session in list(self._live.items()):
            if weight <= self._bytes_max:
                return
            if not session.under_way:
                weight -= session.weight
                del self._live[stream]

    async def older(self, stream: Id, after: int) -> list[Told]:
        """Records that follow offset ``after``, from the store; at least one if there is one.

        Raises:
            Unavailable: the store failed.
        """
        records = await self._store.read(stream, after, READ_RECORDS, READ_BYTES)
        return [Told(stream, record) for record in records]

    def head(self, session: Session, nonce: Salt | None = None) -> Head:
        """The signed head of what is on disk; with a ``nonce`` it is signed now, over it (§4.2)."""
        return session.head(self._sign, self._now(), nonce)

    @property
    def epoch(self) -> Epoch:
        """The store's."""
        return self._store.epoch

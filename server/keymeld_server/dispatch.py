"""May this peer say this, here?  One handler for each method; the table at the end is all there is.

    peer                                   coordinator
      ── authenticate {proofs, token?} ─▶    keys that this connection may hear for; presence
      ── submit {statement} ────────────▶    parse, verify ─▶ Sessions.submit ─ ─ commit ─ ─▶ {stream, offset, head}
      ── subscribe {stream, since?, nonce?} ▶ {top, recovered, reason?, head, present}, then a cursor
      ── unsubscribe {stream} ──────────▶    {}
      ── sessions {open?, after?, limit?} ▶  {sessions: […]}; from now on new ones are heard by themselves
      ── enclaves ──────────────────────▶    {enclaves: […]}
      ── announce {capacity, document?} ▶    enclaves' listener only
      ── attest ────────────────────────▶    not offered by this version
      ── ping ──────────────────────────▶    {time}

Requests of one connection are handled one after another, but none waits for another's commit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from keymeld_host.logs import tell
from keymeld_protocol.errors import Reason, Refused, Unavailable, WireError
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import CoordinatorSide, Request
from keymeld_protocol.wire.frames import Announce, Attest, Authenticate, Submit, Subscribe, Unsubscribe
from keymeld_protocol.wire.statements import Statement, parse, require_blobs

from .enclaves import Enclaves
from .fairness import PRESENCE_US, RECORD_US, ROW_US, SIGNATURE_US, STATEMENT_US, Account
from .hub import Hub, resume
from .observe import KNOWN, STORED, Metrics
from .outbox import Outbox
from .presence import Attendance
from .sessions import Sessions, Standing
from .store.port import EnclaveRow, SessionRow, Store


@dataclass(eq=False)
class Peer:
    """One connection: its conversation, its way out, and whether it came in where enclaves do."""

    side: CoordinatorSide
    outbox: Outbox
    is_enclave: bool = False
    announced: set[XOnlyKey] = field(default_factory=set)
    account: Account = field(default_factory=Account)


class Dispatch:
    """Fairness what peers send into answers, cursors and statements on the line."""

    def __init__(
        self,
        sessions: Sessions,
        hub: Hub,
        presence: Attendance,
        enclaves: Enclaves,
        store: Store,
        *,
        now: Callable[[], int],
        metrics: Metrics,
        proofs_max: int,
        hurry: Callable[[Id], None],
    ) -> None:
        """One connection proves at most ``proofs_max`` keys; ``hurry`` has a stream looked at; ``now`` is in ms."""
        self.sessions = sessions
        self.hub = hub
        self.presence = presence
        self.enclaves = enclaves
        self.store = store
        self.now = now
        self.metrics = metrics
        self.proofs_max = proofs_max
        self.hurry = hurry
        self.draining = False

    async def receive(self, peer: Peer, data: str | bytes) -> None:
        """Handle one frame; its answer goes into the peer's outbox, now or after a commit."""
        request = peer.side.receive(data, self.now())
        if request is None:
            return
        peer.outbox.begin()
        if isinstance(request, bytes):
            peer.outbox.reply(request)
            return
        try:
            result = await HANDLERS[request.method](self, peer, request.params, request)
        except WireError as problem:
            peer.outbox.reply(frames.error(request.ident, problem))
        except Exception as problem:
            tell(logging.ERROR, "a request failed", problem, method=request.method)
            peer.outbox.reply(frames.error(request.ident, Unavailable(Reason.UNAVAILABLE, "this request failed here")))
        else:
            if result is not None:
                peer.outbox.reply(_result(request, result))

    def leave(self, peer: Peer) -> None:
        """The connection has ended."""
        self.hub.leave(peer.outbox)
        self.presence.go(peer.side.proven)
        for key in peer.announced:
            self.enclaves.go(key)

    # The methods ------------------------------------------------------------------------------------------------

    async def authenticate(self, peer: Peer, params: Authenticate, request: Request) -> dict[str, Any]:
        """Take the proofs; all hold or none counts (§2.4)."""
        before = set(peer.side.proven)
        if len(before | {proof.key for proof in params.proofs}) > self.proofs_max:
            message = f"proofs: at most {self.proofs_max} keys on one connection"
            raise Refused(Reason.OVER_LIMIT, message, field="proofs", limit=self.proofs_max)
        peer.account.charge(SIGNATURE_US * sum(proof.key not in before for proof in params.proofs))
        peer.side.authenticate(params)
        new = peer.side.proven - before
        peer.account.charge(PRESENCE_US * self.presence.come(new))
        if peer.outbox.follows:
            self.hub.follow(peer.outbox, new)
        for stream in list(peer.outbox.partial) if new else ():
            if (session := await self.sessions.get(stream)) is not None:
                self.hub.tell_open(peer.outbox, session)
        return {"keys": [proof.key.hex() for proof in params.proofs]}

    async def submit(self, peer: Peer, params: Submit, request: Request) -> None:
        """Decide a statement; the answer leaves after its commit."""
        started, kind = time.perf_counter(), "unknown"
        try:
            if self.draining:
                raise Unavailable(Reason.DRAINING, "this coordinator is about to stop; say it again to the next one")
            peer.account.charge(STATEMENT_US)
            said = parse(params.statement)
            kind = said.payload.kind
            require_blobs(said)
            placing = await self.sessions.submit(said, peer.side.token)
        except WireError as problem:
            self.metrics.submitted(kind, problem.reason, time.perf_counter() - started)
            raise
        placing.add_done_callback(lambda placed: self._answer(peer, request, said, placed, started))

    def _answer(
        self, peer: Peer, request: Request, said: Statement, placed: asyncio.Future[Standing], started: float
    ) -> None:
        """The commit has ended, one way or the other."""
        try:
            place = placed.result()
            result, answer = KNOWN if place.known else STORED, _result(request, self._place_json(place))
        except (Exception, asyncio.CancelledError) as error:
            problem = error if isinstance(error, WireError) else Unavailable(Reason.UNAVAILABLE, "nothing was stored")
            result, answer = problem.reason, frames.error(request.ident, problem)
        self.metrics.submitted(said.payload.kind, result, time.perf_counter() - started)
        peer.outbox.reply(answer)

    def _place_json(self, place: Standing) -> dict[str, Any]:
        head = self.sessions.head(place.session)
        return {"stream": place.session.stream.hex(), "offset": place.offset, "head": frames.head_json(head)}

    async def subscribe(self, peer: Peer, params: Subscribe, request: Request) -> None:
        """Answer from where the stream goes on; its records follow the answer (§4.3)."""
        live = self.sessions.live(params.stream) is not None
        session = await self.sessions.get(params.stream)
        if session is None:
            raise Refused(Reason.UNKNOWN_STREAM, "stream: no such stream here", field="stream")
        if not live:
            peer.account.charge(RECORD_US * session.top)
        resumed = resume(session, params.since, peer.side.proven, self.sessions.epoch)
        if params.stream not in peer.outbox.cursors:
            self.hub.make_room(peer.outbox)
        whole = resumed.last is None
        said: dict[str, Any] = {"top": session.top if whole else 1, "recovered": resumed.recovered}
        if resumed.reason is not None:
            said["reason"] = resumed.reason
        peer.account.charge(SIGNATURE_US)
        said["head"] = frames.head_json(self.sessions.head(session, params.nonce)) if whole else None
        said["present"] = [key.hex() for key in self.presence.online(session.hearers)] if whole else []
        peer.outbox.reply(_result(request, said))
        self.hub.subscribe(peer.outbox, session, resumed)

    async def unsubscribe(self, peer: Peer, params: Unsubscribe, request: Request) -> dict[str, Any]:
        """Hear a stream no longer."""
        self.hub.unsubscribe(peer.outbox, params.stream)
        return {}

    async def list_sessions(self, peer: Peer, params: frames.ListSessions, request: Request) -> dict[str, Any]:
        """A page of the streams that concern the proven keys; later ones are subscribed by themselves (§2.5)."""
        keys = peer.side.proven
        if not keys:
            raise Refused(Reason.NOT_PROVEN, "prove a key first: sessions are listed for proven keys")
        peer.outbox.follows = True
        self.hub.follow(peer.outbox, keys)
        rows = await self.store.sessions(tuple(keys), params.open, params.after, params.limit)
        peer.account.charge(ROW_US * (len(keys) + len(rows)))
        return {"sessions": [_row_json(row) for row in rows]}

    async def list_enclaves(self, peer: Peer, params: object, request: Request) -> dict[str, Any]:
        """Every enclave that has announced itself, and whether it is here."""
        return {"enclaves": self.enclaves.listing()}

    async def attest(self, peer: Peer, params: Attest, request: Request) -> dict[str, Any]:
        """Ask an enclave for a fresh document: not in this version."""
        raise Unavailable(Reason.UNAVAILABLE, "attestation is not offered by this version")

    async def announce(self, peer: Peer, params: Announce, request: Request) -> dict[str, Any]:
        """An enclave is here: signings that waited for it go on (§2.5)."""
        if not peer.is_enclave:
            raise Refused(Reason.NOT_ALLOWED, "method: only for those who dial the enclaves' listener", field="method")
        if not peer.side.proven:
            raise Refused(Reason.NOT_PROVEN, "prove the enclave's identity key first")
        document = params.document.encode() if params.document is not None else None
        for key in peer.side.proven:
            await self.enclaves.announce(EnclaveRow(key, self.now(), str(params.capacity), document))
        new = peer.side.proven - peer.announced
        peer.announced |= new
        for key in new:
            for stream in self.enclaves.come(key):
                self.hurry(stream)
        return {}

    async def ping(self, peer: Peer, params: object, request: Request) -> dict[str, Any]:
        """Answer with the time of this coordinator (ms)."""
        return {"time": self.now()}


def _result(request: Request, value: dict[str, Any]) -> bytes:
    assert request.ident is not None  # CoordinatorSide lets no other through
    return frames.result(request.ident, value)


def _row_json(row: SessionRow) -> dict[str, Any]:
    told: dict[str, Any] = {"stream": row.stream.hex(), "kind": row.kind, "state": row.state, "top": row.top}
    keygen = {"keygen": row.keygen.hex()} if row.keygen is not None else {}
    return told | keygen | {"hash": row.hash.hex()}


MethodHandler: TypeAlias = Callable[[Dispatch, Peer, Any, Request], Awaitable[dict[str, Any] | None]]
HANDLERS: Final[Mapping[str, MethodHandler]] = {
    "authenticate": Dispatch.authenticate,
    "submit": Dispatch.submit,
    "subscribe": Dispatch.subscribe,
    "unsubscribe": Dispatch.unsubscribe,
    "sessions": Dispatch.list_sessions,
    "enclaves": Dispatch.list_enclaves,
    "attest": Dispatch.attest,
    "announce": Dispatch.announce,
    "ping": Dispatch.ping,
}

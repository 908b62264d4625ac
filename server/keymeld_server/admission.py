"""What the coordinator itself asks of a statement, before the machines are asked: its own name, its limits, its guests.

The machines hold for everybody who verifies the log.  These rules are this operator's: they bound what strangers may
store, and they refuse early what an enclave or a client would have to refuse later (§2.7, §6.2).
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from keymeld_protocol.errors import BadInput, Reason, Refused
from keymeld_protocol.machines.streams import as_keygen
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.payloads import (
    NOTICES,
    CustodyReseal,
    KeygenCreate,
    KeygenJoin,
    SigningDispute,
    SigningRequest,
)
from keymeld_protocol.wire.statements import Statement
from keymeld_protocol.wording import counted

from .config import ServerConfig
from .secretfiles import AccessTokens
from .session import Session

NOT_YET: Final = (CustodyReseal, SigningDispute)
"""Kinds whose payloads are fixed, but which no machine of this version takes."""
_UNITS: Final = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


class Admission:
    """The operator's rules; ``enclaves`` are the identities that have announced themselves here."""

    def __init__(
        self,
        config: ServerConfig,
        coordinator: XOnlyKey,
        enclaves: Container[XOnlyKey],
        tokens: AccessTokens | None = None,
    ) -> None:
        """Ask as ``config`` says; with ``tokens`` only their holders open keygens and wallets."""
        self._config = config
        self._coordinator = coordinator
        self._enclaves = enclaves
        self._tokens = tokens
        self._open: dict[XOnlyKey, set[Id]] = {}

    def check_kind(self, said: Statement) -> None:
        """Notices are ours to say, and some kinds nobody can say yet.

        Raises:
            Refused: ``not_allowed`` for a notice.
            BadInput: ``unknown_kind`` for a kind of a later version.
        """
        if isinstance(said.payload, NOTICES):
            raise Refused(Reason.NOT_ALLOWED, "kind: only the coordinator says notices", field="kind")
        if isinstance(said.payload, NOT_YET):
            message = f"kind: this version does not take {said.payload.kind} yet"
            raise BadInput(Reason.UNKNOWN_KIND, message, field="kind")

    def check(self, session: Session, said: Statement) -> None:
        """A statement in an existing stream was said in this history, and seals to nobody but our enclaves.

        Raises:
            Refused: ``fork``, or ``not_allowed`` for a join that another one has overtaken, an enclave that is unknown
                here, or one that is to read.
        """
        after = getattr(said.payload, "after", None)
        if after is None or not session.chain.knows(after):
            raise Refused(Reason.FORK, "after: no record of this stream has that hash", field="after")
        if isinstance(said.payload, KeygenJoin):
            self._check_join(session, said.payload)

    def _check_join(self, session: Session, join: KeygenJoin) -> None:
        """It was said after every join of its auth key that is in the log, and names an enclave that we know."""
        if (keygen := as_keygen(session.state)) is not None:
            keygen.require_latest(join, session.chain.offsets[join.after])
        if join.enclave is not None and join.enclave not in self._enclaves:
            message = "enclave: has never announced itself to this coordinator"
            raise Refused(Reason.NOT_ALLOWED, message, field="enclave")
        if join.reader is not None and join.reader in self._enclaves:
            message = "reader: is an enclave, and hears only where it holds a key or is asked to"
            raise Refused(Reason.NOT_ALLOWED, message, field="reader")

    def check_opener(self, said: Statement, now: int, parent: Session | None, token: str | None) -> None:
        """A statement that opens a session, at ``now`` (ms); ``parent`` is the keygen of a request.

        Raises:
            Refused: it is not for this coordinator, from another history, over a limit, or without permission.
        """
        payload = said.payload
        if isinstance(payload, SigningRequest):
            self._check_request(payload, now, parent)
        else:
            self._check_token(token)
        if isinstance(payload, KeygenCreate):
            self._check_create(payload, now)
        limit = self._config.open_sessions_per_key
        if len(self._open.get(payload.by, ())) >= limit:
            raise Refused(Reason.OVER_LIMIT, f"by: at most {limit} open sessions", field="by", limit=limit)

    def count(self, opener: XOnlyKey, stream: Id, *, is_open: bool) -> None:
        """Count the open sessions of a key that opened them; restarts begin to count anew."""
        if is_open:
            self._open.setdefault(opener, set()).add(stream)
        elif (streams := self._open.get(opener)) is not None:
            streams.discard(stream)
            if not streams:
                del self._open[opener]

    def _check_token(self, token: str | None) -> None:
        if self._tokens is not None and (token is None or not self._tokens.accepts(token)):
            message = "token: this coordinator asks for an access token to open keygens and wallets"
            raise Refused(Reason.NOT_ALLOWED, message, field="token")

    def _check_create(self, payload: KeygenCreate, now: int) -> None:
        config = self._config
        if payload.coordinator != self._coordinator:
            raise Refused(Reason.NOT_ALLOWED, "coordinator: names another coordinator", field="coordinator")
        _at_most("slots", len(payload.slots), config.slots_max)
        _at_most("subsets", len(payload.subsets), config.subsets_max)
        _at_most_ahead("expires_at", payload.expires_at - now, config.keygen_life_ms)

    def _check_request(self, payload: SigningRequest, now: int, parent: Session | None) -> None:
        config = self._config
        keygen = as_keygen(parent.state) if parent is not None else None
        if parent is None or keygen is None:
            raise Refused(Reason.UNKNOWN_STREAM, "keygen: no such keygen here", field="keygen")
        if not parent.chain.knows(payload.after):
            raise Refused(Reason.FORK, "after: no record of the keygen's stream has that hash", field="after")
        keygen.require_completed(parent.chain.offsets[payload.after])
        keygen.require_present(payload.slots)
        _at_most("items", payload.items, config.items_max)
        _at_most_ahead("expires_at", payload.expires_at - now, config.request_life_ms)
        _at_most("grace_ms", payload.grace_ms, config.grace_max_ms)
        if payload.grace_ms < config.grace_min_ms:
            message = f"grace_ms: at least {config.grace_min_ms} here"
            raise Refused(Reason.OVER_LIMIT, message, field="grace_ms", limit=config.grace_min_ms)


def _at_most(field: str, value: int, limit: int) -> None:
    """Refuse what passes a configured limit."""
    if value > limit:
        raise Refused(Reason.OVER_LIMIT, f"{field}: at most {limit} here", field=field, limit=limit)


def _at_most_ahead(field: str, ahead: int, limit: int) -> None:
    """Refuse a time that lies further ahead (ms) than a configured limit; people are told a span."""
    if ahead > limit:
        raise Refused(Reason.OVER_LIMIT, f"{field}: at most {_span(limit)} ahead here", field=field, limit=limit)


def _span(ms: int) -> str:
    """A span of time in the largest unit that it is a multiple of: ``30 days``."""
    size, unit = next(((size, unit) for size, unit in _UNITS if ms % size == 0), (1, "ms"))
    return counted(ms // size, unit) if size > 1 else f"{ms} ms"

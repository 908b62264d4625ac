"""A wallet: one identity's sealed notes, which only its own key says and hears (§5.3).

Drawn from ``TRANSITIONS`` by ``make diagrams``; ``↺`` is what happens without leaving a phase:

    wallet.open ─▶ OPEN

    OPEN  ↺ wallet.note

Like the keygen: the state is a value, and the handler checks and moves in one go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from ..errors import BadInput, Reason, Refused
from ..values import Id, XOnlyKey
from ..wire.payloads import WalletNote, WalletOpen, encode
from ..wire.records import Record
from ..wire.shapes import MAX_WALLET_NOTES
from ..wire.statements import statement_id
from .machine import NOBODY, Due, Machine, Move, StreamKind, StreamState


class WalletPhase(StrEnum):
    """Where a wallet stands: it has no end."""

    OPEN = "open"


@dataclass(frozen=True)
class WalletState(StreamState):
    """A wallet's stream of sealed notes: only its own key speaks there."""

    kind: ClassVar[StreamKind] = "wallet"

    stream: Id
    owner: XOnlyKey
    notes: int = 0
    phase: WalletPhase = WalletPhase.OPEN

    @property
    def open(self) -> bool:
        """Notes may always follow."""
        return True

    @property
    def opener(self) -> XOnlyKey:
        """The owner."""
        return self.owner

    def hearers(self) -> frozenset[XOnlyKey]:
        """The owner alone."""
        return frozenset({self.owner})


def stream_of(owner: XOnlyKey) -> Id:
    """The name of the stream that the wallet key ``owner`` opens: it follows from the key alone (§5.3)."""
    return statement_id(encode(WalletOpen(v=1, by=owner)))


def opened(record: Record, keygen: object = None) -> WalletState:
    """The state after a ``wallet.open``; it belongs to no keygen.

    Raises:
        BadInput: it is another statement.
    """
    said = record.statement.payload
    if not isinstance(said, WalletOpen):
        raise BadInput(Reason.UNKNOWN_STREAM, "a wallet begins with wallet.open", field="kind")
    return WalletState(record.statement.id, said.by)


def apply(state: WalletState, record: Record) -> WalletState:
    """The state after ``record``; the only place where a wallet moves.

    Raises:
        Refused: it is no note of the wallet's owner, or one too many; nothing has changed.
    """
    said = record.statement.payload
    move = TRANSITIONS.get((state.phase, type(said)))
    if move is None:
        raise Refused(Reason.NOT_ALLOWED, "by: only the wallet's own notes stand here", field="by")
    return move.take(state, said, record)


def due(state: WalletState, at: int, here: frozenset[XOnlyKey] = NOBODY, up_since: int = 0) -> Due | None:
    """Nothing: neither time nor presence means anything here."""
    return None


def _note(state: WalletState, said: WalletNote, record: Record) -> WalletState:
    if said.by != state.owner:
        raise Refused(Reason.NOT_ALLOWED, "by: only the wallet's own notes stand here", field="by")
    if state.notes >= MAX_WALLET_NOTES:
        message = f"at most {MAX_WALLET_NOTES} notes in a wallet"
        raise Refused(Reason.OVER_LIMIT, message, field="kind", limit=MAX_WALLET_NOTES)
    return replace(state, notes=state.notes + 1)


TRANSITIONS: Mapping[tuple[WalletPhase, type], Move[WalletState]] = {
    (WalletPhase.OPEN, WalletNote): Move(_note, {WalletPhase.OPEN: ""}),
}
MACHINE = Machine(WalletState, WalletOpen, {WalletPhase.OPEN: ""}, TRANSITIONS, opened, apply, due)

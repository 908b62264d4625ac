"""The three kinds of streams (§5), and which machine moves each: the one place that knows.

    opening payload ─▶ machine ─▶ opened         a stream's first record
              state ─▶ machine ─▶ apply          every later one
                               └▶ due            what the coordinator may say now

Whoever holds a state and does not care which asks it what every ``StreamState`` answers.  Whoever needs a keygen or a
signing asks for it here, and gets None where the stream is something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ..wire.records import Record
from . import keygen, signing, wallet
from .keygen_state import KeygenState
from .machine import Machine
from .signing_state import SigningState
from .wallet import WalletState

State: TypeAlias = KeygenState | SigningState | WalletState

MACHINES: Final[tuple[Machine[Any], ...]] = (keygen.MACHINE, signing.MACHINE, wallet.MACHINE)
OPENED_BY: Final[Mapping[type, Machine[Any]]] = {machine.opens: machine for machine in MACHINES}
"""Each machine by the kind of statement that opens its streams."""
_MOVED_BY: Final[Mapping[type, Machine[Any]]] = {machine.state: machine for machine in MACHINES}


def machine_of(state: State) -> Machine[Any]:
    """The machine that moves ``state``."""
    return _MOVED_BY[type(state)]


def step(state: State | None, record: Record, keygen_state: KeygenState | None = None) -> State:
    """The state after ``record``, whatever the stream's kind; ``keygen_state`` is that of a signing's keygen.

    Raises:
        WireError: the machine refuses it; nothing has changed.
        Astray: the machine does not hold to its table; nothing has changed.
    """
    moved: State
    if state is not None:
        moved = _MOVED_BY[type(state)].apply(state, record)
    else:
        moved = OPENED_BY.get(type(record.statement.payload), keygen.MACHINE).opened(record, keygen_state)
    return moved


def as_keygen(state: State | None) -> KeygenState | None:
    """The state, if it is a keygen's."""
    return state if isinstance(state, KeygenState) else None


def as_signing(state: State | None) -> SigningState | None:
    """The state, if it is a signing's."""
    return state if isinstance(state, SigningState) else None

"""What is waited for after a coordinator was restored from a backup, and who owes it, in words (§4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.values import Id
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wording import counted, slots_told

NAMED = 5
"""Statements that are named one by one; of more, the number is told."""
NOT_THERE: Final = "not broken, but its coordinator has not got it any more"
"""What is told of a session that was lost altogether, also once its owner goes on without all that was said in it."""


def told_lost(missing: Sequence[Record], keygen: KeygenState | None) -> str | None:
    """That a session waits for these, and for whom; None if it waits for nothing."""
    if not missing:
        return None
    names = [name_of(record, keygen) for record in missing]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    were = "was" if len(names) == 1 else "were"
    told = counted(len(names), "statement")
    return f"not broken, waiting for {told} that {were} lost: {', '.join([*names[:NAMED], *more])}"


def name_of(record: Record, keygen: KeygenState | None) -> str:
    """What was lost, and whose it is."""
    return f"{record.statement.payload.kind} of {_speaker(record, keygen)}"


def told_leavings(slots: Sequence[int]) -> str | None:
    """That members have left although the log does not say so any more; None if nobody has."""
    if not slots:
        return None
    have = "has" if len(slots) == 1 else "have"
    return f"{slots_told(tuple(slots))} {have} left: the coordinator has lost that, and it will be said again"


def cannot_return(signing: Id) -> str:
    """What is told of a signing whose request names a record of its keygen that was lost."""
    return f"signing {signing.hex()[:12]} was asked for after a record that its coordinator has lost: ask for it anew"


def _speaker(record: Record, keygen: KeygenState | None) -> str:
    """Who said it: by slot, as an enclave, or as the creator."""
    said = record.statement.payload
    slot = getattr(said, "slot", None)
    if keygen is not None:
        if said.by == keygen.create.by:
            return "the creator"
        slot = keygen.slot_of(said.by) if keygen.slot_of(said.by) is not None else slot
        if held := keygen.slots_at(said.by):
            return f"the enclave of {slots_told(held)}"
    return f"slot {slot}" if slot is not None else said.by.hex()[:12]

"""A signing that was asked for in a history of its keygen that was lost: it is told all the same (§4.3).

records that are kept, records that were lost ─▶ chained back from the request's ``after``, and on from there
                                              ─▶ that history ─▶ the signing, verified against it
"""

from __future__ import annotations

from collections.abc import Sequence

from keymeld_protocol.errors import Astray, BrokenLog, WireError
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Hash
from keymeld_protocol.wire.frames import WireRecord, record_of
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.records import Record, record_hash


def bygone(records: Sequence[WireRecord], keygen: Replay, lost: Sequence[Record]) -> Replay | None:
    """The signing of these stored ``records``, where ``keygen`` lacks what its request names and ``lost`` has it.

    None where it has not, or where anything does not hold.
    """
    try:
        told = [record_of(wire) for wire in records]
        said = told[0].statement.payload if told else None
        if not isinstance(said, SigningRequest):
            return None
        before = Replay(keygen.stream, coordinator=keygen.coordinator)
        for record in history_with(said.after, keygen.records, lost):
            before.hear(record)
        found = Replay(told[0].statement.id, before, keygen.coordinator)
        for record in told:
            found.hear(record)
    except (WireError, BrokenLog, Astray):
        return None
    found.top = found.chain.offset
    return found


def history_with(after: Hash, kept: Sequence[Record], lost: Sequence[Record]) -> tuple[Record, ...]:
    """The history of a stream in which a record has the hash ``after``, as far as these records go; () if none has."""
    found = [record for record in (*kept, *lost) if record.hash == after]
    if not found:
        return ()
    every, history = (*lost, *kept), [found[0]]
    while history[0].offset > 1:
        before = next((each for each in every if _follows(each, history[0])), None)
        if before is None:
            return ()
        history.insert(0, before)
    while (then := next((each for each in every if _follows(history[-1], each)), None)) is not None:
        history.append(then)
    return tuple(history)


def _follows(before: Record, record: Record) -> bool:
    """Whether the hash of ``record`` is that of a record behind ``before``."""
    if record.offset != before.offset + 1:
        return False
    ident = record.statement.id
    return record_hash(before.hash, record.epoch, record.offset, record.at, ident) == record.hash

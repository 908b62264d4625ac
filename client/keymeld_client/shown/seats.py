"""What became of a wallet's own joins, as the log tells it: waiting, ready, refused, released, taken over."""

from __future__ import annotations

from dataclasses import replace

from keymeld_protocol.errors import BadInput, InvalidCrypto
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.roster import Safety
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Detail
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.payloads import CustodyRefuse, KeygenJoin, KeygenRelease
from keymeld_protocol.wire.records import Record

from ..errors import JoinRefused


def is_seated(heard: Replay, state: KeygenState, group: GroupKey, slot: int, auth: XOnlyKey, generation: int) -> bool:
    """Whether the join that ``auth`` said last (with ``generation``) is ready; False while it waits.

    Raises:
        JoinRefused: it no longer fills its slot; says why.
    """
    said = _join(heard, auth, generation)
    if said is None:
        return False
    seat = state.seats[slot]
    if seat is None or seat.id != said.statement.id:
        raise _why_lost(heard, group, slot, said.statement.id)
    return seat.ready


def safety_for(judged: Safety, read_only: str | None, joined: tuple[int, ...], seated: tuple[int, ...]) -> Safety:
    """What is ``judged`` of an address, for a wallet that has said joins for ``joined`` and sits in ``seated``."""
    unseated = (
        "this wallet has joined and sits in no slot: the keys are others' alone" if joined and not seated else None
    )
    return replace(judged, trouble=read_only or unseated or judged.trouble)


def _join(heard: Replay, auth: XOnlyKey, generation: int) -> Record | None:
    """The record of one join."""
    for record in reversed(heard.records):
        said = record.statement.payload
        if isinstance(said, KeygenJoin) and said.by == auth and said.generation == generation:
            return record
    return None


def _why_lost(heard: Replay, group: GroupKey, slot: int, join: Id) -> JoinRefused:
    """Why a join no longer fills its slot."""
    for record in heard.records:
        said = record.statement.payload
        if isinstance(said, CustodyRefuse | KeygenRelease) and said.join == join:
            return JoinRefused(slot, said.code, detail_of(record, group))
    return JoinRefused(slot, "taken_over", "somebody else with a ticket has joined it")


def detail_of(record: Record, group: GroupKey) -> str:
    """The sealed reason of a refusal, "" if there is none or it does not open; print it with ``quoted``."""
    sealed = record.statement.blob("detail") if "detail" in record.statement.payload.BLOBS else None
    if sealed is None:
        return ""
    try:
        return contents.parse(Detail, group.open_in(record.statement.payload, "detail", sealed)).message
    except (BadInput, InvalidCrypto):
        return ""

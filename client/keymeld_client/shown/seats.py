"""What became of a wallet's own joins, and which seats were filled anew after them, as the log tells it (§6.3).

    own join ──▶ fills its slot │ refused by its enclave │ released │ taken over │ nowhere in the log
    others' ───▶ filled once │ filled anew by another auth key, after our rule was sealed: named beside the address

The log knows joins that a wallet has forgotten (it was restored), the wallet knows joins that a log does not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keymeld_protocol.errors import BadInput, InvalidCrypto
from keymeld_protocol.foreign import REASON_CELLS, quoted
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen import KeygenPhase, KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.roster import Safety
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Detail
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.payloads import CustodyRefuse, KeygenJoin, KeygenRelease
from keymeld_protocol.wire.records import Record

from ..errors import JoinRefused, PushedOut
from ..wallet.entries import KeygenEntry
from .telling import moment

TAKEN_OVER = "taken_over"
UNHEARD = "not_in_the_log"


@dataclass(frozen=True)
class Lost:
    """An own join that does not fill its slot: who did it, when and with which ``code`` is in its words.

    ``detail`` is the sealed reason of an enclave, as it came; ``by_us``: this wallet released it itself.
    """

    slot: int
    code: str
    how: str
    detail: str = ""
    by_us: bool = False
    final: bool = False

    def __str__(self) -> str:
        """In words, safe to print."""
        why = f": {quoted(self.detail, REASON_CELLS)}" if self.detail else ""
        return f"slot {self.slot}: {self.how} ({self.code}{why})"

    def error(self) -> JoinRefused:
        """The same to be raised: joining again helps only while joins are collected."""
        kind = PushedOut if self.final else JoinRefused
        return kind(self.slot, self.code, self.detail, self.how)


@dataclass(frozen=True)
class Mine:
    """A wallet's part in a keygen: its auth key of each slot, what it remembers, and whether it is the creator."""

    auth: Mapping[int, XOnlyKey]
    entry: KeygenEntry
    creator: bool


def lost_joins(heard: Replay, state: KeygenState, group: GroupKey, own: Mine) -> tuple[Lost, ...]:
    """Every own join that does not fill its slot and was not given up, by slot; one that still waits is not lost."""
    joins = _latest(heard, own)
    fates = (_fate(heard, state, group, own, slot, joins.get(slot)) for slot in sorted({*joins, *own.entry.slots}))
    return tuple(lost for lost in fates if lost is not None)


def has_joined(heard: Replay, own: Mine) -> bool:
    """Whether this wallet has ever said a join, as it remembers or as the log shows."""
    return bool(own.entry.slots or _latest(heard, own))


def said_joins(heard: Replay, own: Mine, slot: int) -> tuple[Id, ...]:
    """Every join that this wallet has said for ``slot``, as the log shows and as it remembers."""
    shown = [record.statement.id for record in _joins(heard, slot) if record.statement.payload.by == own.auth[slot]]
    return tuple(dict.fromkeys([*shown, *own.entry.joins.get(slot, ())]))


def waiting_joins(heard: Replay, state: KeygenState, own: Mine) -> tuple[int, ...]:
    """The slots whose own join is not in the log yet, or not ready."""
    joins, entry = _latest(heard, own), own.entry
    slots = {*joins, *entry.slots}
    unheard = {slot for slot in slots if _is_unheard(heard, entry, slot, joins.get(slot))}
    seats = {slot: state.seats[slot] for slot in slots & set(range(len(state.seats)))}
    unready = {i for i, seat in seats.items() if seat and seat.join.by == own.auth[i] and not seat.ready}
    return tuple(sorted(unheard | unready))


def refilled_seats(heard: Replay, state: KeygenState, own: Mine) -> tuple[str, ...]:
    """The others' seats that another auth key filled anew after this wallet had joined, in words, by slot (§6.3)."""
    sits = {slot: seat for slot, seat in enumerate(state.seats) if seat is not None}
    mine = [heard.chain.ids[seat.id] for slot, seat in sits.items() if seat.join.by == own.auth[slot]]
    others = (slot for slot, seat in sits.items() if seat.join.by != own.auth[slot])
    told = (_refilled(heard, own, slot, sits[slot].join.by, min(mine)) for slot in others if mine)
    return tuple(filter(None, told))


def safety_for(
    judged: Safety,
    read_only: str | None,
    joined: bool,
    seated: bool,
    lost: Sequence[Lost] = (),
    named: Sequence[str] = (),
) -> Safety:
    """What is ``judged`` of an address, for a wallet that has ``joined``, is ``seated``, and has ``lost`` joins."""
    unseated = (
        "this wallet has joined and sits in no slot: the keys are others' alone" if joined and not seated else None
    )
    pushed = "; ".join(str(each) for each in lost if not each.by_us)
    outside = "; ".join(filter(None, (unseated, pushed)))
    return replace(judged, trouble=read_only or outside or judged.trouble, named=tuple(named))


def detail_of(record: Record, group: GroupKey) -> str:
    """The sealed reason of a refusal, "" if there is none or it does not open; print it with ``quoted``."""
    sealed = record.statement.blob("detail") if "detail" in record.statement.payload.BLOBS else None
    if sealed is None:
        return ""
    try:
        return contents.parse(Detail, group.open_in(record.statement.payload, "detail", sealed)).message
    except (BadInput, InvalidCrypto):
        return ""


# What the log says of a join ------------------------------------------------------------------------------------


def _joins(heard: Replay, slot: int) -> list[Record]:
    """Every join of a slot, in order."""
    records = ((r, r.statement.payload) for r in heard.records)
    return [record for record, said in records if isinstance(said, KeygenJoin) and said.slot == slot]


def _refilled(heard: Replay, own: Mine, slot: int, by: XOnlyKey, since: int) -> str:
    """How ``by`` came to sit where another had sat, if that was after offset ``since``; else "".

    A seat of ours that was not given up is told elsewhere, and louder.
    """
    joins = [(record, record.statement.payload.by) for record in _joins(heard, slot)]
    last = max((place for place, (_, key) in enumerate(joins) if key != by), default=None)
    if last is None or joins[last + 1][0].offset < since:
        return ""
    ours = joins[last][1] == own.auth[slot]
    if ours and joins[last][0].statement.id not in own.entry.given_up.get(slot, ()):
        return ""
    how, code, _ = _end(heard, slot, joins[last][0], "your" if ours else "another")
    return f"slot {slot} was filled anew on {moment(joins[last + 1][0].at)}, after you had joined: {how} ({code})"


def _latest(heard: Replay, own: Mine) -> dict[int, Record]:
    """The latest own join of each slot: what was said before it was replaced by oneself."""
    records = ((r, r.statement.payload) for r in heard.records)
    return {s.slot: r for r, s in records if isinstance(s, KeygenJoin) and s.by == own.auth.get(s.slot)}


def _is_unheard(heard: Replay, entry: KeygenEntry, slot: int, record: Record | None) -> bool:
    """Whether a join is missing in the log that the coordinator did not turn away, nor we give up.

    What was said before ``record``, the latest own one, was replaced by it; where this wallet did not say that one, it
    cannot tell what came first.
    """
    said, settled = entry.joins.get(slot, []), {*entry.turned_away.get(slot, ()), *entry.given_up.get(slot, ())}
    first = said.index(record.statement.id) + 1 if record is not None and record.statement.id in said else 0
    return any(join not in heard.chain.ids and join not in settled for join in said[first:])


def _fate(
    heard: Replay, state: KeygenState, group: GroupKey, own: Mine, slot: int, record: Record | None
) -> Lost | None:
    """What became of the latest own join of ``slot``; None if it fills it, still waits, or was given up."""
    final = state.phase != KeygenPhase.COLLECTING
    if _is_unheard(heard, own.entry, slot, record):
        how = "the log does not show the join that this wallet said"
        return Lost(slot, UNHEARD, how, final=True) if final else None
    if record is None or record.statement.id in own.entry.given_up.get(slot, ()):
        return None
    seat = state.seats[slot]
    if seat is not None and seat.id == record.statement.id:
        return None
    how, code, end = _end(heard, slot, record, "your")
    there = f"{how}; somebody else sits there now" if seat is not None and code != TAKEN_OVER else how
    by_us = isinstance(end.statement.payload, KeygenRelease) and own.creator
    return Lost(slot, code, there, detail_of(end, group), by_us, final)


def _end(heard: Replay, slot: int, join: Record, whose: str) -> tuple[str, str, Record]:
    """How a join that no longer fills its slot ended: in words, its code, and the record that ended it."""
    for record in heard.records[join.offset :]:
        said, on = record.statement.payload, moment(record.at)
        if isinstance(said, KeygenRelease) and said.join == join.statement.id:
            return f"the creator released {whose} join on {on}", said.code, record
        if isinstance(said, CustodyRefuse) and said.join == join.statement.id:
            return f"the enclave of {whose} join refused it on {on}", said.code, record
        if isinstance(said, KeygenJoin) and said.slot == slot:
            return f"somebody else with its ticket took over {whose} join on {on}", TAKEN_OVER, record
    raise AssertionError("the join fills its slot")

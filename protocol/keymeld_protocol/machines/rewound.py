"""A log that is told anew in another epoch: how much of it is shared, what was lost, and what of that is back (§4.3).

    before ──┬─ shared ─┬─ the lost tail: what was verified and is not in the log any more
    anew   ──┘          └─ other epoch ▶ new records ▶ a lost statement is back when one of its meaning stands there

Two records for one offset of one epoch are a fork, whatever the coordinator calls it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from ..values import Epoch, Id, XOnlyKey
from ..wire.payloads import (
    NOTICES,
    CustodyAccept,
    CustodyRefuse,
    KeygenConfirm,
    KeygenJoin,
    KeygenLeave,
    KeygenRelease,
    Note,
    SigningApprove,
    SigningCancel,
    SigningContribute,
    SigningRefuse,
    SigningReject,
    SigningRequest,
    SigningRetry,
    WalletNote,
)
from ..wire.records import Record
from .replay import Replay

Meaning: TypeAlias = tuple[object, ...]

REFUSALS: Final = (SigningReject, SigningCancel, KeygenLeave)
"""What a participant takes back: where it was lost, it is said again before anything else."""
_NOT_WAITED_FOR: Final = (*NOTICES, Note, WalletNote, SigningContribute, SigningRetry)
_ENDED_ALL_THE_SAME: Final = (SigningReject, SigningCancel, SigningRefuse, KeygenLeave)
_LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {
    "signing.heard": frozenset({"after", "at"}),
    "signing.refuse": frozenset({"after", "attempt", "detail"}),
    "custody.refuse": frozenset({"after", "detail"}),
}
"""By kind, the fields that make no difference in meaning; of every other kind it is ``after`` alone."""
_AFTER: Final = frozenset({"after"})


def shared(before: Sequence[Record], anew: Sequence[Record]) -> int:
    """How many records two verified histories of one stream share, from the first on."""
    pairs = enumerate(zip(before, anew, strict=False))
    return next((i for i, (ours, theirs) in pairs if ours.hash != theirs.hash), min(len(before), len(anew)))


def conflict(before: Sequence[Record], anew: Sequence[Record], epoch: Epoch) -> int | None:
    """The first offset at which the histories differ within one epoch: a fork; ``epoch`` is the store's present one."""
    start = shared(before, anew)
    for ours, theirs in zip(before[start:], anew[start:], strict=False):
        if ours.epoch == theirs.epoch:
            return ours.offset
    return next((each.offset for each in before[max(start, len(anew)) :] if each.epoch == epoch), None)


def sent_psigs(records: Iterable[Record]) -> bool:
    """Whether somebody may hold a signature by what was said in these records, lost or not (§7.1)."""
    said = (record.statement.payload for record in records)
    return any(isinstance(each, SigningContribute) and each.step != "nonces" for each in said)


def meanings(records: Sequence[Record]) -> dict[Id, Meaning]:
    """What each statement means: kind, speaker and fields, a join that it names by what that join means."""
    found: dict[Id, Meaning] = {}
    for record in records:
        said: Any = record.statement.payload
        left_out = _LEFT_OUT.get(said.kind, _AFTER)
        fields = {name: value for name, value in msgspec.structs.asdict(said).items() if name not in left_out}
        if isinstance(said, CustodyAccept | CustodyRefuse | KeygenRelease):
            fields["join"] = found.get(said.join, said.join)
        found[record.statement.id] = (said.kind, *fields.items())
    return found


def missing(
    before: Sequence[Record], lost: Sequence[Record], heard: Replay | None, now: int, without: Collection[Id] = ()
) -> tuple[Record, ...]:
    """What of ``lost`` is waited for and not back, in its order, by our own clock ``now`` (ms).

    ``before`` is what comes before it; ``heard`` is the log as it is now, None while the coordinator has not got it;
    ``without`` are those that its owner does without. Of a request that has expired nothing is waited for; of one for
    which psigs were sent in what was lost, nothing that lets it be signed once more (§10.7).
    """
    asked = next((each.statement.payload for each in (*before, *lost)), None)
    if isinstance(asked, SigningRequest) and asked.expires_at <= now:
        return ()
    old, anew = meanings([*before, *lost]), meanings(heard.records if heard is not None else ())
    there, done = set(anew.values()), {*without, *_superseded(lost)}
    if sent_psigs(lost):
        lost = [each for each in lost if isinstance(each.statement.payload, _ENDED_ALL_THE_SAME)]
    waited = (each for each in lost if each.statement.id not in done and _is_waited_for(each, heard, now))
    return tuple(each for each in waited if old[each.statement.id] not in there)


def _is_waited_for(record: Record, heard: Replay | None, now: int) -> bool:
    """Whether a statement matters still: of a stream that has ended, what was taken back or refused alone."""
    said = record.statement.payload
    if isinstance(said, _NOT_WAITED_FOR) or (isinstance(said, SigningApprove) and (said.until or now + 1) <= now):
        return False
    if heard is None or heard.state is None:
        return True
    state = heard.as_keygen
    if isinstance(said, KeygenConfirm) and state is not None and state.roster not in (None, said.roster):
        return False  # of another roster than there is: the joins are what is missing, or are back in other words
    return heard.state.open or isinstance(said, _ENDED_ALL_THE_SAME)


def _superseded(lost: Sequence[Record]) -> Iterator[Id]:
    """The lost statements that later ones have taken the effect from, and whatever names them."""
    joins, yes, gone = dict[int, Id](), dict[XOnlyKey, Id](), set[Id]()
    for record in lost:
        said, ident = record.statement.payload, record.statement.id
        if isinstance(said, KeygenJoin):
            gone.update({joins[said.slot]} if said.slot in joins else ())
            joins[said.slot] = ident
        elif isinstance(said, CustodyRefuse | KeygenRelease) and joins.get(said.slot) == said.join:
            gone.add(joins.pop(said.slot))
        elif isinstance(said, SigningApprove | SigningReject):
            gone.update({yes.pop(said.by)} if said.by in yes else ())
            if isinstance(said, SigningApprove):
                yes[said.by] = ident
    yield from gone
    for record in lost:
        named = getattr(record.statement.payload, "join", None)
        if named in gone:
            yield record.statement.id

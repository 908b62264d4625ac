"""The histories of resume.json that are told anew: forks, and of every rule what is back, waited for and said (§4.3).

ours, theirs = both(lambda: Keygen(2).fill(0))      the same log twice; theirs goes on in the next epoch
ours.hear(…); theirs.hear(…)                        what was lost; what is told instead
case("a comment", ours, theirs, ALICE)              of a client that speaks with Alice's key
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.values import Epoch, Hash, digest
from keymeld_protocol.wire.payloads import CustodyRefuse, SigningRefuse
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import EPOCH, GRACE, HOUR, NOON, TOWER, VAULT, Keygen, Signing, Stream, completed
from tests.support.phases import DELAYED, SELF, asked
from tests.support.restored import CAST, restored

from .cast import commented

LATER, LATEST = Epoch(b"after a restore."), Epoch(b"the next restore")
NOW = NOON + 60_000
"""The client's own clock (ms)."""
ALICE, BOB = CAST.auth(0), CAST.auth(1)
S = TypeVar("S", bound=Stream)
Vectors = list[dict[str, Any]]


def histories() -> Vectors:
    """All of them."""
    parts = (_alike, _forks, _keygens, _joins, _ends, _own, _gone, _attempts, _consent, _refusals, _requests)
    return [one for part in parts for one in part()]


def both(make: Callable[[], S]) -> tuple[S, S]:
    """The same log twice; the second goes on in the next epoch."""
    ours, theirs = make(), make()
    assert ours.chain.hash == theirs.chain.hash
    theirs.epoch = LATER
    return ours, theirs


def said(stream: S, *words: Statement, epoch: Epoch = EPOCH) -> S:
    """Say something in an epoch."""
    stream.epoch = epoch
    stream.hear(*words)
    return stream


def case(
    comment: str, ours: Stream, theirs: Stream | None, *own: Keypair, epoch: Epoch = LATER, now: int = NOW, **more: Any
) -> dict[str, Any]:
    """A vector; ``own`` are the keys with which the client speaks."""
    if isinstance(ours, Signing):
        more = {"keygen": rows(ours.keygen)} | more
    given = {
        **more, "before": rows(ours), "anew": None if theirs is None else rows(theirs), "epoch": epoch.hex(),
        "now": now, "speakers": [key.key.hex() for key in own],
    }  # fmt: skip
    return commented(comment, **given, **restored(given))


def rows(stream: Stream) -> list[dict[str, Any]]:
    """A log, as payloads with their epochs and times."""
    return [{"epoch": r.epoch.hex(), "at": r.at, "payload": r.statement.text} for r in stream.records]


def another(keygen: Keygen, slot: int) -> Statement:
    """A join of the same participant with another policy."""
    return keygen.join(slot, policy=Hash(digest(b"another policy")))


# The same history, another one, a fork --------------------------------------------------------------------------


def _alike() -> Vectors:
    same, lost, other, twice = both(lambda: completed(2)), *(both(lambda: Keygen(2).fill(0)) for _ in range(3))
    lost[0].fill(1)
    other[0].fill(1)
    other[1].hear(other[1].join_by("mallory", 1))
    said(twice[0], twice[0].join(1), epoch=LATEST)
    ours, opened = both(lambda: Keygen(2))
    opened.records[0] = replace(opened.records[0], epoch=LATER)
    return [
        case("the same history in a new epoch: nothing was lost", *same),
        case("the new history ends before the old one, whose tail is of an earlier epoch", *lost),
        case("another record in another epoch, at the same offset", *other),
        case("the lost tail is of an epoch between the first and the present one", *twice),
        case("even the first record is of another epoch: the stream was opened again", ours.fill(0), opened),
    ]


def _forks() -> Vectors:
    alike, onwards, top, mixed = (both(lambda: Keygen(2).fill(0)) for _ in range(4))
    said(alike[0], alike[0].join(1))
    said(alike[1], alike[1].join_by("mallory", 1))
    onwards[0].hear(onwards[0].join(1))
    onwards[1].hear(onwards[1].join_by("mallory", 1))
    for stream in onwards:
        said(stream, stream.accept(1))
    said(top[0], top[0].join(1), epoch=LATER)
    mixed[0].hear(mixed[0].join(1))
    said(mixed[0], mixed[0].accept(1), epoch=LATER)
    return [
        case("two records for one offset of one epoch: a fork, whatever it is called", *alike),
        case("they differ in epoch at first, and further on they do not", *onwards),
        case("the present epoch lacks a record that it had", *top),
        case("a record of an earlier epoch may be lost, one of the present epoch after it may not", *mixed),
    ]


# What of a keygen is back, and what is waited for ---------------------------------------------------------------


def _keygens() -> Vectors:
    kinds, after, join, other = (both(lambda: Keygen(2).fill(0)) for _ in range(4))
    said(kinds[0], kinds[0].note(ALICE)).fill(1)
    kinds[0].hear(kinds[0].confirm(ALICE), kinds[0].confirm(VAULT), kinds[0].leave(1))
    kinds[0].hear(kinds[0].wiped(1))
    for stream in after:
        said(stream, stream.join(1))
        said(stream, stream.accept(1))
    said(after[1], after[1].note(ALICE), epoch=LATER)
    for stream in after:
        stream.hear(stream.confirm(ALICE), stream.leave(1))
    after[0].hear(after[0].leave(0))
    join[1].hear(join[1].note(ALICE))
    for stream in join:
        stream.fill(1).hear(stream.confirm(ALICE))
    other[0].fill(1).hear(other[0].confirm(ALICE))
    other[1].hear(another(other[1], 1))
    other[1].hear(other[1].accept(1))
    return [
        case("joins, words of enclaves, confirms and leaving are waited for; notes and notices are not", *kinds),
        case("with another 'after' a statement is back; the leaving of another slot is not", *after),
        case("a join said anew is back, and what names it; a confirm of the roster before is waited for no more",
             *join),
        case("a join with another policy is another one; a confirm of another roster than there is is not waited for",
             *other),
    ]  # fmt: skip


def _joins() -> Vectors:
    """Joins that do not fill their slots any more."""

    def two() -> Keygen:
        keygen = Keygen(2)
        return said(keygen, keygen.join(0), keygen.join(1))

    lost, kept, again, why = both(lambda: Keygen(2)), both(two), both(lambda: Keygen(2)), both(two)
    lost[0].hear(lost[0].join(0), lost[0].join(1))
    for stream in (lost[0], kept[0]):
        stream.hear(stream.refuse(0))
        stream.hear(stream.release(1))
    again[0].hear(again[0].join(0))
    again[0].hear(another(again[0], 0))
    again[0].hear(again[0].accept(0))
    for stream, detail in zip(why, (b"sealed", b"sealed otherwise"), strict=True):
        join = stream.records[1].statement.id
        stream.hear(stream.said(VAULT, CustodyRefuse, detail, slot=0, join=join, code="bad", detail=digest(detail)))
    why[0].hear(why[0].refuse(1))
    why[1].hear(why[1].said(VAULT, CustodyRefuse, slot=1, join=why[1].records[2].statement.id, code="worse"))
    return [
        case("joins that were refused and freed are not waited for, nor what refused and freed them", *lost),
        case("where the joins survive, their refusal and their release are waited for", *kept, CAST.creator),
        case("a join that was replaced is not waited for; the one in its place is", *again),
        case("a refusal is back with another detail, but not with another code", *why),
    ]


def _ends() -> Vectors:
    expired, left = both(lambda: Keygen(1)), both(lambda: completed(2))
    expired[0].fill(0)
    said(expired[1], epoch=LATER).hear(expired[1].expired(), at=NOON + HOUR)
    left[0].hear(left[0].confirm(ALICE), left[0].leave(0))
    left[1].hear(left[1].leave(1))
    return [
        case("a keygen that has expired since has no use for joins", *expired, now=NOON + HOUR),
        case("one that another member has left since is open still", *left),
    ]


# What is said again ---------------------------------------------------------------------------------------------


def _own() -> Vectors:
    tail, passed = both(lambda: completed(2)), both(lambda: completed(2))
    for each in (BOB, ALICE):
        tail[0].hear(tail[0].confirm(each))
    tail[0].hear(tail[0].leave(0))
    passed[0].hear(passed[0].confirm(ALICE), passed[0].confirm(BOB))
    late, first = both(lambda: Keygen(2)), both(lambda: Keygen(2))
    for stream in (late[0], first[0]):
        stream.fill(0, 1)
    return [
        case("a leaving of ours comes before our confirm; both name what was lost: a new 'after'", *tail, ALICE),
        case("what names a record that survives is said as the same bytes; that of others too", *passed, ALICE),
        case("a join of ours waits for the one before it, of which nobody else has the envelope", *late, BOB),
        case("the first join was ours, and names what survives: the same bytes", *first, ALICE),
    ]


def _gone() -> Vectors:
    creator, member = completed(2), completed(2)
    for stream in (creator, member):
        stream.hear(stream.confirm(ALICE))
    return [
        case("a keygen that is unknown now: opened as the same bytes, then our join, the next one, with a new 'after'",
             creator, None, CAST.creator, ALICE),
        case("anybody opens it again; a join waits for the one before it", member, None, BOB),
    ]  # fmt: skip


# Signings -------------------------------------------------------------------------------------------------------


def _attempts() -> Vectors:
    nonces, signed, heard = both(asked), both(asked), both(lambda: asked(DELAYED, DELAYED, DELAYED))
    nonces[0].steps((TOWER, "nonces"))
    nonces[0].hear(nonces[0].retry(VAULT))
    nonces[0].open()
    signed[0].steps((TOWER, "nonces"), (VAULT, "both"), (TOWER, "signatures"))
    for _, stream in (nonces, signed):
        stream.hear(stream.cancel())
    heard[0].hear(heard[0].hears(VAULT), heard[0].hears(TOWER))
    heard[1].hear(heard[1].hears(VAULT, at=NOON + 1))
    return [
        case("an attempt is not waited for, nor that nonces were gone", *nonces),
        case("nor psigs and signatures; but that psigs were sent is not forgotten", *signed),
        case("that a delay began is back with another time, and waited for where it is not", *heard),
    ]


def _consent() -> Vectors:
    twice, no, ours = (both(lambda: asked(SELF, SELF, SELF)) for _ in range(3))
    twice[0].hear(twice[0].approve(1, until=NOW + 1))
    twice[0].hear(twice[0].approve(1), twice[0].approve(2, until=NOW), twice[0].approve(0, until=NOW + 1))
    no[0].hear(no[0].approve(1), no[0].approve(2))
    no[0].hear(no[0].reject(1))
    ours[0].hear(ours[0].approve(1))
    ours[0].hear(ours[0].approve(0, until=NOW + 1))
    ours[0].hear(ours[0].cancel())
    until = both(lambda: asked(SELF, SELF, SELF))
    until[0].hear(until[0].approve(1))
    until[1].hear(until[1].approve(1, until=NOW + 1))
    return [
        case("the earlier of two yeses is not waited for, nor one that has ended by now", *twice),
        case("nor a yes before a no of the same slot, which is waited for", *no, BOB),
        case("the requester's cancellation comes before his yes, which the log does not take then", *ours, ALICE),
        case("a yes with another end is another one", *until),
    ]


def _refusals() -> Vectors:
    later, ended = both(asked), both(lambda: asked(SELF, SELF, SELF))
    later[1].now += GRACE
    later[1].open()
    for stream, detail in zip(later, (b"sealed", b"sealed otherwise"), strict=True):
        fields = {"attempt": stream.state.attempt, "slots": (0, 1), "code": "rule_not_met", "detail": digest(detail)}
        stream.hear(stream.said(VAULT, SigningRefuse, detail, **fields))
    ended[0].hear(ended[0].approve(1), ended[0].approve(2))
    ended[0].hear(ended[0].reject(2))
    ended[1].hear(ended[1].cancel())
    refused = both(asked)
    refused[0].hear(refused[0].refuse(VAULT))
    refused[1].hear(refused[1].cancel())
    return [
        case("an enclave's refusal is back in another attempt and with another detail", *later),
        case("of a signing that has ended since a no is waited for, and a yes is not", *ended),
        case("so is an enclave's refusal", *refused),
    ]


def _requests() -> Vectors:
    gone = asked(SELF, SELF, SELF)
    gone.hear(gone.approve(1))
    gone.hear(gone.approve(0, until=NOW + 1))
    home = completed(3, SELF, SELF, SELF)
    ready = rows(home)
    late = Signing(said(home, home.confirm(ALICE)))
    late.hear(late.approve(1))
    return [
        case("a request that is unknown now: the same bytes; its requester's yes with a new 'after'",
             gone, None, ALICE),
        case("anybody says it, for its 'after' survives", gone, None, BOB),
        case("one whose 'after' was lost cannot return: asked anew it is another signing",
             late, None, ALICE, keygen=ready, keygen_before=rows(home)),
        case("of one that has expired by the client's clock nothing is waited for",
             gone, None, ALICE, now=NOON + HOUR),
    ]  # fmt: skip

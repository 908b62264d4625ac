"""A request in lines that a person can approve: what it pays, to whom, and what nobody can see through.

Everything comes from the plan, which was computed here from the sealed body: what is shown is what is signed.  Text of
others is quoted, and a memo has a bar before each of its rows, so that nobody takes it for ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Final

from keymeld_protocol.bitcoin.transaction import Spend, address_of
from keymeld_protocol.bitcoin.tweaks import is_opaque, told_steps
from keymeld_protocol.foreign import beside, quoted
from keymeld_protocol.machines.signing import SigningState
from keymeld_protocol.member.plan import Impossible, Item, Plan, Planned
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Adaptor, Asked, SignEcdsa, SignInput, SignMessage
from keymeld_protocol.wording import counted, slots_told

BLIND = "BLIND: nobody can see what this signs; it may spend every coin of this group"
OPAQUE = "OPAQUE TWEAK: nobody can see what it commits to; its address is not provably this group's alone"
LOST = "LOST: nothing more is signed for"
UNLOCKED = "NOT LOCKED: another item asks for the same message by the same key, with other secrets or with none"
PRESIGNED = "PRE-SIGNED BEFORE: somebody may hold a pre-signature of the same; using it would not tell you its secret"
WARNINGS = (BLIND, OPAQUE, LOST, UNLOCKED, PRESIGNED)
"""How the lines begin that are shown in red."""


FRESH_MS: Final = 60_000
"""A head younger than this is as good as none is: nothing is said of its age."""
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def span(ms: int) -> str:
    """A span of time as it is typed, in its largest units: ``1d``, ``1h30m``."""
    told = ""
    for unit, size in _UNITS:
        count, ms = divmod(ms, size)
        told += f"{count}{unit}" if count else ""
    return told or "0s"


def age_told(age_ms: int | None) -> str:
    """How old (ms) the coordinator's word on where a session stands is; "" while it is fresh."""
    if age_ms is not None and age_ms <= FRESH_MS:
        return ""
    when = "never signed" if age_ms is None else f"last signed {age_ms // 60_000} minutes ago"
    return f"the coordinator has {when} where this stands: what was said since may be withheld"


def moment(at: int, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    """A time (ms since the Unix epoch) in UTC; a stranger's impossible one is shown as its number."""
    try:
        return datetime.fromtimestamp(at / 1000, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"{at} ms after 1970, which no calendar holds"


def name_of(roster: Roster, slot: int) -> str:
    """``slot 1 "Bob"``, safe to print."""
    label = roster.cards[slot].label
    return f"slot {slot} {quoted(label)}" if label else f"slot {slot}"


def told_kind(asked: SignMessage | SignEcdsa) -> str:
    """What kind of signature a message asks for, where it is not the usual one."""
    return " (ECDSA)" if isinstance(asked, SignEcdsa) else ""


def lines_of_request(state: SigningState, plan: Plan, roster: Roster, left: Collection[int] = ()) -> Iterator[str]:
    """The lines of one request; ``left`` are the slots that have left by now."""
    group = quoted(roster.terms.label) if roster.terms.label else "this group"
    yield f"Asked by {name_of(roster, state.consent.requester)} for {group}"
    if plan.body.memo:
        yield from beside("Memo    ", plan.body.memo)
    yield f"Until   {moment(state.request.expires_at)}"
    yield from tell_plan(plan, roster, left)


def tell_plan(plan: Plan, roster: Roster, left: Collection[int] = ()) -> Iterator[str]:
    """What would be signed: the same lines for whoever asks and whoever approves."""
    for index, spend in enumerate(plan.spends):
        yield f"Transaction {index + 1} of {len(plan.spends)}  {spend.txid}"
        for line in roster.summary(spend, plan.payers).lines():
            yield f"  {line}"
        yield from (f"  {line}" for line in _lost(spend, roster, frozenset(left)))
    yield from _signers(plan, roster)
    locked = any(asked.adaptor is not None for asked in plan.body.items)
    for index, (asked, item) in enumerate(zip(plan.body.items, plan.items, strict=True)):
        if isinstance(asked, (SignMessage, SignEcdsa)):
            yield f"Message {index + 1} of {len(plan.items)}{told_kind(asked)}  {asked.message.hex()}"
            yield f"  {BLIND}"
        named = f"Item {index + 1} of {len(plan.items)}{_told_input(asked)}"
        if asked.adaptor is not None:
            yield f"{named}: {_completed_by(asked.adaptor)}"
            if _completed_elsewhere(item, plan):
                yield f"  {UNLOCKED}"
        elif locked:
            yield f"{named}: a signature: complete as it is, with no secret"
        if isinstance(item, Impossible):
            yield f"{named} CANNOT BE SIGNED: {item.code}, {item.why}"


def _lost(spend: Spend, roster: Roster, left: frozenset[int]) -> Iterator[str]:
    """Each output, change or not, to a key of this group of which a slot has left."""
    for output in spend.outputs if left else ():
        own = roster.own.find(output.script)
        if own is not None and (gone := tuple(sorted(own.slots & left))):
            yield f"{LOST} {address_of(output.script, roster.terms.network)}: {slots_told(gone)} left this group"


def _told_input(asked: Asked) -> str:
    """Which input an item signs."""
    return f", input {asked.input + 1} of transaction {asked.transaction + 1}" if isinstance(asked, SignInput) else ""


def _completed_elsewhere(item: Planned, plan: Plan) -> bool:
    """Whether the secrets of an item are not needed, since another item asks for its signature in another way."""
    return isinstance(item, Item) and plan.ways[item.keyagg.output, item.message] != {item.adaptors}


def _completed_by(adaptor: Adaptor) -> str:
    """Whose secrets make a signature of what would be made."""
    points = [point.hex() for point in adaptor.points]
    if adaptor.mode == "single":
        return f"a pre-signature: completes only with the secret of {points[0]}, which its use gives away"
    which = "any one of the secrets of" if adaptor.mode == "or" else "all of the secrets of"
    return f"a pre-signature: completes only with {which} {', '.join(points)}"


def _signers(plan: Plan, roster: Roster) -> Iterator[str]:
    """With which keys how many items are signed, unless all are with the group's own; once for each what is opaque."""
    counts = Counter((asked.subset, asked.tweaks) for asked in plan.body.items)
    for (subset, tweaks), count in counts.items():
        whose = "the whole group" if subset is None else f"subset {subset}, {slots_told(roster.slots_of(subset))}"
        tweaked = "" if tweaks is None else f"; {told_steps(tweaks)}"
        if len(counts) > 1 or (subset, tweaks) != (None, None):
            yield f"Signs   {counted(count, 'item')} with the key of {whose}{tweaked}"
        if is_opaque(roster.terms, tweaks):
            yield f"  {OPAQUE}"

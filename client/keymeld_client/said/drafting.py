"""A request from its draft to its statement: computed once, shown, and said exactly so.

    Body ─▶ drafted: every message and key computed here, who asks, how long it lives
              ─▶ shown (`Draft.lines`) ─▶ a person thinks ─▶ checked against where the keygen stands now
                                                               ─▶ sealed ─▶ signing.request

No socket and no waiting here: values in, a signed statement out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.plan import Plan, needed_slots, plan, require_possible
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import Body
from keymeld_protocol.values import XOnlyKey, digest
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.shapes import REQUEST_LIFE_MS, Rule
from keymeld_protocol.wire.statements import Statement, make
from keymeld_protocol.wording import slots_told

from ..shown.telling import moment, tell_plan

DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True)
class Draft:
    """A request that was not said yet: what is shown of it is what will be sealed.

    ``plaintext`` is the body as it will be sealed; ``asks`` is the slot that asks, ``left`` the slots that had left the
    group when this was drafted; ``life_ms`` is how long the request lives from when it is said, ``grace_ms`` how long
    the coordinator waits for signers.
    """

    roster: Roster = field(repr=False)
    plan: Plan = field(repr=False)
    plaintext: bytes = field(repr=False)
    asks: int
    left: frozenset[int]
    life_ms: int
    grace_ms: int

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """The slots whose keys some item needs, rising."""
        return needed_slots(self.plan)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """What would be signed, in lines for people, safe to print: as whoever approves will be shown it."""
        return tuple(tell_plan(self.plan, self.roster, self.left))


def make_draft(
    state: KeygenState, roster: Roster, own: Sequence[int], body: Body,
    *, life_ms: int | None, grace_ms: int, now: int,
) -> Draft:  # fmt: skip
    """Draft a request for ``body``, asked by one of the slots ``own``; ``life_ms`` None: it lives as long as it needs.

    Raises:
        BadInput: an item names what is not there, or spends a foreign script; or the body breaks a rule of its shape.
        Blamed: nothing of it can be signed, by anybody.
        Refused: as `requester`, `require_one_judgement` and `life_of`; or a slot that is needed has left.
    """
    made = plan(body, roster)
    require_possible(made)
    asks, needed = requester(made, own), needed_slots(made)
    state.require_present(needed)
    rules = _rules(state, needed)
    require_one_judgement(rules, made, asks)
    life = life_of(rules, life_ms, now)
    return Draft(roster, made, contents.encode(body), asks, frozenset(state.left), life, grace_ms)


def require_current(draft: Draft, state: KeygenState, roster: Roster, by: XOnlyKey, now: int) -> None:
    """Refuse a draft that the keygen has overtaken: what was shown is no longer what would happen. ``by`` says it.

    Raises:
        Refused: it is of another keygen or wallet, somebody has left meanwhile, or it would end before it is signed.
    """
    if (draft.roster.keygen, draft.roster.hash) != (roster.keygen, roster.hash):
        raise Refused(Reason.NOT_ALLOWED, "this was drafted for another keygen", field="roster")
    if state.slot_of(by) != draft.asks:
        raise Refused(Reason.NOT_ALLOWED, f"this wallet does not sit in slot {draft.asks}, which asks", field="by")
    state.require_present(draft.slots)
    if gone := sorted(state.left.keys() - draft.left):
        why = f"{slots_told(gone)} left this group after this was drafted: draft it anew, and look at it again"
        raise Refused(Reason.WRONG_STATE, why, field="slots")
    life_of(_rules(state, draft.slots), draft.life_ms, now)


def make_request(heard: Replay, draft: Draft, group: GroupKey, by: Keypair, now: int) -> Statement:
    """Seal what was drafted and say ``signing.request`` as ``by``, at ``now`` (ms).

    Raises:
        BadInput: a field breaks its rule.
    """
    key, roster = XOnlyKey(by.key), draft.roster
    sealed = group.seal("signing.request", "body", roster.keygen, key, draft.plaintext)
    said = SigningRequest(
        v=1,
        by=key,
        keygen=roster.keygen,
        after=heard.chain.hash,
        roster=roster.hash,
        slots=draft.slots,
        items=len(draft.plan.items),
        grace_ms=draft.grace_ms,
        expires_at=now + draft.life_ms,
        body=digest(sealed),
    )
    return make(said, by.sign, blobs=[sealed])


def _rules(state: KeygenState, slots: Iterable[int]) -> dict[int, Rule]:
    return {slot: state.joins[slot].rule for slot in slots}


def requester(made: Plan, own: Sequence[int]) -> int:
    """The slot of ours that asks: one that takes part in everything, if there is one.

    Raises:
        Refused: none of our slots takes part in what is asked.
    """
    needed = needed_slots(made)
    ours = [slot for slot in own if slot in needed]
    if not ours:
        raise Refused(Reason.NOT_ALLOWED, "only a member whose slot is needed can ask for these signatures", field="by")
    return next((slot for slot in ours if all(slot in item.slots for item in made.items)), ours[0])


def require_one_judgement(rules: Mapping[int, Rule], made: Plan, asks: int) -> None:
    """Refuse a request that the coordinator, who sees its slots, would judge otherwise than enclaves do, list by list.

    A yes counts for an item only if its slot is in the item's key list: one of somebody else could open an attempt that
    every enclave refuses (§7.4).

    Raises:
        Refused: ``asks`` is not in every key list; or a quorum has other voters in one list than in all together.
    """
    together = frozenset(needed_slots(made))
    for slots in {item.slots for item in made.items}:
        told = slots_told(slots)
        if asks not in slots:
            why = f"slot {asks} asks, but the key of {told} is not his: one of those has to ask, in another request"
            raise Refused(Reason.NOT_ALLOWED, why, field="items")
        for slot in slots:
            voters = frozenset(rules[slot].of or ())
            if voters & together != voters & frozenset(slots):
                why = f"the rule of slot {slot} counts a yes only from {told}: ask for that in a request of its own"
                raise Refused(Reason.NOT_ALLOWED, why, field="items")


def life_of(rules: Mapping[int, Rule], wanted: int | None, now: int) -> int:
    """How long (ms) a request lives: ``wanted``, else a day longer than the rules of its slots wait, and 7 at most.

    Raises:
        Refused: it would end before a slot's delay is over, or its window opens; or a window closes before that.
    """
    waits = {slot: max(0, rule.delay_ms or 0, (rule.not_before or 0) - now) for slot, rule in rules.items()}
    last = max(waits, key=lambda slot: waits[slot])
    life = min(waits[last] + DAY_MS, REQUEST_LIFE_MS) if wanted is None else wanted
    if life <= waits[last]:
        ends = f"the request would end at {moment(now + life)}"
        why = f"slot {last} signs nothing before {moment(now + waits[last])}, and {ends}"
        raise Refused(Reason.EXPIRED, why, field="expires_at")
    for slot, rule in rules.items():
        if rule.not_after is not None and now + waits[last] > rule.not_after:
            after = f"nothing is signed before {moment(now + waits[last])}" if waits[last] else "that has passed"
            why = f"slot {slot} signs nothing after {moment(rule.not_after)}, for good, and {after}"
            raise Refused(Reason.NOT_ALLOWED, why, field="not_after")
    return life

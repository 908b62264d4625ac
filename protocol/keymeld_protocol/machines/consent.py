"""The rules under which a key may be used: evaluated by the coordinator, by every hearer, and by whoever holds the key.

Only the last of them counts (§7.4): an enclave evaluates the rule that was sealed with the key, for each item,
over statements that it has verified itself.  The others evaluate the same function to know what to wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from ..wire.shapes import Rule, as_bits


class Verdict(Enum):
    """What a rule says now: go, wait for somebody or some time, or never."""

    MET = "met"
    WAITING = "waiting"
    HOPELESS = "hopeless"


@dataclass(frozen=True)
class Consent:
    """Who said what about one request: the requester's slot, each yes with its end (ms), and who said no.

    ``heard``: when (ms) the delay of each slot that has one began, once its enclave has said so.
    """

    requester: int
    approvals: Mapping[int, int]
    rejected: frozenset[int]
    heard: Mapping[int, int] = field(default_factory=dict)
    _yes: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def counts(self, slot: int, at: int) -> bool:
        """Whether ``slot`` says yes at time ``at`` (ms)."""
        return slot not in self.rejected and self.approvals.get(slot, -1) > at

    def yes(self, at: int) -> int:
        """The slots that say yes at time ``at`` (ms), as bits; remembered, since every slot's rule asks the same."""
        if at not in self._yes:
            self._yes.clear()
            self._yes[at] = as_bits(slot for slot in self.approvals if self.counts(slot, at))
        return self._yes[at]


@lru_cache(512)
def as_key_list(slots: tuple[int, ...]) -> frozenset[int]:
    """The slots that sign an item, as `evaluate` takes them: the very same set each time, which is found at once."""
    return frozenset(slots)


def ripe_at(rule: Rule, slot: int, consent: Consent) -> int | None:
    """From when on (ms) the clock of ``rule`` lets the key of ``slot`` be used; None: its delay has not begun."""
    begun = consent.heard.get(slot) if rule.delay_ms is not None else 0
    return None if begun is None else max(begun + (rule.delay_ms or 0), rule.not_before or 0)


def evaluate(rule: Rule, slot: int, key_list: frozenset[int], consent: Consent, at: int) -> Verdict:
    """Evaluate ``rule`` of ``slot`` for an item signed by the slots of ``key_list``, at time ``at`` (ms).

    Whoever is named by a slot counts only if that slot's key is in the item's key list: with this rule a forged or
    forked roster has no power.  A request is its requester's approval.  A delay is there to say no in: behind
    ``none`` the slot's own no counts too.  Verdicts in the order of §7.4: the first that holds.
    """
    if consent.requester not in key_list or consent.requester in consent.rejected:
        return Verdict.HOPELESS
    if rule.delay_ms is not None and rule.approval == "none" and slot in consent.rejected:
        return Verdict.HOPELESS
    ripe = ripe_at(rule, slot, consent)
    if rule.not_after is not None and max(at, ripe or 0) > rule.not_after:
        return Verdict.HOPELESS
    voters, threshold = _voters(rule, slot, consent)
    eligible = voters & _set(key_list)
    if (eligible & ~_set(consent.rejected)).bit_count() < threshold:
        return Verdict.HOPELESS
    enough = (eligible & consent.yes(at)).bit_count() >= threshold
    return Verdict.MET if enough and ripe is not None and at >= ripe else Verdict.WAITING


def missing(rule: Rule, slot: int, key_list: frozenset[int], consent: Consent, at: int) -> frozenset[int]:
    """The slots whose yes would still help ``rule``: the holdouts of an approval."""
    voters, threshold = _voters(rule, slot, consent)
    eligible = voters & _set(key_list)
    if (eligible & consent.yes(at)).bit_count() >= threshold:
        return frozenset()
    left = eligible & ~_set(consent.rejected) & ~consent.yes(at)
    return frozenset(voter for voter in key_list if left >> voter & 1)


def _voters(rule: Rule, slot: int, consent: Consent) -> tuple[int, int]:
    """Whose yes counts (as bits), and how many are needed; for ``none`` the requester's own (§7.4)."""
    if rule.approval == "quorum" and rule.threshold is not None:
        return rule.voters, rule.threshold
    return 1 << (slot if rule.approval == "self" else consent.requester), 1


@lru_cache(512)
def _set(slots: frozenset[int]) -> int:
    """A set of slots as bits."""
    return as_bits(slots)

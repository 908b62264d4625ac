"""The rules under which a key may be used: evaluated by the coordinator, by every hearer, and by whoever holds the key.

Only the last of them counts (CRYPTO §6): an enclave evaluates the rule that was sealed with the key, for each item,
over statements that it has verified itself.  The others evaluate the same function to know what to wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .shapes import Rule


class Verdict(Enum):
    """What a rule says now: go, wait for somebody or some time, or never."""

    MET = "met"
    WAITING = "waiting"
    HOPELESS = "hopeless"


@dataclass(frozen=True)
class Consent:
    """Who said what about one request: the requester's slot, each yes with its end (ms), and who said no."""

    requester: int
    approvals: Mapping[int, int]
    rejected: frozenset[int]

    def counts(self, slot: int, at: int) -> bool:
        """Whether ``slot`` says yes at time ``at`` (ms)."""
        return slot not in self.rejected and self.approvals.get(slot, -1) > at


def evaluate(rule: Rule, slot: int, key_list: frozenset[int], consent: Consent, at: int) -> Verdict:
    """Evaluate ``rule`` of ``slot`` for an item signed by the slots of ``key_list``, at time ``at`` (ms).

    Whoever is named by a slot counts only if that slot's key is in the item's key list: with this rule a forged or
    forked roster has no power.  A request is its requester's approval.
    """
    if rule.delay_ms is not None:
        return Verdict.HOPELESS
    if consent.requester not in key_list or consent.requester in consent.rejected:
        return Verdict.HOPELESS
    if rule.not_after is not None and at > rule.not_after:
        return Verdict.HOPELESS
    voters, threshold = _voters(rule, slot, consent)
    eligible = [voter for voter in voters if voter in key_list]
    if len([voter for voter in eligible if voter not in consent.rejected]) < threshold:
        return Verdict.HOPELESS
    early = rule.not_before is not None and at < rule.not_before
    enough = sum(consent.counts(voter, at) for voter in eligible) >= threshold
    return Verdict.MET if enough and not early else Verdict.WAITING


def missing(rule: Rule, slot: int, key_list: frozenset[int], consent: Consent, at: int) -> frozenset[int]:
    """The slots whose yes would still help ``rule``: the holdouts of an approval."""
    voters, threshold = _voters(rule, slot, consent)
    if sum(consent.counts(v, at) for v in voters if v in key_list) >= threshold:
        return frozenset()
    return frozenset(v for v in voters if v in key_list and v not in consent.rejected and not consent.counts(v, at))


def _voters(rule: Rule, slot: int, consent: Consent) -> tuple[tuple[int, ...], int]:
    """Whose yes counts, and how many are needed; for ``none`` the requester's own."""
    if rule.approval == "quorum" and rule.of is not None and rule.threshold is not None:
        return rule.of, rule.threshold
    return ((slot,), 1) if rule.approval == "self" else ((consent.requester,), 1)

"""What a sealed policy says about one item: its key list, its message and its tweaks (§10.9).

Evaluated by whoever holds the key, before any nonce.  It fails the item and not the others; what concerns a whole
request is in policy.py (consent) and content_policy.py (what it pays).
"""

from __future__ import annotations

from typing import Final

from ..plaintext.contributions import Failed
from ..plaintext.policy import Policy
from .plan import Item
from .roster import Roster

WHY: Final = {
    "alone_not_allowed": "the owner of this key has not allowed a subset of it alone",
    "blind_alone_not_allowed": "the owner of this key has not allowed blind messages of it alone",
    "subset_not_allowed": "the owner of this key has not allowed this subset",
    "blind_not_allowed": "the owner of this key allows no blind messages: nobody can see what they sign",
    "opaque_tweak": "the owner of this key has not allowed tweaks that hide what they commit to",
    "tweak_not_allowed": "the owner of this key limits payments: it serves the terms' addresses and their children",
}
"""In words, why a policy forbids an item, by code."""


def forbids(policy: Policy, item: Item, roster: Roster) -> Failed | None:
    """Why a key sealed under ``policy`` does not serve this item of its group; None: it does.

    Raises:
        InvalidCrypto: a key list of the roster does not aggregate.
    """
    code = _first(policy, item, roster)
    return None if code is None else Failed(code)


def _first(policy: Policy, item: Item, roster: Roster) -> str | None:
    """The first rule that the item breaks, as its code (§10.9, in its order)."""
    whole = len(item.slots) == len(roster.cards)
    if len(item.slots) == 1 and not whole:
        if not policy.alone:
            return "alone_not_allowed"
        if item.blind and not policy.alone_blind:
            return "blind_alone_not_allowed"
    if policy.subsets is not None and not whole and roster.own.number(item.slots) - 1 not in policy.subsets:
        return "subset_not_allowed"
    if item.blind and not policy.blind:
        return "blind_not_allowed"
    if item.opaque and not policy.accept_opaque_tweak:
        return "opaque_tweak"
    if policy.transaction_rule and not roster.own.spends(item):
        return "tweak_not_allowed"
    return None

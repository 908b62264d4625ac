"""What a sealed policy says about one item: its key list, its message and its tweaks (§10.9).

Evaluated by whoever holds the key, before any nonce.  It fails the item and not the others; what concerns a whole
request is in policy.py (consent) and content_policy.py (what it pays).
"""

from __future__ import annotations

from collections.abc import Iterator
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
    code = next(_reasons(policy, item, roster), None)
    return None if code is None else Failed(code)


def _reasons(policy: Policy, item: Item, roster: Roster) -> Iterator[str]:
    """Every rule that the item breaks, as its code (§10.9, in its order)."""
    whole = len(item.slots) == len(roster.cards)
    if len(item.slots) == 1 and not whole:
        if not policy.alone:
            yield "alone_not_allowed"
        if item.blind and not policy.alone_blind:
            yield "blind_alone_not_allowed"
    if policy.subsets is not None and not whole and all(roster.subsets[i] != item.slots for i in policy.subsets):
        yield "subset_not_allowed"
    if item.blind and not policy.blind:
        yield "blind_not_allowed"
    if item.opaque and not policy.accept_opaque_tweak:
        yield "opaque_tweak"
    if policy.transaction_rule and not roster.own.spends(item):
        yield "tweak_not_allowed"

"""What a sealed policy says about one item: its key list and its tweaks (CRYPTO §6).

Evaluated by whoever holds the key, before any nonce.  It fails the item and not the others; rules about consent, which
concern whole requests, are in policy.py.
"""

from __future__ import annotations

from .contributions import Failed
from .plan import Item
from .sealed_policy import Policy


def forbids(policy: Policy, item: Item, group: int) -> Failed | None:
    """Why a key sealed under ``policy`` does not serve this item of a group of ``group`` slots, or None.

    ``alone_not_allowed``: a subset of this key alone needs the joiner's yes; ``blind_alone_not_allowed``: and another
    one for blind messages; ``opaque_tweak``: so does a tweak that hides what it commits to.
    """
    alone = len(item.slots) == 1 < group
    if alone and not policy.alone:
        return Failed("alone_not_allowed")
    if alone and item.blind and not policy.alone_blind:
        return Failed("blind_alone_not_allowed")
    if item.opaque and not policy.accept_opaque_tweak:
        return Failed("opaque_tweak")
    return None

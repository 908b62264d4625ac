"""What the policies of our keys say of a request, before anybody consents and before any nonce (§10.9, §11.2).

plan ─▶ each kind of policy, once ─┬─▶ the whole request is refused: Blamed, with the rule's code and its numbers
                                   ├─▶ an item is forbidden: it fails alone
                                   └─▶ nothing is left that could be signed: Blamed, with the first item's code
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..errors import Blamed
from ..plaintext.contributions import Failed
from ..plaintext.policy import Policy
from . import content_policy
from .content_policy import Payments
from .item_policy import WHY
from .plan import Impossible, Plan, Planned
from .roster import Roster


@dataclass(frozen=True)
class Judged:
    """The items of a request that some policy of ours allows, and those that one forbids, each with its reason."""

    items: tuple[Planned, ...]
    forbidden: Mapping[int, Failed]


def judged(
    made: Plan, requester: int, policies: Mapping[int, Policy], roster: Roster, left: Collection[int] = ()
) -> Judged:
    """Judge a request by the policy of each of our slots; ``left`` are those of anybody's that have left.

    Raises:
        Blamed: a policy forbids it as a whole, or every item that can be signed; names the slot.
        InvalidCrypto: a key list of the roster does not aggregate.
    """
    needed = {slot for slots in {item.slots for item in made.alike} for slot in slots}
    kinds = content_policy.distinct({slot: policies[slot] for slot in policies if slot in needed}, roster)
    payments = Payments(made, roster, left)
    for slot, policy in kinds.items():
        content_policy.judge(policy, slot, requester, payments)
    against: dict[int, tuple[int, Failed]] = {}
    for slot, policy in kinds.items():
        for items, why in payments.forbidden(slot, policy):
            if why is not None:
                against.update({index: (slot, why) for index in items if index not in against})
    if against and all(i in against or isinstance(item, Impossible) for i, item in enumerate(made.items)):
        slot, reason = against[first := min(against)]
        raise Blamed(reason.code, (slot,), f"nothing here may be signed; items[{first}]: {WHY[reason.code]}")
    return Judged(made.items, {index: reason for index, (_, reason) in against.items()})

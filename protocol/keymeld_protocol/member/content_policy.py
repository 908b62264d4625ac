"""What a sealed policy says about a whole request: who asks, what its transactions pay, and what they cost (§10.9).

    Plan ─▶ the transactions of which this slot's key signs an input
              own inputs  = those that spend a key list with this slot in it ──── all signed in this request, or refused
              change      = outputs to such a list that holds everybody who pays, and that this policy serves
              spent       = own inputs − change, fee = inputs − outputs ───────── added up over the whole request
              paid        = all other outputs ─────────────────────────────────── allowed, and how much

Evaluated by whoever holds the key, as soon as the request is read and before any nonce; one broken rule refuses the
whole request.  Each transaction counts for itself: what one gains makes up for nothing that another spends, and two
that spend the same coin count twice.  Everything comes from the plan and the roster, and nothing from anybody's word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from msgspec import structs

from ..bitcoin.summary import amount_text
from ..bitcoin.transaction import Output, address_of
from ..errors import Blamed
from ..plaintext.body import SignInput
from ..plaintext.contents import Network
from ..plaintext.policy import Policy
from ..values import Salt
from ..wire.shapes import Rule
from ..wording import slots_told
from .item_policy import forbids
from .plan import Plan
from .roster import Roster

KeyLists: TypeAlias = frozenset[frozenset[int]]

_NO_SALT, _NO_RULE = Salt(bytes(Salt.size)), Rule(approval="none")


class Payment(NamedTuple):
    """What one transaction does to the owner of a slot: satoshi that leave his key lists and go to the miner."""

    spent: int
    fee: int
    paid: tuple[Output, ...]


def distinct(policies: Mapping[int, Policy], roster: Roster) -> dict[int, Policy]:
    """One slot for all those that sit in the same key lists and allow the same: what is said of it is said of all.

    Salts and approval rules make no difference here.  An enclave with 200 slots of a kind judges a request once.
    """
    found: dict[tuple[Policy, tuple[int, ...]], int] = {}
    for slot, policy in policies.items():
        lists = tuple(index for index, subset in enumerate(roster.subsets) if slot in subset)
        found.setdefault((structs.replace(policy, salt=_NO_SALT, rule=_NO_RULE), lists), slot)
    return {slot: policies[slot] for slot in found.values()}


class Payments:
    """What the transactions of a plan do to the owners of slots, each found out once for all those who see the same.

    A thousand slots with a policy each are judged by it: what depends on no policy is not computed for each.
    """

    def __init__(self, plan: Plan, roster: Roster, left: Collection[int] = ()) -> None:
        """``left``: the slots that have left, for which nobody signs any more."""
        self.plan = plan
        self.roster = roster
        self.left = left
        self._lists: dict[int, tuple[frozenset[int], ...]] = {}
        self._found: dict[tuple[int, tuple[bool, ...], tuple[bool, ...]], Payment] = {}

    def of(self, index: int, slot: int, served: KeyLists | None = None) -> Payment:
        """What a transaction does to the owner of ``slot``, whose key signs for the ``served`` lists alone (None: all).

        It depends on the key lists whose scripts it names, and on nothing else.

        Raises:
            Blamed: ``own_input_missing``: it spends a coin of his that this request does not sign.
        """
        held = tuple(slot in slots for slots in self._lists_in(index))
        back = tuple(served is None or slots in served for slots in self._lists_in(index))
        if (seen := (index, held, back)) not in self._found:
            self._found[seen] = _payment(index, slot, self.plan, self.roster, served)
        return self._found[seen]

    def _lists_in(self, index: int) -> tuple[frozenset[int], ...]:
        """The key lists whose own scripts a transaction spends or pays."""
        if index not in self._lists:
            spend, own = self.plan.spends[index], self.roster.own
            scripts = {output.script for output in (*spend.inputs, *spend.outputs)}
            self._lists[index] = tuple({whose.slots for script in scripts if (whose := own.find(script)) is not None})
        return self._lists[index]


def judge(policy: Policy, slot: int, requester: int, payments: Payments) -> None:
    """Refuse a request that the policy sealed with the key of ``slot`` does not allow (§10.9, in its order).

    Raises:
        Blamed: with the rule's code, and in words what was asked and what is allowed; names ``slot``.
        InvalidCrypto: a key list of the roster does not aggregate.
    """
    if policy.requesters is not None and requester not in policy.requesters:
        why = f"slot {requester} asks; only {slots_told(policy.requesters)} may"
        raise Blamed("requester_not_allowed", (slot,), why)
    if not policy.transaction_rule:
        return
    plan, roster = payments.plan, payments.roster
    served = _served(policy, roster, payments.left)
    made = [payments.of(index, slot, served) for index in _signed(policy, slot, plan, roster)]
    _check_outputs(policy, slot, made, roster.terms.network)
    spent, fee = sum(payment.spent for payment in made), sum(payment.fee for payment in made)
    _check_most("amount_not_allowed", slot, "spends", spent, policy.max_amount)
    _check_most("fee_not_allowed", slot, "pays the miners", fee, policy.max_fee)


def _served(policy: Policy, roster: Roster, left: Collection[int]) -> KeyLists | None:
    """The key lists that the policy serves: that of all slots, and of the subsets those that it names; None: all.

    Nobody serves those with a slot that has left.
    """
    if policy.subsets is None and not left:
        return None
    subsets = range(len(roster.subsets)) if policy.subsets is None else policy.subsets
    lists = (frozenset(roster.slots_of(subset)) for subset in (None, *subsets))
    return frozenset(slots for slots in lists if slots.isdisjoint(left))


def _signed(policy: Policy, slot: int, plan: Plan, roster: Roster) -> list[int]:
    """The transactions of which the key of ``slot`` signs an input; an item that fails alone is not signed (§10.9)."""
    found: set[int] = set()
    for item, alike in plan.alike.items():
        if forbids(policy, item, roster) is None and slot in item.slots:
            asked = (plan.body.items[index] for index in alike)
            found.update(each.transaction for each in asked if isinstance(each, SignInput))
    return sorted(found)


def _payment(index: int, slot: int, plan: Plan, roster: Roster, served: KeyLists | None) -> Payment:
    """What a transaction spends and pays, as the owner of ``slot`` sees it; what his key never signs for is lost.

    Raises:
        Blamed: ``own_input_missing``: it spends a coin of his that this request does not sign.
    """
    spend, flow = plan.spends[index], roster.own.flow(plan.spends[index], slot=slot)
    own = [(number, coin) for number, coin in enumerate(spend.inputs) if coin.script in flow.own]
    for number, _ in own:
        if (index, number) not in plan.signed:
            why = f"transactions[{index}] spends a coin of ours, input {number}, that is not signed in this request"
            raise Blamed("own_input_missing", (slot,), why)
    back = {script for script in flow.change if served is None or flow.own[script] in served}
    change = [output for output in spend.outputs if output.script in back]
    paid = [output for output in spend.outputs if output.script not in back]
    spent = sum(coin.amount for _, coin in own) - sum(output.amount for output in change)
    return Payment(max(0, spent), spend.fee, tuple(paid))


def _check_outputs(policy: Policy, slot: int, payments: Iterable[Payment], network: Network) -> None:
    """Every output that does not come back is allowed, and no more goes to it in the whole request than may.

    Raises:
        Blamed: ``output_not_allowed``.
    """
    if policy.outputs is None:
        return
    allowed = {bytes(output.script): output.most for output in policy.outputs}
    paid: Counter[bytes] = Counter()
    for payment in payments:
        for output in payment.paid:
            paid[output.script] += output.amount
    for script, amount in paid.items():
        if script not in allowed:
            why = f"this request pays {amount_text(amount)} to {address_of(script, network)}, which is not allowed"
            raise Blamed("output_not_allowed", (slot,), why)
        _check_most("output_not_allowed", slot, f"pays {address_of(script, network)}", amount, allowed[script])


def _check_most(code: str, slot: int, verb: str, asked: int, most: int | None) -> None:
    """A sum over the whole request is within its limit.

    Raises:
        Blamed: it is not; with ``code``.
    """
    if most is not None and asked > most:
        raise Blamed(code, (slot,), f"this request {verb} {amount_text(asked)}; allowed are {amount_text(most)}")

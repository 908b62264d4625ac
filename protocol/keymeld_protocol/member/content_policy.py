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
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property, reduce
from operator import or_
from typing import Final, NamedTuple

from msgspec import structs

from ..bitcoin.summary import amount_text
from ..bitcoin.transaction import Output, address_of
from ..errors import Blamed
from ..plaintext.body import SignInput
from ..plaintext.contents import Network
from ..plaintext.contributions import Failed
from ..plaintext.policy import AllowedOutput, Policy
from ..values import Salt
from ..wire.shapes import Rule, as_bits
from ..wording import slots_told
from .item_policy import forbids
from .plan import Item, Plan
from .roster import Roster

TAPROOT_SIZE: Final = 34
"""Bytes of the only scripts that a SignInput spends."""

_NO_SALT, _NO_RULE = Salt(bytes(Salt.size)), Rule(approval="none")


class Payment(NamedTuple):
    """What a transaction does to the owner of a slot: satoshi that leave his key lists, and to whom, and a miner's."""

    spent: int
    fee: int
    paid: Mapping[bytes, int]


class Total(NamedTuple):
    """What several do together; ``each`` says to whom they pay."""

    spent: int
    fee: int
    each: tuple[Payment, ...]

    def paid(self) -> Mapping[bytes, int]:
        """To whom, and how much, all together."""
        found = dict[bytes, int]()
        for payment in self.each:
            for script, amount in payment.paid.items():
                found[script] = found.get(script, 0) + amount
        return found


class Seen(NamedTuple):
    """One transaction as everybody sees it: its own coins and outputs with the number of their key list, and the rest.

    ``lists``: those key lists, as bits.  What it is for one owner depends on which of them hold his slot, and which of
    them his key serves: on nothing else.
    """

    coins: tuple[tuple[int, int, int], ...]
    outputs: tuple[tuple[Output, int | None], ...]
    lists: int


def distinct(policies: Mapping[int, Policy], roster: Roster) -> dict[int, Policy]:
    """One slot for all those that sit in the same key lists and allow the same: what is said of it is said of all.

    Salts and approval rules make no difference here.  An enclave with 200 slots of a kind judges a request once.
    """
    found: dict[tuple[Policy, int], int] = {}
    for slot, policy in policies.items():
        kind = structs.replace(policy, salt=_NO_SALT, rule=_NO_RULE)
        found.setdefault((kind, roster.own.holding(slot)), slot)
    return {slot: policies[slot] for slot in found.values()}


class Payments:
    """What the transactions of a plan do to the owners of slots, each found out once for all those who see the same.

    A thousand slots with a policy each are judged by it: what depends on no policy is not computed for each, and what
    is added up for one is added up for all that see the same lists.
    """

    def __init__(self, plan: Plan, roster: Roster, left: Collection[int] = ()) -> None:
        """``left``: the slots that have left, for which nobody signs any more."""
        self.plan = plan
        self.roster = roster
        self.left = left
        self._seen: dict[int, Seen] = {}
        self._found: dict[tuple[int, int, int], Payment] = {}
        self._lists: dict[tuple[int, ...], int] = {}
        self._added: dict[tuple[tuple[int, ...], int, int], Total] = {}
        self._served: dict[tuple[int, ...] | None, int] = {}
        self._kinds: dict[bool, list[tuple[int, Item, tuple[int, ...]]]] = {}
        self._forbidden: dict[int, list[tuple[tuple[int, ...], Failed | None]]] = {}

    def forbidden(self, slot: int, policy: Policy) -> Sequence[tuple[tuple[int, ...], Failed | None]]:
        """Of the items with ``slot`` in their key list, those that are alike together, why ``policy`` forbids each."""
        if slot not in self._forbidden:
            held, alike = self.roster.own.holding(slot), self._alike(policy.transaction_rule)
            mine = ((item, items) for number, item, items in alike if held >> number & 1)
            self._forbidden[slot] = [(items, forbids(policy, item, self.roster)) for item, items in mine]
        return self._forbidden[slot]

    def _alike(self, limited: bool) -> list[tuple[int, Item, tuple[int, ...]]]:
        """Items of which every policy says the same: the number of their key list, one of them, and all by index.

        Under a transaction rule it matters also whether their tweaks come to an own script.
        """
        if limited not in self._kinds:
            own, found = self.roster.own, dict[tuple[int, bool, bool, bool], list[tuple[Item, tuple[int, ...]]]]()
            for item, items in self.plan.alike.items():
                kind = (own.number(item.slots), item.blind, item.opaque, limited and own.spends(item))
                found.setdefault(kind, []).append((item, items))
            self._kinds[limited] = [
                (number, each[0][0], tuple(index for _, items in each for index in items))
                for (number, *_), each in found.items()
            ]
        return self._kinds[limited]

    def served(self, policy: Policy) -> int:
        """The key lists that a policy serves, as bits: that of all slots, and of the subsets those that it names.

        Nobody serves those with a slot that has left.
        """
        if policy.subsets not in self._served:
            named = range(len(self.roster.subsets)) if policy.subsets is None else policy.subsets
            lists = self.roster.own.lists
            whole = (number for number in (0, *(subset + 1 for subset in named)))
            self._served[policy.subsets] = as_bits(i for i in whole if lists[i].isdisjoint(self.left))
        return self._served[policy.subsets]

    def signed(self, slot: int, policy: Policy) -> tuple[int, ...]:
        """The transactions of which the key signs an input; an item that fails alone is not signed (§10.9)."""
        asked, found = self.plan.body.items, set[int]()
        for items, why in self.forbidden(slot, policy):
            if why is None:
                inputs = (asked[index] for index in items)
                found.update(each.transaction for each in inputs if isinstance(each, SignInput))
        return tuple(sorted(found))

    def added(self, signed: tuple[int, ...], slot: int, served: int) -> Total:
        """What these transactions together do to the owner of ``slot``, whose key signs for the ``served`` lists alone.

        Raises:
            Blamed: ``own_input_missing``: one spends a coin of his that this request does not sign.
        """
        if signed not in self._lists:
            self._lists[signed] = reduce(or_, (self._see(index).lists for index in signed), 0)
        lists, held = self._lists[signed], self.roster.own.holding(slot)
        if (key := (signed, held & lists, served & held & lists)) not in self._added:
            each = tuple(self._of(index, slot, held, served & held) for index in signed)
            self._added[key] = Total(sum(one.spent for one in each), sum(one.fee for one in each), each)
        return self._added[key]

    def _of(self, index: int, slot: int, held: int, back: int) -> Payment:
        """What one transaction does to him; ``held`` are the lists with his slot, ``back`` those of them he serves."""
        seen = self._see(index)
        if (key := (index, held & seen.lists, back & seen.lists)) not in self._found:
            self._found[key] = self._payment(index, slot, held, back)
        return self._found[key]

    def _payment(self, index: int, slot: int, held: int, back: int) -> Payment:
        """What a transaction spends and pays, as the owner of ``slot`` sees it; what his key never signs for is lost.

        Raises:
            Blamed: ``own_input_missing``: it spends a coin of his that this request does not sign.
        """
        seen, spent, paid = self._see(index), 0, Counter[bytes]()
        for number, amount, paying in seen.coins:
            if not held >> paying & 1:
                continue
            if (index, number) not in self.plan.signed:
                why = f"transactions[{index}] spends a coin of ours, input {number}, that is not signed in this request"
                raise Blamed("own_input_missing", (slot,), why)
            spent, back = spent + amount, back & self.roster.own.above(paying)
        for output, own in seen.outputs:
            if own is not None and back >> own & 1:
                spent -= output.amount
            else:
                paid[output.script] += output.amount
        return Payment(max(0, spent), self.plan.spends[index].fee, paid)

    def _see(self, index: int) -> Seen:
        """The key lists whose own scripts a transaction spends, and to which it may pay back.

        Only what can matter is looked for.  Of what is signed the list is known.  A judged transaction has a signed
        input of the owner's, and nothing comes back to him but what goes to a list that holds that input's.
        """
        if index not in self._seen:
            spend, own = self.plan.spends[index], self.roster.own
            signed = self._signing.get(index, {})
            coins = [(i, coin.amount, self._number(coin.script, signed.get(i))) for i, coin in enumerate(spend.inputs)]
            ours = tuple((i, amount, number) for i, amount, number in coins if number is not None)
            around = reduce(or_, (own.above(number) for i, _, number in ours if i in signed), 0)
            outputs = tuple((output, self._paid_back(output.script, around)) for output in spend.outputs)
            numbers = [*(number for _, _, number in ours), *(number for _, number in outputs if number is not None)]
            self._seen[index] = Seen(ours, outputs, as_bits(numbers))
        return self._seen[index]

    @cached_property
    def _signing(self) -> Mapping[int, Mapping[int, Item]]:
        """For each transaction its inputs that some item signs, with that item."""
        found: dict[int, dict[int, Item]] = {}
        for asked, item in self.plan.inputs:
            found.setdefault(asked.transaction, {})[asked.input] = item
        return found

    def _number(self, script: bytes, signing: Item | None) -> int | None:
        """The key list whose own script a coin has; of a P2WPKH coin none, which no SignInput spends.

        An item that spends a script of its own list says whose it is; one with other tweaks may spend anybody's.
        """
        if signing is not None and self.roster.own.spends(signing):
            return self.roster.own.number(signing.slots)
        own = None if len(script) != TAPROOT_SIZE else self.roster.own.find(script)
        return None if own is None else own.number

    def _paid_back(self, script: bytes, around: int) -> int | None:
        """The key list among those ``around`` whose own script an output has."""
        own = None if len(script) != TAPROOT_SIZE else self.roster.own.find(script, around)
        return None if own is None else own.number


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
    made = payments.added(payments.signed(slot, policy), slot, payments.served(policy))
    if policy.outputs is not None:
        _check_outputs(policy.outputs, slot, made.paid(), payments.roster.terms.network)
    _check_most("amount_not_allowed", slot, "spends", made.spent, policy.max_amount)
    _check_most("fee_not_allowed", slot, "pays the miners", made.fee, policy.max_fee)


def _check_outputs(outputs: Iterable[AllowedOutput], slot: int, paid: Mapping[bytes, int], network: Network) -> None:
    """Every output that does not come back is allowed, and no more goes to it in the whole request than may.

    Raises:
        Blamed: ``output_not_allowed``.
    """
    allowed = {bytes(output.script): output.most for output in outputs}
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

"""What a request asks for, as everybody computes it: for each item its key list, its keyagg and its message.

The client that asks, the phone that approves and the enclave that signs all make this plan from the same sealed body,
so that a yes covers exactly what is signed (attack 16): a transaction's message is its BIP-341 sighash, computed here.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import contents
from .contents import Body, SignInput
from .errors import BadInput, Blamed, InvalidCrypto, bad_field
from .keyagg import KeyAgg
from .roster import Roster
from .sealing import GroupKey
from .signing import SigningState
from .statements import Statement
from .transaction import Spend
from .values import Message


@dataclass(frozen=True, eq=False)
class Item:
    """Exactly one signature: the slots of its key list, their keyagg, and the 32 bytes to sign."""

    slots: tuple[int, ...]
    keyagg: KeyAgg
    message: Message


@dataclass(frozen=True, eq=False)
class Plan:
    """A request, read: its body, the parsed transactions, and its items in order."""

    body: Body
    spends: tuple[Spend, ...]
    items: tuple[Item, ...]


def read_body(request: Statement, group: GroupKey) -> Body:
    """Open the body of a ``signing.request``.

    Raises:
        Blamed: it is not here, does not open or does not parse.
    """
    sealed = request.blob("body")
    if sealed is None:
        raise Blamed("missing_blob", (), "the sealed body was not delivered")
    try:
        return contents.parse(Body, group.open_in(request.payload, "body", sealed))
    except (InvalidCrypto, BadInput) as error:
        raise Blamed("bad_body", (), str(error)) from None


def plan(body: Body, roster: Roster) -> Plan:
    """Work out every item of ``body``.

    Raises:
        BadInput: an item names a transaction, an input or a subset that is not there, or spends a foreign script.
    """
    spends = tuple(
        Spend(t.unsigned, tuple((s.amount, s.script) for s in t.spent), f"transactions[{i}]")
        for i, t in enumerate(body.transactions)
    )
    return Plan(body, spends, tuple(_item(i, item, spends, roster) for i, item in enumerate(body.items)))


def plan_of(state: SigningState, request: Statement, roster: Roster, group: GroupKey) -> Plan:
    """The plan of a heard request, whose public numbers must be those of its sealed body.

    Raises:
        Blamed: ``bad_body``: it does not open, contradicts the payload, or asks for the impossible.
    """
    body = read_body(request, group)
    try:
        made = plan(body, roster)
    except (BadInput, InvalidCrypto) as error:
        raise Blamed("bad_body", (), str(error)) from None
    if len(made.items) != state.request.items:
        raise Blamed("bad_body", (), f"the request says {state.request.items} items, its body {len(made.items)}")
    if needed_slots(made) != state.request.slots:
        raise Blamed("bad_body", (), "the request's slots are not those that its items need")
    return made


def needed_slots(made: Plan) -> tuple[int, ...]:
    """The slots whose keys some item needs, rising."""
    return tuple(sorted({slot for item in made.items for slot in item.slots}))


def _item(index: int, item: contents.Item, spends: tuple[Spend, ...], roster: Roster) -> Item:
    """One item; a transaction's input must spend the key list's own script."""
    name = f"items[{index}]"
    slots, keyagg = roster.slots_of(item.subset), roster.keyagg(item.subset)
    if not isinstance(item, SignInput):
        return Item(slots, keyagg, Message(item.message))
    if item.transaction >= len(spends):
        raise bad_field(f"{name}.transaction", f"the body has {len(spends)} transactions")
    spend = spends[item.transaction]
    if item.input >= len(spend.inputs):
        raise bad_field(f"{name}.input", f"the transaction has {len(spend.inputs)} inputs")
    if spend.inputs[item.input].script != roster.script(item.subset):
        raise bad_field(f"{name}.input", "does not spend this group's script")
    return Item(slots, keyagg, Message(spend.sighash(item.input)))

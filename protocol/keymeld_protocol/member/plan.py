"""What a request asks for, as everybody computes it: for each item its key list, its keyagg, its message, its points.

The client that asks, the phone that approves and the enclave that signs all make this plan from the same sealed body,
so that a yes covers exactly what is signed (attack 16): a transaction's message is its BIP-341 sighash (§10.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TypeAlias

from ..bitcoin.transaction import Spend, taproot_script
from ..bitcoin.tweaks import Steps, is_opaque
from ..curve import ecdsa, schnorr
from ..curve.adaptor import combined_point
from ..curve.keyagg import GENERATOR, KeyAgg
from ..curve.secp256k1 import parse_point
from ..errors import BadInput, Blamed, InvalidCrypto, bad_field, code_for
from ..keys.sealing import GroupKey
from ..machines.signing import SigningState
from ..plaintext import contents
from ..plaintext.body import Adaptor, Asked, Body, SignEcdsa, SignInput, places_of
from ..values import Message
from ..wire.statements import Statement
from .roster import Roster


@dataclass(frozen=True, eq=False)
class Item:
    """Exactly one signature: the slots of its key list, their keyagg, and the 32 bytes to sign.

    ``blind``: the 32 bytes say nothing about themselves. ``opaque``: a tweak hides what it commits to. ``ecdsa``: the
    signature is ECDSA by the one key of the list. ``adaptors``: for each pre-signature the point T (33 bytes) that is
    bound into it; the one None: a signature.
    """

    slots: tuple[int, ...]
    keyagg: KeyAgg
    message: Message
    blind: bool = False
    opaque: bool = False
    ecdsa: bool = False
    adaptors: tuple[bytes | None, ...] = (None,)

    def verifies(self, signature: bytes) -> bool:
        """Whether ``signature`` (64 bytes) is the one that the item asks for."""
        if self.ecdsa:
            return ecdsa.verify(signature, self.message, self.keyagg.point)
        return schnorr.verify(signature, self.message, self.keyagg.output)


@dataclass(frozen=True, eq=False)
class Impossible:
    """An item that nobody can sign, whoever holds the keys; it spoils no other. ``why`` is for people.

    ``adaptors`` has as many entries as those of an `Item` would have.
    """

    slots: tuple[int, ...]
    code: str
    why: str
    adaptors: tuple[bytes | None, ...] = (None,)


Planned: TypeAlias = Item | Impossible


def signable(index: int, item: Planned) -> Item:
    """The item, if somebody can sign it.

    Raises:
        Blamed: nobody can; with its code.
    """
    if isinstance(item, Impossible):
        raise Blamed(item.code, (), f"items[{index}]: {item.why}")
    return item


@dataclass(frozen=True, eq=False)
class Plan:
    """A request, read: its body, the parsed transactions, and its items in order."""

    body: Body
    spends: tuple[Spend, ...]
    items: tuple[Planned, ...]

    def item(self, index: int) -> Item:
        """An item that can be signed.

        Raises:
            Blamed: nobody can sign it; with its code.
        """
        return signable(index, self.items[index])

    @cached_property
    def inputs(self) -> tuple[tuple[SignInput, Item], ...]:
        """The items that sign an input, and can be signed."""
        pairs = zip(self.body.items, self.items, strict=True)
        return tuple((asked, item) for asked, item in pairs if isinstance(asked, SignInput) and isinstance(item, Item))

    @cached_property
    def alike(self) -> dict[Item, tuple[int, ...]]:
        """The items that can be signed by their index, those together of which every policy says the same."""
        found: dict[tuple[object, ...], list[int]] = {}
        for index, item in enumerate(self.items):
            if isinstance(item, Item):
                found.setdefault((item.slots, item.keyagg.output, item.blind, item.opaque), []).append(index)
        return {self.item(alike[0]): tuple(alike) for alike in found.values()}

    @cached_property
    def signed(self) -> frozenset[tuple[int, int]]:
        """The inputs that some item signs: transaction and input."""
        return frozenset((asked.transaction, asked.input) for asked, _ in self.inputs)

    @cached_property
    def payers(self) -> dict[bytes, frozenset[int]]:
        """The slots behind each script that an item spends, children and other tweaked keys among them."""
        return {taproot_script(item.keyagg.output): frozenset(item.slots) for _, item in self.inputs}

    @cached_property
    def ways(self) -> dict[tuple[bytes, Message], set[tuple[bytes | None, ...]]]:
        """For each output key and message the ways in which items ask for its signature: their adaptors."""
        found: dict[tuple[bytes, Message], set[tuple[bytes | None, ...]]] = {}
        for item in self.items:
            if isinstance(item, Item):
                found.setdefault((item.keyagg.output, item.message), set()).add(item.adaptors)
        return found

    @property
    def locked(self) -> frozenset[tuple[bytes, Message]]:
        """The output keys and messages of which some item asks for a pre-signature."""
        return frozenset(key for key, ways in self.ways.items() if ways != {(None,)})


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
        raise Blamed(code_for(error, "bad_body"), (), str(error)) from None


def plan(body: Body, roster: Roster) -> Plan:
    """Work out every item of ``body``; one that cannot be signed is `Impossible` and spoils no other.

    Everybody plans before anybody consents, so the body's shape bounds the work: 1,000 items of eight steps are at most
    15,000 tweaks, of 25 to 50 µs each however many keys the lists have.

    Raises:
        BadInput: an item names a transaction, an input or a subset that is not there, or a transaction is none.
    """
    spends = tuple(
        Spend(t.unsigned, tuple((s.amount, s.script) for s in t.spent), f"transactions[{i}]")
        for i, t in enumerate(body.transactions)
    )
    lists = _Lists(roster)
    return Plan(body, spends, tuple(_planned(i, item, spends, lists) for i, item in enumerate(body.items)))


def plan_of(state: SigningState, request: Statement, roster: Roster, group: GroupKey) -> Plan:
    """The plan of a heard request of which something can be signed.

    Raises:
        Blamed: as `read_plan` and `require_possible`.
    """
    made = read_plan(state, request, roster, group)
    require_possible(made)
    return made


def read_plan(state: SigningState, request: Statement, roster: Roster, group: GroupKey) -> Plan:
    """The plan of a heard request, whose public numbers must be those of its sealed body (§11.2).

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


def require_possible(made: Plan) -> None:
    """Refuse a request of which nothing can be signed (§10.2).

    Raises:
        Blamed: with the first item's code.
    """
    impossible = [(index, item) for index, item in enumerate(made.items) if isinstance(item, Impossible)]
    if len(impossible) == len(made.items):
        index, first = impossible[0]
        raise Blamed(first.code, (), f"items[{index}]: {first.why}")


def needed_slots(made: Plan) -> tuple[int, ...]:
    """The slots whose keys some item needs, rising."""
    return tuple(sorted({slot for slots in {item.slots for item in made.items} for slot in slots}))


class _Lists:
    """The key lists of one plan: each distinct subset and tweak list is looked at once."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.slots_of = cache(roster.slots_of)
        self.is_opaque = cache(partial(is_opaque, roster.terms))
        self._found: dict[tuple[int | None, Steps | None], KeyAgg | InvalidCrypto] = {}

    def keyagg(self, item: Asked) -> KeyAgg:
        """The item's tweaked key.

        Raises:
            InvalidCrypto: a tweak cannot be applied.
        """
        named = (item.subset, item.tweaks)
        if named not in self._found:
            try:
                self._found[named] = self.roster.keyagg(*named)
            except InvalidCrypto as error:
                self._found[named] = error
        found = self._found[named]
        if isinstance(found, InvalidCrypto):
            raise found
        return found


def _planned(index: int, item: Asked, spends: tuple[Spend, ...], lists: _Lists) -> Planned:
    """One item, or why nobody can sign it (§10.2)."""
    slots = lists.slots_of(item.subset)
    _check_input(f"items[{index}]", item, spends)
    unsigned = (None,) * places_of(item)
    try:
        keyagg = lists.keyagg(item)
    except InvalidCrypto as error:
        return Impossible(slots, "bad_tweak", str(error), unsigned)
    try:
        adaptors = _adaptors(item.adaptor, keyagg)
    except InvalidCrypto as error:
        return Impossible(slots, "bad_adaptor", str(error), unsigned)
    opaque = lists.is_opaque(item.tweaks)
    if isinstance(item, SignEcdsa) and len(slots) > 1:
        return Impossible(
            slots, "ecdsa_needs_one_key", f"only a key list of one signs ECDSA; this one has {len(slots)}"
        )
    if not isinstance(item, SignInput):
        return Item(
            slots, keyagg, Message(item.message), blind=True, opaque=opaque, ecdsa=isinstance(item, SignEcdsa),
            adaptors=adaptors,
        )  # fmt: skip
    spend = spends[item.transaction]
    if spend.inputs[item.input].script != taproot_script(keyagg.output):
        why = "does not spend the script of this key list and its tweaks"
        return Impossible(slots, "foreign_script", why, unsigned)
    return Item(slots, keyagg, Message(spend.sighash(item.input)), opaque=opaque, adaptors=adaptors)


def _adaptors(adaptor: Adaptor | None, keyagg: KeyAgg) -> tuple[bytes | None, ...]:
    """The T of each pre-signature that an item is, or the one None of a signature.

    Raises:
        InvalidCrypto: a point is none; or the output key is G or −G, for which an enclave alone makes no pre-signature.
    """
    if adaptor is None:
        return (None,)
    for index, point in enumerate(adaptor.points):
        try:
            parse_point(point)
        except InvalidCrypto as error:
            raise InvalidCrypto(f"points[{index}]: {error}") from None
    if keyagg.output == GENERATOR[1:]:
        raise InvalidCrypto("output key: it is the generator, whose secret everybody knows")
    return (combined_point(adaptor.points),) if adaptor.mode == "and" else adaptor.points


def _check_input(name: str, item: Asked, spends: tuple[Spend, ...]) -> None:
    """The transaction and the input that an item names are there."""
    if not isinstance(item, SignInput):
        return
    if item.transaction >= len(spends):
        raise bad_field(f"{name}.transaction", f"the body has {len(spends)} transactions")
    if item.input >= len(spends[item.transaction].inputs):
        raise bad_field(f"{name}.input", f"the transaction has {len(spends[item.transaction].inputs)} inputs")

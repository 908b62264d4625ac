"""What a request asks to have signed: transactions, and items of which each is exactly one signature (§9.4).

    Body ─┬─ Transaction (unsigned) ─── Spent, one for each input
          ├─ SignInput │ SignMessage ─┬─ subset?, tweaks? (TermsStep │ Bip86 │ Child │ BareRoot │ Scalar │ XOnlyScalar)
          │                           └─ adaptor?
          └─ SignEcdsa ── subset?

It is the sealed body of ``signing.request``, in the one spelling of `contents`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta

from ..errors import bad_field
from ..values import Hash, Message, PlainKey
from ..wire.shapes import MAX_ITEMS, MAX_SUBSETS, Shape
from .contents import Content, HexBytes, Script, Text

MAX_MONEY: Final = 21_000_000 * 100_000_000
MAX_INPUTS: Final = 1000
MAX_PATH: Final = 8
MAX_STEPS: Final = 8
MAX_POINTS: Final = 64
"""Adaptor points of one item; each of an ``or`` has nonces and a pre-signature of its own."""

Amount: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_MONEY)]
Index: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_INPUTS)]
Subset: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_SUBSETS)]


class RawTransaction(HexBytes):
    """An unsigned Bitcoin transaction without witnesses, at most 200,000 bytes."""

    limit = 100_000


class Spent(Shape, frozen=True, kw_only=True):
    """The output that an input spends: its amount in satoshi and its script."""

    amount: Amount
    script: Script


class Transaction(Shape, frozen=True, kw_only=True):
    """A transaction to sign, and what each of its inputs spends, in the order of the inputs."""

    unsigned: RawTransaction
    spent: Annotated[tuple[Spent, ...], Meta(min_length=1, max_length=MAX_INPUTS)]


class TermsStep(Shape, frozen=True, kw_only=True, tag_field="tweak", tag="terms"):
    """The tweak of the keygen's terms."""


class Bip86(Shape, frozen=True, kw_only=True, tag_field="tweak", tag="bip86"):
    """BIP-341's tweak without scripts, whatever the terms say."""


class Child(Shape, frozen=True, kw_only=True, tag_field="tweak", tag="child"):
    """The child of the aggregate key along ``path`` (BIP-328); only as the first step."""

    path: Annotated[tuple[Annotated[int, Meta(ge=0, lt=2**31)], ...], Meta(min_length=1, max_length=MAX_PATH)]


class BareRoot(Shape, frozen=True, kw_only=True, tag_field="tweak", tag="root"):
    """BIP-341's tweak by a script root that nobody can look into: opaque."""

    root: Hash


class Scalar(Shape, frozen=True, kw_only=True, tag_field="tweak", tag="plain"):
    """A plain tweak of BIP-327: opaque."""

    scalar: Hash


class XOnlyScalar(Shape, frozen=True, kw_only=True, tag_field="tweak", tag="xonly"):
    """An x-only tweak of BIP-327: opaque."""

    scalar: Hash


Step: TypeAlias = TermsStep | Bip86 | Child | BareRoot | Scalar | XOnlyScalar
Tweaks: TypeAlias = Annotated[tuple[Step, ...], Meta(max_length=MAX_STEPS)]


class Adaptor(Shape, frozen=True, kw_only=True):
    """Points (33 bytes each) whose secrets complete the item: the secret of the one, of each, or of any.

    What is made is no signature but, for ``single`` and ``and``, one pre-signature; for ``or`` one for each point.
    """

    mode: Literal["single", "and", "or"]
    points: Annotated[tuple[PlainKey, ...], Meta(min_length=1, max_length=MAX_POINTS)]

    @property
    def places(self) -> int:
        """How many pre-signatures are made."""
        return len(self.points) if self.mode == "or" else 1

    def check(self, field: str) -> None:
        """One point for ``single``, several for the others, none twice, and none beside its opposite (§9.4).

        Raises:
            BadInput: naming ``field``.
        """
        if (self.mode == "single") != (len(self.points) == 1):
            raise bad_field(f"{field}.points", "single has one point, and and or have at least two")
        if len({point[1:] for point in self.points}) != len(self.points):  # whoever has t has −t
            raise bad_field(f"{field}.points", "a point or its opposite stands there twice: one secret, taken for two")


class SignInput(Shape, frozen=True, kw_only=True, tag_field="sign", tag="input"):
    """Sign one input of a transaction; without ``subset`` with the key of all slots.

    ``tweaks`` are all tweaks of the item, in order; absent: the terms' one.  With an ``adaptor`` what is made is
    completed by a secret.
    """

    transaction: Index
    input: Index
    subset: Subset | None = None
    tweaks: Tweaks | None = None
    adaptor: Adaptor | None = None


class SignMessage(Shape, frozen=True, kw_only=True, tag_field="sign", tag="message"):
    """Sign 32 bytes that say nothing about themselves: a blind message."""

    message: Message
    subset: Subset | None = None
    tweaks: Tweaks | None = None
    adaptor: Adaptor | None = None


class SignEcdsa(Shape, frozen=True, kw_only=True, tag_field="sign", tag="ecdsa"):
    """Sign 32 bytes, a blind message, with ECDSA: for a key list of one, whose key is used as it is, untweaked."""

    message: Message
    subset: Subset | None = None
    tweaks: ClassVar[Tweaks] = ()
    adaptor: ClassVar[None] = None


Asked: TypeAlias = SignInput | SignMessage | SignEcdsa


def places_of(item: Asked) -> int:
    """How many signatures or pre-signatures the item is: one, or with ``or`` one for each point."""
    return 1 if item.adaptor is None else item.adaptor.places


class Body(Content, frozen=True, kw_only=True):
    """What a request asks to have signed, item by item."""

    transactions: Annotated[tuple[Transaction, ...], Meta(max_length=MAX_ITEMS)]
    items: Annotated[tuple[Asked, ...], Meta(min_length=1, max_length=MAX_ITEMS)]
    memo: Text

    def check(self) -> None:
        """Items name inputs that are there, none twice with one key, none is idle, places are bounded (§9.4)."""
        seen: set[tuple[int, int, int | None]] = set()
        for i, item in enumerate(self.items):
            if any(isinstance(step, Child) for step in (item.tweaks or ())[1:]):
                raise bad_field(f"items[{i}].tweaks", "a child can only be the first step")
            if item.adaptor is not None:
                item.adaptor.check(f"items[{i}].adaptor")
            if isinstance(item, SignInput):
                self._check_input(f"items[{i}]", item)
                if (named := (item.transaction, item.input, item.subset)) in seen:
                    raise bad_field(f"items[{i}]", "asks for the signature of an earlier item")
                seen.add(named)
        idle = set(range(len(self.transactions))) - {named[0] for named in seen}
        if idle:
            raise bad_field(f"transactions[{min(idle)}]", "no item signs an input of it")

        if (places := sum(map(places_of, self.items))) > MAX_ITEMS:
            raise bad_field("items", f"they come to {places} signatures and pre-signatures, at most {MAX_ITEMS}")

    def _check_input(self, field: str, item: SignInput) -> None:
        if item.transaction >= len(self.transactions):
            raise bad_field(f"{field}.transaction", f"the body has {len(self.transactions)} transactions")
        inputs = len(self.transactions[item.transaction].spent)
        if item.input >= inputs:
            raise bad_field(f"{field}.input", f"transaction {item.transaction} has {inputs} inputs")

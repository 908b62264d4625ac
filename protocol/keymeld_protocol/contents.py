"""What is inside the sealed fields: strict JSON in one spelling, as payloads are, but in UTF-8.

    keygen.create terms ──▶ Terms        signing.request body ──▶ Body(Transaction(Spent), SignInput | SignMessage)
    keygen.join card ─────▶ Card         custody.refuse, signing.refuse detail ──▶ Detail
    keygen.join envelope ─▶ Policy       (contributions have their own form: see contributions.py)

The one spelling is that of JavaScript's ``JSON.stringify``: no spaces, fields in order, absent when there is nothing
to say; in strings only ``"``, ``\\`` and U+0000–U+001F are escaped (short where JSON has a short form, else
``\\u00xx``).  Lengths of text are counted in code points.  Unknown fields refuse everything.  Text may hold anything
that Unicode has: whoever shows it puts it through `printable.printable`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from .aead import OVERHEAD
from .errors import BadInput, Reason, bad_field
from .schnorr import tagged_hash
from .shapes import MAX_ITEMS, MAX_SUBSETS, VERSION, Rule, Shape, Version
from .values import Hash, Message, PlainKey, Salt, Signature, decode_sized, encode_sized

MAX_LABEL: Final = 64
MAX_TEXT: Final = 512
MAX_MONEY: Final = 21_000_000 * 100_000_000
MAX_INPUTS: Final = 1000
MAX_PLAINTEXT: Final = 640 * 1024 - OVERHEAD
"""Bytes that still fit a blob once they are sealed."""

Label: TypeAlias = Annotated[str, Meta(max_length=MAX_LABEL)]
Text: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT)]
Amount: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_MONEY)]
Index: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_INPUTS)]
Subset: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_SUBSETS)]
Network: TypeAlias = Literal["bitcoin", "testnet", "signet", "regtest"]
TermsTweak: TypeAlias = Literal["bip86", "none", "tree", "root"]
MAX_LEAVES: Final = 128
MAX_DEPTH: Final = 128

_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)


class HexBytes(bytes):
    """Bytes of varying length, at most ``limit``; on the wire lower-case hex."""

    limit: ClassVar[int] = 0

    @classmethod
    def from_hex(cls, text: object) -> Self:
        """Parse lower-case hex.

        Raises:
            ValueError: not a string, too long, upper case or not hex.
        """
        if not isinstance(text, str) or len(text) > 2 * cls.limit or not _HEX.fullmatch(text):
            raise ValueError(f"must be lower-case hex of at most {cls.limit} bytes")
        return cls(bytes.fromhex(text))


class RawTransaction(HexBytes):
    """An unsigned Bitcoin transaction without witnesses, at most 200,000 bytes."""

    limit = 100_000


class Script(HexBytes):
    """The script of an output that is spent, at most 10,000 bytes."""

    limit = 10_000


# The shapes -----------------------------------------------------------------------------------------------------


class Content(Shape, frozen=True, kw_only=True):
    """What every sealed shape begins with."""

    v: Version

    def check(self) -> None:
        """The rules that types cannot say.

        Raises:
            BadInput: naming the field and the rule.
        """


class Leaf(Shape, frozen=True, kw_only=True):
    """One leaf of a script tree; leaves are listed depth first."""

    depth: Annotated[int, Meta(ge=0, le=MAX_DEPTH)]
    version: Annotated[int, Meta(ge=0xC0, le=0xFE, multiple_of=2)]
    script: Script


class Terms(Content, frozen=True, kw_only=True):
    """What the creator proposes: a name, and what the aggregate key is for."""

    label: Label
    network: Network
    tweak: TermsTweak
    tree: Annotated[tuple[Leaf, ...], Meta(min_length=1, max_length=MAX_LEAVES)] | None = None
    root: Hash | None = None

    def check(self) -> None:
        """A tree belongs to ``tweak`` tree and a root to ``root``; the leaves are those of one tree."""
        if (self.tweak == "tree") != (self.tree is not None):
            raise bad_field("tree", "belongs to tweak tree, and only to it")
        if (self.tweak == "root") != (self.root is not None):
            raise bad_field("root", "belongs to tweak root, and only to it")
        if self.tree is not None:
            _check_tree(self.tree)


def _check_tree(leaves: tuple[Leaf, ...]) -> None:
    """The depths are those of one whole tree, depth first: each leaf fills the leftmost free place."""
    free = [0]
    for leaf in leaves:
        while free and free[-1] < leaf.depth:
            free += [free.pop() + 1] * 2
        if not free or free.pop() != leaf.depth:
            raise bad_field("tree", "the leaves are not the depth-first list of a tree")
    if free:
        raise bad_field("tree", "leaves are missing")


class Card(Content, frozen=True, kw_only=True):
    """A participant's public signing key, and the proof that it is held (`keys.possession_message`)."""

    pubkey: PlainKey
    label: Label
    possession: Signature


class Policy(Content, frozen=True, kw_only=True):
    """Under which rule an enclave may use the key it came with; ``salt`` hides it behind its public commitment.

    ``alone``: also for a subset of it alone; ``alone_blind``: also blind; ``accept_opaque_tweak``: also opaque tweaks.
    """

    salt: Salt
    rule: Rule
    alone: bool = False
    alone_blind: bool = False
    accept_opaque_tweak: bool = False

    def check(self) -> None:
        """The rule does not contradict itself; blind messages alone need the yes to be alone."""
        self.rule.check()
        if self.alone_blind and not self.alone:
            raise bad_field("alone_blind", "needs alone")


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

    path: Annotated[tuple[Annotated[int, Meta(ge=0, lt=2**31)], ...], Meta(min_length=1, max_length=8)]


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
Tweaks: TypeAlias = Annotated[tuple[Step, ...], Meta(max_length=8)]


class SignInput(Shape, frozen=True, kw_only=True, tag_field="sign", tag="input"):
    """Sign one input of a transaction; without ``subset`` with the key of all slots.

    ``tweaks`` are all tweaks of the item, in order; absent: the terms' one.
    """

    transaction: Index
    input: Index
    subset: Subset | None = None
    tweaks: Tweaks | None = None


class SignMessage(Shape, frozen=True, kw_only=True, tag_field="sign", tag="message"):
    """Sign 32 bytes that say nothing about themselves: a blind message."""

    message: Message
    subset: Subset | None = None
    tweaks: Tweaks | None = None


Item: TypeAlias = SignInput | SignMessage


class Body(Content, frozen=True, kw_only=True):
    """What a request asks to have signed, item by item."""

    transactions: Annotated[tuple[Transaction, ...], Meta(max_length=MAX_ITEMS)]
    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=MAX_ITEMS)]
    memo: Text

    def check(self) -> None:
        """Items name inputs that are there, none twice with one key, and no transaction is idle."""
        seen: set[tuple[int, int, int | None]] = set()
        for i, item in enumerate(self.items):
            if any(isinstance(step, Child) for step in (item.tweaks or ())[1:]):
                raise bad_field(f"items[{i}].tweaks", "a child can only be the first step")
            if isinstance(item, SignInput):
                self._check_input(f"items[{i}]", item)
                if (named := (item.transaction, item.input, item.subset)) in seen:
                    raise bad_field(f"items[{i}]", "asks for the signature of an earlier item")
                seen.add(named)
        idle = set(range(len(self.transactions))) - {named[0] for named in seen}
        if idle:
            raise bad_field(f"transactions[{min(idle)}]", "no item signs an input of it")

    def _check_input(self, field: str, item: SignInput) -> None:
        if item.transaction >= len(self.transactions):
            raise bad_field(f"{field}.transaction", f"the body has {len(self.transactions)} transactions")
        inputs = len(self.transactions[item.transaction].spent)
        if item.input >= inputs:
            raise bad_field(f"{field}.input", f"transaction {item.transaction} has {inputs} inputs")


class Detail(Content, frozen=True, kw_only=True):
    """Why somebody refused, for people."""

    message: Text


# Bytes and back -------------------------------------------------------------------------------------------------

_Content = TypeVar("_Content", bound=Content)


def encode(content: Content) -> bytes:
    """The content's one spelling, in UTF-8.

    Raises:
        BadInput: it breaks a rule of its shape, or is too long to be sealed.
    """
    try:
        raw = _encoder.encode(content)
    except UnicodeEncodeError:
        raise bad_field(_name(type(content)), "text holds half a character (a lone surrogate)") from None
    parse(type(content), raw)
    return raw


def parse(shape: type[_Content], raw: bytes) -> _Content:
    """Parse the content of an opened field, which must be in its one spelling.

    Raises:
        BadInput: too long, not UTF-8, not JSON, an unknown version or field, a field that breaks its rule, or another
            spelling.  The message names the field and never its value.
    """
    name = _name(shape)
    if len(raw) > MAX_PLAINTEXT:
        raise BadInput(Reason.TOO_BIG, f"at most {MAX_PLAINTEXT} bytes", field=name, limit=MAX_PLAINTEXT)
    try:
        content = _DECODERS[shape].decode(raw)
    except msgspec.ValidationError as error:
        raise _explain(name, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadInput(Reason.BAD_JSON, "is not JSON in UTF-8", field=name) from None
    if not isinstance(content, shape) or _encoder.encode(content) != raw:
        raise bad_field(name, "must be in its one spelling: fields in order, no spaces, no needless escapes")
    content.check()
    return content


def policy_commitment(raw: bytes) -> Hash:
    """The commitment in ``keygen.join``: over the policy's bytes as they lie in the envelope."""
    return Hash(tagged_hash("keymeld/policy/v1", raw))


def _decode_hex(kind: type, value: object) -> Any:
    return kind.from_hex(value) if issubclass(kind, HexBytes) else decode_sized(kind, value)


def _encode_hex(value: object) -> str:
    return value.hex() if isinstance(value, HexBytes) else encode_sized(value)


_encoder = msgspec.json.Encoder(enc_hook=_encode_hex)
_DECODERS: Final[dict[type[Content], msgspec.json.Decoder[Any]]] = {
    shape: msgspec.json.Decoder(shape, dec_hook=_decode_hex) for shape in (Terms, Card, Policy, Body, Detail)
}


def _name(shape: type[Content]) -> str:
    """What complaints call the whole of it."""
    return shape.__name__.lower()


_NAME: Final = re.compile(r"`([a-z_]{1,32})`")
_PATH: Final = re.compile(r"[a-z_.\[\]0-9]{0,64}", re.ASCII)


def _explain(name: str, complaint: str) -> BadInput:
    """Turn msgspec's complaint, ``rule - at `$.path```, into field and rule, without the values that it quotes."""
    rule, found, path = complaint.rpartition(" - at `$")
    rule, path = (rule, path.rstrip("`").lstrip(".")) if found and _PATH.fullmatch(path[:-1]) else (complaint, "")
    named = _NAME.search(rule)
    inner = ".".join(filter(None, (path, named[1] if named else ""))) or name
    if rule.startswith("Object missing required field"):
        return bad_field(inner, "is missing")
    if rule.startswith("Object contains unknown field"):
        return bad_field(inner, "is unknown" if named else "has a field that is unknown")
    if path == "v":
        return BadInput(Reason.UNKNOWN_VERSION, f"version must be {VERSION}", field="v")
    if rule.startswith("Invalid"):
        return bad_field(path or name, "is none of the words that belong here")
    return bad_field(path or name, rule)

"""What is inside the sealed fields: strict JSON in one spelling, as payloads are, but in UTF-8 (§9.1).

    keygen.create terms ──▶ Terms        signing.request body ──▶ Body (body.py)
    keygen.join card ─────▶ Card         custody.refuse, signing.refuse detail ──▶ Detail
    keygen.join envelope ─▶ Policy (policy.py)      contributions have their own form: see contributions.py

The one spelling is that of JavaScript's ``JSON.stringify``: no spaces, fields in order, absent when there is nothing
to say; in strings only ``"``, ``\\`` and U+0000–U+001F are escaped (short where JSON has a short form, else
``\\u00xx``).  Lengths of text are counted in code points.  Unknown fields refuse everything.  Text may hold anything
that Unicode has: whoever shows it puts it through `foreign.quoted`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Meta

from ..errors import BadInput, Reason, bad_field
from ..keys.aead import OVERHEAD
from ..values import Hash, PlainKey, Signature, decode_sized, encode_sized
from ..wire.shapes import Shape, Version, members_of, require_version
from ..wire.sizes import MAX_BLOB, MAX_CARD, MAX_DETAIL, MAX_TERMS

MAX_LABEL: Final = 64
MAX_TEXT: Final = 512
MAX_PLAINTEXT: Final = MAX_BLOB - OVERHEAD
"""Bytes that still fit the longest blob once they are sealed."""

Label: TypeAlias = Annotated[str, Meta(max_length=MAX_LABEL)]
Text: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT)]
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


class Script(HexBytes):
    """The script of an output that is spent, at most 10,000 bytes."""

    limit = 10_000


# The shapes -----------------------------------------------------------------------------------------------------


class Content(Shape, frozen=True, kw_only=True):
    """What every sealed shape begins with; ``MOST``: the bytes that still fit its field once they are sealed (§2.7)."""

    MOST: ClassVar[int] = MAX_PLAINTEXT

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

    MOST: ClassVar[int] = MAX_TERMS - OVERHEAD

    label: Label
    network: Network
    tweak: TermsTweak
    tree: Annotated[tuple[Leaf, ...], Meta(min_length=1, max_length=MAX_LEAVES)] | None = None
    root: Hash | None = None

    def check(self) -> None:
        """A tree belongs to ``tweak`` tree and a root to ``root``; the leaves are those of one tree (§9.2)."""
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

    MOST: ClassVar[int] = MAX_CARD - OVERHEAD

    pubkey: PlainKey
    label: Label
    possession: Signature


class Detail(Content, frozen=True, kw_only=True):
    """Why somebody refused, for people."""

    MOST: ClassVar[int] = MAX_DETAIL - OVERHEAD

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
    """Parse the content of an opened field, which must be in its one spelling (§9.1).

    Raises:
        BadInput: too long, not UTF-8, not JSON, an unknown version or field, a field that breaks its rule, or another
            spelling.  The message names the field and never its value.
    """
    name = _name(shape)
    if len(raw) > shape.MOST:
        raise BadInput(Reason.TOO_BIG, f"at most {shape.MOST} bytes", field=name, limit=shape.MOST)
    try:
        content = _decoded(shape, raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadInput(Reason.BAD_JSON, "is not JSON in UTF-8", field=name) from None
    if not isinstance(content, shape) or _encoder.encode(content) != raw:
        raise bad_field(name, "must be in its one spelling: fields in order, no spaces, no needless escapes")
    content.check()
    return content


def _decoded(shape: type[_Content], raw: bytes) -> _Content:
    """Decode a content that may be in another spelling.

    Raises:
        BadInput: another version before anything else (§12), or the field that is wrong.
        msgspec.DecodeError: it is not JSON.
    """
    try:
        return cast(_Content, _decoder(shape).decode(raw))
    except msgspec.ValidationError as error:
        require_version(members_of(raw))  # the whole of it: what is no JSON has no version
        raise _explain(_name(shape), str(error)) from None


@cache
def _decoder(shape: type[Content]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape, dec_hook=_decode_hex)


def _decode_hex(kind: type, value: object) -> Any:
    return kind.from_hex(value) if issubclass(kind, HexBytes) else decode_sized(kind, value)


def _encode_hex(value: object) -> str:
    return value.hex() if isinstance(value, HexBytes) else encode_sized(value)


_encoder = msgspec.json.Encoder(enc_hook=_encode_hex)


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
    if rule.startswith("Invalid"):
        return bad_field(path or name, "is none of the words that belong here")
    return bad_field(path or name, rule)

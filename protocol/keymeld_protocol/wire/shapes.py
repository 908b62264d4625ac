"""The shapes that payloads are made of: strict objects, sized fields, limits, and what every payload begins with.

A shape is a JSON object in one spelling: fields in the documented order, no unknown ones, absent when ``None``,
integers in 0…2⁵³−1, bytes as lower-case hex (§1.3, §3.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from ..errors import BadInput, Reason, bad_field
from ..values import Digest, Hash, Id, XOnlyKey

VERSION: Final = 1
MAX_SLOTS: Final = 1000
MAX_SUBSETS: Final = 200
MAX_ITEMS: Final = 1000
MAX_ATTEMPTS: Final = 16
MAX_JOINS: Final = 64
"""Joins that one slot may see, with those that were refused, released or replaced."""
MAX_NOTES: Final = 1000
"""Notes of one slot in one keygen."""
MAX_WORDS: Final = 64
"""Approvals and notes of one slot in one signing."""
MAX_WALLET_NOTES: Final = 10_000
"""Notes of one wallet."""
MAX_PAYLOAD: Final = 256 * 1024
REQUEST_LIFE_MS: Final = 7 * 24 * 3600 * 1000
MAX_DELAY_MS: Final = 6 * 24 * 3600 * 1000
"""A delay leaves a day of the longest request: behind a longer one a key would never sign."""
CLOCKS_APART_MS: Final = 600_000
"""How far the coordinator's clock may be ahead of a hearer's, when it lets a request live for its full seven days."""
MIN_GRACE_MS: Final = 500
MAX_GRACE_MS: Final = 60_000

Version: TypeAlias = Literal[1]
Slot: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_SLOTS)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Millis: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
AttemptNumber: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]
Code: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,31}\Z")]
Slots: TypeAlias = Annotated[tuple[Slot, ...], Meta(min_length=1, max_length=MAX_SLOTS)]

Suite: TypeAlias = Literal["musig2/1"]
CustodyKind: TypeAlias = Literal["sealed", "hybrid", "device"]
ContributionStep: TypeAlias = Literal["nonces", "psigs", "both", "signatures"]


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A strict JSON object: no unknown fields, absent optional fields are left out."""


class Rule(Shape, frozen=True, kw_only=True, dict=True):
    """Who must say yes before a key is used (§7.4): public in the join and equal inside the envelope."""

    approval: Literal["none", "self", "quorum"]
    threshold: Annotated[int, Meta(ge=1, le=MAX_SLOTS)] | None = None
    of: Slots | None = None
    delay_ms: Annotated[int, Meta(ge=1, le=MAX_DELAY_MS)] | None = None
    not_before: Millis | None = None
    not_after: Millis | None = None

    @cached_property
    def voters(self) -> int:
        """The slots of a quorum as bits: a thousand rules about a thousand slots each are judged in milliseconds."""
        return as_bits(self.of or ())

    def check(self) -> None:
        """A quorum has ``threshold`` of distinct, rising slots, other rules have neither field; windows do open (§7.4).

        Raises:
            BadInput: the rule contradicts itself.
        """
        if (self.approval == "quorum") != (self.threshold is not None and self.of is not None):
            raise bad_field("rule.threshold", "threshold and of belong to approval quorum, and only to it")
        if self.of is not None:
            check_rising("rule.of", self.of)
            if self.threshold is None or self.threshold > len(self.of):
                raise bad_field("rule.threshold", f"at most {len(self.of)}, the number of slots in rule.of")
        elif self.threshold is not None:
            raise bad_field("rule.threshold", "belongs to approval quorum")
        if self.not_before is not None and self.not_after is not None and self.not_before > self.not_after:
            raise bad_field("rule.not_before", "must not lie after rule.not_after")


class Signer(Shape, frozen=True, kw_only=True):
    """One signer of an attempt and the needed slots that it speaks for."""

    key: XOnlyKey
    slots: Slots


class Payload(Shape, frozen=True, kw_only=True, tag_field="kind"):
    """What every payload begins with: its kind, the version and who speaks (§3.2)."""

    BLOBS: ClassVar[Mapping[str, int]] = {}

    v: Version
    by: XOnlyKey

    @property
    def kind(self) -> str:
        """The statement's kind, such as ``keygen.join``."""
        tag = self.__struct_config__.tag
        return str(tag)

    def check(self) -> None:
        """The rules of this kind that types cannot say.

        Raises:
            BadInput: naming the field and the rule.
        """

    def blob_fields(self) -> tuple[str, ...]:
        """The fields of the blobs that travel with this payload, in order."""
        return tuple(name for name in self.BLOBS if getattr(self, name) is not None)

    def blob_digests(self) -> tuple[Digest, ...]:
        """SHA-256 of each blob that travels with this payload, in order."""
        return tuple(getattr(self, name) for name in self.blob_fields())

    def signed_by(self) -> tuple[XOnlyKey, ...]:
        """The keys that sign this payload, in the order of the signatures."""
        return (self.by,)


class Said(Payload, frozen=True, kw_only=True):
    """A payload in an existing stream: ``after`` is the hash of the latest record the speaker had verified (§3.2)."""

    stream: Id
    after: Hash


def as_bits(slots: Iterable[int]) -> int:
    """Slots as a set that is compared in one step: bit i for slot i."""
    bits = 0
    for slot in slots:
        bits |= 1 << slot
    return bits


def check_rising(field: str, slots: tuple[int, ...]) -> None:
    """Slots are strictly rising, so that one set has one spelling (§1.3).

    Raises:
        BadInput: naming ``field``.
    """
    if any(a >= b for a, b in pairwise(slots)):
        raise bad_field(field, "slots must be strictly rising")


def members_of(text: str | bytes) -> dict[str, msgspec.Raw]:
    """The members of a JSON object, unread: the last of each name; none where it is something else.

    Raises:
        msgspec.DecodeError: it is not JSON.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return {}


def require_version(members: Mapping[str, msgspec.Raw]) -> None:
    """Meet a later version before anything else of an object (§12); where ``v`` is missing, nothing is said here.

    Raises:
        BadInput: ``unknown_version``; or ``bad_field``, where the number is ours in another spelling.
    """
    told = bytes(members.get("v", b"1"))
    if told == b"%d" % VERSION:
        return
    if msgspec.json.decode(told) == VERSION and told != b"true":
        raise bad_field("v", "must be in its one spelling")
    message = f"v: needs a newer version of Keymeld; this one reads version {VERSION}"
    raise BadInput(Reason.UNKNOWN_VERSION, message, field="v")


_PATH: Final = re.compile(r" - at `(\$[A-Za-z0-9_.\[\]]{0,100})`\Z")
_NAMED: Final = re.compile(r"field `([A-Za-z0-9_]{1,64})`\Z")


def split_complaint(error: msgspec.ValidationError) -> tuple[str, str]:
    """Field and rule of a msgspec error, whose text is ``rule - at `$.field```.

    What a stranger wrote is not repeated: neither odd names of fields nor the values that msgspec quotes come back.
    """
    rule = str(error)
    found = _PATH.search(rule)
    field = "" if found is None else found[1].removeprefix("$").removeprefix(".")
    rule = rule if found is None else rule[: found.start()]
    for complaint, short in (
        ("Object missing required field", "is missing"),
        ("Object contains unknown field", "is unknown"),
    ):
        if rule.startswith(complaint):
            named = _NAMED.search(rule)
            return ".".join(filter(None, (field, "field" if named is None else named[1]))), short
    return field or "payload", "is none of the words that belong here" if rule.startswith("Invalid") else rule

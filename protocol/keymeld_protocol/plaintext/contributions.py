"""What a signer contributes to each item: one tag byte and values of fixed length, item after item (§10.4).

    0 nothing · 1 pubnonce(66) · 2 psig(32) · 3 pubnonce(66) ‖ psig(32) · 4 signature(64) · 255 u8 length ‖ code
    for an adaptor point: 5 pubnonce(66) ‖ proof(64) · 6 pubnonce(66) ‖ proof(64) ‖ psig(32) · 7 pre-signature(65)

This is the plaintext of ``signing.contribute``'s values: as many entries as the request has places (one for each item,
of an ``or`` one for each point), and not a byte more.  Whether points and scalars are any is said by who verifies them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ..curve.libsecp256k1 import sized
from ..errors import BadInput, Reason, bad_field
from ..wire.shapes import MAX_ITEMS

PUBNONCE: Final = 66
PSIG: Final = 32
SIGNATURE: Final = 64
PROOF: Final = 64
PRESIGNATURE: Final = 65

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Nothing:
    """This signer has no part in the item, or not in this step."""


@dataclass(frozen=True, slots=True)
class Nonce:
    """A public nonce (66 bytes: two points), for an adaptor point with its ``proof`` (64 bytes).

    Another length raises InvalidCrypto, here and below.
    """

    pubnonce: bytes
    proof: bytes | None = None

    def __post_init__(self) -> None:
        sized(self.pubnonce, PUBNONCE, "pubnonce")
        if self.proof is not None:
            sized(self.proof, PROOF, "proof")


@dataclass(frozen=True, slots=True)
class Psig:
    """A partial signature (32 bytes: a scalar)."""

    psig: bytes

    def __post_init__(self) -> None:
        sized(self.psig, PSIG, "psig")


@dataclass(frozen=True, slots=True)
class Both:
    """The last signer's public nonce, for an adaptor point with its ``proof``, and partial signature in one."""

    pubnonce: bytes
    psig: bytes
    proof: bytes | None = None

    def __post_init__(self) -> None:
        sized(self.pubnonce, PUBNONCE, "pubnonce")
        sized(self.psig, PSIG, "psig")
        if self.proof is not None:
            sized(self.proof, PROOF, "proof")


@dataclass(frozen=True, slots=True)
class Finished:
    """The item's whole signature (64 bytes)."""

    signature: bytes

    def __post_init__(self) -> None:
        sized(self.signature, SIGNATURE, "signature")


@dataclass(frozen=True, slots=True)
class Prefinished:
    """The whole pre-signature for an adaptor point (65 bytes)."""

    presignature: bytes

    def __post_init__(self) -> None:
        sized(self.presignature, PRESIGNATURE, "pre-signature")


@dataclass(frozen=True, slots=True)
class Failed:
    """This signer cannot sign the item; ``code`` is 1 to 32 characters of a–z, 0–9 and _, a letter first.

    ``by`` are his slots, where it is known who says so; they are not written down, since his statement says them.
    """

    code: str
    by: tuple[int, ...] | None = field(default=None, compare=False)


Entry: TypeAlias = Nothing | Nonce | Psig | Both | Finished | Prefinished | Failed


def encode(entries: Sequence[Entry]) -> bytes:
    """Write one entry per place, in order.

    Raises:
        BadInput: no entry, more than 1,000, or a code that breaks its rule.
    """
    if not 1 <= len(entries) <= MAX_ITEMS:
        raise bad_field("values", f"must be 1 to {MAX_ITEMS} entries")
    return b"".join(_write(entry, f"values[{index}]") for index, entry in enumerate(entries))


def decode(raw: bytes, places: int) -> tuple[Entry, ...]:
    """Read exactly ``places`` entries (§10.4).

    Raises:
        BadInput: an unknown tag, an entry that is cut off, a code that breaks its rule, or bytes after the last entry.
    """
    reader = _Reader(raw)
    entries = tuple(reader.entry(f"values[{index}]") for index in range(places))
    if reader.left:
        raise BadInput(Reason.TOO_BIG, f"{reader.left} bytes follow the last of {places} entries", field="values")
    return entries


def _write(entry: Entry, field: str) -> bytes:
    """One entry's bytes."""
    match entry:
        case Nothing():
            return b"\x00"
        case Nonce(pubnonce, proof):
            return b"\x01" + pubnonce if proof is None else b"\x05" + pubnonce + proof
        case Psig(psig):
            return b"\x02" + psig
        case Both(pubnonce, psig, proof):
            return b"\x03" + pubnonce + psig if proof is None else b"\x06" + pubnonce + proof + psig
        case Finished(signature):
            return b"\x04" + signature
        case Prefinished(presignature):
            return b"\x07" + presignature
        case Failed(code):
            return bytes([255, len(_checked(code, field))]) + code.encode()


def _checked(code: str, field: str) -> str:
    """A code that keeps its rule."""
    if not _CODE.fullmatch(code):
        raise bad_field(field, "a code is 1 to 32 characters of a–z, 0–9 and _, a letter first")
    return code


class _Reader:
    """Walks over the bytes of a contribution."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.raw) - self.at

    def entry(self, field: str) -> Entry:
        """The next entry; complaints name ``field``."""
        match self.take(1, field)[0]:
            case 0:
                return Nothing()
            case 1:
                return Nonce(self.take(PUBNONCE, field))
            case 2:
                return Psig(self.take(PSIG, field))
            case 3:
                return Both(self.take(PUBNONCE, field), self.take(PSIG, field))
            case 4:
                return Finished(self.take(SIGNATURE, field))
            case 5:
                return Nonce(self.take(PUBNONCE, field), self.take(PROOF, field))
            case 6:
                pubnonce, proof = self.take(PUBNONCE, field), self.take(PROOF, field)
                return Both(pubnonce, self.take(PSIG, field), proof)
            case 7:
                return Prefinished(self.take(PRESIGNATURE, field))
            case 255:
                return Failed(_checked(self.take(self.take(1, field)[0], field).decode("latin-1"), field))
            case tag:
                raise bad_field(field, f"no entry has the tag {tag}")

    def take(self, size: int, field: str) -> bytes:
        """The next ``size`` bytes."""
        if size > self.left:
            raise bad_field(field, f"is cut off: {size} bytes are needed, {self.left} are left")
        self.at += size
        return self.raw[self.at - size : self.at]

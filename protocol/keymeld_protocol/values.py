"""Sized byte values: the type carries the 32, 33 and 64.

On the wire a sized value is lower-case hex (two characters a byte), a blob is base64url without padding.  The
constructors check lengths once; whoever holds an ``XOnlyKey`` need not check again.
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import Any, ClassVar, Self

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


class Sized(bytes):
    """Immutable bytes of exactly ``size`` bytes; subclasses are the protocol's vocabulary."""

    size: ClassVar[int] = 0

    def __new__(cls, raw: bytes) -> Self:
        """Take ``raw`` as it is.

        Raises:
            ValueError: ``raw`` has another length.
        """
        if len(raw) != cls.size:
            raise ValueError(f"must be {cls.size} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def from_hex(cls, text: object) -> Self:
        """Parse exactly ``2 × size`` lower-case hex characters.

        Raises:
            ValueError: not a string, another length, upper case or not hex.
        """
        if isinstance(text, str) and len(text) == 2 * cls.size:
            try:
                raw = bytes.fromhex(text)
            except ValueError:
                raw = b""
            if raw.hex() == text:  # neither upper case nor spaces
                return super().__new__(cls, raw)
        raise ValueError(f"must be {2 * cls.size} lower-case hex characters ({cls.size} bytes)")

    def __repr__(self) -> str:
        """The type and the first bytes: enough to tell values apart in a test's output."""
        return f"{type(self).__name__}({self.hex()[:12]}…)"


class Id(Sized):
    """32 bytes: a statement's id; the id of the statement that opened a session is the session's name."""

    size = 32


class Hash(Sized):
    """32 bytes: a record's hash, the roster, a commitment or another tagged hash."""

    size = 32


class Digest(Sized):
    """32 bytes: SHA-256 of a blob that travels beside its payload."""

    size = 32


class XOnlyKey(Sized):
    """32 bytes: an x-only public key (BIP-340); every key but the signing keys."""

    size = 32


class PlainKey(Sized):
    """33 bytes: a compressed public key (BIP-327 *plain*): the keys that are aggregated."""

    size = 33


class Signature(Sized):
    """64 bytes: a BIP-340 signature."""

    size = 64


class PreSignature(Sized):
    """65 bytes: a pre-signature, the final nonce with its parity ‖ s'; a secret completes it (adaptor.py)."""

    size = 65


class Epoch(Sized):
    """16 bytes: the store's epoch; changes only when history was lost or a backup restored."""

    size = 16


class Salt(Sized):
    """32 random bytes."""

    size = 32


class Message(Sized):
    """32 bytes: what an item signs."""

    size = 32


def digest(blob: bytes) -> Digest:
    """SHA-256 of ``blob``: the name under which a payload refers to it."""
    return Digest(sha256(blob).digest())


def to_base64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Parse base64url without padding, in its one canonical spelling.

    Raises:
        ValueError: padding, a foreign character, or bits that no byte holds.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("must be base64url without padding")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("must be base64url without padding") from None
    if to_base64url(raw) != text:
        raise ValueError("must be base64url in its canonical form")
    return raw


def decode_sized(kind: type, value: object) -> Any:
    """msgspec ``dec_hook``: hex to the sized type that the field asks for."""
    if issubclass(kind, Sized):
        return kind.from_hex(value)
    raise NotImplementedError(f"no wire form for {kind.__name__}")


def encode_sized(value: object) -> str:
    """msgspec ``enc_hook``: a sized value to lower-case hex."""
    if isinstance(value, Sized):
        return value.hex()
    raise NotImplementedError(f"no wire form for {type(value).__name__}")

"""The binding of libsecp256k1: our own context, and points in libsecp256k1's own form.

Nothing else in the project imports the binding. cffi hands over a pointer and checks no length, so a short input would
be read past its end: whoever calls ``lib`` calls `sized` first. Misuse of libsecp256k1 ends the process by default;
``CONTEXT`` makes it return 0 instead. `secp256k1`, `schnorr`, `libmusig` and `musig_secret` stand on this file, and
everything else on those.
"""

from collections.abc import Sequence
from functools import lru_cache
from os import urandom
from typing import Any

from coincurve._libsecp256k1 import ffi, lib

from ..errors import InvalidCrypto

__all__ = [
    "CONTEXT",
    "Bytes",
    "CData",
    "add_generator",
    "combine",
    "ffi",
    "lib",
    "multiply",
    "negate",
    "parse_point",
    "serialize_point",
    "sized",
]

CData = Any
"""A cffi object of libsecp256k1's; it has no type that a checker could see."""

Bytes = bytes | bytearray | memoryview
"""Anything that lends out its bytes."""

_POINTS_KEPT = 4096  # parsed points that stay at hand, about 200 bytes each: parsing takes a square root, 4 µs


@ffi.callback("void(*)(const char *, void *)")  # type: ignore[untyped-decorator, unused-ignore]
def _misuse(message: CData, data: CData) -> None:
    """Take note of nothing: the call that was misused returns 0, and its wrapper raises."""


def _new_context() -> CData:
    """Make a blinded context that survives misuse; it lives as long as the process."""
    context = lib.secp256k1_context_create(lib.SECP256K1_CONTEXT_NONE)
    lib.secp256k1_context_set_illegal_callback(context, _misuse, ffi.NULL)
    if not lib.secp256k1_context_randomize(context, urandom(32)):
        raise InvalidCrypto("libsecp256k1 refused to randomise its context")
    return context


CONTEXT: CData = _new_context()
"""Our own context: an illegal argument returns 0 instead of ending the process; blinded against side channels."""


def sized(value: Bytes, size: int, name: str) -> None:
    """Refuse a ``value`` that is not ``size`` bytes long, calling it ``name``.

    Raises:
        InvalidCrypto: the length differs.
    """
    if len(value) != size:
        raise InvalidCrypto(f"{name}: {size} bytes are needed, {len(value)} were given")


@lru_cache(_POINTS_KEPT)
def parse_point(point: bytes) -> CData:
    """Parse a compressed point (33 bytes) to libsecp256k1's form, which callers share and never change.

    Raises:
        InvalidCrypto: not 33 bytes, or not a point of the curve.
    """
    sized(point, 33, "point")
    pubkey = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_parse(CONTEXT, pubkey, point, 33):
        raise InvalidCrypto("point: not on the curve")
    return pubkey


def serialize_point(pubkey: CData) -> bytes:
    """Write a parsed point as 33 bytes."""
    point = ffi.new("unsigned char[33]")
    size = ffi.new("size_t *", 33)
    lib.secp256k1_ec_pubkey_serialize(CONTEXT, point, size, pubkey, lib.SECP256K1_EC_COMPRESSED)
    return bytes(ffi.buffer(point))


def combine(pubkeys: Sequence[CData]) -> CData | None:
    """Add parsed points; ``None`` is infinity, as is the sum of none."""
    total = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_combine(CONTEXT, total, ffi.new("secp256k1_pubkey *[]", pubkeys), len(pubkeys)):
        return None
    return total


def multiply(pubkey: CData, scalar: bytes) -> CData:
    """Multiply a parsed point by a public ``scalar`` (32 bytes); the time it takes depends on the scalar.

    Raises:
        InvalidCrypto: the scalar is not 32 bytes, is 0, or is not below the group's order.
    """
    sized(scalar, 32, "scalar")
    product = ffi.new("secp256k1_pubkey *", pubkey[0])
    if not lib.secp256k1_ec_pubkey_tweak_mul(CONTEXT, product, scalar):
        raise InvalidCrypto("scalar: 0, or not below the group's order")
    return product


def add_generator(pubkey: CData, scalar: bytes) -> CData:
    """Add ``scalar``·G to a parsed point; the time it takes depends on the scalar, which may be 0.

    Raises:
        InvalidCrypto: the scalar is not 32 bytes or not below the group's order, or the sum is infinity.
    """
    sized(scalar, 32, "scalar")
    total = ffi.new("secp256k1_pubkey *", pubkey[0])
    if not lib.secp256k1_ec_pubkey_tweak_add(CONTEXT, total, scalar):
        raise InvalidCrypto("scalar: not below the group's order, or the sum is infinity")
    return total


def negate(pubkey: CData) -> CData:
    """Negate a parsed point."""
    opposite = ffi.new("secp256k1_pubkey *", pubkey[0])
    lib.secp256k1_ec_pubkey_negate(CONTEXT, opposite)
    return opposite

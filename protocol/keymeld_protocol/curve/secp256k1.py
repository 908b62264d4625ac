"""The door to secp256k1: bytes in, bytes out, or InvalidCrypto.

    bytes ──► length checked ──► libsecp256k1 ──► bytes

Points are BIP-327 *plain* keys of 33 bytes; infinity is ``None``. Secret scalars are 32 bytes in a ``bytearray``, are
combined only by libsecp256k1's constant-time functions, and are never Python integers. `Secret` holds one for longer
than a function lasts.
"""

from collections.abc import Callable
from os import urandom
from types import TracebackType
from typing import NoReturn, Self

from ..errors import InvalidCrypto
from .libsecp256k1 import (
    CONTEXT,
    Bytes,
    CData,
    add_generator,
    combine,
    ffi,
    lib,
    multiply,
    negate,
    parse_point,
    serialize_point,
    sized,
)

__all__ = [
    "Bytes",
    "Holder",
    "Secret",
    "ecdh",
    "has_even_y",
    "lift_x",
    "parse_point",
    "point_add",
    "point_mul",
    "point_negate",
    "point_tweak_add",
    "pubkey_of",
    "seckey_negate",
    "seckey_tweak_add",
    "seckey_tweak_mul",
    "seckey_verify",
    "wipe",
    "xonly",
]

# ---------------------------------------------------------------------------------------------------- public points


def point_add(*points: bytes) -> bytes | None:
    """Add points (33 bytes each); ``None`` is infinity.

    Raises:
        InvalidCrypto: one of them is no point.
    """
    total = combine([parse_point(point) for point in points])
    return None if total is None else serialize_point(total)


def point_mul(point: bytes, scalar: bytes) -> bytes:
    """Multiply a point (33 bytes) by a public scalar (32 bytes), in variable time.

    Raises:
        InvalidCrypto: no point; or the scalar is not 32 bytes, is 0, or is not below the group's order.
    """
    return serialize_point(multiply(parse_point(point), scalar))


def point_tweak_add(point: bytes, tweak: bytes) -> bytes:
    """Add ``tweak``·G to a point (33 bytes), in variable time.

    Raises:
        InvalidCrypto: no point; the tweak is not 32 bytes or not below the group's order; the sum is infinity.
    """
    return serialize_point(add_generator(parse_point(point), tweak))


def point_negate(point: bytes) -> bytes:
    """Negate a point (33 bytes).

    Raises:
        InvalidCrypto: no point.
    """
    return serialize_point(negate(parse_point(point)))


def has_even_y(point: bytes) -> bool:
    """Say whether a point (33 bytes) has an even y coordinate.

    Raises:
        InvalidCrypto: no point.
    """
    parse_point(point)
    return point[0] == 2


def xonly(point: bytes) -> bytes:
    """Give the x coordinate (32 bytes) of a point (33 bytes).

    Raises:
        InvalidCrypto: no point.
    """
    parse_point(point)
    return point[1:]


def lift_x(x: bytes) -> bytes:
    """Give the point (33 bytes) of even y that has this x coordinate (32 bytes): BIP-340's ``lift_x``.

    Raises:
        InvalidCrypto: not 32 bytes, or no point of the curve has that x.
    """
    sized(x, 32, "x-only key")
    point = b"\x02" + x
    parse_point(point)
    return point


# --------------------------------------------------------------------------------------------------- secret scalars


def wipe(buffer: bytearray | memoryview) -> None:
    """Overwrite a secret in place with zeros; its length stays."""
    buffer[:] = bytes(len(buffer))


def seckey_verify(seckey: Bytes) -> bool:
    """Say whether this is a secret key: 32 bytes, not 0, below the group's order."""
    return len(seckey) == 32 and bool(lib.secp256k1_ec_seckey_verify(CONTEXT, ffi.from_buffer(seckey)))


def pubkey_of(seckey: Bytes) -> bytes:
    """Give the point (33 bytes) of a secret key (32 bytes), in constant time.

    Raises:
        InvalidCrypto: not a secret key.
    """
    sized(seckey, 32, "secret key")
    pubkey = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_create(CONTEXT, pubkey, ffi.from_buffer(seckey)):
        raise InvalidCrypto("secret key: 0, or not below the group's order")
    return serialize_point(pubkey)


def seckey_tweak_add(seckey: bytearray, tweak: Bytes) -> None:
    """Add ``tweak`` (32 bytes, may be 0) to a secret key in place, modulo the group's order, in constant time.

    Raises:
        InvalidCrypto: a length is wrong, a value is out of range, or the sum is 0; the secret key has been wiped.
    """
    _tweak(lib.secp256k1_ec_seckey_tweak_add, seckey, tweak)


def seckey_tweak_mul(seckey: bytearray, tweak: Bytes) -> None:
    """Multiply a secret key in place by ``tweak`` (32 bytes), modulo the group's order, in constant time.

    Raises:
        InvalidCrypto: a length is wrong, or a value is 0 or out of range; the secret key has been wiped.
    """
    _tweak(lib.secp256k1_ec_seckey_tweak_mul, seckey, tweak)


def _tweak(combined: Callable[[CData, CData, CData], int], seckey: bytearray, tweak: Bytes) -> None:
    """Run one of the two tweak functions; on any failure wipe the secret key and raise InvalidCrypto."""
    if len(seckey) != 32 or len(tweak) != 32:
        wipe(seckey)
        raise InvalidCrypto("secret key or tweak: 32 bytes are needed")
    if not combined(CONTEXT, ffi.from_buffer(seckey), ffi.from_buffer(tweak)):
        wipe(seckey)
        raise InvalidCrypto("secret key or tweak: out of range, or the result is 0")


def seckey_negate(seckey: bytearray) -> None:
    """Negate a secret key in place, in constant time.

    Raises:
        InvalidCrypto: not a secret key; the buffer has been wiped.
    """
    if len(seckey) == 32 and lib.secp256k1_ec_seckey_negate(CONTEXT, ffi.from_buffer(seckey)):
        return
    wipe(seckey)
    raise InvalidCrypto("secret key: not 32 bytes, 0, or not below the group's order")


def ecdh(seckey: Bytes, point: bytes) -> bytearray:
    """Agree on 32 secret bytes with the owner of ``point``: SHA-256 of the compressed product, in constant time.

    Raises:
        InvalidCrypto: not a secret key (32 bytes), or no point (33 bytes).
    """
    sized(seckey, 32, "secret key")
    shared = bytearray(32)
    theirs = parse_point(point)
    if not lib.secp256k1_ecdh(CONTEXT, ffi.from_buffer(shared), theirs, ffi.from_buffer(seckey), ffi.NULL, ffi.NULL):
        raise InvalidCrypto("secret key: 0, or not below the group's order")
    return shared


# ------------------------------------------------------------------------------------------------ holders of secrets


class Holder:
    """Something that holds a secret; a ``with`` block wipes it at its end, and so does its last reference."""

    __slots__ = ()

    def wipe(self) -> None:
        """Overwrite the secret; the holder is of no use afterwards. Wiping twice is fine."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        try:  # noqa: SIM105  (at the interpreter's end `suppress` itself is gone)
            self.wipe()
        except (AttributeError, TypeError):  # its making failed before it held anything, or `wipe` is gone too
            pass

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __copy__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is never copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is never copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is never pickled")


class Secret(Holder):
    """A secret scalar: 32 bytes, not 0, below the group's order.

    ``buffer`` lends its bytes to `secp256k1`, which may change them in place. Two secrets are equal only if they
    are the same object.
    """

    __slots__ = ("buffer",)

    def __init__(self, secret: Bytes) -> None:
        """Copy a scalar (32 bytes) in; the caller wipes the original.

        Raises:
            InvalidCrypto: not 32 bytes, 0, or not below the group's order.
        """
        self.buffer = bytearray(secret)
        if not seckey_verify(self.buffer):
            self.wipe()
            raise InvalidCrypto("secret: not 32 bytes, 0, or not below the group's order")

    @classmethod
    def generate(cls) -> Self:
        """Draw a fresh scalar from the operating system."""
        return cls(urandom(32))

    @property
    def point(self) -> bytes:
        """The public point (33 bytes), computed anew each time.

        Raises:
            InvalidCrypto: the secret was wiped.
        """
        return pubkey_of(self.buffer)

    def wipe(self) -> None:
        """Overwrite the scalar with zeros, which libsecp256k1 refuses from then on."""
        wipe(self.buffer)

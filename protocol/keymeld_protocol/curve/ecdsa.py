"""ECDSA for scripts older than taproot: one key, one message, low s.

    Secret ──► sign (RFC 6979 and 32 fresh random bytes) ──► r ‖ s (64) ──► verify(signature, message, point)
                                                                  └──► der ⇄ compact

The protocol carries the compact form; ``der`` is what Bitcoin's scripts and most libraries take.
"""

from __future__ import annotations

from os import urandom

from ..errors import InvalidCrypto
from .libsecp256k1 import CONTEXT, CData, ffi, lib, parse_point, sized
from .secp256k1 import Secret

_LONGEST = 72  # bytes of a DER signature whose numbers both begin with a zero byte


def sign(message: bytes, secret: Secret, extra: bytes | None = None) -> bytes:
    """Sign ``message`` (32 bytes); returns r ‖ s (64 bytes), s in the lower half of the order.

    The nonce is RFC 6979's, with ``extra`` (32 bytes) mixed in: fresh random ones, unless a published vector has its
    own. Empty, it is RFC 6979's alone.

    Raises:
        InvalidCrypto: the message or ``extra`` is not 32 bytes, or the secret was wiped.
    """
    sized(message, 32, "message")
    mixed = urandom(32) if extra is None else extra
    if mixed:
        sized(mixed, 32, "extra")
    parsed = ffi.new("secp256k1_ecdsa_signature *")
    seckey, data = ffi.from_buffer(secret.buffer), ffi.from_buffer(mixed) if mixed else ffi.NULL
    if not lib.secp256k1_ecdsa_sign(CONTEXT, parsed, message, seckey, lib.secp256k1_nonce_function_rfc6979, data):
        raise InvalidCrypto("secret: it was wiped")
    return _compact(parsed)


def verify(signature: bytes, message: bytes, point: bytes) -> bool:
    """Say whether ``signature`` (r ‖ s, 64 bytes) over ``message`` (32 bytes) was made by the owner of ``point`` (33).

    One with high s is none: whoever relays it could make it from the one with low s, and nodes do not relay it.
    Anything of another length, or that is no key, is no signature: False.
    """
    if len(message) != 32:
        return False
    try:
        parsed, key = _parse(signature), parse_point(point)
    except InvalidCrypto:
        return False
    return bool(lib.secp256k1_ecdsa_verify(CONTEXT, parsed, message, key))  # refuses high s by itself


def der(signature: bytes) -> bytes:
    """Write a compact signature (64 bytes) as strict DER (BIP-66, at most 72 bytes), without a sighash byte.

    Raises:
        InvalidCrypto: not 64 bytes, or a number is not below the group's order.
    """
    written, size = ffi.new(f"unsigned char[{_LONGEST}]"), ffi.new("size_t *", _LONGEST)
    lib.secp256k1_ecdsa_signature_serialize_der(CONTEXT, written, size, _parse(signature))
    return bytes(ffi.buffer(written, size[0]))


def compact(encoded: bytes) -> bytes:
    """Read a strict DER signature, without a sighash byte; returns r ‖ s (64 bytes), whether s is low or high.

    Raises:
        InvalidCrypto: not the one spelling that `der` writes.
    """
    parsed = ffi.new("secp256k1_ecdsa_signature *")
    if lib.secp256k1_ecdsa_signature_parse_der(CONTEXT, parsed, encoded, len(encoded)):
        signature = _compact(parsed)
        if der(signature) == encoded:
            return signature
    raise InvalidCrypto("signature: not strict DER, or a number is not below the group's order")


def _parse(signature: bytes) -> CData:
    """Read r ‖ s.

    Raises:
        InvalidCrypto: not 64 bytes, or a number is not below the group's order.
    """
    sized(signature, 64, "signature")
    parsed = ffi.new("secp256k1_ecdsa_signature *")
    if not lib.secp256k1_ecdsa_signature_parse_compact(CONTEXT, parsed, signature):
        raise InvalidCrypto("signature: a number is not below the group's order")
    return parsed


def _compact(parsed: CData) -> bytes:
    """Write r ‖ s (64 bytes)."""
    signature = ffi.new("unsigned char[64]")
    lib.secp256k1_ecdsa_signature_serialize_compact(CONTEXT, signature, parsed)
    return bytes(ffi.buffer(signature))

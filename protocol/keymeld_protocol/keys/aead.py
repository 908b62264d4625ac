"""XChaCha20-Poly1305 (IETF) of libsodium: one key, one text, bound to associated data (§8.3, §8.4).

    sealed = nonce(24) ‖ ciphertext ‖ tag(16)

PyNaCl's own functions take and return ``bytes``, which cannot be wiped.  This file hands libsodium the buffers
themselves, so that keys and opened texts stay in ``bytearray``.  It is the only one that imports PyNaCl.
"""

from __future__ import annotations

from os import urandom
from typing import Final

from nacl._sodium import ffi, lib  # type: ignore[import-not-found, unused-ignore]
from nacl.bindings import sodium_init

from ..curve.libsecp256k1 import Bytes, sized
from ..errors import InvalidCrypto

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 24
TAG_SIZE: Final = 16
OVERHEAD: Final = NONCE_SIZE + TAG_SIZE
"""Bytes by which a sealed text is longer than its plaintext."""

sodium_init()


def seal(key: Bytes, plaintext: Bytes, data: bytes) -> bytes:
    """Encrypt under a fresh random nonce; returns `OVERHEAD` bytes more than ``plaintext``.

    Raises:
        InvalidCrypto: the key is not 32 bytes, as when it was wiped.
    """
    sized(key, KEY_SIZE, "key")
    nonce = urandom(NONCE_SIZE)
    box = bytearray(len(plaintext) + TAG_SIZE)
    text, secret = ffi.from_buffer(plaintext), ffi.from_buffer(key)
    lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
        ffi.from_buffer(box), ffi.NULL, text, len(plaintext), data, len(data), ffi.NULL, nonce, secret
    )
    return nonce + bytes(box)


def open_sealed(key: Bytes, sealed: Bytes, data: bytes) -> bytearray:
    """Decrypt what `seal` made with the same key and data; the caller wipes the result if it is secret.

    Raises:
        InvalidCrypto: too short, or another key, other data, or altered bytes; says no more than that.
    """
    sized(key, KEY_SIZE, "key")
    if len(sealed) < OVERHEAD:
        raise InvalidCrypto(f"sealed text: at least {OVERHEAD} bytes are needed, {len(sealed)} were given")
    nonce, box = bytes(sealed[:NONCE_SIZE]), bytes(sealed[NONCE_SIZE:])
    plaintext = bytearray(len(box) - TAG_SIZE)
    text, secret = ffi.from_buffer(plaintext), ffi.from_buffer(key)
    failed = lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
        text, ffi.NULL, ffi.NULL, box, len(box), data, len(data), nonce, secret
    )
    if failed:
        raise InvalidCrypto("sealed text: does not open with this key in this place")
    return plaintext

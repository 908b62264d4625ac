"""BIP-340: the tagged hash, signing and verifying, and the keypair that signs.

    Keypair.sign(message) ──► signature (64) ──► verify(signature, message, key) ──► True

The coordinator may import this file; it holds no other curve arithmetic. Messages are always 32 bytes: whatever is
longer is put through a tagged hash first.
"""

from functools import lru_cache
from hashlib import sha256
from os import urandom
from typing import Any

from ..errors import InvalidCrypto
from .libsecp256k1 import CONTEXT, Bytes, CData, ffi, lib, serialize_point, sized
from .secp256k1 import Holder, Secret


@lru_cache(256)
def _tagged(tag: str) -> Any:
    """Run SHA-256 over one block that says what is hashed; whoever continues it takes a copy."""
    name = sha256(tag.encode()).digest()
    return sha256(name + name)


def tagged_hash(tag: str, data: Bytes) -> bytes:
    """Hash ``data`` to 32 bytes under a tag of our own code (never a stranger's): BIP-340's ``hash_tag(x)``."""
    state = _tagged(tag).copy()
    state.update(data)
    digest: bytes = state.digest()
    return digest


@lru_cache(1024)
def _parse_xonly(key: bytes) -> CData | None:
    """Parse an x-only key (32 bytes); ``None`` if no point has that x."""
    parsed = ffi.new("secp256k1_xonly_pubkey *")
    return parsed if len(key) == 32 and lib.secp256k1_xonly_pubkey_parse(CONTEXT, parsed, key) else None


def verify(signature: bytes, message: bytes, key: bytes) -> bool:
    """Say whether ``signature`` (64 bytes) over ``message`` (32 bytes) was made with x-only ``key`` (32 bytes).

    Anything of another length, or that is no key, is no signature: False.
    """
    if len(signature) != 64 or len(message) != 32:
        return False
    parsed = _parse_xonly(key)
    return parsed is not None and bool(lib.secp256k1_schnorrsig_verify(CONTEXT, signature, message, 32, parsed))


class Keypair(Holder):
    """What signs: a secret and its public key in libsecp256k1's form.

    ``key`` is the x-only public key (32 bytes) under which signatures verify, ``point`` the plain key (33 bytes) whose
    secret it is; ``keypair`` lends the struct to `musig_secret`.
    """

    __slots__ = ("key", "keypair", "point")

    def __init__(self, secret: Secret) -> None:
        """Take a copy of the secret.

        Raises:
            InvalidCrypto: the secret was wiped.
        """
        self.keypair: CData = ffi.new("secp256k1_keypair *")
        if not lib.secp256k1_keypair_create(CONTEXT, self.keypair, ffi.from_buffer(secret.buffer)):
            raise InvalidCrypto("secret: it was wiped")
        pubkey = ffi.new("secp256k1_pubkey *")
        lib.secp256k1_keypair_pub(CONTEXT, pubkey, self.keypair)
        self.point = serialize_point(pubkey)
        self.key = self.point[1:]

    @classmethod
    def generate(cls) -> "Keypair":
        """Make a fresh keypair."""
        with Secret.generate() as secret:
            return cls(secret)

    @classmethod
    def of(cls, secret: Bytes) -> "Keypair":
        """Make the keypair of 32 secret bytes; the caller wipes them.

        Raises:
            InvalidCrypto: they are no secret key.
        """
        with Secret(secret) as held:
            return cls(held)

    def sign(self, message: bytes) -> bytes:
        """Sign ``message`` (32 bytes) with fresh auxiliary randomness; returns 64 bytes.

        Raises:
            InvalidCrypto: the message is not 32 bytes, or the key was wiped.
        """
        sized(message, 32, "message")
        signature = ffi.new("unsigned char[64]")
        if not lib.secp256k1_schnorrsig_sign32(CONTEXT, signature, message, self.keypair, urandom(32)):
            raise InvalidCrypto("signing key: it was wiped")
        return bytes(ffi.buffer(signature))

    def wipe(self) -> None:
        """Overwrite the keypair; libsecp256k1 refuses to sign with it from then on."""
        ffi.buffer(self.keypair)[:] = bytes(ffi.sizeof("secp256k1_keypair"))


def sign(message: bytes, secret: Secret) -> bytes:
    """Sign ``message`` (32 bytes) once; returns 64 bytes. Whoever signs often keeps a `Keypair`.

    Raises:
        InvalidCrypto: the message is not 32 bytes, or the secret was wiped.
    """
    with Keypair(secret) as key:
        return key.sign(message)

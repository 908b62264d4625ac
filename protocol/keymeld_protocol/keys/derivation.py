"""Every key that is derived, and the proof that a signing key is held (§1.5, §8.1).

    identity ─┬─ creator   keygen salt                  signs keygen.create and keygen.release
              ├─ auth      keygen_id, slot              signs statements
              ├─ signing   keygen_id, slot, policy      the key that is aggregated
              ├─ wallet                                 signs wallet.open and wallet.note
              └─ open secret   keygen salt ── slot secret i     its x-only point is invite key i

All are HKDF-SHA256 of a 32-byte secret; whoever has the root finds every one of them again.
"""

from __future__ import annotations

from os import urandom
from typing import Final, Self

from ..curve.libsecp256k1 import sized
from ..curve.schnorr import Keypair, tagged_hash, verify
from ..curve.secp256k1 import Bytes, Holder, Secret, has_even_y, parse_point, seckey_negate, wipe
from ..errors import InvalidCrypto
from ..values import Hash, Id, PlainKey, Salt, Signature, XOnlyKey
from .kdf import hkdf, hkdf_scalar

ROOT_SIZE: Final = 32
"""Bytes of an identity secret, an open secret and a group secret."""


class Identity(Holder):
    """A participant's identity secret: 32 random bytes, or the 32-byte entropy of a BIP-39 phrase.

    ``buffer`` lends its bytes to whoever stores them.  Once wiped it derives nothing more.
    """

    __slots__ = ("buffer",)

    def __init__(self, secret: Bytes) -> None:
        """Copy 32 bytes in; the caller wipes the original.

        Raises:
            InvalidCrypto: not 32 bytes.
        """
        sized(secret, ROOT_SIZE, "identity secret")
        self.buffer = bytearray(secret)

    @classmethod
    def generate(cls) -> Self:
        """Draw a fresh identity from the operating system."""
        return cls(urandom(ROOT_SIZE))

    def creator(self, salt: Salt) -> Keypair:
        """The creator key of the keygen with this ``salt``.

        Raises:
            InvalidCrypto: the identity was wiped.
        """
        return _signing_key(self._derive(salt, b"keymeld/create/v1"))

    def auth(self, keygen_id: Id, slot: int) -> Keypair:
        """The auth key of ``slot`` in one keygen; auth keys of two keygens cannot be linked.

        Raises:
            InvalidCrypto: the identity was wiped.
        """
        return _signing_key(self._derive(keygen_id, b"keymeld/auth/v1" + _u16(slot)))

    def signing(self, keygen_id: Id, slot: int, policy: Hash) -> Secret:
        """The signing key of ``slot`` under one policy: ``policy`` is the join's commitment to it (§9.3).

        So no key ever lies under two policies, whatever a wallet remembers.

        Raises:
            InvalidCrypto: the identity was wiped.
        """
        return self._derive(keygen_id, b"keymeld/signing/v1" + _u16(slot) + policy)

    def wallet(self) -> Keypair:
        """The wallet key: its stream is found by the phrase alone.

        Raises:
            InvalidCrypto: the identity was wiped.
        """
        return _signing_key(self._derive(b"", b"keymeld/wallet/v1"))

    def open_secret(self, salt: Salt) -> bytearray:
        """The open secret (32 bytes) of the keygen that this identity opened with ``salt``; the caller wipes it.

        Raises:
            InvalidCrypto: the identity was wiped.
        """
        sized(self.buffer, ROOT_SIZE, "identity secret")
        return hkdf(self.buffer, salt, b"keymeld/open/v1")

    def wipe(self) -> None:
        """Overwrite the secret and let go of it."""
        wipe(self.buffer)
        self.buffer = bytearray()

    def _derive(self, salt: bytes, info: bytes) -> Secret:
        """HKDF to a secret key; an empty buffer is a wiped one, from which anybody could derive."""
        sized(self.buffer, ROOT_SIZE, "identity secret")
        return hkdf_scalar(self.buffer, salt, info)


def slot_secret(open_secret: Bytes, slot: int) -> Secret:
    """The secret of an invitation to ``slot``; the x-only key of its point is the slot's invite key.

    Raises:
        InvalidCrypto: the open secret is not 32 bytes.
    """
    sized(open_secret, ROOT_SIZE, "open secret")
    return hkdf_scalar(open_secret, b"", b"keymeld/invite/v1" + _u16(slot))


def even_secret(secret: Secret) -> Secret:
    """Copy ``secret``, negated if its point has odd y: the secret that belongs to its x-only key in an ECDH (§1.2).

    Raises:
        InvalidCrypto: the secret was wiped.
    """
    odd = not has_even_y(secret.point)
    even = Secret(secret.buffer)
    if odd:
        seckey_negate(even.buffer)
    return even


def possession_message(keygen_id: Id, slot: int, auth: XOnlyKey, pubkey: PlainKey) -> bytes:
    """What a signing key signs to prove itself (32 bytes): it binds session, slot and speaker (§9.2)."""
    return tagged_hash("keymeld/possession/v1", keygen_id + _u16(slot) + auth + pubkey)


def prove_possession(signing: Secret, keygen_id: Id, slot: int, auth: XOnlyKey) -> Signature:
    """The proof for a card: BIP-340 by the signing key over `possession_message`.

    Raises:
        InvalidCrypto: the secret was wiped.
    """
    with Keypair(signing) as key:
        message = possession_message(keygen_id, slot, auth, PlainKey(key.point))
        return Signature(key.sign(message))


def possession_is_proven(proof: Signature, keygen_id: Id, slot: int, auth: XOnlyKey, pubkey: PlainKey) -> bool:
    """Whether ``proof`` shows that whoever speaks as ``auth`` holds ``pubkey`` for this slot of this keygen."""
    try:
        parse_point(pubkey)
    except InvalidCrypto:
        return False
    return verify(proof, possession_message(keygen_id, slot, auth, pubkey), pubkey[1:])


def _signing_key(secret: Secret) -> Keypair:
    """Turn a derived secret into an identity that signs, and wipe it."""
    with secret:
        return Keypair(secret)


def _u16(number: int) -> bytes:
    """Two bytes, big-endian."""
    return number.to_bytes(2, "big")

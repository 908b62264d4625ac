"""Sealing to the group, and to oneself: what every member reads, or one's other devices, and no coordinator (§8.3).

    K      = HKDF(S, keygen salt, "keymeld/group/v1")
    group  = TH("keymeld/group-commitment/v1", K)                     public, in keygen.create
    sealed = nonce(24) ‖ XChaCha20-Poly1305(K, nonce, plaintext, aad)
    aad    = TH("keymeld/sealed/v1", u8 len(kind) ‖ kind ‖ u8 len(field) ‖ field ‖ session(32) ‖ by(32))

The associated data names the one place a ciphertext belongs to: moved to another field, statement, session or speaker
it does not open.  Who said it, and that nobody altered it since, is the statement's signature; any member could seal.
The notes of a wallet are sealed in the same way, under a key that follows from the identity alone.
"""

from __future__ import annotations

from hmac import compare_digest
from os import urandom
from typing import Final, Self

from ..curve.libsecp256k1 import Bytes, sized
from ..curve.schnorr import tagged_hash
from ..curve.secp256k1 import Holder, wipe
from ..errors import InvalidCrypto
from ..values import Hash, Id, Salt, XOnlyKey
from ..wire.payloads import KeygenCreate, Note, SigningRequest
from ..wire.shapes import Payload, Said
from . import aead
from .derivation import ROOT_SIZE, Identity
from .kdf import hkdf

NO_SESSION: Final = Id(bytes(32))
"""The session inside ``keygen.create``, whose id does not exist before its terms are sealed."""


class SealingKey(Holder):
    """A key of 32 secret bytes that seals fields, each to its place; use `GroupKey` or `NotesKey`."""

    __slots__ = ("_key",)

    def __init__(self, key: bytearray) -> None:
        """Take ``key`` over: it is wiped here."""
        self._key = key

    def seal(self, kind: str, field: str, session: Id, by: XOnlyKey, plaintext: Bytes) -> bytes:
        """Seal ``plaintext`` for ``field`` of a statement of ``kind`` that ``by`` says in ``session``.

        Raises:
            InvalidCrypto: a name or length that the associated data cannot hold, or the key was wiped.
        """
        return aead.seal(self._key, plaintext, _place(kind, field, session, by))

    def open(self, kind: str, field: str, session: Id, by: XOnlyKey, sealed: bytes) -> bytes:
        """Open what `seal` made for exactly this place.

        Raises:
            InvalidCrypto: truncated, altered, from another place or under another key, or the key was wiped.
        """
        return bytes(aead.open_sealed(self._key, sealed, _place(kind, field, session, by)))

    def open_in(self, payload: Payload | Note, field: str, sealed: bytes) -> bytes:
        """Open the blob that ``field`` of a verified ``payload`` names; the place follows from the payload.

        Raises:
            InvalidCrypto: as `open`, or statements of this kind have no field that is sealed.
        """
        return self.open(payload.kind, field, session_of(payload), payload.by, sealed)

    def wipe(self) -> None:
        """Overwrite the key and let go of it: it seals and opens nothing more."""
        wipe(self._key)
        self._key = bytearray()


class GroupKey(SealingKey):
    """The group's key K; ``commitment`` is what ``keygen.create`` publishes of it as ``group``."""

    __slots__ = ("commitment",)

    def __init__(self, secret: Bytes, salt: Salt) -> None:
        """Derive K from the group secret S (32 bytes) and the keygen's salt; the caller wipes S.

        Raises:
            InvalidCrypto: S is not 32 bytes, or the salt is not.
        """
        sized(secret, ROOT_SIZE, "group secret")
        sized(salt, Salt.size, "salt")
        super().__init__(hkdf(secret, salt, b"keymeld/group/v1"))
        self.commitment = Hash(tagged_hash("keymeld/group-commitment/v1", self._key))

    @classmethod
    def open_group(cls, secret: Bytes, salt: Salt, group: Hash) -> Self:
        """Derive K, and refuse an S that does not give ``group``: every sealed field has exactly one plaintext (§8.3).

        Raises:
            InvalidCrypto: the secret belongs to another group.
        """
        key = cls(secret, salt)
        if not compare_digest(key.commitment, group):
            key.wipe()
            raise InvalidCrypto("group secret: does not give the commitment in keygen.create")
        return key


class NotesKey(SealingKey):
    """What seals the notes of one wallet: every device that has the identity derives it, and nobody else (§8.3)."""

    __slots__ = ()

    def __init__(self, identity: Identity) -> None:
        """Derive it from the identity secret; the caller keeps that.

        Raises:
            InvalidCrypto: the identity was wiped.
        """
        sized(identity.buffer, ROOT_SIZE, "identity secret")
        super().__init__(hkdf(identity.buffer, b"", b"keymeld/wallet-notes/v1"))


def new_group_secret() -> bytearray:
    """Draw a fresh group secret S (32 bytes); the caller wipes it."""
    return bytearray(urandom(ROOT_SIZE))


def session_of(payload: Payload | Note) -> Id:
    """The session that sealed fields of ``payload`` are bound to (§8.3).

    32 zero bytes in ``keygen.create``, the keygen_id in ``signing.request``, else the stream it is said in.

    Raises:
        InvalidCrypto: statements of this kind belong to no group.
    """
    if isinstance(payload, KeygenCreate):
        return NO_SESSION
    if isinstance(payload, SigningRequest):
        return payload.keygen
    if isinstance(payload, Said | Note):
        return payload.stream
    raise InvalidCrypto(f"{payload.kind}: has no field that is sealed to a group")


def _place(kind: str, field: str, session: Id, by: XOnlyKey) -> bytes:
    """The associated data (32 bytes): the one place a ciphertext belongs to."""
    sized(session, Id.size, "session")
    sized(by, XOnlyKey.size, "by")
    return tagged_hash("keymeld/sealed/v1", _counted("kind", kind) + _counted("field", field) + session + by)


def _counted(name: str, text: str) -> bytes:
    """One byte of length, then the text, so that no two pairs of names have one spelling."""
    if not text.isascii() or not 1 <= len(text) <= 255:
        raise InvalidCrypto(f"{name}: 1 to 255 ASCII characters are needed")
    return len(text).to_bytes(1, "big") + text.encode()

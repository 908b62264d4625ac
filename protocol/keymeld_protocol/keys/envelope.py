"""Envelopes: a signing key, sealed with the group secret and its policy to one enclave (§8.4, ECIES).

    participant                                                                       enclave
      e random, E = e·G      P = 0x02 ‖ identity key       Z = ECDH(e, P) = ECDH(identity, E)
      k = HKDF(Z, E ‖ P, "keymeld/envelope/v1")
      0x01 ‖ E(33) ‖ nonce(24) ‖ XChaCha20-Poly1305(k, signing key(32) ‖ S(32) ‖ policy) ─────▶ opened

Associated data bind the envelope to its keygen, slot, policy, auth key and enclave: replayed anywhere else it does
not open.  What is inside must still be checked against the join: S against ``group``, the key against the card, the
policy against its commitment and its rule (§11.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from ..curve.libsecp256k1 import Bytes, sized
from ..curve.schnorr import tagged_hash
from ..curve.secp256k1 import Holder, Secret, ecdh, seckey_verify, wipe
from ..errors import InvalidCrypto
from ..values import Hash, Id, XOnlyKey
from ..wire.payloads import KeygenJoin
from ..wire.sizes import MAX_ENVELOPE
from . import aead
from .derivation import ROOT_SIZE, even_secret
from .kdf import hkdf

_VERSION: Final = b"\x01"
_POINT: Final = slice(1, 34)
_POLICY: Final = 2 * ROOT_SIZE  # where the policy begins in the plaintext
MIN_ENVELOPE: Final = _POINT.stop + aead.OVERHEAD + _POLICY
"""Bytes of an envelope with an empty policy."""
MAX_POLICY: Final = MAX_ENVELOPE - MIN_ENVELOPE
"""Bytes of a policy at most."""


@dataclass(frozen=True, kw_only=True)
class EnvelopeContext:
    """The one place where an envelope opens: which join it belongs to, and which enclave identity opens it.

    ``policy`` is the join's commitment to what is sealed with the key: it opens under no other.
    """

    keygen_id: Id
    slot: int
    policy: Hash
    auth: XOnlyKey
    enclave: XOnlyKey

    @classmethod
    def of_join(cls, join: KeygenJoin) -> Self:
        """The context that a join's envelope must have; after a reseal, ``replace(context, enclave=…)``.

        Raises:
            InvalidCrypto: the join names no enclave.
        """
        if join.enclave is None:
            raise InvalidCrypto("envelope: this join names no enclave")
        return cls(keygen_id=join.stream, slot=join.slot, policy=join.policy, auth=join.by, enclave=join.enclave)

    @property
    def data(self) -> bytes:
        """The associated data (32 bytes)."""
        place = self.keygen_id + self.slot.to_bytes(2, "big") + self.policy
        return tagged_hash("keymeld/envelope/v1", place + self.auth + self.enclave)

    @property
    def point(self) -> bytes:
        """P: the enclave's identity as a point of even y (33 bytes)."""
        return b"\x02" + self.enclave


class OpenedEnvelope(Holder):
    """What an envelope held: the signing key, the group secret S (32 bytes), the policy's JSON.

    ``wipe`` overwrites both secrets.  When the envelope is merely let go of, S is overwritten, but a signing key that
    somebody holds lives on: it looks after itself.
    """

    __slots__ = ("group_secret", "policy", "signing")

    def __init__(self, plaintext: bytearray) -> None:
        """Copy the parts out of an opened plaintext of at least 64 bytes; the caller wipes the plaintext.

        Raises:
            InvalidCrypto: the first 32 bytes are no signing key.
        """
        with memoryview(plaintext) as view:
            self.signing = Secret(view[:ROOT_SIZE])
            self.group_secret = bytearray(view[ROOT_SIZE:_POLICY])
            self.policy = bytes(view[_POLICY:])

    def wipe(self) -> None:
        """Overwrite both secrets."""
        self.signing.wipe()
        wipe(self.group_secret)

    def __del__(self) -> None:
        try:  # noqa: SIM105  (at the interpreter's end `suppress` itself is gone)
            wipe(self.group_secret)
        except (AttributeError, TypeError):  # no key was inside, or `wipe` is gone too
            pass


def seal_envelope(context: EnvelopeContext, signing: Secret, group_secret: Bytes, policy: bytes) -> bytes:
    """Seal a signing key, S (32 bytes) and the policy's canonical JSON to the enclave that ``context`` names.

    Raises:
        InvalidCrypto: S is not 32 bytes, a secret was wiped, the policy is too long, or the enclave's key is no point.
    """
    sized(group_secret, ROOT_SIZE, "group secret")
    if len(policy) > MAX_POLICY:
        raise InvalidCrypto(f"policy: at most {MAX_POLICY} bytes fit an envelope")
    if not seckey_verify(signing.buffer):
        raise InvalidCrypto("signing key: it was wiped")
    with Secret.generate() as ephemeral:
        point = ephemeral.point
        with (
            _wiped(_key(ecdh(ephemeral.buffer, context.point), point, context)) as key,
            _wiped(bytearray().join((signing.buffer, group_secret, policy))) as plaintext,
        ):
            return _VERSION + point + aead.seal(key, plaintext, context.data)


def open_envelope(identity: Secret, context: EnvelopeContext, envelope: bytes) -> OpenedEnvelope:
    """Open an envelope that must belong to ``context``, with the secret of the enclave's identity (of either y).

    Raises:
        InvalidCrypto: not for this identity or this context, altered, of a wrong length or version, or no key inside.
    """
    if not MIN_ENVELOPE <= len(envelope) <= MAX_ENVELOPE:
        raise InvalidCrypto(f"envelope: {MIN_ENVELOPE} to {MAX_ENVELOPE} bytes are needed, {len(envelope)} were given")
    if envelope[:1] != _VERSION:
        raise InvalidCrypto(f"envelope: needs a newer version of Keymeld; this one opens version {_VERSION[0]}")
    point, sealed = envelope[_POINT], envelope[_POINT.stop :]
    with even_secret(identity) as even:
        if even.point != context.point:
            raise InvalidCrypto("envelope: is for another enclave identity")
        with (
            _wiped(_key(ecdh(even.buffer, point), point, context)) as key,
            _wiped(aead.open_sealed(key, sealed, context.data)) as plaintext,
        ):
            return OpenedEnvelope(plaintext)


def is_newer(envelope: bytes) -> bool:
    """Whether an envelope is of a version that this Keymeld does not open (§12)."""
    return envelope[:1] > _VERSION


def _key(shared: bytearray, ephemeral: bytes, context: EnvelopeContext) -> bytearray:
    """The key k (32 bytes) from the shared secret Z, which is wiped, and both points."""
    with _wiped(shared):
        return hkdf(shared, ephemeral + context.point, b"keymeld/envelope/v1")


@contextmanager
def _wiped(secret: bytearray) -> Iterator[bytearray]:
    """Lend out ``secret`` and overwrite it at the end, whatever happens."""
    try:
        yield secret
    finally:
        wipe(secret)

"""A pre-signature as its holder uses it: verified when it was made, completed by secrets, and telling them afterwards.

results() ──▶ Presigned ──▶ adapt(secrets) ──▶ signature ──▶ the network
                        ◀── extract(signature that was seen there) ──▶ the secret
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Bytes, pubkey_of, wipe
from keymeld_protocol.errors import Blamed, InvalidCrypto
from keymeld_protocol.member.plan import Item
from keymeld_protocol.plaintext.body import Adaptor
from keymeld_protocol.values import Message, PlainKey, PreSignature, Signature, XOnlyKey

from ..errors import NeedsSecret


@dataclass(frozen=True)
class Presigned:
    """One verified pre-signature: the secrets of all its ``points`` together make it a signature.

    ``point`` is the T that was bound into it: the one point, or what several of an ``and`` come to.
    """

    presignature: PreSignature
    points: tuple[PlainKey, ...]
    point: PlainKey
    message: Message
    output: XOnlyKey

    def __post_init__(self) -> None:
        """Nobody gets one that does not hold.

        Raises:
            InvalidCrypto: it is no pre-signature of this message, for this point, by this key.
        """
        if not adaptor.verify(self.presignature, self.point, self.message, self.output):
            raise InvalidCrypto("pre-signature: it does not verify")

    def missing(self, secrets: Iterable[Bytes]) -> tuple[PlainKey, ...]:
        """The points whose secrets (32 bytes each) are not among these.

        Raises:
            InvalidCrypto: one of them is no secret.
        """
        known = {pubkey_of(secret) for secret in secrets}
        return tuple(point for point in self.points if point not in known)

    def adapt(self, secrets: Iterable[Bytes]) -> Signature:
        """The verified signature; ``secrets`` (32 bytes each) come in any order, and others among them do no harm.

        Whoever sees both learns the secret, of an ``and`` the combined one.

        Raises:
            NeedsSecret: that of a point is missing.
            InvalidCrypto: one of them is no secret.
        """
        known = {pubkey_of(secret): secret for secret in secrets}
        if any(point not in known for point in self.points):
            raise NeedsSecret(self.missing(known.values()))
        secret = self._combined([known[point] for point in self.points])
        try:
            signature = adaptor.adapt(self.presignature, secret)
        finally:
            wipe(secret)
        if not verify(signature, self.message, self.output):
            raise InvalidCrypto("signature: our own does not verify")
        return Signature(signature)

    def _combined(self, secrets: list[Bytes]) -> bytearray:
        """The secret of ``point``."""
        return bytearray(secrets[0]) if len(secrets) == 1 else adaptor.combined_secret(self.points, secrets)

    def extract(self, signature: bytes) -> bytes:
        """The secret (32 bytes) of ``point``, out of the completed signature (64 bytes) that somebody published.

        Raises:
            InvalidCrypto: it is not this pre-signature completed.
        """
        return adaptor.extract(self.presignature, signature, self.point)


def presigned(made: tuple[PreSignature, ...], asked: Adaptor | None, item: Item) -> tuple[Presigned, ...]:
    """What comes of an item with adaptor points, each verified.

    Raises:
        Blamed: one does not verify, or there are not as many as the item asks for.
    """
    if asked is None or len(made) != asked.places:
        raise Blamed("bad_signature", (), "pre-signatures that nobody asked for, or too few")
    sets = [(point,) for point in asked.points] if asked.mode == "or" else [asked.points]
    bounds = [PlainKey(bound) for bound in item.adaptors if bound is not None]
    output = XOnlyKey(item.keyagg.output)
    try:
        together = zip(made, sets, bounds, strict=True)
        return tuple(Presigned(each, points, bound, item.message, output) for each, points, bound in together)
    except InvalidCrypto as error:
        raise Blamed("bad_signature", (), str(error)) from None

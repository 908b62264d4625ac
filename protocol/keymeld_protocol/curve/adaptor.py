"""Adaptor signatures (BIP-340): a pre-signature that one secret completes, and that gives the secret away when it is.

    points ──► combined_point ──► T ─┐
    SessionContext(adaptor=T), psigs ┴──► presignature (65) ──► verify ──► True
    presignature + t ──► adapt ──► signature (64)          signature + presignature ──► extract ──► t

A pre-signature is R'(33, the final nonce with its parity) ‖ s'(32). T was bound into R' before anything was hashed
(`musig.bind_adaptor`): a point that is chosen after the nonces makes forgeries possible. With t, s is s' + t where R'
has even y, else s' − t. Secrets are 32 bytes, are combined in constant time, and never leave in an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InvalidCrypto
from ..values import Id
from . import schnorr
from .keyagg import hash_to_scalar, key_agg, key_sort
from .libsecp256k1 import add_generator, combine, multiply, negate, parse_point, serialize_point, sized
from .musig import SessionContext, aggregate_psigs
from .schnorr import tagged_hash
from .secp256k1 import Bytes, lift_x, pubkey_of, seckey_negate, seckey_tweak_add, seckey_tweak_mul, wipe

SIZE = 65
"""Bytes of a pre-signature."""


def presignature(session: SessionContext, psigs: Sequence[bytes]) -> bytes:
    """Add the psigs (32 bytes each) of a session with an adaptor to a pre-signature (65 bytes); nothing is verified.

    Raises:
        InvalidCrypto: there are none, or one is not 32 bytes or not below the group's order; the message has its index.
    """
    return session.nonce + aggregate_psigs(session, psigs)[32:]


def verify(presignature: bytes, point: bytes, message: bytes, output: bytes) -> bool:
    """Say whether the secret of ``point`` (33 bytes) makes a signature of this: s'·G = ±(R' − T) + e·P.

    ``presignature`` is 65 bytes, ``message`` 32, ``output`` an x-only key of 32. Anything else is no pre-signature:
    False.
    """
    if len(presignature) != SIZE or len(message) != 32:
        return False
    minus = bytearray(hash_to_scalar("BIP0340/challenge", presignature[1:33] + output + message))
    try:
        seckey_negate(minus)
        final, key = parse_point(presignature[:33]), parse_point(lift_x(output))
        nonce = combine([final, negate(parse_point(point))])
        shown = add_generator(multiply(key, bytes(minus)), presignature[33:])  # s'·G − e·P
    except InvalidCrypto:
        return False
    if nonce is None:
        return False
    return serialize_point(shown) == serialize_point(negate(nonce) if presignature[0] == 3 else nonce)


def adapt(presignature: bytes, secret: Bytes) -> bytes:
    """Complete a pre-signature (65 bytes) with its secret (32 bytes): a signature (64 bytes).

    Nothing is verified: with the secret of another point this is no signature.

    Raises:
        InvalidCrypto: no pre-signature, or no secret.
    """
    _checked(presignature)
    sized(secret, 32, "secret")
    scalar = bytearray(secret)
    try:
        if presignature[0] == 3:
            seckey_negate(scalar)
        seckey_tweak_add(scalar, presignature[33:])
        return presignature[1:33] + bytes(scalar)
    finally:
        wipe(scalar)


def extract(presignature: bytes, signature: bytes, point: bytes) -> bytes:
    """Take the secret (32 bytes) of ``point`` (33 bytes) out of a pre-signature (65) and its signature (64).

    Raises:
        InvalidCrypto: a length is wrong, or the signature is not this pre-signature completed with that secret.
    """
    _checked(presignature)
    sized(signature, 64, "signature")
    scalar = bytearray(presignature[33:])
    try:
        seckey_negate(scalar)
        seckey_tweak_add(scalar, signature[32:])
        if presignature[0] == 3:
            seckey_negate(scalar)
        if signature[:32] != presignature[1:33] or pubkey_of(scalar) != point:
            raise InvalidCrypto("signature: it does not complete this pre-signature for this point")
        return bytes(scalar)
    finally:
        wipe(scalar)


def combined_point(points: Sequence[bytes]) -> bytes:
    """Combine points (33 bytes each) to the T (33 bytes) whose secret takes all of theirs: KeyAgg over the sorted ones.

    In a plain sum the last point could be chosen to cancel the others (attack 45).

    Raises:
        InvalidCrypto: there are none, or one is no point.
    """
    return key_agg(key_sort(points)).aggregate


def combined_secret(points: Sequence[bytes], secrets: Sequence[Bytes]) -> bytearray:
    """Combine the secrets (32 bytes each) of these points, in the same order, to the secret of `combined_point`.

    The caller wipes what it gets.

    Raises:
        InvalidCrypto: there are none; or a secret is not that of its point, and the message has its index.
    """
    keyagg, pairs = key_agg(key_sort(points)), list(zip(points, secrets, strict=True))
    for index, (point, secret) in enumerate(pairs):
        if pubkey_of(secret) != point:
            raise InvalidCrypto(f"secrets[{index}]: not that of its point")
    total: bytearray | None = None
    for point, secret in pairs:
        term = bytearray(secret)
        seckey_tweak_mul(term, keyagg.coefficient(point))
        if total is not None:
            seckey_tweak_add(term, total)
            wipe(total)
        total = term
    if total is None:
        raise InvalidCrypto("secrets: there are none")
    return total


def proof_message(signing: Id, attempt: int, item: int, point: int, adaptor: bytes, pubnonce: bytes) -> bytes:
    """The 32 bytes by which R1 of a pubnonce (66 bytes) proves itself for one adaptor point of one attempt.

    Without the proof a signer could send r·G − T for R1, and the others' psigs would complete the signature without t
    (attack 29).
    """
    place = b"".join(number.to_bytes(4, "big") for number in (attempt, item, point))
    return tagged_hash("keymeld/nonce/v1", signing + place + adaptor + pubnonce)


def nonce_is_proven(proof: bytes, message: bytes, pubnonce: bytes) -> bool:
    """Say whether whoever sent this pubnonce (66 bytes) knows the secret of its R1; ``message``: `proof_message`."""
    return schnorr.verify(proof, message, pubnonce[1:33])


def _checked(presignature: bytes) -> None:
    """Refuse what is no pre-signature.

    Raises:
        InvalidCrypto: not 65 bytes, or its nonce is no point.
    """
    sized(presignature, SIZE, "pre-signature")
    parse_point(presignature[:33])

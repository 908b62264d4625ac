"""BIP-327's public half: from nonces to a session, from psigs to a signature.

    keyagg ───────────────────┐
    pubnonces ──► nonce_agg ──┼──► SessionContext ──► verify_psig, verify_collapsed_psig ──► signature
    message ──────────────────┘

One signer may stand for several slots, as an enclave does. To the others it is a signer whose key is Σ aⱼ·Pⱼ, and they
verify s·G = ±(R₁ + b·R₂) + e·g·Σ aⱼ·Pⱼ. All values here are public and frozen; `musig_secret` is the secret half.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..errors import InvalidCrypto
from . import libmusig
from .keyagg import GENERATOR, KeyAgg, Tweak, aggregate, bip86_tweak, hash_to_scalar, key_agg, key_sort, taproot_tweak
from .libsecp256k1 import CData, combine, multiply, parse_point, serialize_point, sized
from .schnorr import verify
from .secp256k1 import point_add

__all__ = [
    "KeyAgg",
    "SessionContext",
    "Tweak",
    "aggregate",
    "aggregate_psigs",
    "bind_adaptor",
    "bip86_tweak",
    "key_agg",
    "key_sort",
    "nonce_agg",
    "signature",
    "taproot_tweak",
    "verify_collapsed_psig",
    "verify_psig",
]

_INFINITY = bytes(33)  # how BIP-327 writes a half of an aggregate nonce that is no point


def nonce_agg(pubnonces: Sequence[bytes]) -> bytes:
    """Add public nonces (66 bytes each) to an aggnonce (66 bytes); a half at infinity is 33 zero bytes and goes on.

    Raises:
        InvalidCrypto: there are none, or one is not two points; the message has its index.
    """
    return libmusig.nonce_agg(pubnonces)


def bind_adaptor(aggnonce: bytes, adaptor: bytes) -> bytes:
    """Add an adaptor point T (33 bytes) to the first half of an aggnonce (66 bytes): (R₁ + T) ‖ R₂.

    Raises:
        InvalidCrypto: T is no point, or the aggnonce is none.
    """
    sized(aggnonce, 66, "aggnonce")
    first = aggnonce[:33]
    bound = point_add(adaptor) if first == _INFINITY else point_add(first, adaptor)
    return (bound or _INFINITY) + aggnonce[33:]


@dataclass(frozen=True, eq=False)
class SessionContext:
    """One message being signed: BIP-327's ``GetSessionValues``.

    ``aggnonce`` (66 bytes) is the sum of the signers' nonces, ``message`` is 32 bytes. An ``adaptor`` point T (33
    bytes) is bound into the nonce before anything is hashed; the psigs then add up to a pre-signature. ``bound`` is the
    aggnonce with T in it, ``struct`` libsecp256k1's session.

    Raises:
        InvalidCrypto: a length is wrong, a nonce or T is no point, or the key list is of one (see `keyagg.paired`).
    """

    keyagg: KeyAgg
    aggnonce: bytes
    message: bytes
    adaptor: bytes | None = None
    bound: bytes = field(init=False, repr=False)
    struct: CData = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.keyagg.cache is None:
            raise InvalidCrypto("key list: a list of one signs without MuSig2")
        bound = self.aggnonce if self.adaptor is None else bind_adaptor(self.aggnonce, self.adaptor)
        object.__setattr__(self, "bound", bound)
        object.__setattr__(self, "struct", libmusig.nonce_process(bound, self.message, self.keyagg.cache))

    @cached_property
    def coefficient(self) -> bytes:
        """b (32 bytes), which binds the second half of every nonce to this session."""
        return hash_to_scalar("MuSig/noncecoef", self.bound + self.keyagg.output + self.message)

    @cached_property
    def nonce(self) -> bytes:
        """The final nonce R (33 bytes) with its parity; G where the sum is infinity (BIP-327)."""
        first, second = self.bound[:33], self.bound[33:]
        terms = [] if first == _INFINITY else [parse_point(first)]
        terms += [] if second == _INFINITY else [multiply(parse_point(second), self.coefficient)]
        total = combine(terms)
        return GENERATOR if total is None else serialize_point(total)

    @cached_property
    def challenge(self) -> bytes:
        """e (32 bytes): BIP-340's challenge over the final nonce, the output key and the message."""
        return hash_to_scalar("BIP0340/challenge", self.nonce[1:] + self.keyagg.output + self.message)


def verify_psig(session: SessionContext, psig: bytes, pubnonce: bytes, key: bytes) -> bool:
    """Say whether a psig (32 bytes) is what the owner of ``key`` (33 bytes) owes for its ``pubnonce`` (66 bytes).

    Raises:
        InvalidCrypto: a length is wrong, the pubnonce is not two points, or the key is not of this key list.
    """
    return verify_collapsed_psig(session, psig, pubnonce, (key,))


def verify_collapsed_psig(session: SessionContext, psig: bytes, pubnonce: bytes, keys: Sequence[bytes]) -> bool:
    """Say whether a psig (32 bytes) is what one signer owes that stands for the slots with these ``keys``.

    The signer has one ``pubnonce`` (66 bytes). No keys owe no psig.

    Raises:
        InvalidCrypto: a length is wrong, the pubnonce is not two points, or a key is not of this key list.
    """
    signer = session.keyagg.collapsed(tuple(keys))
    libmusig.parse_pubnonce(pubnonce)
    parsed = _parse_psig(psig)
    if signer is None or parsed is None:
        return False
    return libmusig.partial_sig_verify(parsed, pubnonce, signer.key, signer.cache, session.struct)


def aggregate_psigs(session: SessionContext, psigs: Sequence[bytes]) -> bytes:
    """Add psigs (32 bytes each) to 64 bytes without verifying: in an adaptor session, x of R and s of a pre-signature.

    Raises:
        InvalidCrypto: there are none, or one is not 32 bytes or not below the group's order; the message has its index.
    """
    return libmusig.partial_sig_agg(session.struct, psigs)


def signature(session: SessionContext, psigs: Sequence[bytes]) -> bytes:
    """Add psigs (32 bytes each) to a BIP-340 signature (64 bytes) and verify it.

    Raises:
        InvalidCrypto: as `aggregate_psigs`; or the sum is no signature of the message by the output key.
    """
    signed = aggregate_psigs(session, psigs)
    if not verify(signed, session.message, session.keyagg.output):
        raise InvalidCrypto("psigs: they do not add up to a signature")
    return signed


def _parse_psig(psig: bytes) -> CData | None:
    """Parse a psig of 32 bytes; ``None`` if it is not below the group's order: a bad psig of the right shape."""
    sized(psig, 32, "psig")
    try:
        return libmusig.parse_psig(psig)
    except InvalidCrypto:
        return None

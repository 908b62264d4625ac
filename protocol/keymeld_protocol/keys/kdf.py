"""HKDF-SHA256 (RFC 5869) to 32 bytes: the one way in which keys are made from secrets (§1.1)."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..curve.secp256k1 import Bytes, Secret, wipe


def hkdf(ikm: Bytes, salt: Bytes, info: Bytes) -> bytearray:
    """Derive 32 secret bytes from ``ikm`` for what ``info`` names; an empty ``salt`` is RFC 5869's default."""
    derived = bytearray(32)
    HKDF(SHA256(), length=32, salt=bytes(salt), info=bytes(info)).derive_into(ikm, derived)
    return derived


def hkdf_scalar(ikm: Bytes, salt: Bytes, info: Bytes) -> Secret:
    """Derive a secret key from ``ikm`` for the purpose that ``info`` names.

    Raises:
        InvalidCrypto: the result is 0 or not below the group's order, which happens to nobody (2⁻¹²⁸).
    """
    derived = hkdf(ikm, salt, info)
    try:
        return Secret(derived)
    finally:
        wipe(derived)

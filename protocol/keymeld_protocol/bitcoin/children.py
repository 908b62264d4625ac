"""BIP-328: children of an aggregate key, by the synthetic xpub that everybody can write down.

    aggregate (33) ─┬─ fixed chain code ──▶ xpub: depth 0, no parent, child 0
                    └─ BIP-32 CKDpub, unhardened ──▶ one plain tweak (32 bytes) for each step of the path

A signature for a child is one of the aggregate with these plain tweaks, in order, before any other.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from ..curve.keyagg import Tweak
from ..curve.libsecp256k1 import sized
from ..curve.secp256k1 import point_tweak_add
from ..errors import InvalidCrypto
from ..plaintext.contents import Network

CHAIN_CODE = sha256(b"MuSig2MuSig2MuSig2").digest()
"""BIP-328's chain code (32 bytes) of every synthetic xpub."""

HARDENED = 2**31
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_XPUB, _TPUB = bytes.fromhex("0488b21e"), bytes.fromhex("043587cf")


def synthetic_xpub(aggregate: bytes, network: Network) -> str:
    """The extended public key (Base58Check) of an untweaked aggregate key (33 bytes); ``tpub`` off the main network.

    Raises:
        InvalidCrypto: the key is not 33 bytes.
    """
    sized(aggregate, 33, "aggregate")
    raw = (_XPUB if network == "bitcoin" else _TPUB) + bytes(9) + CHAIN_CODE + aggregate
    return _base58(raw + sha256(sha256(raw).digest()).digest()[:4])


@lru_cache(4096)
def child_tweaks(aggregate: bytes, path: Sequence[int]) -> tuple[Tweak, ...]:
    """The plain tweaks that lead from an aggregate key (33 bytes) along ``path`` of unhardened indices.

    Raises:
        InvalidCrypto: an index is hardened, or the child does not exist (about once in 2¹²⁷ times).
    """
    point, chain, tweaks = aggregate, CHAIN_CODE, []
    for index in path:
        tweak, point, chain = _child(point, chain, index)
        tweaks.append(Tweak(tweak, xonly=False))
    return tuple(tweaks)


def children(aggregate: bytes, branch: int, count: int) -> tuple[bytes, ...]:
    """The first ``count`` children (33 bytes each) ``branch``/0, ``branch``/1 … of an aggregate key (33 bytes).

    Raises:
        InvalidCrypto: as `child_tweaks`.
    """
    _, point, chain = _child(aggregate, CHAIN_CODE, branch)
    return tuple(_child(point, chain, index)[1] for index in range(count))


def path_told(path: Sequence[int]) -> str:
    """A path as descriptors write it: ``0/5``."""
    return "/".join(map(str, path))


def _child(point: bytes, chain: bytes, index: int) -> tuple[bytes, bytes, bytes]:
    """One step of BIP-32's CKDpub: the tweak, and the child's point and chain code.

    Raises:
        InvalidCrypto: as `child_tweaks`.
    """
    if not 0 <= index < HARDENED:
        raise InvalidCrypto("path: an aggregate key has unhardened children only")
    both = hmac.digest(chain, point + index.to_bytes(4, "big"), "sha512")
    return both[:32], point_tweak_add(point, both[:32]), both[32:]


def _base58(raw: bytes) -> str:
    """Write bytes in Base58; those that begin with zeros do not occur here."""
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return text

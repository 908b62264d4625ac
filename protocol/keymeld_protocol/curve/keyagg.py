"""BIP-327's key aggregation: a sorted key list and its tweaks come to one key.

    keys ──► key_sort ──► KeyAgg ──► tweak ──► tweak ──► output (x-only)

A key list of one *is* its key: it can be tweaked, but has no keyagg cache, because it signs without MuSig2. Everything
here is public, and equal lists share one frozen result: aggregating takes 20 µs for each key, one tweak more 20 µs
however many keys there are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

from ..errors import InvalidCrypto
from . import libmusig
from .libsecp256k1 import CData, combine, multiply, parse_point, serialize_point, sized
from .schnorr import tagged_hash
from .secp256k1 import point_negate, point_tweak_add, seckey_negate, xonly

GENERATOR = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
"""G, the plain key (33 bytes) whose secret is 1."""

_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_ONE = bytes(31) + b"\x01"


def hash_to_scalar(tag: str, data: bytes) -> bytes:
    """Hash public data to a scalar (32 bytes): BIP-327's ``int(hash_tag(x)) mod n``."""
    return (int.from_bytes(tagged_hash(tag, data), "big") % _ORDER).to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Tweak:
    """One step of BIP-327's ``ApplyTweak``: ``value`` (32 bytes)·G is added; ``xonly`` first makes the key's y even.

    Raises:
        InvalidCrypto: the value is not 32 bytes.
    """

    value: bytes
    xonly: bool

    def __post_init__(self) -> None:
        sized(self.value, 32, "tweak")


def taproot_tweak(internal: bytes, root: bytes = b"") -> Tweak:
    """Give BIP-341's tweak of an internal key (32 bytes) by a script root (32 bytes); no root is BIP-86.

    Raises:
        InvalidCrypto: the internal key or the root has another length.
    """
    sized(internal, 32, "internal key")
    if root:
        sized(root, 32, "script root")
    return Tweak(tagged_hash("TapTweak", internal + root), xonly=True)


def bip86_tweak(keys: Iterable[bytes]) -> Tweak:
    """Give the tweak that makes a key list's aggregate a taproot output key without scripts.

    Raises:
        InvalidCrypto: the key list does not aggregate.
    """
    return taproot_tweak(xonly(aggregate(keys).aggregate))


def key_sort(keys: Iterable[bytes]) -> tuple[bytes, ...]:
    """Sort plain keys (33 bytes each) by their bytes: BIP-327's ``KeySort``."""
    return tuple(sorted(keys))


@dataclass(frozen=True, eq=False)
class KeyAgg:
    """What a key list and its tweaks come to; made by `aggregate`.

    ``aggregate`` is the plain key (33 bytes) before any tweak, ``point`` after all of them. ``flips`` says for each
    tweak whether the point was negated before it. ``cache`` is libsecp256k1's; a key list of one has none.
    """

    keys: tuple[bytes, ...]
    tweaks: tuple[Tweak, ...]
    aggregate: bytes
    point: bytes
    flips: tuple[bool, ...]
    cache: CData | None = field(repr=False)

    @property
    def output(self) -> bytes:
        """The x-only key (32 bytes) under which the signature verifies."""
        return self.point[1:]

    @property
    def negated(self) -> bool:
        """Whether BIP-327's g·gacc is −1: every signer's key then counts negated."""
        return (sum(self.flips) + self.point[0]) % 2 == 1

    def tweaked(self, tweak: Tweak) -> "KeyAgg":
        """Apply one tweak more.

        Raises:
            InvalidCrypto: it is not below the group's order, or gives infinity.
        """
        return _tweaked(self, tweak)

    def require(self, key: bytes) -> None:
        """Refuse a key (33 bytes) that is not of this list; libsecp256k1 would not.

        Raises:
            InvalidCrypto: it is not.
        """
        if key not in self._coefficients:
            raise InvalidCrypto("key: not of this key list")

    def coefficient(self, key: bytes) -> bytes:
        """Give aⱼ (32 bytes) of one of the keys: BIP-327's ``KeyAggCoeff``, 1 for the second distinct key.

        Raises:
            InvalidCrypto: the key is not of this list.
        """
        self.require(key)
        return self._coefficients[key]

    def collapsed(self, keys: tuple[bytes, ...]) -> "Collapsed | None":
        """Make one signer of some of the keys; None where there are none, or their Σ aⱼ·Pⱼ is infinity.

        Raises:
            InvalidCrypto: a key is not of this list, or the list is of one.
        """
        if self.cache is None:
            raise InvalidCrypto("key list: a list of one signs without MuSig2")
        if len(keys) == 1:
            self.require(keys[0])
            return Collapsed(keys[0], self.cache)
        total = _weighted_sum(self.keys, keys)
        return None if total is None else Collapsed(total, _counted_once(total, self.negated))

    @cached_property
    def _coefficients(self) -> Mapping[bytes, bytes]:
        return _coefficients(self.keys)


class Collapsed(NamedTuple):
    """A signer that stands for some keys of a list, as libsecp256k1 signs for it and verifies its psigs.

    For one key ``key`` (33 bytes) is that key and ``cache`` the list's keyagg cache. For more ``key`` is W = Σ aⱼ·Pⱼ,
    and ``cache`` one that counts W once and has the list's g; psigs depend on nothing else in it.
    """

    key: bytes
    cache: CData


def aggregate(keys: Iterable[bytes], tweaks: Iterable[Tweak] = ()) -> KeyAgg:
    """Sort plain keys (33 bytes each), aggregate them, and apply the tweaks in order.

    Raises:
        InvalidCrypto: no keys; one is no point; a tweak is not below the group's order, or gives infinity.
    """
    return key_agg(key_sort(keys), tweaks)


def key_agg(keys: tuple[bytes, ...], tweaks: Iterable[Tweak] = ()) -> KeyAgg:
    """Aggregate keys in the order given: BIP-327's ``KeyAgg`` and ``ApplyTweak``. The protocol sorts: use `aggregate`.

    Raises:
        InvalidCrypto: as `aggregate`; the message has the index of a key that is no point.
    """
    made = _untweaked(keys)
    for tweak in tweaks:
        made = made.tweaked(tweak)
    return made


@lru_cache(1024)
def _untweaked(keys: tuple[bytes, ...]) -> KeyAgg:
    """BIP-327's ``KeyAgg``; a list of one is its key."""
    cache = None if len(keys) == 1 else libmusig.pubkey_agg(keys)
    point = keys[0] if cache is None else libmusig.aggregate_point(cache)
    parse_point(point)
    return KeyAgg(keys, (), point, point, (), cache)


@lru_cache(4096)
def _tweaked(made: KeyAgg, tweak: Tweak) -> KeyAgg:
    """BIP-327's ``ApplyTweak``; lists of tweaks that begin alike share what they come to so far."""
    flip = tweak.xonly and made.point[0] == 3
    if made.cache is None:
        cache, point = None, point_tweak_add(point_negate(made.point) if flip else made.point, tweak.value)
    else:
        cache = libmusig.tweak_add(made.cache, tweak.value, tweak.xonly)
        point = libmusig.aggregate_point(cache)
    return KeyAgg(made.keys, (*made.tweaks, tweak), made.aggregate, point, (*made.flips, flip), cache)


@lru_cache(1024)
def paired(key: bytes) -> KeyAgg:
    """Write one key (33 bytes) as the key list (G, key) that comes to it: so MuSig2 can sign for a key alone.

    The second distinct key counts once and G, whose secret everybody knows, a_G times: a plain tweak of −a_G takes it
    away.

    Raises:
        InvalidCrypto: no point; or it is G or −G, whose secret everybody knows as well.
    """
    if xonly(key) == GENERATOR[1:]:
        raise InvalidCrypto("key: it is the generator, whose secret everybody knows")
    made = key_agg((GENERATOR, key))
    minus = bytearray(made.coefficient(GENERATOR))
    seckey_negate(minus)
    return made.tweaked(Tweak(bytes(minus), xonly=False))


# What depends on the keys alone, whatever their tweaks -----------------------------------------------------------


@lru_cache(1024)
def _coefficients(keys: tuple[bytes, ...]) -> Mapping[bytes, bytes]:
    """Compute aⱼ (32 bytes) of every key."""
    if len(keys) == 1:
        return {keys[0]: _ONE}
    second = next((key for key in keys if key != keys[0]), None)
    listed = tagged_hash("KeyAgg list", b"".join(keys))
    return {key: _ONE if key == second else hash_to_scalar("KeyAgg coefficient", listed + key) for key in set(keys)}


@lru_cache(1024)
def _weighted_sum(keys: tuple[bytes, ...], some: tuple[bytes, ...]) -> bytes | None:
    """Compute Σ aⱼ·Pⱼ (33 bytes) over ``some`` of a list's keys; None is infinity.

    Raises:
        InvalidCrypto: a key is not of this list.
    """
    made = _untweaked(keys)
    total = combine([multiply(parse_point(key), made.coefficient(key)) for key in some])
    return None if total is None else serialize_point(total)


@lru_cache(1024)
def _counted_once(key: bytes, negated: bool) -> CData:
    """Make a keyagg cache whose g is −1 if ``negated``, and in which a key (33 bytes) has the coefficient 1.

    That is the coefficient of a list's second distinct key, as ``key`` is of (−key, key). g follows from the parity of
    that list's own point: it is tweaked until it fits.
    """
    cache = libmusig.pubkey_agg((point_negate(key), key))
    while (libmusig.aggregate_point(cache)[0] == 3) is not negated:
        cache = libmusig.tweak_add(cache, _ONE, xonly=False)
    return cache

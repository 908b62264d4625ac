"""The binding of libsecp256k1's musig module, public half: BIP-327 in libsecp256k1's own structs.

`musig` gives these the protocol's shapes. The wire sizes are 66 bytes for a nonce, 32 for a partial signature (psig)
and 64 for a signature; the structs (keyagg cache, session, nonces) have no serialisation and live in memory only.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from ..errors import InvalidCrypto
from .libsecp256k1 import CONTEXT, CData, ffi, lib, parse_point, serialize_point, sized


def pubkey_agg(keys: Sequence[bytes]) -> CData:
    """Aggregate plain keys (33 bytes each) in the order given: BIP-327's ``KeyAgg``; returns the keyagg cache.

    Raises:
        InvalidCrypto: no keys, one that is no point (the message has its index), or a sum of infinity.
    """
    pubkeys = [_numbered("keys", i, parse_point, key) for i, key in enumerate(keys)]
    cache = ffi.new("secp256k1_musig_keyagg_cache *")
    array = ffi.new("secp256k1_pubkey *[]", pubkeys)
    if not lib.secp256k1_musig_pubkey_agg(CONTEXT, ffi.NULL, cache, array, len(pubkeys)):
        raise InvalidCrypto("keys: there are none, or they add up to infinity")
    return cache


def aggregate_point(cache: CData) -> bytes:
    """Read the aggregate point (33 bytes), tweaks included, out of a keyagg cache."""
    pubkey = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_musig_pubkey_get(CONTEXT, pubkey, cache):
        raise InvalidCrypto("keyagg cache: not initialised")
    return serialize_point(pubkey)


def tweak_add(cache: CData, tweak: bytes, xonly: bool) -> CData:
    """Apply a tweak (32 bytes) to a copy of a keyagg cache, and return it: BIP-327's ``ApplyTweak``.

    Raises:
        InvalidCrypto: the tweak is not 32 bytes or not below the group's order, or the sum is infinity.
    """
    sized(tweak, 32, "tweak")
    add = lib.secp256k1_musig_pubkey_xonly_tweak_add if xonly else lib.secp256k1_musig_pubkey_ec_tweak_add
    tweaked = ffi.new("secp256k1_musig_keyagg_cache *", cache[0])
    if not add(CONTEXT, ffi.NULL, tweaked, tweak):
        raise InvalidCrypto("tweak: not below the group's order, or it gives infinity")
    return tweaked


@lru_cache(4096)
def parse_pubnonce(pubnonce: bytes) -> CData:
    """Parse a public nonce (66 bytes): two points.

    Raises:
        InvalidCrypto: not 66 bytes, or a half is no point (infinity is none).
    """
    sized(pubnonce, 66, "pubnonce")
    parsed = ffi.new("secp256k1_musig_pubnonce *")
    if not lib.secp256k1_musig_pubnonce_parse(CONTEXT, parsed, pubnonce):
        raise InvalidCrypto("pubnonce: not two points")
    return parsed


def nonce_agg(pubnonces: Sequence[bytes]) -> bytes:
    """Add public nonces (66 bytes each); a half that adds up to infinity is 33 zero bytes.

    Raises:
        InvalidCrypto: no nonces, or one that is not two points; the message has its index.
    """
    parsed = ffi.new(
        "secp256k1_musig_pubnonce *[]",
        [_numbered("pubnonces", i, parse_pubnonce, nonce) for i, nonce in enumerate(pubnonces)],
    )
    aggregate = ffi.new("secp256k1_musig_aggnonce *")
    if not lib.secp256k1_musig_nonce_agg(CONTEXT, aggregate, parsed, len(parsed)):
        raise InvalidCrypto("pubnonces: there are none")
    aggnonce = ffi.new("unsigned char[66]")
    lib.secp256k1_musig_aggnonce_serialize(CONTEXT, aggnonce, aggregate)
    return bytes(ffi.buffer(aggnonce))


def _numbered(name: str, index: int, parse: Callable[[bytes], CData], value: bytes) -> CData:
    """Parse one of several; an error says which one it was."""
    try:
        return parse(value)
    except InvalidCrypto as error:
        raise InvalidCrypto(f"{name}[{index}]: {error}") from None


def nonce_process(aggnonce: bytes, message: bytes, cache: CData) -> CData:
    """Start a session: aggregate nonce (66 bytes), message (32 bytes) and keyagg cache fix the challenge.

    Raises:
        InvalidCrypto: a length is wrong, or a half of the aggregate nonce is neither a point nor 33 zero bytes.
    """
    sized(aggnonce, 66, "aggnonce")
    sized(message, 32, "message")
    parsed = ffi.new("secp256k1_musig_aggnonce *")
    if not lib.secp256k1_musig_aggnonce_parse(CONTEXT, parsed, aggnonce):
        raise InvalidCrypto("aggnonce: a half is neither a point nor infinity")
    session = ffi.new("secp256k1_musig_session *")
    if not lib.secp256k1_musig_nonce_process(CONTEXT, session, parsed, message, cache):
        raise InvalidCrypto("session: the keyagg cache is not initialised")
    return session


def parse_psig(psig: bytes) -> CData:
    """Parse a partial signature (32 bytes).

    Raises:
        InvalidCrypto: not 32 bytes, or not below the group's order.
    """
    sized(psig, 32, "psig")
    parsed = ffi.new("secp256k1_musig_partial_sig *")
    if not lib.secp256k1_musig_partial_sig_parse(CONTEXT, parsed, psig):
        raise InvalidCrypto("psig: not below the group's order")
    return parsed


def partial_sig_verify(psig: CData, pubnonce: bytes, key: bytes, cache: CData, session: CData) -> bool:
    """Say whether a parsed psig answers this nonce (66 bytes) and this key (33 bytes) in this session.

    Raises:
        InvalidCrypto: the nonce is not two points, or the key is no point.
    """
    nonce, pubkey = parse_pubnonce(pubnonce), parse_point(key)
    return bool(lib.secp256k1_musig_partial_sig_verify(CONTEXT, psig, nonce, pubkey, cache, session))


def partial_sig_agg(session: CData, psigs: Sequence[bytes]) -> bytes:
    """Add psigs (32 bytes each) and the tweaks' share to 64 bytes: x of the final nonce, then s. Nothing is verified.

    Raises:
        InvalidCrypto: no psigs, or one that is not 32 bytes or not below the group's order (the message has its index).
    """
    signature = ffi.new("unsigned char[64]")
    parsed = [_numbered("psigs", i, parse_psig, psig) for i, psig in enumerate(psigs)]
    array = ffi.new("secp256k1_musig_partial_sig *[]", parsed)
    if not lib.secp256k1_musig_partial_sig_agg(CONTEXT, signature, session, array, len(parsed)):
        raise InvalidCrypto("psigs: there are none")
    return bytes(ffi.buffer(signature))

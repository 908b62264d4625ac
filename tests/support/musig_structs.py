"""libsecp256k1's opaque musig structs, forged from the numbers in BIP-327's vectors.

libsecp256k1 keeps their layout to itself, so this may break with a new release of it; only tests forge.

    secnonce       magic(4) ‖ k₁(32) ‖ k₂(32) ‖ public key(64)
    keyagg cache   magic(4) ‖ aggregate key(64) ‖ …
"""

from keymeld_protocol.curve.keyagg import key_agg
from keymeld_protocol.curve.libsecp256k1 import CData, ffi, parse_point
from keymeld_protocol.curve.musig_secret import Secnonce, nonce_gen
from keymeld_protocol.curve.secp256k1 import Secret, lift_x, pubkey_of, seckey_verify


def numbers_of(secnonce: Secnonce) -> bytes:
    """Spend a secnonce and read k₁ ‖ k₂ (64 bytes) out of it."""
    return bytes(ffi.buffer(secnonce.spend()))[4:68]


def forge_secnonce(numbers: bytes, key: bytes) -> Secnonce:
    """Make a secnonce of k₁ ‖ k₂ (64 bytes) that belongs to ``key`` (33 bytes)."""
    struct = nonce_gen(key).spend()
    ffi.buffer(struct)[4:68] = numbers
    halves = (numbers[:32], numbers[32:])
    pubnonce = b"".join(pubkey_of(half) if seckey_verify(half) else key for half in halves)
    return Secnonce(struct, pubnonce)


def forge_cache(output: bytes) -> CData:
    """Make a keyagg cache whose aggregate key has this x (32 bytes)."""
    cache = ffi.new("secp256k1_musig_keyagg_cache *", _some_cache()[0])
    ffi.buffer(cache)[4:68] = bytes(ffi.buffer(parse_point(lift_x(output))))
    return cache


def _some_cache() -> CData:
    with Secret(bytes(31) + b"\x01") as one, Secret(bytes(31) + b"\x02") as two:
        return key_agg((one.point, two.point)).cache

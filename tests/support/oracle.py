"""What an item's key and signature must be, worked out by somebody who shares no code with the project.

    plain keys ─▶ KeySort, KeyAgg ─▶ each step's tweak ─▶ output key    `ecc`'s BIP-327; BIP-32 and BIP-341 written down
    nested script tree ─▶ root                                          once more, from their own words
    unsigned transaction, signature ─▶ is the input spent?              Bitcoin Core's consensus code

Of the project only the shapes are used: what a step or a leaf says.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import TypeAlias

from coincurve import PublicKey
from ecc.ecc import dsa, musig2, ssa
from ecc.ecc.musig2 import KeyAggContext

from examples.helpers.regtest import verify_input
from keymeld_protocol.plaintext.body import BareRoot, Bip86, Child, Scalar, Step, TermsStep, XOnlyScalar
from keymeld_protocol.plaintext.contents import Leaf

from .naive import tagged

Tree: TypeAlias = "Leaf | tuple[Tree, Tree]"

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
TAPROOT = b"\x51\x20"
GENERATOR = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


def output_key(keys: Sequence[bytes], root: bytes | None, steps: Sequence[Step] | None) -> bytes | None:
    """The x-only output key of a key list under an item's steps, or None where there is none.

    ``root`` is what the terms commit to: a script root, nothing (empty), or None if they tweak nothing at all.
    """
    made = _aggregate(tuple(sorted(keys)))
    try:
        for step in (TermsStep(),) if steps is None else steps:
            made = _tweaked(made, root, step)
    except ValueError:
        return None
    return made.x_only_pub_key


@cache
def _aggregate(keys: tuple[bytes, ...]) -> KeyAggContext:
    """The aggregate of sorted keys.  BIP-327 aggregates a list of one as well; here such a list *is* its key."""
    return musig2.key_agg_var(keys) if len(keys) > 1 else KeyAggContext(musig2._cpoint_var(keys[0]), 1, 0)


def _tweaked(made: KeyAggContext, root: bytes | None, step: Step) -> KeyAggContext:
    """One step further.

    Raises:
        ValueError: there is no such key.
    """
    match step:
        case TermsStep():
            return made if root is None else _taproot(made, root)
        case Bip86():
            return _taproot(made, b"")
        case BareRoot(root=given):
            return _taproot(made, given)
        case Child(path=path):
            return _child(made, path)
        case Scalar(scalar=scalar) | XOnlyScalar(scalar=scalar):
            if not any(scalar):
                raise ValueError("zero tweaks nothing")
            return musig2.apply_tweak_var(made, bytes(scalar), isinstance(step, XOnlyScalar))


def _taproot(made: KeyAggContext, root: bytes) -> KeyAggContext:
    """BIP-341: Q = lift_x(x(P)) + H(x(P) ‖ root)·G."""
    return musig2.apply_tweak_var(made, tagged("TapTweak", made.x_only_pub_key + root), True)


def _child(made: KeyAggContext, path: Sequence[int]) -> KeyAggContext:
    """BIP-32's CKDpub under BIP-328's chain code, index by index."""
    chain = sha256(b"MuSig2MuSig2MuSig2").digest()
    for index in path:
        point = bytes([2 + made.Q[1] % 2]) + made.x_only_pub_key
        both = hmac.new(chain, point + index.to_bytes(4, "big"), "sha512").digest()
        made, chain = musig2.apply_tweak_var(made, both[:32], False), both[32:]
    return made


def secret_sum(secrets: Sequence[int]) -> int:
    """The secret key of a whole key list before any tweak: what nobody ever has, and a test may know."""
    held = sorted((point_of(secret), secret) for secret in secrets)
    if len(held) == 1:
        return held[0][1]
    keys = tuple(key for key, _ in held)
    whole, second = musig2._hash_pub_keys(keys), musig2._second_pub_key(keys)
    return sum(musig2._key_agg_coeff_(whole, second, key) * secret for key, secret in held) % ORDER


def point_of(secret: int) -> bytes:
    """The point (33 bytes) of a secret."""
    return bytes(PublicKey.from_secret(secret.to_bytes(32, "big")).format())


def is_point(point: bytes) -> bool:
    """Whether 33 bytes are a point."""
    try:
        musig2._cpoint_var(point)
    except ValueError:
        return False
    return True


def completed(presignature: bytes, secret: int) -> bytes:
    """§10.7: of R'(33) ‖ s'(32) and t the signature x(R') ‖ s' ± t, by the parity of R'."""
    scalar = int.from_bytes(presignature[33:], "big") + (secret if presignature[0] == 2 else -secret)
    return presignature[1:33] + (scalar % ORDER).to_bytes(32, "big")


def tree_root(tree: Tree) -> bytes:
    """BIP-341's root of a nested script tree."""
    if isinstance(tree, Leaf):
        length = len(tree.script)
        size = bytes([length]) if length < 253 else b"\xfd" + length.to_bytes(2, "little")
        return tagged("TapLeaf", bytes([tree.version]) + size + tree.script)
    return tagged("TapBranch", b"".join(sorted(map(tree_root, tree))))


def is_signature(signature: bytes, message: bytes, key: bytes) -> bool:
    """BIP-340, by `ecc`."""
    return bool(ssa.verify_(message, key, signature))


def is_low_ecdsa(signature: bytes, message: bytes, point: bytes) -> bool:
    """ECDSA with low s (r ‖ s, 64 bytes) by the owner of ``point`` (33 bytes), by `ecc`."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return s <= ORDER // 2 and dsa.verify_(message, point, dsa.Sig(r, s))


def spends(unsigned: bytes, spent: Sequence[tuple[int, bytes]], index: int, signature: bytes) -> bool:
    """Whether the signature, as the only item of its input's witness, satisfies Bitcoin's consensus code."""
    witnesses = b"".join(b"\1\x40" + signature if place == index else b"\0" for place in range(len(spent)))
    return verify_input(unsigned[:4] + b"\x00\x01" + unsigned[4:-4] + witnesses + unsigned[-4:], index, spent)

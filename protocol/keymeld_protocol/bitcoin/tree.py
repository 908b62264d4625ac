"""BIP-341's script tree, given leaf by leaf: everybody computes the root, and every leaf can be shown.

    [Leaf(depth 1), Leaf(depth 2), Leaf(depth 2)]  ──▶  TapLeaf hashes  ──▶  TapBranch, pair by pair  ──▶  root (32)

Leaves are listed depth first, each with its depth, as BIP-371's PSBT_OUT_TAP_TREE lists them: one tree, one spelling up
to the order of siblings.  A bare root could hide its giver's own key; a tree cannot.
"""

from __future__ import annotations

from functools import lru_cache

from ..curve.schnorr import tagged_hash
from ..errors import bad_field
from ..plaintext.contents import Leaf


def leaf_hash(leaf: Leaf) -> bytes:
    """BIP-341's TapLeaf hash (32 bytes) of one leaf."""
    return tagged_hash("TapLeaf", bytes([leaf.version]) + _compact_size(len(leaf.script)) + leaf.script)


@lru_cache(64)
def tree_root(leaves: tuple[Leaf, ...]) -> bytes:
    """The root (32 bytes) of the tree whose leaves are listed depth first; computed once, for the terms' many children.

    Raises:
        BadInput: the depths are not those of one whole tree.
    """
    open_: list[tuple[int, bytes]] = []
    for leaf in leaves:
        if open_ and leaf.depth < open_[-1][0]:
            raise bad_field("tree", "the leaves are not the depth-first list of a tree")
        depth, node = leaf.depth, leaf_hash(leaf)
        while open_ and open_[-1][0] == depth and depth:
            depth, node = depth - 1, _branch(open_.pop()[1], node)
        open_.append((depth, node))
    if [depth for depth, _ in open_] != [0]:
        raise bad_field("tree", "the leaves are not the depth-first list of a tree")
    return open_[0][1]


def _branch(one: bytes, other: bytes) -> bytes:
    """BIP-341's TapBranch hash of two nodes."""
    return tagged_hash("TapBranch", min(one, other) + max(one, other))


def _compact_size(number: int) -> bytes:
    """Bitcoin's CompactSize; a script is at most 10,000 bytes."""
    return bytes([number]) if number < 0xFD else b"\xfd" + number.to_bytes(2, "little")

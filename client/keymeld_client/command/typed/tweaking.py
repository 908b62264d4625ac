"""What a person types about tweaks: children, tweaks of one request, and script trees leaf by leaf.

    0/5              a child's path          0/0-9                          ten paths
    bip86 · none     terms, or one request   plain:HEX · xonly:HEX · root:HEX · terms      one request
    [DEPTH:]SCRIPT   a leaf, in hex          FILE                           the same, one a line

Every function raises ValueError with a sentence that says what would be right, as those of `short_forms` do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from keymeld_protocol.bitcoin.children import HARDENED
from keymeld_protocol.bitcoin.tree import tree_root
from keymeld_protocol.bitcoin.tweaks import Steps
from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext.body import MAX_PATH, BareRoot, Bip86, Child, Scalar, Step, TermsStep, XOnlyScalar
from keymeld_protocol.plaintext.contents import MAX_DEPTH, MAX_LEAVES, Leaf, Script
from keymeld_protocol.values import Hash

from .encoded import content

GivenLeaf: TypeAlias = tuple[int | None, bytes]
"""A leaf's depth, if it was given, and its script."""

MOST_CHILDREN: Final = 1000
_VERSION: Final = 0xC0
_PATH: Final = re.compile(r"((?:[0-9]{1,10}/)*)([0-9]{1,10})(?:-([0-9]{1,10}))?", re.ASCII)
_LEAF: Final = re.compile(r"(?:([0-9]{1,3}):)?((?:[0-9a-f]{2})+)", re.ASCII | re.IGNORECASE)
_NAMED: Final[dict[str, Steps]] = {"none": (), "terms": (TermsStep(),), "bip86": (Bip86(),)}


# Children -------------------------------------------------------------------------------------------------------


def paths(text: str) -> tuple[tuple[int, ...], ...]:
    """Read a child's path ``0/5``, or several ``0/0-9``.

    Raises:
        ValueError: no path, one of hardened steps, or too many.
    """
    found = _PATH.fullmatch(text)
    if found is None:
        raise ValueError("use a path such as 0/5 (receive) or 1/5 (change), or several such as 0/0-9; none is hardened")
    parents = tuple(map(int, found[1].split("/")[:-1]))
    first, last = int(found[2]), int(found[3] or found[2])
    if max(*parents, last, 0) >= HARDENED or len(parents) >= MAX_PATH:
        raise ValueError(f"a path has at most {MAX_PATH} steps, each below 2147483648")
    if not first <= last < first + MOST_CHILDREN:
        raise ValueError(f"a range rises, and has at most {MOST_CHILDREN} children")
    return tuple((*parents, index) for index in range(first, last + 1))


def path(text: str) -> tuple[int, ...]:
    """Read one child's path.

    Raises:
        ValueError: no path, or several.
    """
    found = paths(text)
    if len(found) != 1:
        raise ValueError("name one child, such as 0/5")
    return found[0]


# Tweaks of one request ------------------------------------------------------------------------------------------


def steps(text: str) -> Steps:
    """Read one tweak: ``none``, ``terms``, ``bip86``, ``plain:HEX``, ``xonly:HEX`` or ``root:HEX``.

    Raises:
        ValueError: none of these, or not 32 bytes.
    """
    if text in _NAMED:
        return _NAMED[text]
    kind, _, value = text.partition(":")
    match kind:
        case "plain":
            return (Scalar(scalar=root(value)),)
        case "xonly":
            return (XOnlyScalar(scalar=root(value)),)
        case "root":
            return (BareRoot(root=root(value)),)
        case _:
            raise ValueError("use none, terms, bip86, plain:HEX, xonly:HEX or root:HEX")


def root(text: str) -> Hash:
    """Read 32 bytes of hex: a script root, or a scalar.

    Raises:
        ValueError: anything else.
    """
    try:
        return Hash.from_hex(text.lower())
    except ValueError:
        raise ValueError("must be 64 hex digits (32 bytes)") from None


def together(child: tuple[int, ...] | None, given: Sequence[Steps]) -> Steps | None:
    """All tweaks of a request: the child first, then those given; a child alone has the tweak of the terms after it.

    Raises:
        ValueError: none and something else.
    """
    if len(given) > 1 and () in given:
        raise ValueError("none means no tweak at all: give it alone")
    every = tuple(step for each in given for step in each)
    if child is None:
        return every if given else None
    first: tuple[Step, ...] = (Child(path=child),)
    return first + (every if given else (TermsStep(),))


# Script trees ---------------------------------------------------------------------------------------------------


def leaf(text: str) -> GivenLeaf:
    """Read ``SCRIPT`` or ``DEPTH:SCRIPT``, the script in hex.

    Raises:
        ValueError: no hex, or no depth that a tree has.
    """
    found = _LEAF.fullmatch(text)
    if found is None or int(found[1] or 0) > MAX_DEPTH:
        raise ValueError(f"use SCRIPT or DEPTH:SCRIPT, the script in hex and the depth at most {MAX_DEPTH}")
    script = bytes.fromhex(found[2])
    if len(script) > Script.limit:
        raise ValueError(f"a script has at most {Script.limit:,} bytes")
    return (int(found[1]) if found[1] else None), script


def tree_file(text: str) -> tuple[GivenLeaf, ...]:
    """Read a file of leaves, one a line; empty lines and what follows ``#`` are for people.

    Raises:
        ValueError: no such file, or a line that is no leaf.
    """
    raw = content(text, "is no file").decode("latin-1")
    lines = [line.partition("#")[0].strip() for line in raw.splitlines()]
    return tuple(leaf(line) for line in lines if line)


def tree(given: Sequence[GivenLeaf]) -> tuple[Leaf, ...]:
    """The tree of some leaves, in their order; if none has a depth, they are balanced.

    Raises:
        ValueError: some have a depth and some have not, or the depths are those of no tree.
    """
    bare = [depth is None for depth, _ in given]
    if not 1 <= len(given) <= MAX_LEAVES:
        raise ValueError(f"a tree has 1 to {MAX_LEAVES} leaves")
    if any(bare) and not all(bare):
        raise ValueError("give every leaf its depth, or none of them")
    depths = balanced(len(given)) if all(bare) else tuple(depth or 0 for depth, _ in given)
    made = tuple(
        Leaf(depth=depth, version=_VERSION, script=Script(script))
        for depth, (_, script) in zip(depths, given, strict=True)
    )
    try:
        tree_root(made)
    except BadInput:
        raise ValueError("the depths are not those of one tree, listed depth first") from None
    return made


def balanced(leaves: int) -> tuple[int, ...]:
    """The depths of a tree of so many leaves whose depths differ by one at most; the left half is the larger one."""
    if leaves == 1:
        return (0,)
    right = leaves // 2
    return tuple(1 + depth for half in (leaves - right, right) for depth in balanced(half))

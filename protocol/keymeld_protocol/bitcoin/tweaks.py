"""From what terms and items say about tweaks to BIP-327's tweaks of one key list.

    Terms: bip86 │ none │ tree (leaf by leaf) │ root          the default of every key list, also of subsets
    Item:  child* ▶ terms │ bip86 │ root │ plain │ xonly …    explicit: these and no others; an empty list is no tweak

*Opaque* are bare roots and bare scalars: what they commit to cannot be seen, so an address made with them is not
provably this group's alone.  A tweak that cannot be applied fails; it never becomes none (attacks 10 and 11).
"""

from __future__ import annotations

from ..curve.keyagg import KeyAgg, Tweak, aggregate, taproot_tweak
from ..curve.secp256k1 import xonly
from ..errors import InvalidCrypto
from ..plaintext.body import BareRoot, Bip86, Child, Scalar, Step, TermsStep, XOnlyScalar
from ..plaintext.contents import Leaf, Terms
from .children import child_tweaks, path_told
from .tree import tree_root

Steps = tuple[Step, ...]


def tweaked(keys: tuple[bytes, ...] | KeyAgg, terms: Terms, steps: Steps | None = None) -> KeyAgg:
    """Sort and aggregate ``keys`` (33 bytes each), or take them aggregated, and apply ``steps``; None: as terms say.

    Raises:
        InvalidCrypto: the keys do not aggregate; a scalar is zero or not below the group's order, or gives infinity.
        BadInput: the terms' tree is none.
    """
    made = keys if isinstance(keys, KeyAgg) else aggregate(keys)
    for step in (TermsStep(),) if steps is None else steps:
        for tweak in _tweaks(made, terms, step):
            made = made.tweaked(tweak)
    return made


def is_opaque(terms: Terms, steps: Steps | None = None) -> bool:
    """Whether some tweak hides what it commits to."""
    every = (TermsStep(),) if steps is None else steps
    hidden = any(isinstance(step, (BareRoot, Scalar, XOnlyScalar)) for step in every)
    return hidden or (terms.tweak == "root" and any(isinstance(step, TermsStep) for step in every))


def terms_root(terms: Terms) -> bytes | None:
    """The script root (32 bytes; none: empty) of the taproot tweak that the terms name; None: they name no tweak.

    Raises:
        BadInput: the terms' tree is none.
    """
    if terms.tweak == "none":
        return None
    if terms.tree is not None:
        return tree_root(terms.tree)
    return b"" if terms.root is None else bytes(terms.root)


def child_steps(path: tuple[int, ...]) -> Steps:
    """The steps of a BIP-328 child's taproot output: the child, then the tweak of the terms."""
    return (Child(path=path), TermsStep())


def told_leaf(leaf: Leaf) -> str:
    """One leaf in a line, as it is shown before anybody joins."""
    return f"depth {leaf.depth}, version 0x{leaf.version:02x}, script {leaf.script.hex()}"


def told_steps(steps: Steps) -> str:
    """An item's tweaks in their order: ``child 0/5, then the tweak of the terms``."""
    return ", then ".join(map(_told, steps)) or "no tweak"


def _told(step: Step) -> str:
    """One step; what is hidden is shown by what hides it."""
    match step:
        case TermsStep():
            return "the tweak of the terms"
        case Child(path=path):
            return f"child {path_told(path)}"
        case Bip86():
            return "the tweak of BIP-86"
        case BareRoot(root=root):
            return f"script root {root.hex()}"
        case Scalar(scalar=scalar):
            return f"plain tweak {scalar.hex()}"
        case XOnlyScalar(scalar=scalar):
            return f"x-only tweak {scalar.hex()}"


def _tweaks(made: KeyAgg, terms: Terms, step: Step) -> tuple[Tweak, ...]:
    """The BIP-327 tweaks of one step, applied to the key as it is so far."""
    match step:
        case TermsStep():
            return _of_terms(made, terms)
        case Child(path=path):
            return child_tweaks(made.point, path)
        case Scalar(scalar=scalar):
            return (_given(scalar, xonly=False),)
        case XOnlyScalar(scalar=scalar):
            return (_given(scalar, xonly=True),)
        case BareRoot(root=root):
            return (taproot_tweak(xonly(made.point), bytes(root)),)
        case Bip86():
            return (taproot_tweak(xonly(made.point)),)


def _given(scalar: bytes, *, xonly: bool) -> Tweak:
    """A scalar that somebody wrote down; zero tweaks nothing, and whoever says it means something else.

    Raises:
        InvalidCrypto: it is zero.
    """
    if not any(scalar):
        raise InvalidCrypto("tweak: zero tweaks nothing")
    return Tweak(bytes(scalar), xonly=xonly)


def _of_terms(made: KeyAgg, terms: Terms) -> tuple[Tweak, ...]:
    """The tweak that the keygen's terms name."""
    root = terms_root(terms)
    return () if root is None else (taproot_tweak(xonly(made.point), root),)

"""Random groups, each of which follows from its seed alone; and what must come of an item that is asked of one.

    DrawnGroup("7")      1–8 slots at 1–3 enclaves, subsets, terms, rules, what the owners of the keys allow
    group.wish(asked)    the output key under which an item must be signed, or the code with which it must fail

Keys are worked out by oracle.py; the rules of items are written down once more here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import Any

from msgspec.structs import replace as changed

from keymeld_protocol.body import Asked, BareRoot, Scalar, SignEcdsa, SignInput, Step, TermsStep, XOnlyScalar
from keymeld_protocol.contents import Leaf, Script, Terms
from keymeld_protocol.shapes import Rule
from keymeld_protocol.values import Hash

from . import naive
from .oracle import GENERATOR, ORDER, TAPROOT, Tree, is_point, output_key, secret_sum, tree_root
from .world import NONE, SECOND, SELF, World, quorum

Steps = tuple[Step, ...] | None
OPAQUE = (BareRoot, Scalar, XOnlyScalar)
IMPOSSIBLE = frozenset({"bad_tweak", "bad_adaptor", "foreign_script", "ecdsa_needs_one_key"})
"""The codes of items that nobody can sign, whatever the owners of the keys allow."""


@dataclass(frozen=True)
class Wish:
    """One item: what is asked, the slots whose keys sign it, and under which key, or with which code it fails.

    ``key`` is the x-only output key, for ECDSA the plain one (33 bytes).  ``secrets``: what completes each of its
    pre-signatures, in their order; a signature has none.
    """

    asked: Asked
    slots: tuple[int, ...]
    key: bytes | None
    code: str | None
    secrets: tuple[int, ...] = ()

    @property
    def places(self) -> int:
        """Of how many signatures and pre-signatures it consists."""
        return len(self.secrets) or 1


class DrawnGroup:
    """A keygen of everything at random, in a world of its own; one member speaks for all the slots."""

    def __init__(self, seed: str) -> None:
        draw = Random(f"group {seed}")
        slots = range(draw.randint(1, 8))
        self.world = World()
        self.member = self.world.member("everybody")
        self.enclaves = [self.world.enclave(f"vault {i}") for i in range(draw.randint(1, 3))]
        self.at = [draw.choice(self.enclaves) for _ in slots]
        self.rules = [_rule(draw, len(slots)) for _ in slots]
        self.allow = _allowed(draw, len(slots))
        self.terms, self.root = _terms(draw)
        self.subsets = _subsets(draw, len(slots))
        everybody = [self.member] * len(slots)
        self.keygen = self.world.gather(
            everybody, at=self.at, rule=self.rules, subsets=self.subsets, terms=self.terms, allow=self.allow
        )
        self.seed, self.slots = seed, tuple(slots)
        self.nonces: set[bytes] = set()
        self._keys: dict[tuple[int | None, Steps], bytes | None] = {}

    @cached_property
    def pubkeys(self) -> list[bytes]:
        """The plain key of each slot, from its owner."""
        return [self.member.identity.signing(self.keygen, slot, 0).point for slot in self.slots]

    @cached_property
    def seats(self) -> naive.Seats:
        """Who sits where, read by the naive witness."""
        return naive.Seats.of(self.world.logs[self.keygen].records)

    def key_list(self, subset: int | None) -> tuple[int, ...]:
        """The slots that sign for a subset, or for everybody."""
        return self.slots if subset is None else self.subsets[subset]

    def output_key(self, subset: int | None, steps: Steps) -> bytes | None:
        """Under which key an item must be signed, or None if there is no such key."""
        place = (subset, steps)
        if place not in self._keys:
            self._keys[place] = output_key([self.pubkeys[s] for s in self.key_list(subset)], self.root, steps)
        return self._keys[place]

    def leaving(self, subset: int | None, rest: int) -> Step:
        """The plain tweak after which the secret of a key list is ``rest``: 0 for infinity, 1 for the generator."""
        missing = rest - secret_sum([self._secret(slot) for slot in self.key_list(subset)])
        return Scalar(scalar=Hash((missing % ORDER).to_bytes(32, "big")))

    def _secret(self, slot: int) -> int:
        with self.member.identity.signing(self.keygen, slot, 0) as secret:
            return int.from_bytes(secret.buffer, "big")

    def forbidden(self, asked: Asked, slot: int) -> str | None:
        """Why the key of this slot does not serve an item, as its owner has sealed it."""
        allow, alone = self.allow[slot], len(self.key_list(asked.subset)) == 1 < len(self.slots)
        steps = (TermsStep(),) if asked.tweaks is None else asked.tweaks
        hidden = any(isinstance(s, OPAQUE) or (isinstance(s, TermsStep) and self.terms.root) for s in steps)
        if alone and not allow.get("alone"):
            return "alone_not_allowed"
        if alone and not isinstance(asked, SignInput) and not allow.get("alone_blind"):
            return "blind_alone_not_allowed"
        return "opaque_tweak" if hidden and not allow.get("accept_opaque_tweak") else None

    def wish(self, asked: Asked, secrets: Sequence[int] = (), script: bytes | None = None) -> Wish:
        """What must come of an item; ``secrets`` are those of its adaptor, ``script`` that of what its input spends."""
        key = self.output_key(asked.subset, asked.tweaks)
        found = Wish(asked, self.key_list(asked.subset), key, None, tuple(secrets))
        if isinstance(asked, SignEcdsa):
            alone = len(found.slots) == 1
            found = replace(found, key=self.pubkeys[found.slots[0]])
            return replace(found, code=self._refused(asked) if alone else "ecdsa_needs_one_key")
        if key is None:
            return replace(found, code="bad_tweak")
        if asked.adaptor is not None and (key == GENERATOR or not all(map(is_point, asked.adaptor.points))):
            return replace(found, code="bad_adaptor")
        if script is not None and script != TAPROOT + key:
            return replace(found, code="foreign_script")
        return replace(found, code=self._refused(asked))

    def _refused(self, asked: Asked) -> str | None:
        """Why somebody's policy forbids an item."""
        return next(filter(None, (self.forbidden(asked, slot) for slot in self.key_list(asked.subset))), None)


def _rule(draw: Random, slots: int) -> Rule:
    """Nobody, oneself, or some of some; now and then with a delay of up to a second."""
    voters = sorted(draw.sample(range(slots), draw.randint(1, slots)))
    rule = draw.choice([NONE, NONE, SELF, quorum(draw.randint(1, len(voters)), *voters)])
    return rule if draw.random() < 0.9 else changed(rule, delay_ms=draw.randint(1, SECOND))


def _allowed(draw: Random, slots: int) -> list[dict[str, bool]]:
    """In some groups everybody says yes to everything, in others each says what he likes."""
    generous = draw.random() < 0.5
    yes = [[generous or draw.random() < 0.6 for _ in range(3)] for _ in range(slots)]
    return [
        {"alone": alone, "alone_blind": alone and blind, "accept_opaque_tweak": opaque} for alone, blind, opaque in yes
    ]


def _terms(draw: Random) -> tuple[Terms, bytes | None]:
    """Terms of one of the four kinds, and what they commit to."""
    word = draw.choice(["bip86", "bip86", "none", "tree", "root"])
    fields: dict[str, Any] = {"v": 1, "label": "", "network": "regtest", "tweak": word}
    if word == "tree":
        tree = _tree(draw, 0)
        return Terms(**fields, tree=tuple(_leaves(tree))), tree_root(tree)
    if word == "root":
        root = Hash(draw.randbytes(32))
        return Terms(**fields, root=root), root
    return Terms(**fields), b"" if word == "bip86" else None


def _tree(draw: Random, depth: int) -> Tree:
    """A script tree of up to eight leaves."""
    if depth < 3 and draw.random() < 0.6:
        return _tree(draw, depth + 1), _tree(draw, depth + 1)
    script = Script(draw.randbytes(draw.choice([0, 1, 34, 252, 253, 600])))
    return Leaf(depth=depth, version=draw.choice([0xC0, 0xC0, 0xFE]), script=script)


def _leaves(tree: Tree) -> list[Leaf]:
    """Its leaves, depth first."""
    return [tree] if isinstance(tree, Leaf) else [leaf for half in tree for leaf in _leaves(half)]


def _subsets(draw: Random, slots: int) -> tuple[tuple[int, ...], ...]:
    """Up to five distinct subsets, often one of a single slot."""
    sizes = [draw.choice([1, draw.randint(1, slots), draw.randint(1, slots)]) for _ in range(draw.randint(0, 5))]
    return tuple({tuple(sorted(draw.sample(range(slots), size))): None for size in sizes})

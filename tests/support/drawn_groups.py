"""Random groups, each of which follows from its seed alone; and what must come of an item that is asked of one.

    DrawnGroup("7")      1–8 slots at 1–3 enclaves, subsets, terms, rules, what the owners of the keys allow
    group.wish(asked)    the output key under which an item must be signed, or the code with which it must fail

Keys are worked out by oracle.py; the rules of items are written down once more here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from msgspec.structs import replace as changed

from keymeld_protocol.plaintext.body import Asked, BareRoot, Scalar, SignEcdsa, SignInput, Step, TermsStep, XOnlyScalar
from keymeld_protocol.plaintext.contents import Leaf, Script, Terms
from keymeld_protocol.values import Hash
from keymeld_protocol.wire.shapes import Rule

from . import naive
from .oracle import GENERATOR, ORDER, TAPROOT, Tree, is_point, output_key, secret_sum, tree_root
from .world import NONE, SECOND, SELF, World, quorum

Steps = tuple[Step, ...] | None
OPAQUE = (BareRoot, Scalar, XOnlyScalar)
IMPOSSIBLE = frozenset({"bad_tweak", "bad_adaptor", "foreign_script", "ecdsa_needs_one_key"})
"""The codes of items that nobody can sign."""


@dataclass(frozen=True)
class Wish:
    """One item: what is asked, the slots whose keys sign it, and under which key, or with one of which codes it fails.

    ``key`` is the x-only output key, for ECDSA the plain one (33 bytes).  ``secrets``: what completes each of its
    pre-signatures, in their order; a signature has none.
    """

    asked: Asked
    slots: tuple[int, ...]
    key: bytes | None
    codes: frozenset[str]
    secrets: tuple[int, ...] = ()

    @property
    def impossible(self) -> bool:
        """Whether nobody can sign it, whatever the owners of the keys allow."""
        return not self.codes.isdisjoint(IMPOSSIBLE)

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
        self.terms, self.root = _terms(draw)
        self.subsets = _subsets(draw, len(slots))
        self.allow = _allowed(draw, len(slots), self.subsets)
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
        return [self.member.signing_key(self.keygen, slot).point for slot in self.slots]

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
        with self.member.signing_key(self.keygen, slot) as secret:
            return int.from_bytes(secret.buffer, "big")

    def forbidden(self, asked: Asked, slot: int) -> str | None:
        """Why the key of this slot does not serve an item, as its owner has sealed it."""
        allow, slots, blind = self.allow[slot], self.key_list(asked.subset), not isinstance(asked, SignInput)
        whole = len(slots) == len(self.slots)
        steps = (TermsStep(),) if asked.tweaks is None else asked.tweaks
        hidden = any(isinstance(s, OPAQUE) or (isinstance(s, TermsStep) and self.terms.root) for s in steps)
        if len(slots) == 1 and not whole and not allow.get("alone"):
            return "alone_not_allowed"
        if len(slots) == 1 and not whole and blind and not allow.get("alone_blind"):
            return "blind_alone_not_allowed"
        if "subsets" in allow and not whole and slots not in [self.subsets[i] for i in allow["subsets"]]:
            return "subset_not_allowed"
        if blind and allow.get("no_blind"):
            return "blind_not_allowed"
        return "opaque_tweak" if hidden and not allow.get("accept_opaque_tweak") else None

    def wish(self, asked: Asked, secrets: Sequence[int] = (), script: bytes | None = None) -> Wish:
        """What must come of an item; ``secrets`` are those of its adaptor, ``script`` that of what its input spends."""
        slots, key = self.key_list(asked.subset), self.output_key(asked.subset, asked.tweaks)
        code = self._impossible(asked, key, script)
        reasons = {self.forbidden(asked, slot) for slot in slots} - {None} if code is None else {code}
        key = self.pubkeys[slots[0]] if isinstance(asked, SignEcdsa) else key
        return Wish(asked, slots, key, frozenset(map(str, reasons)), tuple(secrets))

    def _impossible(self, asked: Asked, key: bytes | None, script: bytes | None) -> str | None:
        """Why nobody can sign an item."""
        if isinstance(asked, SignEcdsa):
            return None if len(self.key_list(asked.subset)) == 1 else "ecdsa_needs_one_key"
        if key is None:
            return "bad_tweak"
        if asked.adaptor is not None and (key == GENERATOR or not all(map(is_point, asked.adaptor.points))):
            return "bad_adaptor"
        return "foreign_script" if script is not None and script != TAPROOT + key else None


def _rule(draw: Random, slots: int) -> Rule:
    """Nobody, oneself, or some of some; now and then with a delay of up to a second."""
    voters = sorted(draw.sample(range(slots), draw.randint(1, slots)))
    rule = draw.choice([NONE, NONE, SELF, quorum(draw.randint(1, len(voters)), *voters)])
    return rule if draw.random() < 0.9 else changed(rule, delay_ms=draw.randint(1, SECOND))


def _allowed(draw: Random, slots: int, subsets: Sequence[tuple[int, ...]]) -> list[dict[str, Any]]:
    """In some groups everybody says yes to everything, in others each says what he likes."""
    if draw.random() < 0.5:
        return [{"alone": True, "alone_blind": True, "accept_opaque_tweak": True} for _ in range(slots)]
    return [_policy(draw, slots, [i for i, subset in enumerate(subsets) if slot in subset]) for slot in range(slots)]


def _policy(draw: Random, slots: int, subsets: Sequence[int]) -> dict[str, Any]:
    """What the owner of one key allows, of whose group these ``subsets`` hold him."""
    alone, blind, opaque = (draw.random() < 0.6 for _ in range(3))
    fields: dict[str, Any] = {"alone": alone, "alone_blind": alone and blind, "accept_opaque_tweak": opaque}
    if not blind and draw.random() < 0.3:
        fields["no_blind"] = True
    if draw.random() < 0.15:
        fields["subsets"] = tuple(sorted(draw.sample(subsets, draw.randint(0, len(subsets)))))
    if draw.random() < 0.05:
        fields["requesters"] = tuple(sorted(draw.sample(range(slots), draw.randint(1, slots))))
    return fields


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

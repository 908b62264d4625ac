"""The policy that is sealed with a key: under which rule an enclave may use it, and what else its owner allows (§9.3).

It travels inside the envelope; the join commits to it, and the coordinator sees no more of it than the rule.  `policy`
(consent), `item_policy` (one item) and `content_policy` (what a whole request pays) evaluate it.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ..curve.schnorr import tagged_hash
from ..errors import bad_field
from ..values import Hash, Salt
from ..wire.shapes import MAX_SUBSETS, Rule, Shape, Slots, check_rising
from .body import Amount, Subset
from .contents import Content, HexBytes

MAX_ALLOWED: Final = 100
"""Outputs that a policy can name; with 34-byte scripts they take 11 of an envelope's 16 KiB."""


class AllowedScript(HexBytes):
    """The script of an output that may be paid: 1 to 520 bytes, which every address has."""

    limit = 520


class AllowedOutput(Shape, frozen=True, kw_only=True):
    """A script that may be paid; ``most``: no more than this many satoshi in one request."""

    script: AllowedScript
    most: Amount | None = None


class Policy(Content, frozen=True, kw_only=True):
    """Under which rule an enclave may use the key it came with; ``salt`` hides it behind its public commitment.

    ``alone``: also for a subset of it alone; ``alone_blind``: also blind; ``accept_opaque_tweak``: also opaque tweaks.
    ``requesters``: only what these slots ask for; ``subsets``: beside the whole group only for these; ``no_blind``: no
    blind messages.  ``outputs``, ``max_amount`` and ``max_fee`` (satoshi, over a whole request) are its *transaction
    rules*: with one of them the key signs nothing that it cannot judge.
    """

    salt: Salt
    rule: Rule
    alone: bool = False
    alone_blind: bool = False
    accept_opaque_tweak: bool = False
    requesters: Slots | None = None
    subsets: Annotated[tuple[Subset, ...], Meta(max_length=MAX_SUBSETS)] | None = None
    no_blind: bool = False
    outputs: Annotated[tuple[AllowedOutput, ...], Meta(min_length=1, max_length=MAX_ALLOWED)] | None = None
    max_amount: Amount | None = None
    max_fee: Amount | None = None

    @property
    def transaction_rule(self) -> bool:
        """Whether it limits what transactions do."""
        return self.outputs is not None or self.max_amount is not None or self.max_fee is not None

    @property
    def blind(self) -> bool:
        """Whether it serves blind messages at all."""
        return not self.no_blind and not self.transaction_rule

    def check(self) -> None:
        """The rule does not contradict itself, nor do the fields one another; each set has one spelling (§9.3)."""
        self.rule.check()
        if self.alone_blind and not self.alone:
            raise bad_field("alone_blind", "needs alone")
        if self.alone_blind and not self.blind:
            raise bad_field(
                "alone_blind", "contradicts no_blind and every transaction rule: they forbid blind messages"
            )
        check_rising("requesters", self.requesters or ())
        check_rising("subsets", self.subsets or ())
        scripts = [output.script for output in self.outputs or ()]
        if not all(scripts) or len(set(scripts)) != len(scripts):
            raise bad_field("outputs", "each names a script of its own, of at least a byte")

    def check_place(self, slot: int, slots: int, subsets: tuple[tuple[int, ...], ...]) -> None:
        """The slots and subsets that it names are there, in the keygen in which ``slot`` is sealed with it.

        Raises:
            BadInput: naming the field.
        """
        if self.requesters is not None and self.requesters[-1] >= slots:
            raise bad_field("requesters", f"this keygen has slots 0…{slots - 1}")
        for index in self.subsets or ():
            if index >= len(subsets) or slot not in subsets[index]:
                raise bad_field("subsets", f"subset {index} is not there, or slot {slot} is not in it")


def policy_commitment(raw: bytes) -> Hash:
    """The commitment in ``keygen.join``: over the policy's bytes as they lie in the envelope."""
    return Hash(tagged_hash("keymeld/policy/v1", raw))

"""Places: what signers make of a request is one signature or pre-signature for each, and a contribution one entry.

    items ──▶ places ──▶ entries of contributions ──▶ Made, place by place ──▶ Result, item by item

An item is one place (§10.4); with the adaptor points of an ``or`` one for each point, each with nonces of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..curve import adaptor
from ..plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Prefinished
from ..values import PreSignature, Signature
from .plan import Item, Planned, signable

Made = Finished | Prefinished | Failed
"""What comes of a place."""

Result = Signature | tuple[PreSignature, ...] | Failed
"""What comes of an item: its signature, its pre-signatures in the order of their points, or why there is none."""


@dataclass(frozen=True, eq=False)
class Place:
    """One signature or pre-signature: of item number ``index``, for point number ``point`` of its ``or`` (else 0).

    ``adaptor`` is the T (33 bytes) that is bound into a pre-signature, None for a signature.
    """

    index: int
    point: int
    planned: Planned
    adaptor: bytes | None

    @property
    def item(self) -> Item:
        """Its item, if it can be signed.

        Raises:
            Blamed: nobody can sign it.
        """
        return signable(self.index, self.planned)

    def __str__(self) -> str:
        """In words, as errors name it."""
        return f"item {self.index}" + (f", point {self.point}" if len(self.planned.adaptors) > 1 else "")

    def takes(self, entry: Entry) -> bool:
        """Whether entries of this sort belong here: proofs and pre-signatures for a point, and nowhere else."""
        match entry:
            case Nonce(proof=proof) | Both(proof=proof):
                return (proof is not None) == (self.adaptor is not None)
            case Finished():
                return self.adaptor is None
            case Prefinished():
                return self.adaptor is not None
        return True

    def holds(self, made: Entry | None) -> bool:
        """Whether this is its signature or, for a point, its pre-signature, and verifies.

        Raises:
            Blamed: nobody can sign it.
        """
        match made, self.adaptor:
            case Finished(signature), None:
                return self.item.verifies(signature)
            case Prefinished(presignature), bytes(bound):
                return adaptor.verify(presignature, bound, self.item.message, self.item.keyagg.output)
        return False


def places(items: Sequence[Planned]) -> tuple[Place, ...]:
    """Every place of a request, in the order of contributions."""
    return tuple(
        Place(index, point, item, bound)
        for index, item in enumerate(items)
        for point, bound in enumerate(item.adaptors)
    )


def by_item(items: Sequence[Planned], made: Sequence[Made]) -> tuple[Result, ...]:
    """Gather what came of the places to what came of each item; one failed place fails its item."""
    rest = iter(made)
    return tuple(_gathered([next(rest) for _ in item.adaptors]) for item in items)


def _gathered(made: list[Made]) -> Result:
    """What came of one item."""
    for each in made:
        if isinstance(each, Failed):
            return each
        if isinstance(each, Finished):
            return Signature(each.signature)
    return tuple(PreSignature(each.presignature) for each in made if isinstance(each, Prefinished))

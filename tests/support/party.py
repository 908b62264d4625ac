"""Alice, Bob and Carol, whose keys are at enclaves of a world in memory.

party = Party("vault", "keep")
party.gather(NONE, SELF, NONE, at=(0, 1, 0))      rules and enclaves, slot by slot
signing = party.alice.request(party.group, MESSAGE); party.world.run()
assert party.signed(signing)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.plaintext.contributions import Finished
from keymeld_protocol.values import Id, Signature
from keymeld_protocol.wire.shapes import Rule

from .world import MESSAGE, NONE, Member, World


class Party:
    """Alice, Bob and Carol, and enclaves by name; ``gather`` makes their group."""

    def __init__(self, *enclaves: str) -> None:
        self.world = World()
        self.vaults = [self.world.enclave(name) for name in enclaves]
        self.alice, self.bob, self.carol = (self.world.member(name) for name in ("alice", "bob", "carol"))
        self.group = Id(bytes(32))

    @property
    def members(self) -> list[Member]:
        """All three, by slot."""
        return [self.alice, self.bob, self.carol]

    def gather(
        self,
        *rules: Rule,
        at: Iterable[int] = (0, 0, 0),
        subsets: tuple[tuple[int, ...], ...] = (),
        allow: Sequence[dict[str, Any]] = (),
    ) -> Id:
        """All three join, slot by slot ``at`` these enclaves; ``allow``: further fields of each policy."""
        where = [self.vaults[index] for index in at]
        self.group = self.world.gather(self.members, at=where, rule=rules or [NONE] * 3, subsets=subsets, allow=allow)
        return self.group

    def signed(self, signing: Id, message: bytes = MESSAGE, subset: int | None = None) -> bool:
        """Whether everybody who hears it has computed a signature that verifies, and was told the same."""
        for member in self.members:
            (signature,) = member.signatures(signing)
            assert isinstance(signature, Signature)
            assert verify(signature, message, member.roster(self.group).keyagg(subset).output)
            assert member.told(signing) == (Finished(signature=signature),)
        return True

    def phase(self, signing: Id) -> SigningPhase:
        """Where a signing stands in the coordinator's log."""
        return SigningPhase(self.world.state(signing).phase)

    def code(self, signing: Id) -> str | None:
        """Why it failed."""
        code = self.world.state(signing).code
        return None if code is None else str(code)

    def undisturbed(self) -> bool:
        """Whether no enclave was refused anything, or has anything to complain of."""
        return not any(vault.refused or vault.concerns for vault in self.vaults)


def party_of_one() -> Party:
    """A party whose keys are all at one enclave."""
    party = Party("vault")
    party.gather()
    party.vaults[0].said.clear()
    return party


def party_of_two() -> Party:
    """A party with slots 0 and 2 at one enclave and slot 1 at another."""
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    for vault in party.vaults:
        vault.said.clear()
    return party

"""The roster as a member reads it: every card opened, every key proven, and an address called safe only by all."""

from dataclasses import replace

import pytest

from keymeld_protocol.contents import Card
from keymeld_protocol.errors import BadInput, Blamed, InvalidCrypto, WireError
from keymeld_protocol.keyagg import aggregate, bip86_tweak
from keymeld_protocol.keys import prove_possession
from keymeld_protocol.replay import Replay
from keymeld_protocol.roster import read_card, read_roster, read_terms, safety
from keymeld_protocol.sealing import GroupKey
from keymeld_protocol.transaction import taproot_script
from keymeld_protocol.values import Id
from tests.support.people import Invitation, JoinDraft, Member
from tests.support.world import NONE, Enclave, World, key_of, secret_of


@pytest.fixture
def world() -> World:
    return World()


def company(world: World) -> tuple[Enclave, list[Member]]:
    return world.enclave("vault"), [world.member(name) for name in ("alice", "bob", "carol")]


def spoiled(world: World, spoil: "Spoil") -> tuple[Member, Id]:
    """A keygen of two whose second join is spoiled; the enclave is forced to accept, as a hostile one would."""
    vault, (alice, bob, _) = company(world)
    vault.leave()
    invitation = alice.create(2)
    alice.join(invitation, 0, vault.key, NONE)
    draft = bob.draft(invitation, 1, vault.key, NONE)
    spoil(draft, invitation)
    bob.submit(draft.statement())
    world.run()
    for slot in (0, 1):
        world.accept(invitation.keygen, slot, "vault")  # type: ignore[attr-defined]
    world.run()
    return alice, invitation.keygen


def blamed(heard: Replay, group: GroupKey) -> tuple[str, tuple[int, ...]]:
    with pytest.raises(Blamed) as caught:
        read_roster(heard, group)
    return caught.value.code, caught.value.slots

"""agent.py, when participants leave: keys are wiped, what needs them is refused, and the others' go on."""

from typing import Any

import pytest

from keymeld_enclave.custody import Unacceptable
from keymeld_protocol.curve.libsecp256k1 import ffi
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.plaintext.body import Asked, SignMessage
from keymeld_protocol.values import Id, Message, Signature
from keymeld_protocol.wire.payloads import KeygenLeave
from keymeld_protocol.wire.records import Chain
from tests.support.party import Party
from tests.support.payments import every_input, payment
from tests.support.world import MESSAGE, NONE, SELF, Member

SUBSETS = ((0, 1), (0, 2))


def gathered(*names: str) -> Party:
    """Alice's and Carol's keys at the first enclave, Bob's at the last; Carol's waits for her own yes."""
    party = Party(*names)
    party.gather(NONE, NONE, SELF, at=(0, len(names) - 1, 0), subsets=SUBSETS)
    return party


def leaves(party: Party, member: Member) -> None:
    slot = party.members.index(member)
    member.say(party.group, KeygenLeave, slot=slot)


def wiped(party: Party, vault: int = 0) -> list[str]:
    """What an enclave has said of keys that it wiped."""
    return [kind for kind in party.vaults[vault].kinds() if kind == "custody.wiped"]


def test_the_key_of_whoever_leaves_is_wiped_and_said_so_once() -> None:
    party = gathered("vault")
    secret = party.vaults[0].agent._groups[party.group].custody.take(1).secret
    leaves(party, party.bob)
    party.world.run()
    assert not any(secret.buffer)
    assert len(wiped(party)) == 1 and party.undisturbed()
    assert party.world.state(party.group).unwiped() == ()


def test_an_enclave_that_was_away_wipes_when_it_hears_of_it_and_never_twice() -> None:
    party = gathered("vault")
    party.vaults[0].crash()
    leaves(party, party.bob)
    party.vaults[0].come_back()
    party.world.run()
    party.vaults[0].restart()
    party.world.run()
    assert len(wiped(party)) == 1 and party.undisturbed()


def test_an_enclave_wipes_nothing_of_another_enclaves() -> None:
    party = gathered("vault", "keep")
    leaves(party, party.bob)
    party.world.run()
    assert (len(wiped(party, 0)), len(wiped(party, 1))) == (0, 1)


def test_the_keys_of_the_others_go_on_signing() -> None:
    party = gathered("vault")
    before = party.alice.request(party.group, MESSAGE, subset=0)
    party.world.run()
    leaves(party, party.bob)
    party.world.run()
    signing = party.carol.request(party.group, MESSAGE, subset=1)
    party.world.run()
    assert party.signed(before, subset=0) and party.signed(signing, subset=1)


def test_the_keys_of_the_others_go_on_signing_after_a_restart() -> None:
    party = gathered("vault")
    leaves(party, party.bob)
    party.world.run()
    party.vaults[0].restart()
    signing = party.carol.request(party.group, MESSAGE, subset=1)
    party.world.run()
    assert party.signed(signing, subset=1)


def test_no_sum_of_keys_that_holds_a_key_that_left_is_kept() -> None:
    party = gathered("vault")
    party.alice.request(party.group, MESSAGE, subset=0)
    party.world.run()
    signer = party.vaults[0].agent._groups[party.group].signer()
    (total,), (key,) = signer._totals.values(), signer._sums.values()
    leaves(party, party.bob)
    party.world.run()
    assert (bytes(total.buffer), bytes(ffi.buffer(key.keypair))) == (bytes(32), bytes(96))
    assert not signer._totals and not signer._sums


@pytest.mark.parametrize("enclaves", [("vault",), ("vault", "keep")])
def test_what_was_asked_for_before_and_waits_is_refused(enclaves: tuple[str, ...]) -> None:
    party = gathered(*enclaves)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.phase(signing) is SigningPhase.APPROVING, "it waits for Carol"
    leaves(party, party.bob)
    party.world.run()
    assert (party.phase(signing), party.code(signing)) == (SigningPhase.FAILED, "left")


def test_an_attempt_that_is_under_way_ends_with_nonces_wiped() -> None:
    party = gathered("vault", "keep")
    party.vaults[0].here = False
    signing = party.carol.request(party.group, MESSAGE)
    party.world.run()
    party.vaults[0].come_back()
    for _ in range(3):  # nobody has said psigs yet
        party.vaults[1].step()
    contributor = party.vaults[1].agent._contributors[signing]
    assert contributor._nonces is not None
    leaves(party, party.bob)
    party.world.run()
    assert (party.phase(signing), party.code(signing)) == (SigningPhase.FAILED, "left")
    assert contributor._nonces is None


def test_an_enclave_whose_every_participant_left_refuses_after_a_restart_too() -> None:
    party = gathered("vault", "keep")
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    for vault in party.vaults:
        vault.crash()
    leaves(party, party.bob)
    party.vaults[1].come_back()
    party.world.run()
    assert (party.phase(signing), party.code(signing)) == (SigningPhase.FAILED, "left")


def completed(party: Party, *items: Asked, **options: Any) -> Id:
    """A signing of the pair's that is complete; since then every enclave has crashed."""
    signing = party.alice.request(
        party.group, *(items or (SignMessage(message=Message(MESSAGE), subset=0),)), **options
    )
    while party.phase(signing) is not SigningPhase.COMPLETED:
        for vault in party.vaults:
            vault.step()
    for vault in party.vaults:
        vault.crash()
    return signing


def come_back(party: Party) -> None:
    for vault in party.vaults:
        vault.come_back()
    party.world.run()


@pytest.mark.parametrize("enclaves", [("vault",), ("vault", "keep")])
def test_what_is_complete_stays_so_though_somebody_left_and_the_enclaves_began_anew(
    enclaves: tuple[str, ...],
) -> None:
    party = gathered(*enclaves)
    signing = completed(party)
    leaves(party, party.bob)
    come_back(party)
    assert party.phase(signing) is SigningPhase.COMPLETED and party.signed(signing, subset=0)
    assert not any(vault.concerns for vault in party.vaults)


def test_what_is_complete_stays_so_though_a_policy_would_say_no_since_somebody_left() -> None:
    party = Party("vault", "keep")
    party.gather(NONE, NONE, NONE, at=(0, 1, 0), subsets=SUBSETS, allow=({"max_amount": 1_000}, {}, {}))
    roster = party.alice.roster(party.group)
    up = payment([(100_000, roster.script(0))], [(99_000, roster.script())])
    signing = completed(party, *every_input([up], 0), transactions=(up,))
    leaves(party, party.carol)
    come_back(party)
    assert party.phase(signing) is SigningPhase.COMPLETED
    signing = party.alice.request(party.group, *every_input([up], 0), transactions=(up,))
    party.world.run()
    assert party.code(signing) == "amount_not_allowed", "the group's address is nobody's any more"


def test_what_is_complete_is_refused_by_nobody_though_all_have_left() -> None:
    party = gathered("vault", "keep")
    signing = completed(party)
    for member in party.members:
        leaves(party, member)
    come_back(party)
    assert party.phase(signing) is SigningPhase.COMPLETED
    assert isinstance(party.alice.signatures(signing)[0], Signature)


def test_a_keygen_that_all_have_left_is_closed_and_forgotten() -> None:
    party = gathered("vault")
    agent = party.vaults[0].agent
    group = agent._groups[party.group].custody
    for member in party.members:
        leaves(party, member)
    party.world.run()
    assert party.world.state(party.group).phase is KeygenPhase.CLOSED
    assert len(wiped(party)) == 3 and party.undisturbed()
    assert party.group in agent.take_finished() and party.group not in agent._groups
    with pytest.raises(Unacceptable):
        group.take(0)


def test_attack_40_a_history_without_the_leaves_brings_no_key_back() -> None:
    """A coordinator kept the envelopes, and tells the story anew to an enclave that has wiped the keys."""
    party = gathered("vault")
    agent = party.vaults[0].agent
    kept, request = list(party.world.logs[party.group].records), party.alice.requesting(party.group, MESSAGE, subset=0)
    for member in party.members:
        leaves(party, member)
    party.world.run()
    assert party.group in agent.take_finished()
    signing = Chain(request.id).next(party.world.epoch, party.world.now, request)
    for record in kept:
        assert agent.hear(party.group, record) == []
    assert agent.hear(request.id, signing) == []
    assert party.group not in agent._groups and request.id not in agent._contributors

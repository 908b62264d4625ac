"""A session that is over is told a second time, with another end: no enclave that took part in the first one listens.

history 1   request · attempt · psigs ──▶ its end      Alice hears nothing of it; somebody has a pre-signature
history 2   request · attempt · ……                     told as if nothing had been: no other psig answers it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from keymeld_enclave.memory import Memory
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.plaintext.contributions import Nonce
from keymeld_protocol.values import Epoch, Id
from keymeld_protocol.wire.payloads import KeygenLeave, SigningExpired, SigningRefuse
from keymeld_protocol.wire.records import Record
from tests.attacks.mischief import group_of_two, say_as, signed
from tests.attacks.test_adaptors import Duel, Group, locked, message
from tests.attacks.test_second_presignatures import psig_steps
from tests.support.party import Party
from tests.support.world import HOUR, MESSAGE, MINUTE, NONE, NOON, SECOND, SELF, Enclave, Member, World


def tell_again(world: World, stream: Id, *unaware: Member, kept: Sequence[Record] = ()) -> None:
    """The coordinator begins a log anew, with its first or these records; to ``unaware`` it has told nothing before."""
    kept = kept or world.logs[stream].records[:1]
    del world.logs[stream]
    for member in unaware:
        member.hearing.forget(stream)
    for peer in world.peers.values():
        peer.sent.pop(stream, None)
    for record in kept:
        world.submit(record.statement)
    world.run()


def told(*enclaves: Enclave) -> list[int]:
    """How often each operator was told that another history is not listened to."""
    return [sum("another history" in concern for concern in enclave.concerns) for enclave in enclaves]


# 53: two pre-signatures of one request -------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [(0, 0, 0), (0, 1, 0)], ids=["one enclave", "two"])
@pytest.mark.parametrize("change", ["nothing", "at", "epoch"])
def test_attack_53_a_request_that_was_completed_is_not_signed_again(at: tuple[int, ...], change: str) -> None:
    """53: enclaves that never restarted give two pre-signatures of one request, by a second history of it."""
    group = Group(*at)
    signing = group.ask(message(locked("single")))
    before = [psig_steps(enclave) for enclave in group.enclaves]
    assert group.world.state(signing).phase is SigningPhase.COMPLETED and all(before)
    group.world.now += SECOND if change == "at" else 0
    group.world.epoch = Epoch(b"after a restore.") if change == "epoch" else group.world.epoch
    tell_again(group.world, signing, *group.members)
    group.world.wait(MINUTE)
    assert group.world.state(signing).attempt >= 1, "the coordinator has opened an attempt"
    assert [psig_steps(enclave) for enclave in group.enclaves] == before
    assert not any(enclave.outbox for enclave in group.enclaves)


def half_signed() -> Duel:
    """The vault's psig has left, and the tower, who keeps its own back, is alone with a pre-signature."""
    duel = Duel(last=False)
    answer(duel)
    assert psig_steps(duel.vault) == [(1, "both")]
    return duel


def answer(duel: Duel) -> None:
    """The tower says its nonces in the first attempt."""
    secnonce = duel.draw()
    duel.says(Nonce(secnonce.pubnonce, duel.proven(secnonce)))


def fails(duel: Duel) -> None:
    refusal = {"attempt": 1, "slots": duel.slots, "code": "sorry"}
    duel.world.submit(say_as(duel.world, duel.tower, duel.signing, SigningRefuse, **refusal))


def is_rejected(duel: Duel) -> None:
    duel.alice.reject(duel.signing)


def expires(duel: Duel) -> None:
    """The coordinator says that it is so late; it is not, by the vault's own clock."""
    duel.world.now, duel.vault.skew = NOON + 2 * HOUR, -2 * HOUR
    duel.world.notice(duel.world.logs[duel.signing], SigningExpired)


def breaks(duel: Duel) -> None:
    """The coordinator says what the log does not allow."""
    duel.world.notice(duel.world.logs[duel.signing], SigningExpired)


def test_attack_53_a_foreign_request_in_a_live_stream_makes_no_enclave_forget_it() -> None:
    """53: a request for a keygen that is over, told as a record of this signing, is no way to let go of it."""
    duel = half_signed()
    over = duel.world.gather([duel.alice], at=duel.vault, rule=NONE)
    foreign = duel.world.logs[duel.alice.request(over, MESSAGE)].records[0]
    duel.world.run()
    duel.alice.say(over, KeygenLeave, slot=0)
    duel.world.run()
    before = psig_steps(duel.vault)
    assert over in duel.vault.agent._memory
    duel.vault.agent.hear(duel.signing, foreign)
    assert duel.signing in duel.vault.agent._memory, "its log broke: it is over, and remembered"
    tell_again(duel.world, duel.signing, duel.alice)
    duel.attempt = duel.hear()
    answer(duel)
    assert psig_steps(duel.vault) == before


@pytest.mark.parametrize("end", [fails, is_rejected, expires, breaks])
def test_attack_53_whatever_end_was_heard_no_second_pre_signature_leaves(end: Callable[[Duel], None]) -> None:
    """53: enclaves that never restarted give two pre-signatures of one request, by a second history of it."""
    duel = half_signed()
    end(duel)
    duel.world.run()
    assert duel.signing not in duel.vault.agent.hearing.streams, "it is over"
    before, duel.world.now, duel.vault.skew = sum(told(duel.vault)), NOON, 0
    tell_again(duel.world, duel.signing, duel.alice)
    duel.attempt = duel.hear()
    answer(duel)
    assert duel.world.state(duel.signing).phase in (SigningPhase.NONCES, SigningPhase.PSIGS)
    assert psig_steps(duel.vault) == [(1, "both")]
    assert end is breaks or sum(told(duel.vault)) == before + 1


def test_attack_53_the_first_record_alone_opens_nothing_that_is_over() -> None:
    """53: enclaves that never restarted give two pre-signatures of one request, by a second history of it."""
    group = Group(0, 1, 0)
    vault, signing = group.enclaves[0], group.ask(message(locked("or")))
    first = group.world.logs[signing].records[0]
    assert vault.agent.hear(signing, first) == [] and vault.agent.subscribed(signing, 1) == []
    assert signing not in vault.agent.hearing.streams and signing not in vault.agent._contributors
    assert told(vault) == [1], "and the operator is told once"


def test_attack_53_after_it_has_expired_by_the_enclaves_own_clock_nothing_is_signed_either() -> None:
    """53: enclaves that never restarted give two pre-signatures of one request, by a second history of it."""
    group = Group(0, 1, 0)
    signing = group.ask(message(locked("or")))
    before = [psig_steps(enclave) for enclave in group.enclaves]
    for enclave in group.enclaves:
        enclave.skew = 2 * HOUR
    assert not any(signing in enclave.agent._memory for enclave in group.enclaves)
    tell_again(group.world, signing, *group.members)
    assert group.world.state(signing).code == "expired"
    assert [psig_steps(enclave) for enclave in group.enclaves] == before


@pytest.mark.parametrize("no", ["reject", "cancel"])
@pytest.mark.parametrize("change", ["nothing", "at", "epoch"])
def test_a_no_that_was_heard_is_not_unheard_by_beginning_anew(no: str, change: str) -> None:
    world, vault, alice, bob, group = group_of_two()
    signing = alice.request(group, MESSAGE)
    world.run()
    bob.reject(signing) if no == "reject" else alice.cancel(signing)
    world.run()
    world.now += SECOND if change == "at" else 0
    world.epoch = Epoch(b"after a restore.") if change == "epoch" else world.epoch
    tell_again(world, signing, alice, bob)
    bob.approve(signing)
    world.run()
    assert world.state(signing).attempt == 1 and not signed(vault) and told(vault) == [1]


# Keygens -------------------------------------------------------------------------------------------------------------


def test_a_keygen_that_was_closed_is_not_opened_by_telling_it_again() -> None:
    party = Party("vault")
    party.gather()
    (vault,), kept = party.vaults, list(party.world.logs[party.group].records)
    for slot, member in enumerate(party.members):
        member.say(party.group, KeygenLeave, slot=slot)
    party.world.run()
    said = len(vault.said)
    tell_again(party.world, party.group, *party.members, kept=kept)
    party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.world.state(party.group).phase == "completed", "as the coordinator tells it"
    assert len(vault.said) == said and party.group not in vault.agent._groups and told(vault) == [1]


def test_a_keygen_that_is_said_to_have_expired_is_not_told_with_another_roster() -> None:
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    invitation = alice.create(2)
    alice.join(invitation, 0, vault.key, SELF)
    world.run()
    assert vault.kinds() == ["custody.accept"]
    world.now, vault.skew = NOON + 2 * HOUR, -2 * HOUR
    world.clock()
    world.run()
    world.now, vault.skew = NOON, 0
    tell_again(world, invitation.keygen, alice, bob)
    bob.join(invitation, 0, vault.key, NONE)
    world.run()
    assert vault.kinds() == ["custody.accept"] and told(vault) == [1]


# 54: who is a stranger pushes nothing out ----------------------------------------------------------------------------


def crowded(**places: int) -> tuple[World, Enclave, Member, Member, Id, Member]:
    """Alice and Bob, and Mallory with a keygen of her own, at an enclave with few places."""
    world, vault, alice, bob, group = group_of_two()
    vault.agent._memory = Memory(vault.key, lambda: world.now + vault.skew, vault.concerns.append, **places)
    return world, vault, alice, bob, group, world.member("mallory")


def codes(enclave: Enclave, kind: str) -> list[str]:
    """Why an enclave has refused."""
    return [str(getattr(said.payload, "code", "")) for said in enclave.said if said.payload.kind == kind]


def test_attack_54_a_stranger_cannot_fill_what_an_enclave_remembers() -> None:
    """54: a stranger has an enclave forget what it has heard, by filling its memory."""
    world, vault, alice, bob, group, mallory = crowded(own=1, common=1)
    signing = alice.request(group, MESSAGE)
    world.run()
    bob.reject(signing)
    foreign = world.gather([mallory], at=vault, rule=SELF)
    requests = []
    for number in range(5):
        requests.append(mallory.request(foreign, bytes([number]) * 32))
        world.run()
    assert [world.state(each).code for each in requests] == [None, None] + ["over_limit"] * 3
    assert signing in vault.agent._memory
    vault.said.clear()
    tell_again(world, signing, alice, bob)
    bob.approve(signing)
    world.run()
    assert world.state(signing).attempt == 1 and not signed(vault)


def test_attack_54_a_group_has_places_that_a_stranger_does_not_take() -> None:
    """54: a stranger has an enclave forget what it has heard, by filling its memory."""
    world, vault, alice, bob, group, mallory = crowded(own=1, common=1)
    foreign = world.gather([mallory], at=vault, rule=SELF)
    for number in range(3):
        mallory.request(foreign, bytes([number]) * 32)
        world.run()
    signing, another = alice.request(group, MESSAGE), alice.request(group, bytes(32))
    world.run()
    bob.approve(signing)
    world.run()
    assert world.state(signing).phase is SigningPhase.COMPLETED and world.state(another).code == "over_limit"
    world.wait(2 * HOUR)
    later = alice.request(group, bytes(32))
    world.run()
    bob.approve(later)
    world.run()
    assert world.state(later).phase is SigningPhase.COMPLETED, "what has expired has left its place"


def test_attack_54_keygens_of_strangers_bring_none_back_that_was_closed() -> None:
    """54: a stranger has an enclave forget what it has heard, by filling its memory."""
    world, vault, alice, bob, group, mallory = crowded(closed=1)
    kept = list(world.logs[group].records)
    for slot, member in enumerate((alice, bob)):
        member.say(group, KeygenLeave, slot=slot)
    world.run()
    gathered = [world.gather([mallory], at=vault) for _ in range(3)]
    for each in gathered:
        mallory.say(each, KeygenLeave, slot=0)
        world.run()
    assert [world.state(each).phase for each in gathered] == ["closed"] * 3
    said = len(vault.said)
    tell_again(world, group, alice, bob, kept=kept)
    alice.request(group, MESSAGE)
    world.run()
    assert len(vault.said) == said and group not in vault.agent._groups

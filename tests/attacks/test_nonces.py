"""Attacks on nonces: one that is bad, one that is used twice, one that a restart makes forget itself.

tower (hostile) ── a nonce that is no point, two nonces, a psig of nothing ──▶ vault       blamed, by slot
vault ── crash, retry, duplicate, fork ──▶ vault                                           fresh nonces, or none
"""

from collections import Counter

import pytest

from keymeld_protocol.curve.keyagg import aggregate
from keymeld_protocol.curve.musig_secret import CollapsedSigner, nonce_gen, partial_sign
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Blamed, InvalidCrypto
from keymeld_protocol.machines.signing_state import nonces_hash
from keymeld_protocol.member.signer import Nonces, NoncesGone
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.plaintext.contents import Detail, parse
from keymeld_protocol.plaintext.contributions import Both, Finished, Nonce
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import SigningContribute, SigningRefuse
from tests.support.ceremony import draw, sign_together
from tests.support.world import MESSAGE, Enclave, Member, World

from .mischief import Puppet, contribution, seal_values, signed

GARBAGE = b"\x02" + b"\xff" * 32


def two_enclaves() -> tuple[World, Enclave, Puppet, Member, Id]:
    """Alice and Bob at the vault, which goes last; Carol at the tower, which sends its nonces first."""
    world = World()
    vault, tower = world.enclave("vault"), Puppet(world, "tower")
    members = [world.member(name) for name in ("alice", "bob", "carol")]
    return world, vault, tower, members[0], world.gather(members, at=[vault, vault, tower])


def requested(world: World, tower: Puppet, alice: Member, group: Id) -> Id:
    """An attempt in which the tower owes its nonces, and says nothing by itself."""
    tower.mute = True
    signing = alice.request(group, MESSAGE)
    world.run()
    assert world.state(signing).holdouts() == (2,)
    return signing


def details(alice: Member, signing: Id) -> list[str]:
    """What the enclaves that refused have told the members."""
    group = alice.groups[alice.signing(signing).request.keygen]
    refusals = [r.statement for r in alice.heard(signing).records if isinstance(r.statement.payload, SigningRefuse)]
    return [parse(Detail, group.open_in(r.payload, "detail", r.blobs[0] or b"")).message for r in refusals]


# 24: a bad nonce that nobody is blamed for ---------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", [GARBAGE * 2, bytes(66), b"\x02" + bytes(65)], ids=["no point", "zeros", "odd bytes"])
def test_attack_24_a_bad_nonce_is_blamed_on_its_signer(nonce: bytes) -> None:
    """24: a bad nonce that nobody is blamed for."""
    world, vault, tower, alice, group = two_enclaves()
    signing = requested(world, tower, alice, group)
    world.submit(contribution(world, tower, signing, seal_values(alice, signing, tower, Nonce(nonce)), slots=(2,)))
    world.run()
    state = world.state(signing)
    assert state.phase == "failed" and state.code == "bad_nonce" and not signed(vault)
    assert ["slot 2" in detail for detail in details(alice, signing)] == [True]


def test_attack_24_a_missing_nonce_and_a_bad_signature_are_blamed_too() -> None:
    """24: a bad nonce that nobody is blamed for."""
    world, _, tower, alice, group = two_enclaves()
    signing = requested(world, tower, alice, group)
    world.submit(contribution(world, tower, signing, b"not even sealed", slots=(2,)))
    world.run()
    assert world.state(signing).code == "bad_values" and "slot 2" in details(alice, signing)[0]

    signing = requested(world, tower, alice, group)
    with Secret.generate() as secret:
        nonce = nonce_gen(secret.point)
    sealed = seal_values(alice, signing, tower, Nonce(nonce.pubnonce))
    world.submit(contribution(world, tower, signing, sealed, slots=(2,)))
    world.run()
    over = nonces_hash(world.state(signing))
    sealed = seal_values(alice, signing, tower, Finished(bytes(64)))
    world.submit(contribution(world, tower, signing, sealed, slots=(2,), step="signatures", over=over))
    world.run()
    with pytest.raises(Blamed) as caught:
        alice.signatures(signing)
    assert (caught.value.code, caught.value.slots) == ("bad_signature", (2,)), "every hearer finds the culprit himself"


# 28: a secnonce used twice after a crash, a retry, a duplicate message -----------------------------------------------


def test_attack_28_a_secnonce_signs_once() -> None:
    """28: a secnonce used twice after a crash, a retry, a duplicate message."""
    with Secret.generate() as one, Secret.generate() as two:
        keyagg = aggregate([one.point, two.point])
        signers = [CollapsedSigner(keyagg, [one]), CollapsedSigner(keyagg, [two])]
        session = sign_together(keyagg, signers, MESSAGE).session
        secnonce = draw(signers[0], keyagg, MESSAGE)
        partial_sign(session, signers[0], secnonce)
        with pytest.raises(InvalidCrypto, match="spent"):
            partial_sign(session, signers[0], secnonce)
        kept = Nonces(1)
        kept.keep(0, draw(signers[0], keyagg, MESSAGE))
        kept.pop(0)
        with pytest.raises(NoncesGone):
            kept.pop(0)


def nonces_of(world: World, *enclaves: Enclave) -> list[bytes]:
    """Every pubnonce that these enclaves have ever said, in all their lives."""
    found = []
    for statement in (s for enclave in enclaves for s in enclave.said):
        said = statement.payload
        if isinstance(said, SigningContribute) and said.step in ("nonces", "both"):
            alice = next(peer for peer in world.peers.values() if isinstance(peer, Member))
            group = alice.groups[alice.signing(said.stream).request.keygen]
            entries = contributions.decode(group.open_in(said, "values", statement.blobs[0] or b""), 1)
            found += [entry.pubnonce for entry in entries if isinstance(entry, Nonce | Both)]
    return found


@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_attack_28_no_nonce_comes_back_after_a_crash_at_any_step(steps: int) -> None:
    """28: a secnonce used twice after a crash, a retry, a duplicate message."""
    world, vault, tower, alice, group = two_enclaves()
    signing = alice.request(group, MESSAGE)
    for peer, _ in zip([vault, tower, alice] * steps, range(steps), strict=False):
        peer.step()
    for enclave in (tower, vault):
        enclave.restart()
    world.run()
    for _ in range(3):
        world.wait(3_000)
    assert isinstance(alice.signatures(signing)[0], bytes)
    nonces = nonces_of(world, vault, tower)
    assert nonces and len(set(nonces)) == len(nonces)
    for enclave in (vault, tower):
        psigs = Counter(
            (s.payload.attempt, s.payload.step) for s in enclave.said if isinstance(s.payload, SigningContribute)
        )
        assert max(psigs.values(), default=0) <= 1, "one contribution of a kind in one attempt"


def test_attack_28_a_duplicate_of_every_record_draws_no_second_psig() -> None:
    """28: a secnonce used twice after a crash, a retry, a duplicate message."""
    world, vault, tower, alice, group = two_enclaves()
    world.tamper = lambda peer, stream, wire: [wire, wire, wire]
    signing = alice.request(group, MESSAGE)
    world.run()
    assert isinstance(alice.signatures(signing)[0], bytes) and not vault.concerns + tower.concerns
    assert [enclave.kinds().count("signing.contribute") for enclave in (vault, tower)] == [1, 2]


def test_attack_28_a_new_attempt_forgets_the_nonces_of_the_one_before() -> None:
    """28: a secnonce used twice after a crash, a retry, a duplicate message.

    The vault never hears of attempt 1; in attempt 2 it answers the nonces of attempt 2.
    """
    world, vault, tower, alice, group = two_enclaves()
    signing = alice.request(group, MESSAGE)
    while "signing.contribute" not in tower.kinds():
        tower.step()
    vault.inbox.clear()
    world.wait(3_000)
    assert world.state(signing).attempt == 2
    vault.restart()
    world.run()
    assert isinstance(alice.signatures(signing)[0], bytes)
    steps = [(s.payload.attempt, s.payload.step) for s in tower.said if isinstance(s.payload, SigningContribute)]
    assert (1, "nonces") in steps and (1, "psigs") not in steps
    nonces = nonces_of(world, vault, tower)
    assert len(set(nonces)) == len(nonces)


# 51: an enclave restarts during an attempt: no second contribution ---------------------------------------------------


def test_attack_51_an_enclave_that_restarts_during_an_attempt_contributes_no_second_time() -> None:
    """51: an enclave restarts during an attempt: no second contribution."""
    world, _, tower, alice, group = two_enclaves()
    signing = alice.request(group, MESSAGE)
    while "signing.contribute" not in tower.kinds():
        tower.step()
    tower.restart()
    world.run()
    said = [s.payload for s in tower.said if getattr(s.payload, "attempt", 0) == 1]
    assert [payload.kind for payload in said] == ["signing.contribute", "signing.retry"]
    assert world.state(signing).attempt == 2 and isinstance(alice.signatures(signing)[0], bytes)


def test_attack_51_what_an_enclave_had_not_yet_said_when_it_died_it_does_not_say_in_another_life() -> None:
    """51: an enclave restarts during an attempt: no second contribution.

    The last enclave dies with nonces and psigs on its tongue; nobody knows whether they got away.
    """
    world, vault, tower, alice, group = two_enclaves()
    signing = alice.request(group, MESSAGE)
    while not any(isinstance(said.payload, SigningContribute) for said in vault.outbox):
        tower.step()
        if not vault.outbox:
            vault.step()
    vault.restart()
    world.run()
    said = [s.payload for s in vault.said if getattr(s.payload, "attempt", 0) == 1]
    assert [payload.kind for payload in said] == ["signing.retry"]
    assert world.state(signing).attempt == 2 and isinstance(alice.signatures(signing)[0], bytes)

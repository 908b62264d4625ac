"""Attacks on what enclaves hold: to whom a key is sealed, who lets it go, and by whose clock it is used.

coordinator ── its own "enclave", a clock set back, a deadline, a squatter ──▶ group      the key stays where it was
"""

from dataclasses import replace

import pytest

from keymeld_client.errors import NotTrusted
from keymeld_client.wallet.trust import Trust
from keymeld_enclave.custody import Unacceptable
from keymeld_protocol.errors import BrokenLog, Reason, WireError
from keymeld_protocol.machines.keygen import REPLACE_AFTER_MS
from keymeld_protocol.member.roster import safety
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import KeygenLeave, KeygenRelease, SigningHeard
from keymeld_protocol.wire.shapes import Rule
from tests.support.machines import key_of, xonly
from tests.support.world import HOUR, MESSAGE, MINUTE, NONE, NOON, SECOND, SELF, Enclave, Invitation, Member, World

from .mischief import signed

JOIN = "keygen.join"


def pair(rule: Rule = NONE) -> tuple[World, Enclave, Member, Member, Id]:
    """Alice and Bob, their keys in one enclave."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    return world, vault, alice, bob, world.gather([alice, bob], at=vault, rule=[NONE, rule])


# 1: a gateway or man in the middle shows its own key and receives private keys ---------------------------------------


def test_attack_1_nothing_is_sealed_to_a_key_that_only_the_coordinator_vouches_for() -> None:
    """1: a gateway or man in the middle shows its own key and receives private keys."""
    genuine, shown = xonly(key_of("vault")), xonly(key_of("the coordinator's own"))
    trust = Trust(frozenset({genuine}))
    assert trust.choose([shown, genuine]) == genuine
    for present, wanted in (([shown], None), ([shown, genuine], shown), ([shown], genuine)):
        with pytest.raises(NotTrusted):
            trust.choose(present, wanted)
    with pytest.raises(NotTrusted):
        Trust().choose([genuine, shown])


def test_attack_1_an_envelope_opens_for_no_other_identity() -> None:
    """1: a gateway or man in the middle shows its own key and receives private keys."""
    world, middle = World(), key_of("man in the middle")
    vault, alice = world.enclave("vault"), world.member("alice")
    invitation = alice.create(1)
    draft = alice.draft(invitation, 0, vault.key, NONE)
    relabelled = draft.statement(enclave=xonly(middle))
    world.submit(relabelled, alice)
    world.run()
    assert "custody.accept" not in vault.kinds()
    spy = world.enclave("man in the middle")
    spy.restart()
    world.run()
    assert [freed.code for freed in world.state(invitation.keygen).freed] == ["bad_envelope"]


# 14: a completed key is deleted when the ceremony's timer ends -------------------------------------------------------


def test_attack_14_a_completed_key_outlives_the_deadline_of_its_keygen() -> None:
    """14: a completed key is deleted when the ceremony's timer ends."""
    world, vault, alice, bob, group = pair()
    world.wait(100 * HOUR)
    vault.restart()
    world.run()
    assert world.state(group).phase == "completed"
    signing = alice.request(group, MESSAGE)
    world.run()
    assert isinstance(bob.signatures(signing)[0], bytes)


# 40: one member leaves: the other envelopes stay ---------------------------------------------------------------------


def test_attack_40_one_member_leaves_and_the_other_envelopes_stay() -> None:
    """40: one member leaves: the other envelopes stay."""
    world, vault, alice, bob, group = pair()
    bob.say(group, KeygenLeave, slot=1)
    world.run()
    assert vault.kinds()[-1] == "custody.wiped"
    envelopes = [r.statement.blob("envelope") for r in world.logs[group].records if r.statement.payload.kind == JOIN]
    assert envelopes[0] is not None and envelopes[1] is None
    vault.restart()
    world.run()
    custody = vault.agent._groups[group].custody
    assert custody.take(0).secret.point == alice.roster(group).cards[0].pubkey
    with pytest.raises(Unacceptable, match="left"):
        custody.take(1)


def test_attack_40_what_needs_the_member_who_left_is_refused_and_what_does_not_is_signed() -> None:
    """40: one member leaves: the other envelopes stay."""
    world, alone = World(), {"alone": True, "alone_blind": True}
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    group = world.gather([alice, bob], at=vault, subsets=((0,),), allow=(alone, {}))
    before = alice.requesting(group, MESSAGE)
    bob.say(group, KeygenLeave, slot=1)
    world.run()
    for late in (before, alice.requesting(group, MESSAGE)):
        with pytest.raises(WireError, match="slot 1 left") as refusal:
            alice.submit(late)
        assert refusal.value.reason is Reason.WRONG_STATE
    signing = alice.request(group, MESSAGE, subset=0)
    world.run()
    assert isinstance(bob.signatures(signing)[0], bytes)


def test_attack_40_a_coordinator_that_opens_such_a_request_all_the_same_gets_no_signature() -> None:
    """40: one member leaves: the other envelopes stay."""
    world, vault, alice, bob, group = pair()
    before, after = alice.requesting(group, MESSAGE), dict[str, bool]()
    bob.say(group, KeygenLeave, slot=1)
    world.run()
    for name, request in (("before", before), ("after", alice.requesting(group, MESSAGE))):
        world.force(request)
        world.run()
        after[name] = any(said.payload.kind == "signing.contribute" for said in vault.said)
    assert after == {"before": False, "after": False}
    assert world.state(before.id).code == "left"
    assert vault.concerns, "the second contradicts what it was said after: its log is not believed"


def test_attack_40_only_the_member_himself_leaves() -> None:
    """40: one member leaves: the other envelopes stay."""
    world, vault, alice, bob, group = pair()
    with pytest.raises(WireError):
        alice.say(group, KeygenLeave, slot=1)
    world.force(alice.saying(group, KeygenLeave, slot=1))  # nor does a hostile coordinator make an enclave forget
    vault.restart()
    world.run()
    assert vault.concerns and safety(bob.keygen(group)).safe, "the log is not believed beyond that point"


# 41: a squatter, a dead enclave, an unopenable card: released, and the keygen completes ------------------------------


def waiting() -> tuple[World, Enclave, Invitation, Member, Member]:
    """A keygen that waits for Bob in slot 1."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    invitation = alice.create(2)
    alice.join(invitation, 0, vault.key, NONE)
    world.run()
    return world, vault, invitation, alice, bob


def completes(world: World, invitation: Invitation, alice: Member, bob: Member) -> None:
    """Bob's join fills slot 1 after all, and everybody agrees on the roster."""
    world.run()
    for member in (alice, bob):
        member.confirm(invitation.keygen)
    world.run()
    seats = world.state(invitation.keygen).seats
    assert seats[1].join.by == bob.auth(invitation.keygen).key and safety(alice.keygen(invitation.keygen)).safe


def release(world: World, invitation: Invitation, alice: Member) -> None:
    join = world.state(invitation.keygen).seats[1].id
    creator = alice.identity.creator(alice.keygen(invitation.keygen).create.salt)
    alice.say(invitation.keygen, KeygenRelease, creator, slot=1, join=join, code="squatter")


def test_attack_41_a_squatter_is_released() -> None:
    """41: a squatter, a dead enclave, an unopenable card: released, and the keygen completes."""
    world, vault, _, alice, bob = waiting()
    invitation = alice.create(3)  # the third slot keeps the keygen collecting
    for slot, member in ((0, alice), (1, world.member("mallory"))):
        member.join(invitation, slot, vault.key, NONE)
    world.run()
    assert world.state(invitation.keygen).seats[1].ready
    release(world, invitation, alice)
    bob.join(invitation, 1, vault.key, NONE)
    carol = world.member("carol")
    carol.join(invitation, 2, vault.key, NONE)
    completes(world, invitation, alice, bob)


def test_attack_41_a_dead_enclave_is_released_or_replaced_after_a_minute() -> None:
    """41: a squatter, a dead enclave, an unopenable card: released, and the keygen completes."""
    for by_creator in (True, False):
        world, vault, invitation, alice, bob = waiting()
        dead = world.enclave("dead")
        dead.leave()
        world.member("carol").join(invitation, 1, dead.key, NONE)
        if by_creator:
            release(world, invitation, alice)
        else:
            world.wait(REPLACE_AFTER_MS)
        bob.join(invitation, 1, vault.key, NONE)
        completes(world, invitation, alice, bob)


def test_attack_41_a_card_that_nobody_can_open_does_not_hold_its_slot() -> None:
    """41: a squatter, a dead enclave, an unopenable card: released, and the keygen completes."""
    world, vault, invitation, alice, bob = waiting()
    draft = bob.draft(invitation, 1, vault.key, NONE)
    world.submit(replace(draft, card=bytes(100)).statement(), bob)
    world.run()
    assert [freed.code for freed in world.state(invitation.keygen).freed] == ["bad_card"]
    bob.join(invitation, 1, vault.key, NONE)
    completes(world, invitation, alice, bob)


# 42: a back-dated `at`, a clock set back, a restart during a delay ---------------------------------------------------


def test_attack_42_a_request_that_has_expired_by_the_enclaves_clock_is_not_signed() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, bob, group = pair(SELF)
    signing = alice.request(group, MESSAGE, life=HOUR)
    world.run()
    vault.skew = HOUR  # or the coordinator has set its own clock back: by its log the request is young
    bob.approve(signing)
    world.run()
    assert not signed(vault) and world.state(signing).code == "expired"


def test_attack_42_an_approval_ends_by_the_enclaves_clock() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, bob, group = pair(SELF)
    signing = alice.request(group, MESSAGE)
    world.run()
    vault.skew = MINUTE
    bob.approve(signing, until=world.now + 30 * SECOND)
    world.run()
    assert not signed(vault) and world.state(signing).code == "rule_not_met"


def test_attack_42_what_must_wait_waits_by_the_enclaves_clock_and_a_restart_shortens_nothing() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world = World()
    vault, alice = world.enclave("vault"), world.member("alice")
    group = world.gather([alice], at=vault, rule=Rule(approval="none", not_before=world.now + HOUR))
    signing = alice.request(group, MESSAGE, life=2 * HOUR, grace_ms=60_000)
    vault.skew = -HOUR
    world.wait(HOUR)
    assert world.state(signing).phase == "nonces" and not signed(vault), "the coordinator's clock is an hour ahead"
    vault.restart()
    world.run()
    assert not signed(vault)
    vault.skew = 0
    world.wait(MINUTE)
    assert isinstance(alice.signatures(signing)[0], bytes)


DELAYED = Rule(approval="none", delay_ms=MINUTE)


def test_attack_42_records_that_are_dated_ahead_shorten_no_delay() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, _, group = pair(DELAYED)
    signing = alice.request(group, MESSAGE, grace_ms=60_000)
    world.run()
    vault.skew = -MINUTE  # the coordinator's clock jumps ahead by a minute; the enclave's stays
    world.wait(MINUTE)
    assert world.state(signing).phase == "nonces" and not signed(vault), "an attempt, and nothing for it"
    vault.skew = 0
    world.wait(0)
    assert signed(vault)


def test_attack_42_records_that_are_dated_back_shorten_no_delay() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, _, group = pair(DELAYED)
    world.now -= HOUR  # requested and heard an hour ago, by the log
    vault.skew = HOUR
    signing = alice.request(group, MESSAGE, life=2 * HOUR)
    world.run()
    world.wait(MINUTE - 1)
    assert world.state(signing).phase == "approving" and not signed(vault)
    world.attempt(signing)
    world.run()
    assert not signed(vault) and vault.concerns


def test_attack_42_an_attempt_that_opens_before_the_delay_is_over_gets_nothing() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    for begun in (False, True):
        world, vault, alice, bob, group = pair(DELAYED)
        signing = alice.request(group, MESSAGE)
        if begun:
            world.run()
        world.attempt(signing)
        world.wait(MINUTE)
        assert not signed(vault) and any("before the rules were met" in said for said in vault.concerns)
        with pytest.raises(BrokenLog, match="before the rules were met"):
            bob.heard(signing).hear(world.logs[signing].records[2 if begun else 1])


def test_attack_42_nobody_else_begins_an_enclaves_delay() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, bob, group = pair(DELAYED)
    signing = alice.request(group, MESSAGE)
    while alice.step():
        """Only she hears it yet."""
    for who in (alice.auth(group), bob.auth(group), world.coordinator, key_of("stranger")):
        with pytest.raises(WireError, match="only an enclave"):
            alice.say(signing, SigningHeard, who, at=world.now - HOUR)
    world.force(alice.saying(signing, SigningHeard, world.coordinator, at=world.now - HOUR))
    world.run()
    world.wait(HOUR - 1)
    assert not signed(vault) and vault.concerns, "the log that held it is not believed"


def test_attack_42_an_enclaves_word_about_another_request_begins_nothing() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, _, group = pair(DELAYED)
    alice.request(group, MESSAGE)
    world.run()
    (old,) = [said for said in vault.said if isinstance(said.payload, SigningHeard)]
    world.wait(MINUTE - 1)
    signing = alice.request(group, MESSAGE)
    world.inject(world.logs[signing], old)
    world.run()
    world.wait(MINUTE - 1)
    assert world.state(signing).phase == "approving" and vault.concerns


def test_attack_42_a_clock_set_back_between_two_lives_shortens_no_delay() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, _, group = pair(DELAYED)
    signing = alice.request(group, MESSAGE, grace_ms=60_000)
    world.run()
    vault.skew = -HOUR
    vault.restart()
    world.wait(MINUTE)
    assert world.state(signing).phase == "nonces" and not signed(vault)


def test_attack_42_an_enclave_whose_word_is_withheld_waits_anew_in_full() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, _, group = pair(DELAYED)
    signing = alice.request(group, MESSAGE)
    without = world.logs[signing].branch()
    world.run()
    world.wait(MINUTE - 1)
    vault.crash()
    world.branches[vault.name, signing] = without
    vault.come_back()
    world.run()
    assert [s.payload.at for s in vault.said if isinstance(s.payload, SigningHeard)] == [NOON, NOON + MINUTE - 1]
    world.now += 2 * MINUTE - 1
    world.clock(without)
    world.run()
    assert signed(vault) and without.records[-1].at == NOON + 3 * MINUTE - 2


def test_attack_42_a_log_whose_clock_goes_back_is_not_believed() -> None:
    """42: a back-dated `at`, a clock set back, a restart during a delay."""
    world, vault, alice, bob, group = pair(SELF)
    signing = alice.request(group, MESSAGE)
    world.run()
    log = world.logs[signing]
    log.chain.at = world.now - HOUR  # what an honest chain would not allow its coordinator
    world.now -= HOUR
    bob.approve(signing)
    world.run()
    assert not signed(vault) and any("goes back" in said for said in vault.concerns)
    with pytest.raises(BrokenLog, match="goes back"):
        bob.heard(signing).hear(log.records[1])

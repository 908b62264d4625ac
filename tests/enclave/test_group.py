"""group.py: what an enclave takes of a keygen, what it keeps of it, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from keymeld_enclave.door import OPEN, Door
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import SignInput
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import CustodyRefuse, KeygenCreate, KeygenJoin, KeygenLeave, KeygenRelease
from keymeld_protocol.wire.shapes import CLOCKS_APART_MS
from tests.support.payments import SHOP, payment
from tests.support.world import HOUR, MESSAGE, NONE, SELF, Enclave, Invitation, Member, World


class Crowd:
    """A vault with a door of its own, Alice with Bob, and Mallory, who is a stranger to them."""

    def __init__(self, capacity: int = 10, **room: Any) -> None:
        self.world = World()
        self.vault = self.world.enclave("vault")
        self.vault.agent.door = Door(capacity, **room)
        self.alice, self.bob, self.mallory = (self.world.member(name) for name in ("alice", "bob", "mallory"))

    def group(self, *rules: Any) -> Id:
        return self.world.gather([self.alice, self.bob], at=self.vault, rule=list(rules or (NONE, SELF)))

    def join(self, member: Member, invitation: Invitation, slot: int = 0) -> str:
        """What the vault says to a join: its code, or ``accepted``."""
        member.join(invitation, slot, self.vault.key, NONE)
        self.world.run()
        said = self.vault.said[-1].payload
        return said.code if isinstance(said, CustodyRefuse) else "accepted"

    @property
    def door(self) -> Door:
        return self.vault.agent.door


def kept(vault: Enclave, keygen: Id, field: str) -> list[bytes]:
    """The blobs of a field that the vault keeps of a keygen."""
    statements = [record.statement for record in vault.agent.hearing.streams[keygen].records]
    found = (said.blob(field) for said in statements if field in said.payload.BLOBS)
    return [blob for blob in found if blob is not None]


# Keys ----------------------------------------------------------------------------------------------------------------


def test_attack_61_joins_beyond_the_capacity_are_refused_and_a_key_that_left_makes_room() -> None:
    """61: an enclave holds as many keys as it says, and no more."""
    crowd = Crowd(capacity=2)
    group, invitation = crowd.group(), crowd.mallory.create(1)
    assert crowd.join(crowd.mallory, invitation) == "over_limit"
    assert crowd.world.state(invitation.keygen).seats[0] is None, "the slot is free again"
    crowd.bob.say(group, KeygenLeave, slot=1)
    crowd.world.run()
    assert crowd.join(crowd.mallory, crowd.mallory.create(1)) == "accepted" and crowd.door.keys == 2


def test_a_join_that_is_freed_gives_its_place_back() -> None:
    crowd = Crowd(capacity=2)
    invitation = crowd.mallory.create(3)
    assert [crowd.join(crowd.mallory, invitation, slot) for slot in (0, 1)] == ["accepted"] * 2
    seat = crowd.world.state(invitation.keygen).seats[0]
    creator = crowd.mallory.identity.creator(crowd.mallory.keygen(invitation.keygen).create.salt)
    crowd.mallory.say(invitation.keygen, KeygenRelease, creator, slot=0, join=seat.id, code="released")
    crowd.world.run()
    assert crowd.door.keys == 1
    assert crowd.join(crowd.bob, crowd.bob.create(2)) == "accepted"


def test_attack_61_a_keygen_that_never_completes_is_let_go_when_its_time_is_over_by_the_enclaves_own_clock() -> None:
    """61: whatever the coordinator says, or does not say."""
    crowd = Crowd(capacity=1)
    invitation = crowd.mallory.create(2)
    crowd.join(crowd.mallory, invitation)
    until = crowd.world.state(invitation.keygen).create.expires_at + CLOCKS_APART_MS
    crowd.vault.skew = until - crowd.world.now - 1
    crowd.vault.tick()
    assert crowd.door.keys == 1
    crowd.vault.skew += 1
    crowd.vault.tick()
    assert crowd.door.keys == 0 and invitation.keygen not in crowd.vault.agent._groups
    assert crowd.vault.agent.take_finished() == [invitation.keygen]


def test_a_completed_keygen_has_no_time_that_ends() -> None:
    crowd = Crowd()
    crowd.group()
    crowd.vault.skew = 10_000 * HOUR
    crowd.vault.tick()
    assert crowd.door.keys == 2


# What is kept --------------------------------------------------------------------------------------------------------


def test_attack_61_terms_are_let_go_at_the_first_join_and_cards_once_the_roster_is_read() -> None:
    """61: terms and cards are not kept for a keygen's life."""
    crowd = Crowd()
    invitation = crowd.alice.create(2)
    crowd.join(crowd.alice, invitation)
    keygen = invitation.keygen
    assert not kept(crowd.vault, keygen, "terms") and not kept(crowd.vault, keygen, "envelope")
    assert len(kept(crowd.vault, keygen, "card")) == 1
    crowd.join(crowd.bob, invitation, 1)
    assert not kept(crowd.vault, keygen, "card")
    signing = crowd.alice.request(keygen, MESSAGE)
    crowd.world.run()
    assert crowd.world.state(signing).phase is SigningPhase.COMPLETED


def test_joins_that_fill_no_slot_any_more_are_not_kept() -> None:
    crowd = Crowd()
    invitation = crowd.alice.create(2)
    for number in range(4):
        draft = crowd.alice.draft(invitation, 0, crowd.vault.key, NONE)
        draft.sealed_rule = SELF if number < 3 else NONE
        crowd.world.submit(draft.statement())
        crowd.world.run()
    records = crowd.vault.agent.hearing.streams[invitation.keygen].records
    assert [type(record.statement.payload) for record in records] == [KeygenCreate, KeygenJoin]
    assert crowd.door.keys == 1


@pytest.mark.parametrize("junk", [b"{}", b"[" * 5_000])
def test_attack_61_junk_instead_of_terms_is_refused_at_the_join(junk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """61: what does not parse is told at once, and not kept for a roster that never comes."""
    crowd = Crowd()
    with monkeypatch.context() as patched:
        patched.setattr(contents, "encode", lambda _: junk)
        invitation = crowd.mallory.create(1)
    assert crowd.join(crowd.mallory, invitation) == "bad_terms" and crowd.door.keys == 0


# Room ----------------------------------------------------------------------------------------------------------------


def test_attack_61_requests_beyond_a_keygens_room_are_refused_and_nobody_elses() -> None:
    """61: a member uses up his own group's room, and no other's."""
    crowd = Crowd(share=2 * OPEN, common=0)
    trent = crowd.world.member("trent")
    group = crowd.group()
    foreign = crowd.world.gather([crowd.mallory, trent], at=crowd.vault, rule=[NONE, SELF])
    asked = []
    for number in range(5):
        asked.append(crowd.mallory.request(foreign, bytes([number]) * 32))
        crowd.world.run()
    codes = [crowd.world.state(signing).code for signing in asked]
    assert codes == [None, None, None, "over_limit", "over_limit"]
    signing = crowd.alice.request(group, MESSAGE)
    crowd.world.run()
    crowd.bob.approve(signing)
    crowd.world.run()
    assert crowd.world.state(signing).phase is SigningPhase.COMPLETED
    trent.reject(asked[0])
    crowd.world.run()
    later = crowd.mallory.request(foreign, bytes(32))
    crowd.world.run()
    assert crowd.world.state(later).code is None, "what has ended has left its room"


def test_attack_61_a_key_that_is_complete_is_served_though_strangers_fill_all_that_is_common() -> None:
    """61: neither its size nor the scripts that are worked out for it push out a group that may have been paid."""
    crowd = Crowd(share=2 * OPEN, common=0)
    limited = [{"max_fee": 1_000}] * 2
    group = crowd.world.gather([crowd.alice, crowd.bob], at=crowd.vault, subsets=((0,), (1,)), allow=limited)
    crowd.door._share = OPEN  # less than what follows takes
    script = taproot_script(crowd.alice.roster(group).child((0, 7)).output)
    for member in (crowd.alice, crowd.bob):
        coin = payment([(100_000, script)], [(99_000, SHOP)])
        asked = SignInput(transaction=0, input=0, tweaks=child_steps((0, 7)))
        signing = crowd.alice.request(group, asked, transactions=(coin,))
        crowd.world.run()
        crowd.door._share = 1
        member.confirm(group)
        crowd.world.run()
        crowd.door._share = 2 * OPEN
        assert crowd.world.state(signing).phase is SigningPhase.COMPLETED
    assert not crowd.vault.concerns


def test_attack_61_what_was_accepted_keeps_its_place_when_the_enclave_begins_anew() -> None:
    """61: strangers push out no group of an earlier process of ours, nor take more keys than there are places."""
    crowd = Crowd(capacity=2)
    group = crowd.group(NONE, NONE)
    crowd.vault.crash()
    crowd.vault.agent.door = Door(2, guests=20_000)
    crowd.vault.come_back()
    crowd.world.run()
    assert crowd.door.keys == 2 and not crowd.vault.agent._groups[group].is_guest
    for _ in range(20):
        assert crowd.join(crowd.mallory, crowd.mallory.create(1)) == "over_limit"
    crowd.bob.say(group, KeygenLeave, slot=1)
    crowd.world.run()
    assert crowd.world.state(group).unwiped() == (), "and it hears who leaves"
    assert crowd.join(crowd.mallory, crowd.mallory.create(1)) == "accepted"


def test_attack_61_joins_that_were_replaced_are_not_kept_while_a_keygen_is_told_anew() -> None:
    """61: nobody makes what an enclave hears after a restart more than it can hold."""
    crowd = Crowd()
    invitation = crowd.alice.create(3)
    crowd.join(crowd.bob, invitation, 1)
    for _ in range(10):
        draft = crowd.alice.draft(invitation, 0, crowd.vault.key, NONE)
        draft.sealed_rule = SELF
        crowd.world.submit(draft.statement())
        crowd.world.run()
    kept = []
    crowd.vault.crash()
    crowd.vault.come_back()
    while crowd.vault.step():
        heard = crowd.vault.agent.hearing.streams.get(invitation.keygen)
        kept.append(0 if heard is None else len(heard.records))
    assert max(kept) <= 3 and crowd.world.logs[invitation.keygen].chain.offset > 20


def test_a_keygen_that_does_not_fit_is_refused_at_its_join() -> None:
    crowd = Crowd(share=100, common=0)
    assert crowd.join(crowd.mallory, crowd.mallory.create(1)) == "over_limit"
    assert crowd.door.keys == 0


def test_attack_61_keygens_of_which_no_join_is_taken_come_and_go() -> None:
    """61: of strangers whose joins are refused the latest are heard, whatever they list."""
    crowd = Crowd(capacity=1, guests=20_000)
    crowd.join(crowd.alice, crowd.alice.create(1))
    for _ in range(20):
        assert crowd.join(crowd.mallory, crowd.mallory.create(1)) == "over_limit"
    assert len(crowd.vault.agent.hearing.streams) < 15


# The roster --------------------------------------------------------------------------------------------------------


def collecting() -> tuple[Crowd, Invitation, Id]:
    """Alice has joined, Bob's join is heard by the vault, and its answer is on its way."""
    crowd = Crowd()
    invitation = crowd.alice.create(2)
    crowd.join(crowd.alice, invitation)
    seat = crowd.world.state(invitation.keygen).seats[0]
    crowd.bob.join(invitation, 1, crowd.vault.key, NONE)
    while not crowd.vault.outbox:
        crowd.vault.step()
    return crowd, invitation, seat.id


def test_the_roster_that_the_last_answer_completes_is_confirmed_in_the_same_breath() -> None:
    crowd, invitation, _ = collecting()
    assert [said.payload.kind for said in crowd.vault.outbox] == ["custody.accept", "keygen.confirm"]
    crowd.world.run()
    assert crowd.world.state(invitation.keygen).unconfirmed() == () and not crowd.vault.refused
    assert crowd.vault.kinds().count("keygen.confirm") == 1
    assert not kept(crowd.vault, invitation.keygen, "card")


def test_a_roster_that_was_confirmed_ahead_and_never_came_binds_nobody() -> None:
    """Slot 0 is freed before the answer stands in the log: the roster that comes is read anew, confirmed, and signs."""
    crowd, invitation, join = collecting()
    creator = crowd.alice.identity.creator(crowd.alice.keygen(invitation.keygen).create.salt)
    crowd.alice.say(invitation.keygen, KeygenRelease, creator, slot=0, join=join, code="released")
    crowd.world.run()
    ((refused, why),) = crowd.vault.refused
    assert (refused.payload.kind, why.reason.value) == ("keygen.confirm", "wrong_state")
    crowd.join(crowd.mallory, invitation, 0)
    roster = crowd.world.state(invitation.keygen).roster
    assert crowd.world.state(invitation.keygen).unconfirmed() == () and not crowd.vault.concerns
    assert crowd.vault.agent._groups[invitation.keygen].signer().roster.hash == roster
    signing = crowd.bob.request(invitation.keygen, MESSAGE)
    crowd.world.run()
    assert crowd.world.state(signing).phase is SigningPhase.COMPLETED and crowd.mallory.signatures(signing)

"""Attacks with the log: a coordinator that opens, invents, alters, reorders, repeats, withholds and forks.

coordinator ──▶ Alice      one history                 she says something after it ──▶ it is in no other history
            ──▶ Bob        another one                 ……………………………………………………▶ Fork, evidence, read-only

Here the coordinator is one in memory; test_hostile_coordinator.py runs real ones against real enclaves.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from keymeld_protocol.errors import BrokenLog, Fork, Reason, WireError
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.roster import safety
from keymeld_protocol.values import Epoch, Hash, Id
from keymeld_protocol.wire.frames import WireRecord, record_of
from keymeld_protocol.wire.payloads import SigningApprove, SigningExpired
from keymeld_protocol.wire.records import head_is_signed, sign_head
from keymeld_protocol.wire.shapes import Rule
from tests.support.build import say
from tests.support.machines import key_of, xonly
from tests.support.world import MESSAGE, NONE, SELF, Enclave, Member, World, quorum

from .mischief import signed, write


def trio(rule: Rule = SELF) -> tuple[World, Enclave, list[Member], Id]:
    """Three members whose keys one enclave holds, each under the same rule."""
    world = World()
    vault, members = world.enclave("vault"), [world.member(name) for name in ("alice", "bob", "carol")]
    return world, vault, members, world.gather(members, at=vault, rule=rule)


# 26: an approval enforced by the coordinator only --------------------------------------------------------------------


@pytest.mark.parametrize("rule", [SELF, quorum(2, 0, 1, 2)], ids=["self", "quorum"])
def test_attack_26_an_enclave_does_not_sign_for_a_coordinator_that_skips_the_approval(rule: Rule) -> None:
    """26: an approval enforced by the coordinator only (run a coordinator without the check)."""
    world, vault, (alice, bob, _), group = trio(rule)
    signing = alice.request(group, MESSAGE)
    world.run()
    world.attempt(signing)
    world.run()
    assert not signed(vault) and any("before the rules were met" in said for said in vault.concerns)
    assert alice.troubles and bob.troubles, "and every member sees it"


def test_attack_26_an_approval_that_the_coordinator_invents_is_nobodys() -> None:
    """26: an approval enforced by the coordinator only (run a coordinator without the check)."""
    world, vault, (alice, _, _), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    for name in ("bob", "carol"):
        world.force(alice.saying(signing, SigningApprove, key_of(f"{name}, says the coordinator")))
    world.attempt(signing)
    world.run()
    assert not signed(vault) and any("not a member" in said for said in vault.concerns)


def test_attack_26_a_public_rule_that_is_looser_than_the_sealed_one_is_refused() -> None:
    """26: an approval enforced by the coordinator only (run a coordinator without the check)."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    invitation = alice.create(2)
    draft = bob.draft(invitation, 1, vault.key, SELF)
    world.submit(replace(draft, rule=NONE).statement())
    world.run()
    assert [freed.code for freed in world.state(invitation.keygen).freed] == ["foreign_rule"]


# 27: invented, altered or reordered records; a fork ------------------------------------------------------------------


def altered(wire: WireRecord, **fields: Any) -> WireRecord:
    return msgspec.structs.replace(wire, **fields)


Lie = Callable[[WireRecord], Iterable[WireRecord]]
LIES: dict[str, Lie] = {
    "another time": lambda wire: [altered(wire, at=wire.at + 1)],
    "another hash": lambda wire: [altered(wire, hash=Hash(bytes(32)))],
    "another epoch": lambda wire: [altered(wire, epoch=Epoch(b"another epoch..."))],
    "another place": lambda wire: [altered(wire, offset=wire.offset + 1)],
    "a gap": lambda wire: [],
    "twice, the second one altered": lambda wire: [wire, altered(wire, hash=Hash(bytes(32)))],
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_attack_27_an_altered_record_makes_the_log_unbelievable(lie: Lie) -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).

    Nobody signs after it, and nobody who heard it believes the rest.
    """
    world, vault, (alice, bob, carol), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    world.tamper = lambda peer, stream, wire: lie(wire) if wire.offset == 2 and stream == signing else [wire]
    bob.approve(signing)
    world.run()
    carol.submit(say(carol.auth(group), SigningApprove, signing, world.logs[signing].chain.hash))
    world.run()
    assert world.state(signing).phase == "nonces", "the coordinator itself has a log that allows it"
    assert not signed(vault) and vault.concerns and alice.troubles


def test_attack_27_reordered_records_are_refused() -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).
    """
    world, vault, (alice, bob, carol), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    vault.leave()
    bob.approve(signing)
    carol.approve(signing)
    records = world.logs[signing].records
    heard = Replay(signing, keygen=carol.heard(group))
    heard.hear(records[0])
    with pytest.raises(BrokenLog, match="jump"):
        heard.hear(records[2])
    with pytest.raises(BrokenLog):
        heard.hear(records[1])  # read-only from now on, whatever comes


def test_attack_27_swapped_statements_in_right_places_are_a_fork() -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).
    """
    world, vault, (alice, bob, carol), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    vault.leave()
    bob.approve(signing)
    carol.approve(signing)
    first, second = world.logs[signing].records[1:3]
    heard = Replay(signing, keygen=carol.heard(group))
    heard.hear(world.logs[signing].records[0])
    with pytest.raises(Fork, match="hash"):
        heard.hear(replace(first, statement=second.statement))


def test_attack_27_an_invented_notice_is_refused() -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).

    A coordinator says only what time and the log call for: here an end before the end.
    """
    world, _, (alice, _, _), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    world.notice(world.logs[signing], SigningExpired)
    world.run()
    assert any("signing.expired before" in said for said in alice.troubles)
    assert alice.signing(signing).phase == "approving"


def test_attack_27_a_fork_is_seen_when_a_statement_of_the_other_branch_arrives() -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).
    """
    world, vault, (alice, bob, carol), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    world.fork(signing, carol)
    bob.approve(signing)  # the main branch; Carol never hears of it
    world.run()
    carol.approve(signing)  # hers; it begins after the request, which both branches hold
    world.run()
    branch = world.branches["carol", signing]
    moved = carol.saying(signing, SigningApprove, until=world.now + 1000)
    with pytest.raises(WireError) as caught:
        world.submit(moved, bob)
    assert caught.value.reason is Reason.FORK, "an honest coordinator would not take it"
    record = world.force(moved, bob)
    world.run()
    assert not branch.chain.knows(record.hash)
    assert any("another history" in said for said in [*bob.troubles, *alice.troubles, *vault.concerns])
    assert not signed(vault)


def test_attack_27_two_heads_for_one_offset_convict_the_coordinator() -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).
    """
    world, _, (alice, bob, carol), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    branch = world.fork(signing, carol)
    bob.approve(signing)
    carol.approve(signing)
    world.run()
    one, two = world.logs[signing].records[1], branch.records[1]
    heads = [sign_head(signing, record, world.coordinator.sign) for record in (one, two)]
    assert heads[0].offset == heads[1].offset and heads[0].hash != heads[1].hash
    assert all(head_is_signed(signing, head, xonly(world.coordinator)) for head in heads)
    bob.heard(signing).check_head(heads[0])
    with pytest.raises(Fork, match="another history"):
        bob.heard(signing).check_head(heads[1])
    with pytest.raises(Fork):
        bob.hearing.hear(signing, world.logs[signing].records[1]) or bob.heard(signing).hear(one)


# 64: asks in a history in which the key was not yet complete ---------------------------------------------------------


def test_attack_64_nobody_signs_what_was_asked_before_the_key_was_complete() -> None:
    """64: a request in a history in which the key was not yet complete: some sign it, others call its log broken."""
    world, vault, (alice, bob, _), group = trio(NONE)
    state = world.state(group)
    early = world.logs[group].records[state.completed - 2]
    request = alice.requesting(group, MESSAGE, after=early.hash)
    with pytest.raises(WireError) as caught:
        world.submit(request, alice)
    assert (caught.value.reason, caught.value.field) == (Reason.WRONG_STATE, "after")
    world.force(request, alice)
    world.clock()
    world.run()
    assert not signed(vault) and any("not yet complete" in said for said in vault.concerns)
    assert all(any("not yet complete" in said for said in member.troubles) for member in (alice, bob))
    world.submit(alice.requesting(group, MESSAGE, after=world.logs[group].records[state.completed - 1].hash), alice)
    world.run()
    assert signed(vault)


# 37: a new epoch without the old records -----------------------------------------------------------------------------


def test_attack_37_a_new_epoch_that_forgets_records_is_a_fork_for_whoever_heard_them() -> None:
    """37: a new epoch without the old records."""
    world, vault, (alice, bob, _), group = trio()
    signing = alice.request(group, MESSAGE)
    world.run()
    vault.leave()
    bob.reject(signing)
    world.run()
    request = world.logs.pop(signing).records[0].statement
    world.epoch = Epoch(b"after a restore.")
    world.submit(request, alice)
    anew = world.logs[signing].records[0]
    with pytest.raises(Fork, match="two hashes"):
        bob.hearing.hear(signing, record_of(world.wire(anew, bob)))
    assert bob.heard(signing).broken is not None


# 39: two rosters: no address is called safe --------------------------------------------------------------------------


def test_attack_39_of_two_rosters_no_address_is_called_safe() -> None:
    """39: two rosters: no address is called safe.

    Mallory has Bob's ticket; the coordinator shows Alice a history with her, and Carol the one with Bob.
    """
    world = World()
    names = ("alice", "bob", "carol", "mallory")
    alice, bob, carol, mallory = members = [world.member(name) for name in names]
    homes = {member: world.enclave(f"enclave of {member.name}") for member in members}
    invitation = alice.create(3)
    group = invitation.keygen
    alice.join(invitation, 0, homes[alice].key, NONE)
    carol.join(invitation, 2, homes[carol].key, NONE)
    world.run()
    branch = world.fork(group, alice, homes[alice], mallory, homes[mallory])
    for member in (bob, mallory):
        member.join(invitation, 1, homes[member].key, NONE)
    world.run()
    rosters = {member.keygen(group).roster for member in members}
    assert len(rosters) == 2 and None not in rosters
    for member in members:
        member.confirm(group)
    world.run()
    assert {m.name: safety(m.keygen(group)).missing for m in members} == {
        "alice": (2,), "bob": (0,), "carol": (0,), "mallory": (2,),
    }  # fmt: skip
    word = next(r.statement for r in world.logs[group].records if r.statement.payload.by == carol.auth(group).key
                and r.statement.payload.kind == "keygen.confirm")  # fmt: skip
    write(world, branch, word)
    world.publish(branch)
    world.run()
    assert not safety(alice.keygen(group)).safe and any("another history" in said for said in alice.troubles)

"""Attacks on who speaks: with the group's secret, in another's name, from outside, in another spelling, or too late.

mallory ── S, a copied payload, a second signature, a request for what is not hers ──▶ coordinator, enclaves     no say
"""

from collections.abc import Callable

import msgspec
import pytest

from keymeld_protocol.errors import BadInput, Reason
from keymeld_protocol.machines.keygen import REPLACE_AFTER_MS
from keymeld_protocol.plaintext.body import SignMessage
from keymeld_protocol.values import Id, Message
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import CustodyAccept, KeygenConfirm, KeygenRelease, SigningApprove
from keymeld_protocol.wire.statements import WireStatement
from tests.support.machines import Keygen, Signing, completed, key_of, refused
from tests.support.world import HOUR, MESSAGE, NONE, NOON, SELF, Enclave, Log, Member, World, quorum

from .mischief import Puppet, ask, group_of_two, refuses, say_as, signed, write

# 18: the group secret is everyone's authority ----------------------------------------------------------------------


def test_attack_18_whoever_knows_the_group_secret_and_every_invitation_has_no_say() -> None:
    """18: the group secret is everyone's authority."""
    world, vault, alice, _, group = group_of_two()
    signing = alice.request(group, MESSAGE)
    world.run()
    mallory = world.member("mallory")
    mallory.groups, mallory.hearing = alice.groups, alice.hearing  # she reads what Alice reads
    mallory.slots[group] = [1]
    for auth in (mallory.auth(group), key_of("mallory")):
        refuses(world, mallory.saying(signing, SigningApprove, auth), Reason.NOT_ALLOWED)
        refuses(world, mallory.saying(group, KeygenConfirm, auth, roster=alice.roster(group).hash), Reason.NOT_ALLOWED)
    refuses(world, ask(mallory, group, MESSAGE), Reason.NOT_ALLOWED)
    world.force(mallory.saying(signing, SigningApprove))
    world.attempt(signing)
    world.run()
    assert not signed(vault) and vault.concerns


# 36: two members approve with equal content; a third signs the second's payload; an extra signature ------------------


def test_attack_36_equal_approvals_of_two_members_are_two_statements() -> None:
    """36: two members approve with equal content; a third signs the second's payload; an extra signature."""
    signing = Signing(completed(3, NONE, quorum(2, 1, 2)))
    one, two = signing.approve(1), signing.approve(2)
    assert one.id != two.id
    assert signing.hear(one, two).consent.approvals.keys() == {0, 1, 2}


def test_attack_36_a_third_cannot_sign_the_seconds_payload() -> None:
    """36: two members approve with equal content; a third signs the second's payload; an extra signature."""
    signing = Signing(completed(3))
    wire = signing.approve(1).wire
    by_carol = signing.keygen.auth(2).sign(statements.statement_id(wire.payload)).hex()
    for signatures in ((by_carol,), (wire.signatures[0], by_carol), (by_carol, wire.signatures[0]), ()):
        with pytest.raises(BadInput) as caught:
            statements.parse(msgspec.structs.replace(wire, signatures=signatures))
        assert caught.value.reason is Reason.BAD_SIGNATURE


# 38: an outsider requests a subset's signature, in the real roster and in a fork -------------------------------------


def group_with_subset() -> tuple[World, Enclave, list[Member], Id]:
    """Three members under rule none; Bob and Carol have a key without Alice."""
    world = World()
    vault, members = world.enclave("vault"), [world.member(name) for name in ("alice", "bob", "carol")]
    return world, vault, members, world.gather(members, at=vault, subsets=[(1, 2)])


def test_attack_38_an_outsider_cannot_request_a_subsets_signature() -> None:
    """38: an outsider requests a subset's signature, in the real roster and in a fork."""
    world, vault, (alice, bob, _), group = group_with_subset()
    refuses(world, alice.requesting(group, MESSAGE, subset=0), Reason.NOT_ALLOWED)
    stowaway = alice.requesting(
        group, SignMessage(message=Message(MESSAGE)), SignMessage(message=Message(MESSAGE), subset=0)
    )
    world.submit(stowaway, alice)
    world.run()
    assert not signed(vault) and world.state(stowaway.id).code == "rule_not_met"
    bob.request(group, MESSAGE, subset=0)
    world.run()
    assert signed(vault), "its own members can"


def test_attack_38_a_forked_log_gives_the_outsider_no_power_either() -> None:
    """38: an outsider requests a subset's signature, in the real roster and in a fork."""
    world, vault, (alice, _, _), group = group_with_subset()
    request = alice.requesting(group, MESSAGE, subset=0)
    log = Log(request.id, world.epoch, keygen=world.logs[group])
    record = write(world, log, request)
    vault.inbox.append((request.id, world.wire(record, vault)))
    world.run()
    assert not signed(vault) and any("requester" in said for said in vault.concerns)


# 47: duplicate JSON keys, 2^53+1, escapes, trailing space ------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda text: text[:-1] + ',"v":1}', Reason.BAD_FIELD),
        (lambda text: text.replace('"v":1', '"v":1,"v":1'), Reason.BAD_FIELD),
        (lambda text: text.replace("1700003600000", str(2**53 + 1)), Reason.BAD_FIELD),
        (lambda text: text.replace("1700003600000", "1700003600000.0"), Reason.BAD_FIELD),
        (lambda text: text.replace("1700003600000", "17000036e5"), Reason.BAD_FIELD),
        (lambda text: text.replace('"v":1', '"v":01'), Reason.BAD_JSON),
        (lambda text: text.replace("approve", "appro\\u0076e"), Reason.BAD_FIELD),
        (lambda text: text + " ", Reason.BAD_FIELD),
        (lambda text: text + "\n", Reason.BAD_FIELD),
        (lambda text: text.replace(",", ", ", 1), Reason.BAD_FIELD),
        (lambda text: text + "x", Reason.BAD_JSON),
    ],
    ids=["a key twice", "a key twice, at once", "2^53+1", "a fraction", "an exponent", "a leading zero", "an escape",
         "a trailing space", "a trailing line break", "a space between", "something behind"],
)  # fmt: skip
def test_attack_47_a_payload_has_one_spelling(spoilt: Callable[[str], str], reason: Reason) -> None:
    """47: duplicate JSON keys, 2^53+1, escapes, trailing space."""
    said = Signing(completed(2)).approve(0, until=NOON + HOUR)
    text = spoilt(said.text)
    assert text != said.text
    signature = key_of("group auth 0").sign(statements.statement_id(text)).hex()
    with pytest.raises(BadInput) as caught:
        statements.parse(WireStatement(text, (signature,), ()))
    assert caught.value.reason is reason


# 48: a superseded join revived ---------------------------------------------------------------------------------------


def test_attack_48_words_about_a_superseded_join_have_no_effect() -> None:
    """48: a superseded join revived."""
    stream = Keygen(2)
    old = stream.join(0)
    stream.hear(old)
    stream.now += REPLACE_AFTER_MS
    stream.hear(stream.join_by("bob", 0))
    for late in (stream.accept(0, join=old.id), stream.refuse(0, join=old.id), stream.release(0, join=old.id)):
        refused(stream, late, Reason.GONE, "join")
    refused(stream, stream.join(0), Reason.SLOT_TAKEN, "slot")


def test_attack_48_an_enclave_does_not_hold_a_superseded_key() -> None:
    """48: a superseded join revived."""
    world = World()
    vault, alice, bob = Puppet(world, "vault"), world.member("alice"), world.member("bob")
    invitation = alice.create(2)
    vault.mute = True
    first = bob.join(invitation, 0, vault.key, NONE)
    world.now += REPLACE_AFTER_MS
    world.run()
    second = alice.join(invitation, 0, vault.key, NONE)
    vault.mute = False
    world.run()
    assert [error.reason for _, error in vault.refused] == [Reason.GONE], "it had accepted what was replaced meanwhile"
    seat = world.state(invitation.keygen).seats[0]
    assert seat.id == second.id and seat.ready
    assert vault.agent._groups[invitation.keygen].custody.take(0).join == second.id
    world.force(say_as(world, vault, invitation.keygen, CustodyAccept, slot=0, join=first.id))
    world.run()
    assert any("gone" in said for said in vault.concerns) and alice.troubles


@pytest.mark.parametrize("freed", [False, True], ids=["while the later one waits", "when the later one was released"])
def test_attack_48_a_join_that_was_held_back_does_not_replace_a_later_one(freed: bool) -> None:
    """48: a superseded join revived."""
    world = World()
    vault, alice, bob = Puppet(world, "vault"), world.member("alice"), world.member("bob")
    vault.mute = True
    invitation = alice.create(2)
    held_back = bob.draft(invitation, 1, vault.key, NONE).statement()
    later = bob.join(invitation, 1, vault.key, SELF)
    world.run()
    if freed:
        creator = alice.identity.creator(alice.keygen(invitation.keygen).create.salt)
        alice.say(invitation.keygen, KeygenRelease, creator, slot=1, join=later.id, code="released")
        world.run()
    refuses(world, held_back, Reason.NOT_ALLOWED)
    world.force(held_back)
    vault.mute = False
    world.run()
    assert alice.troubles and any("another join of this auth key" in said for said in vault.concerns)
    accepted = [said.payload.join for said in vault.said if isinstance(said.payload, CustodyAccept)]
    assert accepted == [later.id], "no enclave says that it holds what was held back"
    assert alice.heard(invitation.keygen).broken is not None

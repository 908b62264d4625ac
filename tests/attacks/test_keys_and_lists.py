"""Attacks on keys and key lists: who gets one, who is in the list, and what the list comes to.

mallory ── a key of her own, a copied card, another secret, a changed list ──▶ group        refused, by name
"""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from msgspec import structs

from keymeld_protocol.curve.schnorr import Keypair, verify
from keymeld_protocol.curve.secp256k1 import Secret, has_even_y
from keymeld_protocol.errors import InvalidCrypto, Reason, WireError
from keymeld_protocol.keys.derivation import prove_possession
from keymeld_protocol.keys.envelope import EnvelopeContext, open_envelope, seal_envelope
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Card, Terms
from keymeld_protocol.values import Hash, Id, PlainKey, Salt, Signature, XOnlyKey
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.statements import Statement, make
from tests.support.machines import Keygen, completed, key_of, refused, secret_of, xonly
from tests.support.world import MESSAGE, NONE, Enclave, Invitation, JoinDraft, Member, World

from .mischief import ask, create, signed


def opened(slots: int = 2) -> tuple[World, Enclave, Invitation, Member, Member]:
    """A keygen that nobody has joined: Alice created it, Bob has a ticket."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    return world, vault, alice.create(slots), alice, bob


def refused_by_enclave(world: World, draft: JoinDraft, code: str) -> None:
    """The enclave refuses this join with ``code``, and the slot is free again."""
    world.submit(draft.statement())
    world.run()
    state = world.state(draft.context.keygen_id)
    assert [freed.code for freed in state.freed][-1:] == [code]
    assert state.seats[draft.context.slot] is None


# 2: it adds its key to a list and receives the group secret -------------------------------------------------------


def test_attack_2_a_coordinator_that_adds_its_own_key_to_the_list_is_not_believed() -> None:
    """2: it adds its key to a list and receives the group secret."""
    world, vault, invitation, alice, _ = opened()
    alice.join(invitation, 0, vault.key, NONE)
    world.run()
    honest = world.member("mallory").draft(invitation, 1, vault.key, NONE)
    own = key_of("an invitation that the coordinator made for itself")
    world.force(replace(honest, invite=own).statement())
    world.run()
    assert alice.troubles and vault.concerns, "both have seen that this list is not theirs"
    assert alice.keygen(invitation.keygen).seats[1] is None
    assert "keygen.confirm" not in vault.kinds()


def test_attack_2_whoever_may_hear_hears_ciphertexts_and_no_envelope() -> None:
    """2: it adds its key to a list and receives the group secret."""
    world, vault, invitation, alice, _ = opened(1)
    draft = alice.draft(invitation, 0, vault.key, NONE)
    world.submit(draft.statement(reader=xonly(key_of("spy"))), alice)
    world.run()
    spy = world.member("spy")
    shown = [world.wire(record, spy).statement for record in world.logs[invitation.keygen].records]
    joins = [statement for statement in shown if '"keygen.join"' in statement.payload]
    assert joins and all(join.blobs[1] is None for join in joins), "an envelope goes to its enclave only"
    assert invitation.group_secret.hex() not in repr(shown)


# 7: a member replaces another's key, joins twice, fills slots with inventions, joins after completion --------------


def join_by(stream: Keygen, at: int, auth: Keypair, invite: Keypair | None = None, **fields: Any) -> Statement:
    """A join by any auth key and with any invite key, properly signed by both."""
    inviting = invite or stream.cast.invite(at)
    honest = structs.asdict(stream.join(at).payload)
    said = honest | {"by": xonly(auth), "invite": xonly(inviting)} | fields
    blobs = [b"sealed card", b"envelope of slot %d" % at]
    return make(KeygenJoin(**said), auth.sign, inviting.sign, blobs=blobs)


def test_attack_7_a_member_cannot_replace_anothers_key() -> None:
    """7: a member replaces another's key, joins twice, fills slots with inventions, joins after completion."""
    stream = Keygen(3).fill(0, 1)
    refused(stream, join_by(stream, 1, key_of("mallory")), Reason.SLOT_TAKEN, "slot")
    refused(stream, join_by(stream, 1, stream.auth(0)), Reason.SLOT_TAKEN, "slot")


def test_attack_7_a_member_cannot_join_twice() -> None:
    """7: a member replaces another's key, joins twice, fills slots with inventions, joins after completion."""
    stream = Keygen(3).fill(0)
    refused(stream, join_by(stream, 1, stream.auth(0)), Reason.NOT_ALLOWED, "by")


def test_attack_7_nobody_fills_slots_with_inventions() -> None:
    """7: a member replaces another's key, joins twice, fills slots with inventions, joins after completion."""
    stream = Keygen(2)
    refused(stream, join_by(stream, 1, key_of("nobody"), stream.cast.invite(0)), Reason.NOT_ALLOWED, "invite")
    refused(stream, join_by(stream, 1, key_of("nobody"), key_of("invented")), Reason.NOT_ALLOWED, "invite")
    refused(stream, join_by(stream, 1, key_of("nobody"), slot=2), Reason.BAD_FIELD, "slot")


def test_attack_7_nobody_joins_after_completion() -> None:
    """7: a member replaces another's key, joins twice, fills slots with inventions, joins after completion."""
    stream = completed(2)
    roster = stream.state.roster
    refused(stream, join_by(stream, 1, key_of("mallory")), Reason.WRONG_STATE, "kind")
    assert stream.state.roster == roster


# 10: a tweak silently dropped · 11: an undecryptable tweak becomes none --------------------------------------------


def test_attack_10_the_tweak_of_the_terms_is_in_the_key_that_signs() -> None:
    """10: a tweak silently dropped."""
    world = World()
    alice, bob = world.member("alice"), world.member("bob")
    group = world.gather([alice, bob], at=[world.enclave("vault"), world.enclave("tower")])
    signing = alice.request(group, MESSAGE)
    world.run()
    (signature,), keyagg = bob.signatures(signing), bob.roster(group).keyagg()
    assert isinstance(signature, bytes) and keyagg.aggregate != keyagg.point
    assert verify(signature, MESSAGE, keyagg.output)
    assert not verify(signature, MESSAGE, keyagg.aggregate[1:]), "without its tweak it is nobody's signature"


def test_attack_10_terms_that_do_not_say_their_tweak_are_no_terms() -> None:
    """10: a tweak silently dropped."""
    raw = contents.encode(Terms(v=1, label="", network="regtest", tweak="bip86"))
    for spoilt in (raw.replace(b',"tweak":"bip86"', b""), raw.replace(b'"bip86"', b"null")):
        with pytest.raises(WireError, match="tweak"):
            contents.parse(Terms, spoilt)


def _without_terms(wire: WireRecord) -> WireRecord:
    if wire.offset != 1 or '"keygen.create"' not in wire.statement.payload:
        return wire
    return structs.replace(wire, statement=structs.replace(wire.statement, blobs=(None,)))


@pytest.mark.parametrize("spoilt", ["sealed with another key", "deleted by the coordinator"])
def test_attack_11_terms_that_do_not_open_never_become_no_tweak(spoilt: str) -> None:
    """11: an undecryptable tweak becomes none."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    deleted = spoilt.startswith("deleted")
    if deleted:
        world.tamper = lambda peer, stream, wire: [_without_terms(wire)]
    invitation = create(alice, terms=None if deleted else bytes(80))
    for slot, member in enumerate((alice, bob)):
        member.join(invitation, slot, vault.key, NONE)
    world.run()
    codes = [freed.code for freed in world.state(invitation.keygen).freed]
    assert codes == ["missing_blob" if deleted else "bad_seal"] * 2, "each join is refused at once"
    assert world.state(invitation.keygen).roster is None and vault.kinds() == ["custody.refuse"] * 2


def test_attack_11_terms_that_are_gone_after_a_restart_never_become_no_tweak() -> None:
    """11: an undecryptable tweak becomes none; here the coordinator deletes the terms, and the enclave begins anew."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    keygen = world.gather([alice, bob], at=vault)
    world.tamper = lambda peer, stream, wire: [_without_terms(wire)]
    vault.restart()
    request = ask(alice, keygen, MESSAGE)
    world.submit(request, alice)
    world.run()
    assert not signed(vault) and world.state(request.id).code == "missing_blob"


# 12: somebody else initialises a reserved session ------------------------------------------------------------------


def test_attack_12_a_session_is_named_by_what_opens_it_so_nobody_else_can_open_it() -> None:
    """12: somebody else initialises a reserved session."""
    world, _, invitation, _, bob = opened()
    statement = world.logs[invitation.keygen].records[0].statement
    stolen = replace(statement, signatures=(Signature(key_of("mallory").sign(statement.id)),))
    world.logs.clear()
    with pytest.raises(WireError) as caught:
        world.submit(stolen, bob)
    assert caught.value.reason is Reason.BAD_SIGNATURE and not world.logs
    assert create(bob).keygen != invitation.keygen, "her own session has a name of its own"


def test_attack_12_only_the_creator_frees_slots() -> None:
    """12: somebody else initialises a reserved session."""
    stream = Keygen(2)
    stream.hear(stream.join(0))
    refused(stream, stream.release(0, by=stream.auth(0)), Reason.NOT_ALLOWED, "by")


# 13: signing depends on whose id is smallest -----------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(("alice", "bob", "carol"))), ids="-".join)
def test_attack_13_whoever_sits_where_the_group_signs(order: tuple[str, ...]) -> None:
    """13: signing depends on whose id is smallest."""
    world = World()
    vault, tower = world.enclave("vault"), world.enclave("tower")
    members = [world.member(name) for name in order]
    group = world.gather(members, at=[vault if m.name != "carol" else tower for m in members])
    for requester in members:
        signing = requester.request(group, MESSAGE)
        world.run()
        assert all(isinstance(s, bytes) for s in members[0].signatures(signing))


# 30: a card and proof copied into another slot, session or auth key ------------------------------------------------


def test_attack_30_a_copied_card_does_not_open_in_another_join() -> None:
    """30: a card and proof copied into another slot, session or auth key."""
    world, vault, invitation, alice, bob = opened()
    joined = alice.join(invitation, 0, vault.key, NONE)
    world.run()
    draft = bob.draft(invitation, 1, vault.key, NONE)
    refused_by_enclave(world, replace(draft, card=joined.blobs[0]), "bad_card")


@pytest.mark.parametrize("from_", ["slot", "session", "auth key"])
def test_attack_30_a_copied_proof_proves_nothing_for_whoever_seals_it_anew(from_: str) -> None:
    """30: a card and proof copied into another slot, session or auth key."""
    world, vault, invitation, _, bob = opened()
    draft = bob.draft(invitation, 1, vault.key, NONE)
    place = draft.context
    elsewhere = {
        "slot": (place.keygen_id, 0, place.auth),
        "session": (Id(secret_of("another session")), 1, place.auth),
        "auth key": (place.keygen_id, 1, xonly(key_of("alice's auth key"))),
    }[from_]
    proof = prove_possession(draft.signing, *elsewhere)
    plain = contents.encode(Card(v=1, pubkey=PlainKey(draft.signing.point), label="", possession=proof))
    card = draft.card_group.seal("keygen.join", "card", place.keygen_id, place.auth, plain)
    refused_by_enclave(world, replace(draft, card=card), "bad_possession")


# 31: two sessions with one salt ------------------------------------------------------------------------------------


def test_attack_31_what_was_sealed_in_one_session_opens_in_no_other_with_its_salt_and_secret() -> None:
    """31: two sessions with one salt."""
    world = World()
    vault, alice = world.enclave("vault"), world.member("alice")
    one, two = create(alice, 1), create(alice, 1, open=True)
    assert one.keygen != two.keygen and one.group_secret == two.group_secret
    first = alice.join(one, 0, vault.key, NONE)
    world.run()
    draft = alice.draft(two, 0, vault.key, NONE)
    assert first.payload.by != draft.context.auth, "its keys are other ones"
    refused_by_enclave(world, replace(draft, card=first.blobs[0]), "bad_card")
    refused_by_enclave(world, replace(alice.draft(two, 0, vault.key, NONE), envelope=first.blobs[1]), "bad_envelope")


# 43: a creator hands out two secrets -------------------------------------------------------------------------------


def test_attack_43_a_ticket_with_another_secret_is_refused_by_who_holds_it_and_by_the_enclave() -> None:
    """43: a creator hands out two secrets."""
    world, vault, invitation, _, bob = opened()
    other = Invitation(invitation.keygen, secret_of("another S"), invitation.open_secret)
    with pytest.raises(InvalidCrypto, match="commitment"):
        bob.accept(other, 1)
    draft = bob.draft(invitation, 1, vault.key, NONE)
    foreign = GroupKey(other.group_secret, Salt(secret_of("salt")))
    refused_by_enclave(
        world, replace(draft, group_secret=other.group_secret, card_group=foreign), "foreign_group_secret"
    )


# 49: an envelope to an identity of odd y ---------------------------------------------------------------------------


@pytest.mark.parametrize("even", [True, False], ids=["even y", "odd y"])
def test_attack_49_an_envelope_opens_whatever_the_parity_of_the_identity(even: bool) -> None:
    """49: an envelope to an identity of odd y."""
    number = next(i for i in range(100) if has_even_y(Secret(secret_of(f"identity {i}")).point) == even)
    identity = Secret(secret_of(f"identity {number}"))
    context = EnvelopeContext(
        keygen_id=Id(bytes(32)),
        slot=0,
        policy=Hash(bytes(32)),
        auth=xonly(key_of("auth")),
        enclave=XOnlyKey(identity.point[1:]),
    )
    sealed = seal_envelope(context, Secret(secret_of("key")), secret_of("S"), b"{}")
    assert bytes(open_envelope(identity, context, sealed).group_secret) == secret_of("S")
    world = World()
    vault, alice = world.enclave(f"identity {number}"), world.member("alice")
    signing = alice.request(world.gather([alice], at=vault), MESSAGE)
    world.run()
    assert signed(vault) and isinstance(alice.signatures(signing)[0], bytes)

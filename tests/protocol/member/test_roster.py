"""The roster as a member reads it: every card opened, every key proven, and an address called safe only by all."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from btclib_wallet.descriptors import parse
from msgspec import structs

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.bitcoin.transaction import Spend, key_hash_script, taproot_script
from keymeld_protocol.curve.keyagg import aggregate, bip86_tweak
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput, Blamed, InvalidCrypto, WireError
from keymeld_protocol.keys.derivation import prove_possession
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.roster import read_card, read_roster, read_terms, safety
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Card, TermsTweak
from keymeld_protocol.values import Hash, Id, PlainKey, XOnlyKey
from keymeld_protocol.wire.payloads import CustodyAccept
from keymeld_protocol.wire.shapes import Rule
from tests.support.build import say, xonly
from tests.support.machines import VAULT, completed
from tests.support.people import Invitation, JoinDraft, Member
from tests.support.world import NONE, SELF, World, key_of, secret_of

ACCOMPLICE = key_of("an enclave that accepts everything")
Spoil = Callable[[JoinDraft, Invitation], None]


class Group:
    """Alice creates a keygen and joins honestly; Bob's join may be spoiled; their enclave accepts everything."""

    def __init__(self, *spoils: Spoil, subsets: tuple[tuple[int, ...], ...] = (), alice: Spoil | None = None) -> None:
        self.world = World()
        self.alice, self.bob = self.world.member("alice"), self.world.member("bob")
        self.invitation = self.alice.create(2, subsets=subsets)
        self.keygen = self.invitation.keygen
        self.join(self.alice, 0, *([alice] if alice is not None else []))
        self.join(self.bob, 1, *spoils)

    def join(self, who: Member, slot: int, *spoils: Spoil) -> None:
        draft = who.draft(self.invitation, slot, xonly(ACCOMPLICE), NONE)
        for spoil in spoils:
            spoil(draft, self.invitation)
        said = draft.statement()
        who.submit(said)
        who.slots.setdefault(self.keygen, []).append(slot)
        after = self.world.logs[self.keygen].chain.hash
        self.world.submit(say(ACCOMPLICE, CustodyAccept, self.keygen, after, slot=slot, join=said.id))
        self.world.run()

    def blamed(self) -> tuple[str, tuple[int, ...]]:
        with pytest.raises(Blamed) as caught:
            self.alice.roster(self.keygen)
        return caught.value.code, caught.value.slots


def card(draft: JoinDraft, signing: Secret, slot: int | None = None, auth: XOnlyKey | None = None) -> bytes:
    """A card for ``draft`` with a proof that was made for another place, or none."""
    place = draft.context
    speaker = XOnlyKey(draft.auth.key)
    proof = prove_possession(
        signing, place.keygen_id, place.slot if slot is None else slot, speaker if auth is None else auth
    )
    plain = contents.encode(Card(v=1, pubkey=PlainKey(draft.signing.point), label="", possession=proof))
    return draft.card_group.seal("keygen.join", "card", place.keygen_id, speaker, plain)


# An honest roster -------------------------------------------------------------------------------------------------


def test_a_roster_has_one_card_for_each_slot_and_the_terms() -> None:
    group = Group()
    roster = group.alice.roster(group.keygen)
    assert [held.label for held in roster.cards] == ["alice", "bob"]
    assert (roster.keygen, roster.terms.label, roster.terms.network) == (group.keygen, "alice", "regtest")
    assert roster.hash == group.alice.keygen(group.keygen).roster


def test_everybody_computes_the_same_address() -> None:
    group = Group()
    addresses = {who.roster(group.keygen).address() for who in (group.alice, group.bob)}
    assert len(addresses) == 1 and addresses.pop().startswith("bcrt1p")


def test_the_output_key_is_the_sorted_keys_with_the_bip_86_tweak() -> None:
    group = Group()
    roster = group.alice.roster(group.keygen)
    keys = tuple(held.pubkey for held in roster.cards)
    assert roster.output == aggregate(keys, (bip86_tweak(keys),)).output
    assert roster.script() == taproot_script(roster.output)


def test_the_descriptor_of_the_group_and_of_a_subset_leads_to_their_scripts() -> None:
    group = Group(subsets=((0,), (0, 1)))
    roster = group.alice.roster(group.keygen)
    for subset in (None, 0, 1):
        assert parse(roster.descriptor(subset)).script_pub_key().script == roster.script(subset)
    assert roster.descriptor().startswith("tr(musig(") and roster.descriptor(0).startswith("tr(0")


@pytest.mark.parametrize("tweak", ["bip86", "none", "tree", "root"])
@pytest.mark.parametrize("subset", [None, 0])
def test_the_descriptor_of_a_child_leads_to_its_script(tweak: TermsTweak, subset: int | None) -> None:
    group = Group(subsets=((0,), (0, 1)))
    extra = {
        "tree": {"tree": (contents.Leaf(depth=0, version=0xC0, script=contents.Script(b"\x51")),)},
        "root": {"root": Hash(bytes(32))},
    }
    terms = contents.Terms(v=1, label="", network="regtest", tweak=tweak, **extra.get(tweak, {}))  # type: ignore[arg-type]
    roster = replace(group.alice.roster(group.keygen), terms=terms)
    told, path = roster.child_descriptor((1, 25), subset), (1, 25)
    assert parse(told, "regtest").script_pub_key().script == taproot_script(roster.child(path, subset).output)
    assert ("tpub" in told) == (tweak in ("bip86", "none"))


def test_terms_without_a_tweak_leave_the_aggregate_key() -> None:
    group = Group()
    roster = group.alice.roster(group.keygen)
    plain = replace(roster, terms=contents.Terms(v=1, label="", network="regtest", tweak="none"))
    assert plain.keyagg().output == aggregate([held.pubkey for held in roster.cards]).output
    assert plain.keyagg().output != roster.keyagg().output


def test_a_subset_has_a_key_of_its_own() -> None:
    group = Group(subsets=((0,), (0, 1)))
    roster = group.alice.roster(group.keygen)
    assert roster.slots_of(None) == (0, 1) and roster.slots_of(0) == (0,)
    assert roster.script(0) != roster.script() == roster.script(1)
    with pytest.raises(BadInput) as caught:
        roster.slots_of(2)
    assert caught.value.field == "subset"


def test_no_subset_is_counted_from_the_end() -> None:
    group = Group(subsets=((0,), (0, 1)))
    roster, state = group.alice.roster(group.keygen), group.alice.keygen(group.keygen)
    for ask in (roster.slots_of, roster.keyagg, lambda named: safety(state, subset=named)):
        with pytest.raises(BadInput, match="this keygen has 2 subsets, the first is 0"):
            ask(-1)


def test_an_unfinished_keygen_has_no_roster() -> None:
    world = World()
    alice = world.member("alice")
    invitation = alice.create(2)
    alice.accept(invitation, 0)
    with pytest.raises(WireError, match="missing"):
        alice.roster(invitation.keygen)
    with pytest.raises(Blamed, match="no_card"):
        read_card(alice.heard(invitation.keygen), alice.groups[invitation.keygen], 0)
    assert read_terms(alice.heard(invitation.keygen), alice.groups[invitation.keygen]).label == "alice"


def test_a_signing_has_no_roster_of_its_own() -> None:
    group = Group()
    signing = group.alice.request(group.keygen, secret_of("message"))
    group.world.run()
    with pytest.raises(WireError, match="not a keygen"):
        read_roster(group.alice.heard(signing), group.alice.groups[group.keygen])


# Cards that do not hold -------------------------------------------------------------------------------------------


def test_attack_7_a_key_that_is_not_held_is_refused_and_its_slot_named() -> None:
    def rogue(draft: JoinDraft, _: Invitation) -> None:
        draft.card = card(draft, Secret(secret_of("a key that Mallory holds")))

    assert Group(rogue).blamed() == ("bad_possession", (1,))


def test_attack_30_a_proof_for_another_slot_is_refused() -> None:
    def elsewhere(draft: JoinDraft, _: Invitation) -> None:
        draft.card = card(draft, draft.signing, slot=0)

    assert Group(elsewhere).blamed() == ("bad_possession", (1,))


def test_attack_30_a_proof_for_another_auth_key_is_refused() -> None:
    def anothers(draft: JoinDraft, _: Invitation) -> None:
        draft.card = card(draft, draft.signing, auth=XOnlyKey(key_of("mallory").key))

    assert Group(anothers).blamed() == ("bad_possession", (1,))


def test_attack_30_a_card_copied_from_another_slot_does_not_open() -> None:
    honest = Group()
    alices = honest.alice.heard(honest.keygen).records[1].statement.blob("card")

    def copy(draft: JoinDraft, _: Invitation) -> None:
        draft.card = alices

    assert Group(copy).blamed() == ("bad_card", (1,))


def test_attack_30_a_proof_from_another_session_is_refused() -> None:
    def elsewhere(draft: JoinDraft, _: Invitation) -> None:
        speaker = XOnlyKey(draft.auth.key)
        proof = prove_possession(draft.signing, Id(secret_of("another session")), 1, speaker)
        plain = contents.encode(Card(v=1, pubkey=PlainKey(draft.signing.point), label="", possession=proof))
        draft.card = draft.card_group.seal("keygen.join", "card", draft.context.keygen_id, speaker, plain)

    assert Group(elsewhere).blamed() == ("bad_possession", (1,))


@pytest.mark.parametrize("sealed", [b"", b"rubbish", bytes(200)])
def test_attack_41_a_card_that_does_not_open_names_its_slot(sealed: bytes) -> None:
    def rubbish(draft: JoinDraft, _: Invitation) -> None:
        draft.card = sealed or b"\x00"

    assert Group(rubbish).blamed() == ("bad_card", (1,))


@pytest.mark.parametrize("plain", [b"", b"{}", b'{"v":2}', b'{"v":2,"new":1}', b'{"v":1,"pubkey":"00"}', b"\xff"])
def test_a_card_that_opens_to_nonsense_or_to_a_later_version_names_its_slot(plain: bytes) -> None:
    def nonsense(draft: JoinDraft, _: Invitation) -> None:
        place = draft.context
        draft.card = draft.card_group.seal("keygen.join", "card", place.keygen_id, XOnlyKey(draft.auth.key), plain)

    assert Group(nonsense).blamed() == ("newer_version" if b'"v":2' in plain else "bad_card", (1,))


def test_attack_7_two_slots_that_share_a_signing_key_make_the_roster_invalid() -> None:
    shared = Secret(secret_of("shared"))

    def share(draft: JoinDraft, _: Invitation) -> None:
        draft.signing = draft.card_key = shared

    assert Group(share, alice=share).blamed() == ("shared_key", (0, 1))


def test_a_card_that_was_not_delivered_is_missed() -> None:
    group = Group()
    heard = group.alice.heard(group.keygen)
    heard.records[3] = heard.records[3].without_blobs(("card",))
    assert group.blamed() == ("bad_card", (1,))


# The group secret -------------------------------------------------------------------------------------------------


def test_attack_43_a_member_with_another_group_secret_reads_nothing() -> None:
    group = Group()
    create = group.alice.keygen(group.keygen).create
    other = GroupKey(secret_of("another S"), create.salt)
    with pytest.raises(Blamed) as caught:
        read_roster(group.alice.heard(group.keygen), other)
    assert caught.value.code == "foreign_group_secret"


def test_attack_43_a_ticket_with_another_secret_is_refused_before_anything_is_said() -> None:
    group = Group()
    bob = group.world.member("another bob")
    with pytest.raises(InvalidCrypto, match="group secret"):
        bob.accept(replace(group.invitation, group_secret=secret_of("another S")), 1)


def test_terms_that_the_creator_did_not_seal_blame_nobody_by_slot() -> None:
    keygen = completed()
    heard = Replay(keygen.stream)
    for record in keygen.records:
        heard.hear(record)
    group = GroupKey(secret_of("S"), keygen.state.create.salt)
    group.commitment = keygen.state.create.group
    with pytest.raises(Blamed) as caught:
        read_roster(heard, group)
    assert (caught.value.code, caught.value.slots) == ("bad_seal", ())


# Own scripts ------------------------------------------------------------------------------------------------------


def test_the_key_hash_of_a_key_list_of_one_is_its_own_and_of_others_is_not() -> None:
    group = Group(subsets=((1,),))
    roster = group.alice.roster(group.keygen)
    coins = [Coin(bytes([i]) * 32, 0, 1_000, key_hash_script(card.pubkey)) for i, card in enumerate(roster.cards)]
    spend = Spend(transaction(coins, [(900, coins[1].script)]), [(coin.amount, coin.script) for coin in coins])
    summary = roster.summary(spend, {})
    assert [coin.own for coin in summary.inputs] == [False, True]
    assert [coin.own for coin in summary.outputs] == [True]


# Safe to fund -----------------------------------------------------------------------------------------------------


def test_attack_39_an_address_is_safe_only_when_every_slot_has_confirmed() -> None:
    keygen = completed()
    assert str(safety(keygen.state)) == "NOT safe to fund: slots 0, 1 and 2 have not confirmed the roster"
    keygen.hear(keygen.confirm(VAULT), keygen.confirm(keygen.auth(0)))
    assert str(safety(keygen.state)) == "NOT safe to fund: slot 2 has not confirmed the roster"
    keygen.hear(keygen.confirm(keygen.auth(2)))
    assert str(safety(keygen.state)) == (
        "safe to fund: slots 0 and 2 confirmed by their participants, slot 1 confirmed by an enclave alone"
    )


def test_attack_39_a_free_slot_has_confirmed_nothing() -> None:
    keygen = completed()
    seats = (*keygen.state.seats[:2], None)
    assert safety(replace(keygen.state, seats=seats)).missing == (0, 1, 2)


def test_what_nobody_did_is_not_said() -> None:
    keygen = completed(2)
    keygen.hear(keygen.confirm(keygen.auth(0)), keygen.confirm(keygen.auth(1)))
    assert str(safety(keygen.state)) == "safe to fund: slots 0 and 1 confirmed by their participants"


@pytest.mark.parametrize(
    ("rules", "at", "said"),
    [
        ((Rule(approval="self", not_after=1_000), SELF), 1_000, None),
        ((Rule(approval="self", not_after=1_000), SELF), 1_001, "slot 0"),
        ((Rule(approval="self", not_after=1_000), Rule(approval="self", delay_ms=400)), 600, None),
        ((Rule(approval="self", not_after=1_000), Rule(approval="self", delay_ms=401)), 600, "slot 0"),
        ((Rule(approval="self", not_before=2_000), Rule(approval="self", not_after=1_999)), 0, "slot 1"),
    ],
)
def test_an_address_whose_rules_leave_no_time_to_spend_is_not_safe_to_fund(
    rules: tuple[Rule, Rule], at: int, said: str | None
) -> None:
    keygen = completed(2)
    keygen.hear(keygen.confirm(keygen.auth(0)), keygen.confirm(keygen.auth(1)))
    seats = [seat for seat in keygen.state.seats if seat is not None]
    ruled = tuple(
        replace(seat, join=structs.replace(seat.join, rule=rule)) for seat, rule in zip(seats, rules, strict=True)
    )
    judged = safety(replace(keygen.state, seats=ruled), at)
    assert judged.safe is (said is None)
    assert said is None or str(judged).startswith(f"NOT safe to fund: the rule of {said} ends before")

"""custody.py: an envelope is taken only if all that is in it is what its join says; else a code, and a free slot."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from keymeld_enclave.custody import Custody, Unacceptable
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.derivation import prove_possession
from keymeld_protocol.keys.envelope import seal_envelope
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Card
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.values import Hash, Id, PlainKey, Salt, XOnlyKey
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import CustodyRefuse, KeygenRelease
from keymeld_protocol.wire.shapes import Rule
from tests.support.world import MINUTE, NONE, SELF, Enclave, Invitation, JoinDraft, Member, World, key_of, secret_of


class Table:
    """A keygen of three slots that collects joins; Alice is about to fill slot 0."""

    def __init__(self) -> None:
        self.world = World()
        self.vault, self.alice = self.world.enclave("vault"), self.world.member("alice")
        self.invitation = self.alice.create(3)

    def draft(self, rule: Rule = SELF, slot: int = 0) -> JoinDraft:
        return self.alice.draft(self.invitation, slot, self.vault.key, rule)

    def code_for(self, draft: JoinDraft) -> str:
        """What the enclave says to a join: the code of its refusal, or ``accepted``."""
        self.alice.submit(draft.statement())
        self.world.run()
        assert not self.vault.refused
        said = self.vault.said[-1].payload
        return said.code if isinstance(said, CustodyRefuse) else "accepted"

    @property
    def free(self) -> bool:
        return self.world.state(self.invitation.keygen).seats[0] is None


@pytest.fixture
def table() -> Table:
    return Table()


def secret(name: str) -> Secret:
    return Secret(secret_of(name))


def foreign_session(draft: JoinDraft) -> None:
    """An envelope sealed for another keygen."""
    seal(draft, keygen_id=Id(secret_of("elsewhere")))


def seal(draft: JoinDraft, **place: object) -> None:
    """Seal the envelope for another place than the join's."""
    policy = contents.encode(Policy(v=1, salt=Salt(secret_of("salt")), rule=draft.rule))
    draft.policy = policy
    draft.envelope = seal_envelope(
        replace(draft.context, **{"policy": policy_commitment(policy)} | place),  # type: ignore[arg-type]
        draft.signing,
        draft.group_secret,
        policy,
    )


def other_key_on_the_card(draft: JoinDraft) -> None:
    draft.card_key = secret("another key")


def copied_card(draft: JoinDraft) -> None:
    """A card whose proof was made for another slot."""
    auth, pubkey = XOnlyKey(draft.auth.key), PlainKey(draft.signing.point)
    proof = prove_possession(draft.signing, draft.context.keygen_id, 1, auth)
    plain = contents.encode(Card(v=1, pubkey=pubkey, label="", possession=proof))
    draft.card = draft.card_group.seal("keygen.join", "card", draft.context.keygen_id, auth, plain)


def card_of_another_field(draft: JoinDraft) -> None:
    auth = XOnlyKey(draft.auth.key)
    draft.card = draft.card_group.seal("keygen.create", "terms", draft.context.keygen_id, auth, b"{}")


def nonsense_on_the_card(draft: JoinDraft) -> None:
    auth = XOnlyKey(draft.auth.key)
    draft.card = draft.card_group.seal("keygen.join", "card", draft.context.keygen_id, auth, b'{"v":1}')


Spoil = Callable[[JoinDraft], object]
SPOILT: list[tuple[str, Spoil]] = [
    ("bad_envelope", lambda d: setattr(d, "envelope", bytes(200))),
    ("bad_envelope", lambda d: setattr(d, "envelope", b"\x01")),
    ("bad_envelope", foreign_session),
    ("bad_envelope", lambda d: seal(d, slot=1)),
    ("bad_envelope", lambda d: seal(d, policy=Hash(secret_of("another policy")))),
    ("bad_envelope", lambda d: seal(d, auth=XOnlyKey(key_of("mallory").key))),
    ("bad_envelope", lambda d: seal(d, enclave=XOnlyKey(key_of("another vault").key))),
    ("foreign_group_secret", lambda d: setattr(d, "group_secret", secret_of("another S"))),
    ("foreign_rule", lambda d: setattr(d, "sealed_rule", NONE)),
    ("unknown_policy", lambda d: setattr(d, "policy", b"{}")),
    ("newer_version", lambda d: setattr(d, "policy", b'{"v":2,"leaves":[]}')),
    ("newer_version", lambda d: setattr(d, "envelope", b"\x02" + bytes(200))),
    ("unknown_policy", lambda d: setattr(d, "policy", b"\xff" * 40)),
    ("unknown_policy", lambda d: setattr(d, "policy", policy_with_a_rule_of_the_future(d))),
    ("unknown_policy", lambda d: d.allow.update(subsets=(7,))),
    ("unknown_policy", lambda d: d.allow.update(requesters=(900,))),
    ("foreign_key", other_key_on_the_card),
    ("bad_possession", copied_card),
    ("bad_card", card_of_another_field),
    ("bad_card", nonsense_on_the_card),
]


def policy_with_a_rule_of_the_future(draft: JoinDraft) -> bytes:
    known = contents.encode(Policy(v=1, salt=Salt(secret_of("salt")), rule=draft.rule))
    return known[:-1] + b',"max_amount_a_day":1}'


@pytest.mark.parametrize(("code", "spoil"), SPOILT, ids=[f"{c}-{i}" for i, (c, _) in enumerate(SPOILT)])
def test_a_join_that_does_not_hold_is_refused_with_its_code_and_the_slot_is_free(
    table: Table, code: str, spoil: Spoil
) -> None:
    draft = table.draft()
    spoil(draft)
    assert table.code_for(draft) == code
    assert table.free


def test_after_a_refusal_an_honest_join_is_accepted(table: Table) -> None:
    spoilt = table.draft()
    spoilt.sealed_rule = NONE
    table.code_for(spoilt)
    again = table.alice.draft(table.invitation, 0, table.vault.key, SELF)
    assert table.code_for(again) == "accepted"


@pytest.mark.parametrize(("sealed_for_it", "code"), [(False, "bad_envelope"), (True, "foreign_policy")])
def test_a_policy_that_the_join_does_not_commit_to_is_refused(table: Table, sealed_for_it: bool, code: str) -> None:
    draft, another = table.draft(), Hash(secret_of("another policy"))
    if sealed_for_it:
        seal(draft, policy=another)
    table.alice.submit(draft.statement(policy=another))
    table.world.run()
    said = table.vault.said[-1].payload
    assert isinstance(said, CustodyRefuse)
    assert said.code == code


def test_a_rule_with_a_delay_is_held_like_any_other(table: Table) -> None:
    assert table.code_for(table.draft(Rule(approval="self", delay_ms=MINUTE))) == "accepted"


def test_a_public_delay_that_is_not_the_sealed_one_is_refused(table: Table) -> None:
    shorter = table.draft(Rule(approval="self", delay_ms=2 * MINUTE)).statement(
        rule=Rule(approval="self", delay_ms=MINUTE)
    )
    table.alice.submit(shorter)
    table.world.run()
    said = table.vault.said[-1].payload
    assert isinstance(said, CustodyRefuse)
    assert said.code == "foreign_rule"


def test_an_envelope_that_is_not_delivered_is_refused(table: Table) -> None:
    table.world.tamper = lambda peer, stream, wire: [
        replace_blobs(wire) if peer is table.vault and '"keygen.join"' in wire.statement.payload else wire
    ]
    assert table.code_for(table.draft()) == "missing_envelope"


def replace_blobs(wire: WireRecord) -> WireRecord:
    """The record without its envelope."""
    blobs = (wire.statement.blobs[0], None)
    return msgspec.structs.replace(wire, statement=msgspec.structs.replace(wire.statement, blobs=blobs))


def test_the_refusals_detail_is_sealed_to_the_group_once_the_group_is_known(table: Table) -> None:
    draft = table.draft()
    draft.sealed_rule = NONE
    table.code_for(draft)
    refusal = table.vault.said[-1]
    sealed = refusal.blob("detail")
    assert sealed is not None
    plain = table.alice.groups[table.invitation.keygen].open_in(refusal.payload, "detail", sealed)
    assert b"public" in plain


def test_without_the_group_secret_a_refusal_has_no_detail(table: Table) -> None:
    draft = table.draft()
    draft.envelope = bytes(200)
    table.code_for(draft)
    assert table.vault.said[-1].blobs == ()


def custody_of(vault: Enclave, invitation: Invitation) -> Custody:
    return Custody(vault.agent.hearing.streams[invitation.keygen], vault.agent.identity)


def test_a_join_for_another_enclave_is_not_ours(table: Table) -> None:
    other = table.world.enclave("other")
    table.alice.submit(table.alice.draft(table.invitation, 0, other.key, SELF).statement())
    table.code_for(table.draft(slot=1))
    with pytest.raises(Unacceptable, match="not_ours"):
        custody_of(table.vault, table.invitation).take(0)


def test_an_empty_slot_is_not_ours(table: Table) -> None:
    table.code_for(table.draft())
    with pytest.raises(Unacceptable, match="not_ours"):
        custody_of(table.vault, table.invitation).take(1)


def test_a_key_is_opened_once_and_then_held(table: Table) -> None:
    table.code_for(table.draft())
    custody = table.vault.agent._groups[table.invitation.keygen].custody
    assert custody.take(0) is custody.take(0)
    assert custody.heard.record_of(custody.take(0).join).statement.blob("envelope") is None, "nobody needs it again"


def test_a_key_is_lent_with_the_policy_that_was_sealed_with_it(table: Table) -> None:
    table.code_for(table.draft(SELF))
    custody = table.vault.agent._groups[table.invitation.keygen].custody
    assert custody.slots == (0,)
    assert custody.secret(0) is custody.take(0).secret
    assert custody.policy(0).rule == SELF


def test_the_key_of_a_released_join_is_wiped(table: Table) -> None:
    table.code_for(table.draft())
    table.code_for(table.draft(slot=1))
    group = table.vault.agent._groups[table.invitation.keygen]
    held = group.custody.take(0)
    seat = table.world.state(table.invitation.keygen).seats[0]
    creator = table.alice.identity.creator(table.alice.keygen(table.invitation.keygen).create.salt)
    table.alice.say(table.invitation.keygen, KeygenRelease, creator, slot=0, join=seat.id, code="mistaken")
    table.world.run()
    assert held.secret.buffer == bytes(32)


def test_an_expired_keygen_is_wiped_and_let_go(table: Table) -> None:
    table.code_for(table.draft())
    held = table.vault.agent._groups[table.invitation.keygen].custody.take(0)
    table.world.wait(60 * MINUTE)
    assert held.secret.buffer == bytes(32)
    assert table.vault.agent.take_finished() == [table.invitation.keygen]


def test_what_is_wiped_cannot_be_used_again_and_prints_nothing(table: Table) -> None:
    table.code_for(table.draft())
    custody = table.vault.agent._groups[table.invitation.keygen].custody
    held = custody.take(0)
    shown = repr(held)
    custody.wipe()
    assert custody.group is None
    assert held.secret.buffer == bytes(32)
    assert secret_of("alice").hex()[:8] not in shown


def test_members_never_see_an_envelope(table: Table) -> None:
    bob: Member = table.world.member("bob")
    bob.accept(table.invitation, 1)
    table.code_for(table.draft())
    join = bob.heard(table.invitation.keygen).records[1].statement
    assert join.blob("envelope") is None
    assert join.blob("card") is not None

"""Attacks on what a key may pay for (§13: 33, 38), each told to real enclaves, refused by them and seen by all.

mallory ── a member, with everybody's approval ──▶ a request that a sealed policy forbids ──▶ signing.refuse, in words
"""

from collections.abc import Sequence
from typing import Any

import pytest
from btclib.script import sig_hash
from btclib.tx import Tx, TxOut

from keymeld_protocol.bitcoin.transaction import Spend, taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.member.own_scripts import GAP
from keymeld_protocol.member.plan import plan
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import Asked, Bip86, SignInput, SignMessage, Transaction
from keymeld_protocol.plaintext.contents import Detail, Leaf, Script, Terms
from keymeld_protocol.plaintext.contributions import Failed
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript
from keymeld_protocol.values import Id, Message
from keymeld_protocol.wire.payloads import KeygenLeave, SigningRefuse
from tests.support.payments import MALLORY, SHOP, blind, every_input, payment, spend
from tests.support.world import NONE, Enclave, Member, World, quorum

TREE = Terms(v=1, label="", network="regtest", tweak="tree", tree=(Leaf(depth=0, version=0xC0, script=Script(b"Q")),))
LIMIT: dict[str, Any] = {"max_amount": 50_000}
LIST: dict[str, Any] = {"outputs": (AllowedOutput(script=AllowedScript(SHOP)),)}


class Treasury:
    """Alice, Bob and Carol at two enclaves; Bob's key, in the second one, has a policy on content."""

    def __init__(self, terms: Terms | None = None, subsets: tuple[tuple[int, ...], ...] = (), **bob: Any) -> None:
        self.world = World()
        self.members = [self.world.member(name) for name in ("alice", "bob", "carol")]
        self.vault, self.keep = (self.world.enclave(name) for name in ("vault", "keep"))
        at = [self.vault, self.keep, self.vault]
        self.keygen = self.world.gather(self.members, at=at, terms=terms, subsets=subsets, allow=({}, bob, {}))
        self.roster = self.members[0].roster(self.keygen)
        self.signing: Id | None = None

    @property
    def ours(self) -> bytes:
        """The group's own script."""
        return self.roster.script()

    def ask(self, *transactions: Transaction, items: Sequence[Asked] = (), by: int = 2) -> str | None:
        """Somebody asks, and everybody may hear; gives the code with which it was refused."""
        asked = items or every_input(transactions)
        self.signing = self.members[by].request(self.keygen, *asked, transactions=transactions)
        self.world.run()
        code: str | None = self.world.state(self.signing).code
        return code

    def refused(self, code: str | None, *words: str) -> bool:
        """Whether the last request was refused with ``code`` by Bob's enclave before any nonce, in these words."""
        assert self.signing is not None and self.world.state(self.signing).phase is SigningPhase.FAILED
        assert not contributed(self.signing, self.keep) and code == self.world.state(self.signing).code
        for member in self.members:
            told = detail(member, self.keygen, self.signing)
            assert "slot 1" in told and all(word in told for word in words), told
        return True

    def signed(self) -> tuple[Any, ...]:
        """What came of the last request's items, computed by everybody."""
        assert self.signing is not None
        found = {member.signatures(self.signing) for member in self.members}
        assert len(found) == 1
        return found.pop()


def contributed(signing: Id, *enclaves: Enclave) -> bool:
    """Whether an enclave has said anything that brings a signature nearer."""
    said = [statement.payload for enclave in enclaves for statement in enclave.said]
    return any(p.kind == "signing.contribute" and getattr(p, "stream", None) == signing for p in said)


def detail(member: Member, keygen: Id, signing: Id) -> str:
    """The words of the refusal, as a member opens them."""
    statement = member.heard(signing).records[-1].statement
    assert isinstance(statement.payload, SigningRefuse)
    sealed = statement.blob("detail")
    assert sealed is not None
    return contents.parse(Detail, member.groups[keygen].open_in(statement.payload, "detail", sealed)).message


def test_what_the_policy_allows_is_signed() -> None:
    treasury = Treasury(requesters=(0, 2), subsets=(), max_fee=2_000, **LIMIT, **LIST)
    back = taproot_script(treasury.roster.child((1, 3)).output)
    honest = payment([(100_000, treasury.ours)], [(45_000, SHOP), (54_000, back)])
    assert treasury.ask(honest) is None
    (signature,) = treasury.signed()
    spent = Spend(honest.unsigned, [(s.amount, s.script) for s in honest.spent])
    assert verify(signature, spent.sighash(0), treasury.roster.output)


def test_a_refusal_comes_before_anybody_has_approved() -> None:
    treasury = Treasury(**LIMIT)
    world = treasury.world
    slow = world.gather(treasury.members, at=treasury.keep, rule=quorum(3, 0, 1, 2), allow=({}, LIMIT, {}))
    script = treasury.members[0].roster(slow).script()
    big = payment([(100_000, script)], [(99_000, SHOP)])
    signing = treasury.members[0].request(slow, *every_input([big]), transactions=(big,))
    world.run()
    assert (world.state(signing).phase, world.state(signing).code) == (SigningPhase.FAILED, "amount_not_allowed")
    assert world.state(signing).attempt == 0


def test_one_key_of_several_in_an_enclave_is_enough_to_refuse() -> None:
    world = World()
    members, vault = [world.member(name) for name in ("alice", "bob", "carol")], world.enclave("vault")
    keygen = world.gather(members, at=vault, allow=({}, {}, LIMIT))
    big = payment([(100_000, members[0].roster(keygen).script())], [(99_000, SHOP)])
    signing = members[0].request(keygen, *every_input([big]), transactions=(big,))
    world.run()
    assert world.state(signing).code == "amount_not_allowed"
    assert "slot 2" in detail(members[1], keygen, signing)


# 33: sighash NONE/SINGLE/ANYONECANPAY; a blind sighash under a transaction rule ---------------------------------------


@pytest.mark.parametrize("sort", [0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83])
@pytest.mark.parametrize("rule", [LIMIT, LIST, {"max_fee": 10**6}])
def test_attack_33_a_sighash_of_any_type_as_a_blind_message_is_refused(sort: int, rule: dict[str, Any]) -> None:
    """33: sighash NONE/SINGLE/ANYONECANPAY; a blind sighash under a transaction rule."""
    treasury = Treasury(**rule)
    honest = payment([(100_000, treasury.ours)], [(1_000, SHOP), (98_000, treasury.ours)])
    tx, spent = Tx.parse_without_witness(honest.unsigned), [TxOut(s.amount, s.script) for s in honest.spent]
    hashed = SignMessage(message=Message(sig_hash.taproot(tx, 0, spent, sort, 0, b"", b"")))
    code = treasury.ask(items=[hashed])
    assert treasury.refused(code, "blind") and code == "blind_not_allowed"
    assert treasury.ask(honest, items=[*every_input([honest]), hashed]) is None
    whole, message = treasury.signed()
    assert isinstance(whole, bytes) and message == Failed("blind_not_allowed")


def test_attack_33_change_to_the_own_internal_key_with_a_foreign_tree_is_refused() -> None:
    """33: change to the own internal key with a foreign tree."""
    treasury = Treasury(TREE, **LIMIT)
    foreign = taproot_script(treasury.roster.keyagg(None, (Bip86(),)).output)
    code = treasury.ask(payment([(100_000, treasury.ours)], [(1_000, SHOP), (98_000, foreign)]))
    assert treasury.refused(code, "0.00100000 BTC (100,000 sat)", "0.00050000 BTC (50,000 sat)")
    assert treasury.ask(payment([(100_000, treasury.ours)], [(1_000, SHOP), (98_000, treasury.ours)])) is None


def test_attack_33_change_is_not_counted_twice() -> None:
    """33: change counted twice."""
    treasury = Treasury(**LIMIT)
    ours = treasury.ours
    pays, gains = (
        payment([(99_000, ours)], [(98_000, SHOP)]),
        payment([(1_000, ours), (60_000, MALLORY)], [(60_500, ours)]),
    )
    items = [SignInput(transaction=0, input=0), SignInput(transaction=1, input=0)]
    assert treasury.refused(treasury.ask(pays, gains, items=items), "99,000 sat")


def test_attack_33_a_thousand_transactions_under_the_limit_are_refused() -> None:
    """33: 1,000 transactions under the limit."""
    treasury = Treasury(**LIMIT)
    many = [payment([(1_000, treasury.ours)], [(900, SHOP)]) for _ in range(1_000)]
    assert treasury.refused(treasury.ask(*many), "1,000,000 sat", "50,000 sat")
    assert treasury.ask(*many[:50]) is None


def test_attack_33_half_of_a_payment_is_refused() -> None:
    """33: an own input that is not signed in this request."""
    treasury = Treasury(subsets=((0, 1),), **LIMIT)
    for other in (treasury.ours, treasury.roster.script(0), taproot_script(treasury.roster.child((0, 4)).output)):
        half = payment([(25_000, treasury.ours), (10_000, other)], [(34_000, SHOP)])
        code = treasury.ask(half, items=[SignInput(transaction=0, input=0)])
        assert treasury.refused(code, "not signed in this request") and code == "own_input_missing"


def test_attack_33_a_child_beyond_the_gap_is_neither_change_nor_signed() -> None:
    """33: an address that the owner never looks at."""
    treasury = Treasury(**LIMIT)
    beyond = taproot_script(treasury.roster.child((0, GAP)).output)
    assert treasury.refused(treasury.ask(payment([(100_000, treasury.ours)], [(99_000, beyond)])), "100,000 sat")
    item = SignInput(transaction=0, input=0, tweaks=child_steps((0, GAP)))
    assert treasury.ask(payment([(1_000, beyond)], [(900, SHOP)]), items=[item]) == "tweak_not_allowed"
    near = taproot_script(treasury.roster.child((0, GAP - 1)).output)
    item = SignInput(transaction=0, input=0, tweaks=child_steps((0, GAP - 1)))
    assert treasury.ask(payment([(1_000, near)], [(900, SHOP)]), items=[item]) is None


def test_attack_33_what_goes_to_fewer_people_than_those_who_pay_is_paid_out() -> None:
    """33: change to another key list of ours."""
    treasury = Treasury(subsets=((0, 1), (1, 2)), **LIMIT)
    to_pair = payment([(100_000, treasury.ours)], [(99_000, treasury.roster.script(0))])
    assert treasury.refused(treasury.ask(to_pair), "100,000 sat")
    up = payment([(100_000, treasury.roster.script(1))], [(99_000, treasury.ours)])
    assert treasury.ask(up, items=every_input([up], 1)) is None


def test_attack_33_what_goes_to_a_key_list_that_nobody_signs_for_any_more_is_paid_out() -> None:
    """33: change to a key list of which somebody has left: burnt, though within the limit."""
    treasury = Treasury(subsets=((0, 1),), **LIMIT)
    up = payment([(100_000, treasury.roster.script(0))], [(99_000, treasury.ours)])
    assert treasury.ask(up, items=every_input([up], 0), by=0) is None
    treasury.members[2].say(treasury.keygen, KeygenLeave, slot=2)
    treasury.world.run()
    code = treasury.ask(up, items=every_input([up], 0), by=0)
    assert treasury.refused(code, "100,000 sat") and code == "amount_not_allowed"
    back = payment([(100_000, treasury.roster.script(0))], [(99_000, treasury.roster.script(0))])
    assert treasury.ask(back, items=every_input([back], 0), by=0) is None


# 38: an outsider requests a subset's signature, in the real roster and in a fork --------------------------------------


def test_attack_38_an_outsiders_item_is_refused_though_another_item_is_his() -> None:
    """38: an outsider requests a subset's signature, in the real roster: his own item brings it along."""
    treasury = Treasury(subsets=((0, 1),), requesters=(0, 1, 2))
    pair = payment([(9_000, treasury.roster.script(0))], [(8_000, MALLORY)])
    his, theirs = blind(), SignInput(transaction=0, input=0, subset=0)
    assert treasury.ask(pair, items=[his, theirs], by=2) == "rule_not_met"
    assert treasury.signing is not None and not contributed(treasury.signing, treasury.keep)
    assert treasury.ask(pair, items=[theirs], by=0) is None


def test_attack_38_whom_the_policy_does_not_name_asks_for_nothing() -> None:
    """38: an outsider of the policy asks, within a key list that he is in."""
    treasury = Treasury(subsets=((1, 2),), requesters=(0, 1))
    for items in ([blind()], [blind(subset=0)]):
        code = treasury.ask(items=items, by=2)
        assert treasury.refused(code, "only slots 0 and 1 may", "slot 2 asks") and code == "requester_not_allowed"
    assert treasury.ask(items=[blind()], by=0) is None


def test_attack_38_in_a_forked_roster_the_outsider_signs_for_no_coin_of_the_real_one() -> None:
    """38: an outsider requests a subset's signature, in a fork: Mallory sits in it, and so does her key."""
    world = World()
    alice, bob, mallory = (world.member(name) for name in ("alice", "bob", "mallory"))
    home, keep, den = (world.enclave(name) for name in ("home", "keep", "den"))
    invitation = alice.create(2, subsets=((0, 1), (0,)))
    keygen = invitation.keygen
    alice.join(invitation, 0, home.key, NONE, requesters=(0, 1), subsets=(0,), max_amount=10**9)
    world.run()
    world.fork(keygen, home, mallory, den)
    bob.join(invitation, 1, keep.key, NONE)
    mallory.join(invitation, 1, den.key, NONE)
    world.run()
    real = alice.roster(keygen)
    for subset, code in ((None, "foreign_script"), (0, "foreign_script"), (1, None)):
        coin = payment([(9_000, real.script(subset))], [(8_000, MALLORY)])
        item = SignInput(transaction=0, input=0, subset=subset)
        made = plan(spend(coin, items=[item]), mallory.roster(keygen))
        assert getattr(made.items[0], "code", None) == code, "Alice alone is the same in both"
        signing = mallory.request(keygen, item, blind(), transactions=(coin,))
        world.run()
        assert not contributed(signing, home)

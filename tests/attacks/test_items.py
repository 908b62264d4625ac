"""Attacks on items (§13): 10, 11, 16, 23 and 35, each run and seen refused; and one bad item sinks no other."""

from typing import Any

import pytest

from examples.helpers.regtest import Coin, transaction
from keymeld_client.said.choosing import Allow, Choice, check_choice
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.errors import BadInput, InvalidCrypto, Refused
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import (
    Asked,
    BareRoot,
    Bip86,
    Body,
    RawTransaction,
    Scalar,
    SignInput,
    SignMessage,
    Spent,
    Step,
    Transaction,
    XOnlyScalar,
)
from keymeld_protocol.plaintext.contents import Script, Terms
from keymeld_protocol.plaintext.contributions import Failed
from keymeld_protocol.values import Hash, Id, Message
from tests.support.world import MESSAGE, Enclave, World, secret_of

ORDER = Hash(bytes.fromhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"))
ZERO, SOME = Hash(bytes(32)), Hash(secret_of("some scalar"))
YES = {"accept_opaque_tweak": True}
FOREIGN = b"\x51\x20" + b"\x07" * 32


class Group:
    """Alice, Bob and Carol at two enclaves, with subsets (0, 1) and Alice alone."""

    def __init__(self, *, terms: Terms | None = None, allow: tuple[dict[str, Any], ...] = ()) -> None:
        self.world = World()
        self.members = [self.world.member(name) for name in ("alice", "bob", "carol")]
        self.enclaves: list[Enclave] = [self.world.enclave(name) for name in ("vault", "keep")]
        at, subsets = [self.enclaves[i] for i in (0, 1, 0)], ((0, 1), (0,))
        self.keygen = self.world.gather(self.members, at=at, subsets=subsets, terms=terms, allow=allow)
        self.alice = self.members[0]
        self.roster = self.alice.roster(self.keygen)

    def ask(self, *items: Asked, **options: Any) -> Id:
        signing = self.alice.request(self.keygen, *items, **options)
        self.world.run()
        return signing

    def results(self, signing: Id) -> tuple[Any, ...]:
        found = {member.signatures(signing) for member in self.members}
        assert len(found) == 1, "everybody computes the same"
        return found.pop()

    def code(self, signing: Id) -> str | None:
        code: str | None = self.world.state(signing).code
        return code

    def holds(self, result: Any, *steps: Step, subset: int | None = None) -> bool:
        return verify(result, MESSAGE, self.roster.keyagg(subset, steps).output)


def message(*steps: Step, subset: int | None = None) -> SignMessage:
    return SignMessage(message=Message(MESSAGE), subset=subset, tweaks=steps)


def spending(*scripts: bytes) -> Transaction:
    coins = [Coin(secret_of(f"coin {i}"), 0, 100_000, script) for i, script in enumerate(scripts)]
    unsigned = transaction(coins, [(50_000, FOREIGN)])
    spent = tuple(Spent(amount=coin.amount, script=Script(coin.script)) for coin in coins)
    return Transaction(unsigned=RawTransaction(unsigned), spent=spent)


# Every tweak ------------------------------------------------------------------------------------------------------


def test_every_kind_of_tweak_is_signed_by_two_enclaves_in_one_request() -> None:
    group = Group(allow=(YES, YES, YES))
    lists: list[tuple[Step, ...]] = [
        (), (Bip86(),), child_steps((0, 5)), (Scalar(scalar=SOME),), (XOnlyScalar(scalar=SOME),),
        (BareRoot(root=SOME),),
        (Scalar(scalar=SOME), XOnlyScalar(scalar=SOME), Bip86()),
    ]  # fmt: skip
    found = group.results(group.ask(*(message(*steps) for steps in lists), *(message(*s, subset=0) for s in lists)))
    for index, steps in enumerate(lists):
        assert group.holds(found[index], *steps)
        assert group.holds(found[len(lists) + index], *steps, subset=0)


def test_children_and_their_parent_are_spent_in_one_transaction() -> None:
    group = Group()
    receive, change = child_steps((0, 3)), child_steps((1, 0))
    scripts = [b"\x51\x20" + group.roster.keyagg(None, steps).output for steps in (None, receive, change)]
    items = [SignInput(transaction=0, input=i, tweaks=steps) for i, steps in enumerate((None, receive, change))]
    found = group.results(group.ask(*items, transactions=(spending(*scripts),)))
    assert all(isinstance(result, bytes) for result in found)


# One bad item sinks no other --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [Scalar(scalar=ZERO), Scalar(scalar=ORDER), XOnlyScalar(scalar=ORDER)])
def test_attack_10_a_tweak_that_cannot_be_applied_fails_its_item_and_is_never_dropped(step: Step) -> None:
    group = Group(allow=(YES, YES, YES))
    signing = group.ask(message(), message(step), message(Bip86()))
    none, bad, bip86 = group.results(signing)
    assert group.holds(none) and group.holds(bip86, Bip86())
    assert bad == Failed("bad_tweak")
    assert group.alice.told(signing)[1] == Failed("bad_tweak")


def test_attack_10_a_tweaked_item_does_not_verify_under_the_untweaked_key() -> None:
    group = Group(allow=(YES, YES, YES))
    (signature,) = group.results(group.ask(message(Scalar(scalar=SOME))))
    assert group.holds(signature, Scalar(scalar=SOME)) and not group.holds(signature)


def test_a_request_of_which_nothing_can_be_signed_is_refused_with_the_reason() -> None:
    group = Group(allow=(YES, YES, YES))
    signing = group.ask(message(Scalar(scalar=ZERO)))
    assert (group.world.state(signing).phase, group.code(signing)) == (SigningPhase.FAILED, "bad_tweak")


def test_attack_11_a_tweak_that_does_not_parse_is_refused_and_never_none() -> None:
    group = Group()
    honest = contents.encode(Body(v=1, transactions=(), items=(message(Bip86()),), memo=""))
    for lie in (b'"taproot"', b'"bip87"', b"null", b'""'):
        with pytest.raises(BadInput, match="tweak"):
            contents.parse(Body, honest.replace(b'"bip86"', lie))
    assert group.holds(group.results(group.ask(message(Bip86())))[0], Bip86())


def test_attack_16_an_input_with_a_foreign_script_or_a_foreign_tweak_fails_alone() -> None:
    group = Group()
    transactions = (spending(group.roster.script(), FOREIGN, group.roster.script()),)
    items = [SignInput(transaction=0, input=i) for i in (0, 1)]
    items.append(SignInput(transaction=0, input=2, tweaks=child_steps((0, 0))))
    own, foreign, other = group.results(group.ask(*items, transactions=transactions))
    assert isinstance(own, bytes)
    assert foreign == other == Failed("foreign_script")


def test_attack_23_values_sealed_for_one_item_or_session_do_not_open_in_another() -> None:
    group = Group()
    one, two = group.ask(message()), group.ask(message(Bip86()))
    said = next(s for s in group.enclaves[0].said if getattr(s.payload, "stream", None) == one and s.blobs)
    other = next(s for s in group.enclaves[0].said if getattr(s.payload, "stream", None) == two and s.blobs)
    key, sealed = group.alice.groups[group.keygen], said.blob("values")
    assert sealed is not None and key.open_in(said.payload, "values", sealed)
    with pytest.raises(InvalidCrypto):
        key.open_in(other.payload, "values", sealed)


# Consent of the joiner --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [Scalar(scalar=SOME), XOnlyScalar(scalar=SOME), BareRoot(root=SOME)])
def test_attack_35_an_opaque_tweak_without_everybodys_yes_fails_its_item(step: Step) -> None:
    group = Group(allow=(YES, {}, YES))
    plain, opaque = group.results(group.ask(message(), message(step)))
    assert group.holds(plain)
    assert opaque == Failed("opaque_tweak")


def test_attack_35_a_bare_script_root_in_the_terms_is_not_signed_for_without_a_yes() -> None:
    terms = Terms(v=1, label="", network="regtest", tweak="root", root=SOME)
    group = Group(terms=terms)
    assert group.roster.opaque
    signing = group.ask(SignMessage(message=Message(MESSAGE)))
    assert group.code(signing) == "opaque_tweak"


def test_attack_35_a_client_does_not_join_terms_with_a_bare_root_unless_told_to() -> None:
    terms = Terms(v=1, label="", network="regtest", tweak="root", root=SOME)
    group = Group(terms=terms, allow=(YES, YES, YES))
    state = group.alice.keygen(group.keygen)
    with pytest.raises(Refused, match="bare script root"):
        check_choice(state, terms, 0, Choice())
    check_choice(state, terms, 0, Choice(allow=Allow(opaque_tweak=True)))


def test_a_script_tree_given_leaf_by_leaf_needs_no_further_yes() -> None:
    leaf = contents.Leaf(depth=0, version=0xC0, script=Script(b"\x51"))
    group = Group(terms=Terms(v=1, label="", network="regtest", tweak="tree", tree=(leaf,)))
    (signature,) = group.results(group.ask(SignMessage(message=Message(MESSAGE))))
    assert verify(signature, MESSAGE, group.roster.output)
    assert not group.holds(signature, Bip86())


def test_a_subset_of_one_signs_only_with_that_participants_yes() -> None:
    group = Group()
    pair, alone = group.results(group.ask(message(subset=0), message(subset=1)))
    assert group.holds(pair, subset=0)
    assert alone == Failed("alone_not_allowed")


def test_blind_messages_of_a_subset_of_one_take_a_yes_of_their_own() -> None:
    group = Group(allow=({"alone": True}, {}, {}))
    own = spending(group.roster.script(1))
    items = (message(subset=1), SignInput(transaction=0, input=0, subset=1))
    blind, payment = group.results(group.ask(*items, transactions=(own,)))
    assert blind == Failed("blind_alone_not_allowed")
    assert isinstance(payment, bytes)


def test_with_both_yeses_a_subset_of_one_signs_what_it_is_asked() -> None:
    group = Group(allow=({"alone": True, "alone_blind": True}, {}, {}))
    (signature,) = group.results(group.ask(message(subset=1)))
    assert group.holds(signature, subset=1)

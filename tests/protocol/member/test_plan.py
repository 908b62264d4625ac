"""What a request asks for: everybody computes each message from the sealed body, and contradictions are refused."""

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from msgspec import structs

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.bitcoin.transaction import Spend
from keymeld_protocol.curve import libmusig
from keymeld_protocol.curve.adaptor import combined_point
from keymeld_protocol.curve.keyagg import GENERATOR
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput, Blamed
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.member import plan
from keymeld_protocol.member.plan import Plan, needed_slots, plan_of, read_body
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import (
    Adaptor,
    Asked,
    Bip86,
    Body,
    RawTransaction,
    Scalar,
    SignEcdsa,
    SignInput,
    SignMessage,
    Spent,
    Step,
    Transaction,
)
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import Hash, Id, Message, PlainKey, XOnlyKey, digest
from keymeld_protocol.wire.statements import make
from tests.support.people import Member
from tests.support.world import MESSAGE, World, secret_of

SUBSETS = ((0, 1), (2,))
FOREIGN = b"\x51\x20" + b"\x07" * 32


class House:
    """Three members whose keys are at one enclave, and coins that their group holds."""

    def __init__(self) -> None:
        self.world = World()
        self.members = [self.world.member(name) for name in ("alice", "bob", "carol")]
        self.keygen = self.world.gather(self.members, at=self.world.enclave("vault"), subsets=SUBSETS)
        self.roster = self.alice.roster(self.keygen)

    @property
    def alice(self) -> Member:
        return self.members[0]

    @property
    def group(self) -> GroupKey:
        return self.alice.groups[self.keygen]

    def coin(self, word: str, subset: int | None = None, script: bytes | None = None) -> Coin:
        return Coin(secret_of(word), 0, 100_000, script or self.roster.script(subset))

    @property
    def by(self) -> XOnlyKey:
        return XOnlyKey(self.alice.auth(self.keygen).key)

    def requested(self, body: Body, **fields: Any) -> tuple[Any, Any]:
        """State and statement of a request with any body, as the machine takes it."""
        sealed = self.group.seal("signing.request", "body", self.keygen, self.by, contents.encode(body))
        return self.submitted(sealed, **({"items": len(body.items)} | fields))

    def submitted(self, sealed: bytes, **fields: Any) -> tuple[Any, Any]:
        honest = self.alice.requesting(self.keygen, MESSAGE)
        said = {f: getattr(honest.payload, f) for f in honest.payload.__struct_fields__}
        said |= {"items": 1, "body": digest(sealed)} | fields
        statement = make(type(honest.payload)(**said), self.alice.auth(self.keygen).sign, blobs=[sealed])
        self.alice.submit(statement)
        self.world.run()
        return self.alice.signing(statement.id), statement


@pytest.fixture(scope="module")
def house() -> House:
    return House()


def spending(*coins: Coin) -> Transaction:
    unsigned = transaction(list(coins), [(sum(coin.amount for coin in coins) - 1_000, FOREIGN)])
    spent = tuple(Spent(amount=coin.amount, script=Script(coin.script)) for coin in coins)
    return Transaction(unsigned=RawTransaction(unsigned), spent=spent)


def body(*items: Asked, transactions: tuple[Transaction, ...] = ()) -> Body:
    return Body(v=1, transactions=transactions, items=items, memo="")


def message(word: str, subset: int | None = None) -> SignMessage:
    return SignMessage(message=Message(secret_of(word)), subset=subset)


# Making a plan ----------------------------------------------------------------------------------------------------


def test_attack_16_the_message_of_an_input_is_its_sighash_computed_here(house: House) -> None:
    spent = spending(house.coin("one"), house.coin("two"))
    items = (SignInput(transaction=0, input=1), SignInput(transaction=0, input=0))
    made = plan.plan(body(*items, transactions=(spent,)), house.roster)
    spend = Spend(spent.unsigned, tuple((s.amount, s.script) for s in spent.spent))
    assert [made.item(i).message for i in range(len(made.items))] == [spend.sighash(1), spend.sighash(0)]


def test_attack_16_another_amount_is_another_message(house: House) -> None:
    honest = spending(house.coin("one"))
    lying = Transaction(
        unsigned=honest.unsigned, spent=(Spent(amount=honest.spent[0].amount + 1, script=honest.spent[0].script),)
    )
    item = SignInput(transaction=0, input=0)
    one, two = (plan.plan(body(item, transactions=(t,)), house.roster) for t in (honest, lying))
    assert one.item(0).message != two.item(0).message


def test_ecdsa_is_a_blind_message_for_the_one_key_of_a_list_untweaked(house: House) -> None:
    item = plan.plan(body(SignEcdsa(message=Message(MESSAGE), subset=1)), house.roster).item(0)
    assert (item.slots, item.message, item.ecdsa, item.blind, item.opaque) == ((2,), MESSAGE, True, True, False)
    assert item.keyagg.point == house.roster.cards[2].pubkey


@pytest.mark.parametrize("subset", [None, 0])
def test_ecdsa_for_several_keys_is_impossible(house: House, subset: int | None) -> None:
    (item,) = plan.plan(body(SignEcdsa(message=Message(MESSAGE), subset=subset)), house.roster).items
    assert isinstance(item, plan.Impossible) and item.code == "ecdsa_needs_one_key"


def test_a_message_is_signed_as_it_is(house: House) -> None:
    item = plan.plan(body(message("blind")), house.roster).item(0)
    assert item.message == secret_of("blind") and item.slots == (0, 1, 2)
    assert item.keyagg.output == house.roster.output


def test_an_item_of_a_subset_has_its_slots_and_its_key(house: House) -> None:
    pair = spending(house.coin("pair", 0))
    items = (SignInput(transaction=0, input=0, subset=0), message("alone", 1))
    made = plan.plan(body(*items, transactions=(pair,)), house.roster)
    assert [item.slots for item in made.items] == [(0, 1), (2,)]
    assert [made.item(i).keyagg.output for i in (0, 1)] == [house.roster.keyagg(i).output for i in (0, 1)]


def test_the_needed_slots_are_those_of_all_items(house: House) -> None:
    def needed(*items: Asked) -> tuple[int, ...]:
        return needed_slots(plan.plan(body(*items), house.roster))

    assert needed(message("a", 1)) == (2,)
    assert needed(message("a", 1), message("b", 0)) == (0, 1, 2)
    assert needed(message("a", 0)) == (0, 1)


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (SignInput(transaction=1, input=0), "items[0].transaction"),
        (SignInput(transaction=0, input=1), "items[0].input"),
        (SignInput(transaction=0, input=0, subset=2), "subset"),
    ],
)
def test_an_item_that_names_what_is_not_there_is_refused(house: House, item: SignInput, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        plan.plan(body(item, transactions=(spending(house.coin("one")),)), house.roster)
    assert caught.value.field == field


def test_attack_16_a_foreign_script_is_not_signed_for(house: House) -> None:
    foreign = spending(house.coin("one"), house.coin("two", script=FOREIGN))
    items = (SignInput(transaction=0, input=0), SignInput(transaction=0, input=1))
    made = plan.plan(body(*items, transactions=(foreign,)), house.roster)
    assert made.item(0).slots == (0, 1, 2)
    with pytest.raises(Blamed, match="foreign_script"):
        made.item(1)


def test_the_script_of_another_key_list_is_foreign(house: House) -> None:
    asked = body(SignInput(transaction=0, input=0, subset=0), transactions=(spending(house.coin("one")),))
    with pytest.raises(Blamed, match="foreign_script"):
        plan.plan(asked, house.roster).item(0)


def test_a_transaction_that_does_not_parse_is_named(house: House) -> None:
    honest = spending(house.coin("one"))
    cut = Transaction(unsigned=RawTransaction(honest.unsigned[:-1]), spent=honest.spent)
    with pytest.raises(BadInput) as caught:
        plan.plan(body(SignInput(transaction=0, input=0), transactions=(cut,)), house.roster)
    assert caught.value.field == "transactions[0].unsigned"


# The plan of a request ------------------------------------------------------------------------------------------------


def planned(house: House, heard: tuple[Any, Any], group: GroupKey | None = None) -> Plan:
    state, request = heard
    return plan_of(state, request, house.roster, group or house.group)


def blamed(house: House, heard: tuple[Any, Any], group: GroupKey | None = None) -> str:
    with pytest.raises(Blamed) as caught:
        planned(house, heard, group)
    assert caught.value.slots == ()
    return caught.value.code


def test_an_honest_request_has_a_plan(house: House) -> None:
    made = planned(house, house.requested(body(message("honest"))))
    assert [made.item(i).message for i in range(len(made.items))] == [secret_of("honest")]


def test_a_request_that_counts_its_items_wrongly_is_refused(house: House) -> None:
    assert blamed(house, house.requested(body(message("one"), message("two")), items=1)) == "bad_body"
    assert blamed(house, house.requested(body(message("one")), items=2)) == "bad_body"


@pytest.mark.parametrize("slots", [(0, 1), (0,)])
def test_a_request_that_names_other_slots_than_it_needs_is_refused(house: House, slots: tuple[int, ...]) -> None:
    assert blamed(house, house.requested(body(message("all")), slots=slots)) == "bad_body"


def test_a_request_that_names_more_slots_than_it_needs_is_refused(house: House) -> None:
    assert blamed(house, house.requested(body(message("pair", 0)))) == "bad_body"


def test_a_request_for_the_impossible_is_refused(house: House) -> None:
    foreign = spending(house.coin("one", script=FOREIGN))
    asked = body(SignInput(transaction=0, input=0), transactions=(foreign,))
    assert blamed(house, house.requested(asked)) == "foreign_script"


@pytest.mark.parametrize("sealed", [b"rubbish", bytes(100)])
def test_a_body_that_does_not_open_is_refused(house: House, sealed: bytes) -> None:
    assert blamed(house, house.submitted(sealed)) == "bad_body"


def test_attack_23_a_body_sealed_for_another_place_is_refused(house: House) -> None:
    plain = contents.encode(body(message("moved")))
    for kind, session in (("signing.request", Id(bytes(32))), ("keygen.join", house.keygen)):
        sealed = house.group.seal(kind, "body", session, house.by, plain)
        assert blamed(house, house.submitted(sealed)) == "bad_body"


def test_a_body_is_opened_with_the_groups_key_only(house: House) -> None:
    heard = house.requested(body(message("private")))
    other = GroupKey(secret_of("another S"), house.alice.keygen(house.keygen).create.salt)
    assert blamed(house, heard, other) == "bad_body"


def test_a_body_that_was_not_delivered_is_missed(house: House) -> None:
    state, request = house.requested(body(message("withheld")))
    assert blamed(house, (state, request.without_blobs(["body"]))) == "missing_blob"
    with pytest.raises(Blamed, match="not delivered"):
        read_body(request.without_blobs(["body"]), house.group)


def test_a_body_that_says_more_than_this_version_knows_is_refused(house: House) -> None:
    plain = contents.encode(body(message("strange")))[:-1] + b',"more":1}'
    sealed = house.group.seal("signing.request", "body", house.keygen, house.by, plain)
    assert blamed(house, house.submitted(sealed)) == "bad_body"


def test_a_body_of_a_later_version_needs_a_newer_keymeld_and_is_not_called_damaged(house: House) -> None:
    plain = contents.encode(body(message("later"))).replace(b'"v":1', b'"v":2')[:-1] + b',"paths":[[0,1]]}'
    sealed = house.group.seal("signing.request", "body", house.keygen, house.by, plain)
    heard = house.submitted(sealed)
    assert blamed(house, heard) == "newer_version"
    with pytest.raises(Blamed, match="needs a newer version of Keymeld"):
        read_body(heard[1], house.group)


def test_a_plan_depends_on_the_roster_it_is_made_for(house: House) -> None:
    other = replace(house.roster, cards=house.roster.cards[::-1], subsets=((0,),))
    one, two = (plan.plan(body(message("x", 0)), roster) for roster in (house.roster, other))
    assert one.item(0).keyagg.output != two.item(0).keyagg.output


def test_attack_21_endless_tweaks_never_aggregate_the_keys_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody plans before anybody consents: the work is one step for each tweak, however many the keys."""
    steps: list[tuple[Step, ...]] = [(Scalar(scalar=Hash(i.to_bytes(32, "big"))), *[Bip86()] * 7) for i in range(1, 31)]
    items = tuple(SignMessage(message=Message(MESSAGE), tweaks=tweaks) for tweaks in [*steps, *steps])
    house.roster.keyagg()
    aggregated, tweaked = Mock(), Mock(wraps=libmusig.tweak_add)
    monkeypatch.setattr(libmusig, "pubkey_agg", aggregated)
    monkeypatch.setattr(libmusig, "tweak_add", tweaked)
    plan.plan(Body(v=1, transactions=(), items=items, memo=""), house.roster)
    assert (aggregated.call_count, tweaked.call_count) == (0, 30 * 8)


# Adaptor points ---------------------------------------------------------------------------------------------------

POINTS = tuple(PlainKey(Secret(secret_of(f"point {i}")).point) for i in range(3))
NO_POINT = PlainKey(b"\x02" + b"\xff" * 32)


def locked(mode: Any, *points: PlainKey, subset: int | None = None) -> SignMessage:
    lock = Adaptor(mode=mode, points=points)
    return SignMessage(message=Message(secret_of("locked")), subset=subset, adaptor=lock)


def test_the_points_that_are_bound_follow_from_the_mode(house: House) -> None:
    items = (message("plain"), locked("single", POINTS[0]), locked("and", *POINTS), locked("or", *POINTS))
    made = plan.plan(body(*items), house.roster)
    assert [item.adaptors for item in made.items] == [(None,), POINTS[:1], (combined_point(POINTS),), POINTS]


@pytest.mark.parametrize("subset", [None, 1])
def test_a_point_that_is_none_makes_its_item_impossible_and_keeps_its_places(house: House, subset: int | None) -> None:
    made = plan.plan(body(locked("or", *POINTS, NO_POINT, subset=subset), message("fine")), house.roster)
    bad, fine = made.items
    assert isinstance(bad, plan.Impossible) and isinstance(fine, plan.Item)
    assert (bad.code, len(bad.adaptors)) == ("bad_adaptor", 4) and "points[3]" in bad.why


def test_a_key_whose_secret_everybody_knows_makes_no_pre_signatures(house: House) -> None:
    cards = list(house.roster.cards)
    cards[2] = structs.replace(cards[2], pubkey=PlainKey(GENERATOR))
    roster = replace(house.roster, cards=tuple(cards))
    bare = structs.replace(locked("single", POINTS[0], subset=1), tweaks=())
    (found,) = plan.plan(body(bare), roster).items
    assert isinstance(found, plan.Impossible) and found.code == "bad_adaptor"

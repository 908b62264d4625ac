"""body.py: items name inputs that are there, none twice with one key, and come to a thousand places at most."""

from typing import Any

import pytest

from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import (
    Adaptor,
    Asked,
    Bip86,
    Body,
    Child,
    RawTransaction,
    SignEcdsa,
    SignInput,
    SignMessage,
    Spent,
    Step,
    Transaction,
    places_of,
)
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import Message, PlainKey
from keymeld_protocol.wire.shapes import MAX_ITEMS

SPENT = Spent(amount=100_000, script=Script(b"\x51\x20" + bytes(32)))
TRANSACTION = Transaction(unsigned=RawTransaction(b"\x02\x00"), spent=(SPENT, SPENT))
INPUT, MESSAGE = SignInput(transaction=0, input=1), SignMessage(message=Message(b"\x44" * 32), subset=3)


def body(*items: Asked, transactions: int = 1) -> Body:
    return Body(v=1, transactions=(TRANSACTION,) * transactions, items=items, memo="")


def test_one_input_is_not_signed_twice_with_one_key() -> None:
    with pytest.raises(BadInput, match=r"items\[1\].*earlier item"):
        contents.encode(body(INPUT, INPUT))


def test_one_input_may_be_signed_by_several_subsets() -> None:
    contents.encode(body(INPUT, SignInput(transaction=0, input=1, subset=0)))


def test_one_message_may_be_signed_twice() -> None:
    contents.encode(body(MESSAGE, MESSAGE, transactions=0))


def test_a_transaction_that_no_item_signs_is_refused() -> None:
    with pytest.raises(BadInput, match=r"transactions\[1\]"):
        contents.encode(body(INPUT, transactions=2))


LOCKS = tuple(PlainKey(b"\x02" + bytes([i + 1]) * 32) for i in range(3))


def locked(mode: Any, *points: PlainKey) -> SignMessage:
    return SignMessage(message=Message(bytes(32)), adaptor=Adaptor(mode=mode, points=points))


@pytest.mark.parametrize("item", [locked("single", LOCKS[0]), locked("and", *LOCKS), locked("or", *LOCKS[:2])])
def test_an_adaptor_has_one_point_or_several_different_ones(item: SignMessage) -> None:
    made = body(item, transactions=0)
    assert contents.parse(Body, contents.encode(made)) == made


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (locked("single", *LOCKS), "single has one point"), (locked("and", LOCKS[0]), "at least two"),
        (locked("or", LOCKS[0]), "at least two"), (locked("and", LOCKS[0], LOCKS[0]), "taken for two"),
        (locked("or", LOCKS[1], LOCKS[0], LOCKS[1]), "taken for two"),
        *((locked(mode, LOCKS[0], PlainKey(b"\x03" + LOCKS[0][1:])), "taken for two") for mode in ("and", "or")),
    ],
)  # fmt: skip
def test_an_adaptor_whose_points_contradict_its_mode_is_refused(item: SignMessage, told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        contents.encode(body(MESSAGE, item, transactions=0))
    assert caught.value.field == "items[1].adaptor.points"


def test_a_thousand_places_are_the_most() -> None:
    rest = [SignMessage(message=Message(bytes(32)))] * (MAX_ITEMS - 3)
    contents.encode(body(locked("or", *LOCKS), *rest, transactions=0))
    with pytest.raises(BadInput, match="come to 1001 signatures"):
        contents.encode(body(locked("or", *LOCKS), *rest, rest[0], transactions=0))


def test_a_thousand_items_are_the_most() -> None:
    message = SignMessage(message=Message(bytes(32)))
    contents.encode(body(*[message] * MAX_ITEMS, transactions=0))
    with pytest.raises(BadInput, match="items"):
        contents.encode(body(*[message] * (MAX_ITEMS + 1), transactions=0))


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (SignInput(transaction=1, input=0), "items[1].transaction"),
        (SignInput(transaction=0, input=2), "items[1].input"),
    ],
)
def test_an_input_that_is_not_there_is_not_signed(item: SignInput, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        contents.encode(body(INPUT, item))
    assert caught.value.field == field


@pytest.mark.parametrize(("tweaks", "stands"), [((0, 1), True), ((1, 0), False), ((0, 0), False)])
def test_a_child_is_the_first_step_or_none(tweaks: tuple[int, ...], stands: bool) -> None:
    steps: tuple[Step, ...] = (Child(path=(0, 1)), Bip86())
    made = body(SignMessage(message=Message(bytes(32)), tweaks=tuple(steps[i] for i in tweaks)), transactions=0)
    if stands:
        assert contents.parse(Body, contents.encode(made)) == made
    else:
        with pytest.raises(BadInput, match="only be the first step"):
            contents.encode(made)


def test_an_item_is_one_place_and_with_or_one_for_each_point() -> None:
    items = (INPUT, SignEcdsa(message=Message(bytes(32))), locked("and", *LOCKS), locked("or", *LOCKS))
    assert [places_of(item) for item in items] == [1, 1, 1, 3]

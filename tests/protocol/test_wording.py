"""Slots and numbers read as people write them."""

from keymeld_protocol.wording import counted, listed, slots_told


def test_slots_are_told_with_their_noun() -> None:
    assert [slots_told(slots) for slots in ((), (2,), (0, 1), (0, 1, 4))] == [
        "no slots", "slot 2", "slots 0 and 1", "slots 0, 1 and 4",
    ]  # fmt: skip


def test_slots_are_listed_in_their_order() -> None:
    assert [listed(slots) for slots in ((), (2,), (0, 1, 4))] == ["none", "2", "0, 1 and 4"]


def test_one_is_told_in_the_singular() -> None:
    assert [counted(number, "card") for number in (0, 1, 2)] == ["0 cards", "1 card", "2 cards"]

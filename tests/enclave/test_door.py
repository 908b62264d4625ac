"""door.py: how many keys an enclave holds, and how much it remembers for whom."""

from __future__ import annotations

import pytest

from keymeld_enclave.door import Door
from keymeld_protocol.values import Id

OURS, THEIRS, OTHERS = (Id(bytes([number]) * 32) for number in (1, 2, 3))
ASKED = Id(bytes([9]) * 32)


@pytest.fixture
def door() -> Door:
    return Door(3, share=100, common=50, most=220, guests=100)


def test_keys_are_counted_up_to_the_capacity_and_given_back(door: Door) -> None:
    assert [door.take(OURS, slot) for slot in (0, 1, 1)] == [True] * 3 and door.keys == 2
    assert door.take(THEIRS, 0) and not door.take(THEIRS, 1) and not door.take(OTHERS, 0)
    door.hold(OURS, (0,))
    assert door.keys == 2 and door.take(OTHERS, 0)
    door.drop(OURS, OURS)
    assert door.keys == 2


def test_attack_61_what_strangers_take_is_never_of_anothers_share(door: Door) -> None:
    """61: strangers fill what all have in common; a key that is held later still has its own share."""
    door.take(THEIRS, 0)
    assert door.weigh(THEIRS, THEIRS, 120) and not door.weigh(THEIRS, ASKED, 131)
    assert door.weigh(THEIRS, ASKED, 100) and door.weigh(THEIRS, THEIRS, 120)
    door.take(OURS, 0)
    assert door.weigh(OURS, OURS, 60) and door.weigh(OURS, ASKED, 100) and not door.weigh(OURS, ASKED, 131)
    assert door.weight(OURS) == 160


def test_attack_61_a_group_that_is_bigger_than_its_share_may_ask_though_strangers_have_filled_the_rest(
    door: Door,
) -> None:
    """61: what a keygen takes itself is not taken from the room for its requests."""
    door.take(OURS, 0)
    door.take(THEIRS, 0)
    assert door.weigh(OURS, OURS, 120) and door.weigh(THEIRS, THEIRS, 130) and not door.weigh(THEIRS, THEIRS, 131)
    assert door.weigh(OURS, ASKED, 100) and not door.weigh(OURS, ASKED, 101)


def test_what_is_counted_is_taken_whatever_there_is(door: Door) -> None:
    door.count(OURS, OURS, 1_000)
    assert door.weight(OURS) == 1_000 and not door.weigh(OURS, OURS, 1_001) and door.weigh(OURS, OURS, 999)
    door.take(THEIRS, 0)
    assert not door.weigh(THEIRS, THEIRS, 101) and door.weigh(THEIRS, THEIRS, 100)


def test_a_keygen_has_a_bound_of_its_own_whatever_is_left(door: Door) -> None:
    door = Door(10, share=100, common=1_000, most=220)
    for slot in range(3):
        door.take(OURS, slot)
    assert door.weigh(OURS, OURS, 220) and not door.weigh(OURS, ASKED, 1)


def test_what_weighs_less_than_before_is_always_taken(door: Door) -> None:
    door.take(OURS, 0)
    assert door.weigh(OURS, OURS, 150)
    door.hold(OURS, ())  # its share is gone: it takes more than there is
    assert door.weigh(OURS, OURS, 149) and not door.weigh(OURS, OURS, 150)


def test_what_is_over_gives_back_all_of_it(door: Door) -> None:
    door.take(THEIRS, 0)
    assert door.weigh(THEIRS, THEIRS, 100) and door.weigh(THEIRS, ASKED, 120)
    door.take(OURS, 0)
    assert not door.weigh(OURS, OURS, 131)
    door.drop(THEIRS, ASKED)
    assert door.weigh(OURS, OURS, 150)
    door.drop(OURS, OURS)
    door.drop(OURS, ASKED)
    assert door.weigh(THEIRS, THEIRS, 150)
    door.drop(THEIRS, THEIRS)
    assert (door._beyond, door.keys, door._weights, door._totals) == (0, 0, {}, {})


def test_of_keygens_of_which_no_join_was_taken_the_latest_are_heard(door: Door) -> None:
    assert door.guest(OURS, 60) == [] and door.guest(THEIRS, 40) == []
    assert door.guest(THEIRS, 41) == [OURS]
    assert door.guest(OTHERS, 59) == [] and door.guest(THEIRS, 0) == [] and door.guest(OURS, 41) == []
    assert door.guest(OURS, 101) == [OTHERS, OURS]

"""spending.py: whose a script is: the group's, a subset's, a child's; or found where a PSBT hints, and computed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keymeld_client.said.spending import Keys
from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.tweaks import Steps, child_steps
from keymeld_protocol.errors import BadInput
from keymeld_protocol.member.own_scripts import GAP
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Scalar
from keymeld_protocol.values import Hash
from tests.client.coins import FOREIGN, psbt
from tests.client.paper import Tale

NEAR, FAR = child_steps((0, 3)), child_steps((1, GAP + 5))
UNUSUAL: Steps = (Scalar(scalar=Hash(bytes(31) + b"\1")),)


@pytest.fixture(scope="module")
def roster() -> Roster:
    """A group of two, with subsets of one and of both."""
    tale = Tale()
    return replace(tale.alice.roster(tale.keygen), subsets=((1,), (0, 1)))


def test_a_script_is_found_as_the_groups_a_subsets_or_a_childs(roster: Roster) -> None:
    keys = Keys(roster, None, None)
    assert keys.find(roster.script()) == (None, None)
    assert keys.find(roster.script(0)) == (0, None)
    assert keys.find(roster.script(steps=NEAR)) == (None, NEAR)
    assert keys.find(roster.script(0, NEAR)) == (0, NEAR)


def test_a_strangers_script_and_a_child_beyond_the_gap_are_nobodys(roster: Roster) -> None:
    keys = Keys(roster, None, None)
    assert keys.find(FOREIGN) is None and keys.find(b"") is None and keys.find(roster.script(steps=FAR)) is None


def test_keys_of_a_subset_find_its_own_scripts_alone(roster: Roster) -> None:
    keys = Keys(roster, 0, None)
    assert keys.find(roster.script(0, NEAR)) == (0, NEAR)
    assert keys.find(roster.script()) is None and keys.find(roster.script(steps=NEAR)) is None


def test_a_subset_of_everybody_signs_what_is_the_groups_too(roster: Roster) -> None:
    """The same keys make the same script; it is signed as who asked wanted it."""
    assert Keys(roster, 1, None).find(roster.script(steps=NEAR)) == (1, NEAR)
    assert Keys(roster, None, None).find(roster.script(1)) == (None, None)


def test_one_key_that_is_named_finds_nothing_else(roster: Roster) -> None:
    keys = Keys(roster, None, UNUSUAL)
    assert keys.find(roster.script(steps=UNUSUAL)) == (None, UNUSUAL)
    assert keys.find(roster.script()) is None and keys.find(roster.script(steps=NEAR)) is None


@pytest.mark.parametrize("subset", [2, -1])
def test_a_subset_that_there_is_not_is_refused(roster: Roster, subset: int) -> None:
    with pytest.raises(BadInput, match="subset"):
        Keys(roster, subset, None)


def test_a_tweak_that_cannot_be_applied_is_refused(roster: Roster) -> None:
    with pytest.raises(BadInput, match="tweaks"):
        Keys(roster, None, (Scalar(scalar=Hash(b"\xff" * 32)),))


def test_a_psbt_without_hints_is_read_by_its_scripts(roster: Roster) -> None:
    coins = [(9, roster.script(0)), (9, FOREIGN), (9, roster.script(steps=NEAR)), (9, roster.script(steps=FAR))]
    assert Keys(roster, None, None).of(Psbt(psbt(coins, 1))) == [(0, None), None, (None, NEAR), None]

"""Own scripts: every key list's address and its children up to the gap limit, and nothing else."""

from dataclasses import replace
from functools import cache

import pytest

from keymeld_protocol.bitcoin.transaction import key_hash_script, taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.member import own_scripts
from keymeld_protocol.member.own_scripts import GAP, Own
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Bip86, Child, Step
from keymeld_protocol.plaintext.contents import Leaf, Script, Terms
from tests.support.world import World

TREE = Terms(v=1, label="", network="regtest", tweak="tree", tree=(Leaf(depth=0, version=0xC0, script=Script(b"Q")),))
PLAIN = Terms(v=1, label="", network="regtest", tweak="none")


@cache
def gathered() -> Roster:
    world = World()
    members = [world.member(name) for name in ("alice", "bob", "carol")]
    keygen = world.gather(members, at=world.enclave("vault"), subsets=((0, 2), (1,)))
    return members[0].roster(keygen)


def fresh(terms: Terms | None = None) -> Roster:
    """The same group, with nothing computed yet."""
    return replace(gathered(), terms=terms or gathered().terms)


def script_of(roster: Roster, subset: int | None, *steps: Step) -> bytes:
    """What an item with these tweaks spends: the long way, by aggregating anew."""
    return taproot_script(roster.keyagg(subset, steps).output)


@pytest.mark.parametrize("terms", [None, TREE, PLAIN])
@pytest.mark.parametrize(("subset", "slots"), [(None, {0, 1, 2}), (0, {0, 2}), (1, {1})])
def test_a_key_list_and_its_children_are_own(terms: Terms | None, subset: int | None, slots: set[int]) -> None:
    roster = fresh(terms)
    assert roster.own.find(roster.script(subset)) == Own(subset, None, frozenset(slots))
    for path in ((0, 0), (1, 7), (0, GAP - 1), (1, GAP - 1)):
        script = script_of(roster, subset, *child_steps(path))
        assert roster.own.find(script) == Own(subset, path, frozenset(slots))


def test_an_own_script_names_the_tweaks_of_the_item_that_spends_it() -> None:
    roster = fresh()
    for path in (None, (0, 3), (1, 0)):
        steps = None if path is None else child_steps(path)
        found = roster.own.find(taproot_script(roster.keyagg(0, steps).output))
        assert found is not None and (found.subset, found.tweaks) == (0, steps)


def test_the_key_hash_of_a_single_key_is_own_and_says_that_ecdsa_spends_it() -> None:
    roster = fresh()
    scripts = [key_hash_script(card.pubkey) for card in roster.cards]
    assert [roster.own.find(script) for script in scripts] == [None, Own(1, None, frozenset({1}), hashed=True), None]


@pytest.mark.parametrize("path", [(0, GAP), (1, GAP), (2, 0), (0,), (0, 0, 0)])
def test_a_child_beyond_the_gap_or_of_another_branch_is_not_own(path: tuple[int, ...]) -> None:
    roster = fresh()
    assert roster.own.find(script_of(roster, None, *child_steps(path))) is None


def test_attack_33_the_own_internal_key_with_another_tree_is_not_own() -> None:
    roster = fresh(TREE)
    for steps in ((), (Bip86(),), (Child(path=(0, 0)),), (Child(path=(0, 0)), Bip86())):
        assert roster.own.find(script_of(roster, None, *steps)) is None


def test_scripts_that_are_not_taproot_are_not_own() -> None:
    roster = fresh()
    key = roster.output
    for script in (b"", key, b"\x51\x20" + key + b"\x51", b"\x52\x20" + key, b"\x20" + key + b"\xac"):
        assert roster.own.find(script) is None


def test_children_are_computed_only_when_no_address_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    roster = fresh()
    monkeypatch.setattr(own_scripts, "children", None)
    assert roster.own.find(roster.script()) and roster.own.find(roster.script(1))
    with pytest.raises(TypeError):
        roster.own.find(script_of(roster, None, *child_steps((0, 0))))


def test_what_could_not_be_computed_is_not_taken_for_foreign_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    roster = fresh()
    script = script_of(roster, 1, *child_steps((1, 1)))
    with monkeypatch.context() as broken:
        broken.setattr(own_scripts, "children", None)
        for _ in range(2):
            with pytest.raises(TypeError):
                roster.own.find(script)
    assert roster.own.find(script) == Own(1, (1, 1), frozenset({1}))

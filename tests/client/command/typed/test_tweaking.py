"""command/typed/tweaking.py: children, tweaks and script trees as a person types them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_client.command.typed import tweaking
from keymeld_protocol.bitcoin.tree import tree_root
from keymeld_protocol.plaintext.body import BareRoot, Bip86, Child, Scalar, TermsStep, XOnlyScalar
from keymeld_protocol.plaintext.contents import Leaf, Script
from keymeld_protocol.values import Hash

HEX = "ab" * 32
VALUE = Hash.from_hex(HEX)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("0/5", ((0, 5),)),
        ("7", ((7,),)),
        ("1/0-2", ((1, 0), (1, 1), (1, 2))),
        ("0/1/2/3/4/5/6/2147483647", ((0, 1, 2, 3, 4, 5, 6, 2147483647),)),
    ],
)
def test_a_path_names_a_child_or_a_row_of_them(text: str, paths: object) -> None:
    assert tweaking.paths(text) == paths


@pytest.mark.parametrize(
    "text",
    ["", "/0", "0/", "0'/1", "0h", "m/0", "-1", "0/*", "٣", "0/2147483648", "2147483648/0", "0/" * 8 + "0", "0/5-4",
     "0/0-1000"],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 0/5|at most|rises"):
        tweaking.paths(text)


def test_a_request_has_one_child() -> None:
    assert tweaking.path("0/5") == (0, 5)
    with pytest.raises(ValueError, match="one child"):
        tweaking.path("0/0-1")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("none", ()),
        ("terms", (TermsStep(),)),
        ("bip86", (Bip86(),)),
        (f"plain:{HEX}", (Scalar(scalar=VALUE),)),
        (f"xonly:{HEX.upper()}", (XOnlyScalar(scalar=VALUE),)),
        (f"root:{HEX}", (BareRoot(root=VALUE),)),
    ],
)
def test_a_tweak_is_read_from_words(text: str, steps: object) -> None:
    assert tweaking.steps(text) == steps


@pytest.mark.parametrize("text", ["", "BIP86", "plain", "plain:", "plain:ab", f"tree:{HEX}", f"xonly:{HEX}00", HEX])
def test_a_tweak_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"use none|64 hex digits"):
        tweaking.steps(text)


def test_a_child_has_the_tweak_of_the_terms_unless_another_is_named() -> None:
    child = Child(path=(0, 5))
    assert tweaking.together((0, 5), []) == (child, TermsStep())
    assert tweaking.together((0, 5), [()]) == (child,)
    assert tweaking.together((0, 5), [(Bip86(),)]) == (child, Bip86())


def test_without_a_child_the_tweaks_are_those_named_in_their_order() -> None:
    assert tweaking.together(None, []) is None
    assert tweaking.together(None, [()]) == ()
    assert tweaking.together(None, [(Bip86(),), (Scalar(scalar=VALUE),)]) == (Bip86(), Scalar(scalar=VALUE))
    with pytest.raises(ValueError, match="alone"):
        tweaking.together(None, [(), (Bip86(),)])


def test_leaves_without_depths_make_a_balanced_tree_in_their_order() -> None:
    made = tweaking.tree([tweaking.leaf(text) for text in ("51", "52", "53")])
    assert [(leaf.depth, leaf.script) for leaf in made] == [(2, b"\x51"), (2, b"\x52"), (1, b"\x53")]
    assert made[0] == Leaf(depth=2, version=0xC0, script=Script(b"\x51"))


def test_leaves_with_depths_are_taken_as_they_are() -> None:
    made = tweaking.tree([tweaking.leaf(text) for text in ("1:51", "2:52", "2:53AC")])
    assert [(leaf.depth, leaf.script) for leaf in made] == [(1, b"\x51"), (2, b"\x52"), (2, b"\x53\xac")]


@given(st.integers(1, 128))
def test_every_balanced_tree_is_one_and_flat(leaves: int) -> None:
    depths = tweaking.balanced(leaves)
    tree_root(tuple(Leaf(depth=depth, version=0xC0, script=Script(b"\x51")) for depth in depths))
    assert len(depths) == leaves and max(depths) - min(depths) <= 1


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["1:51", "52"], "every leaf its depth, or none"),
        (["1:51", "2:52"], "not those of one tree"),
        (["51"] * 129, "1 to 128 leaves"),
        ([], "1 to 128 leaves"),
    ],
)
def test_leaves_of_no_tree_are_refused(texts: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tweaking.tree([tweaking.leaf(text) for text in texts])


@pytest.mark.parametrize("text", ["", "5", "xy", "129:51", "-1:51", ":51", "1:", "51 52"])
def test_a_leaf_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="DEPTH:SCRIPT"):
        tweaking.leaf(text)
    with pytest.raises(ValueError, match="10,000 bytes"):
        tweaking.leaf("51" * 10_001)


def test_a_file_of_leaves_has_one_a_line_and_words_for_people(tmp_path: Path) -> None:
    (tmp_path / "tree").write_text("# who inherits\n1:51  # at once\n\n  2:52\n2:53\n")
    assert tweaking.tree_file(str(tmp_path / "tree")) == ((1, b"\x51"), (2, b"\x52"), (2, b"\x53"))
    with pytest.raises(ValueError, match="is no file"):
        tweaking.tree_file(str(tmp_path / "none"))

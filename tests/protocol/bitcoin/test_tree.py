"""BIP-341 script trees, given leaf by leaf."""

from typing import Any

import pytest

from keymeld_protocol.bitcoin.transaction import taproot_address, taproot_script
from keymeld_protocol.bitcoin.tree import leaf_hash, tree_root
from keymeld_protocol.curve.keyagg import aggregate, taproot_tweak
from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Leaf, Script, Terms
from tests.support.vectors import published_json

OP_TRUE = Script(b"\x51")


def leaf(depth: int, script: bytes = OP_TRUE) -> Leaf:
    return Leaf(depth=depth, version=0xC0, script=Script(script))


def terms(*leaves: Leaf) -> Terms:
    return Terms(v=1, label="", network="regtest", tweak="tree", tree=leaves)


def flat(tree: Any, depth: int = 0) -> list[Leaf]:
    """The vector's nested tree, depth first."""
    if isinstance(tree, dict):
        return [Leaf(depth=depth, version=tree["leafVersion"], script=Script(bytes.fromhex(tree["script"])))]
    return [found for half in tree for found in flat(half, depth + 1)]


def cases() -> list[Any]:
    vectors = published_json("bip341/wallet-test-vectors.json")
    return [case for case in vectors["scriptPubKey"] if case["given"]["scriptTree"] is not None]


def test_bip341_every_leaf_root_tweak_and_address() -> None:
    for case in cases():
        leaves, expected = flat(case["given"]["scriptTree"]), case["intermediary"]
        assert [leaf_hash(one).hex() for one in leaves] == expected["leafHashes"]
        root = tree_root(tuple(leaves))
        assert root.hex() == expected["merkleRoot"]
        internal = bytes.fromhex(case["given"]["internalPubkey"])
        output = aggregate([b"\x02" + internal], [taproot_tweak(internal, root)]).output
        assert output.hex() == expected["tweakedPubkey"]
        assert taproot_script(output).hex() == case["expected"]["scriptPubKey"]
        assert taproot_address(output, "bitcoin") == case["expected"]["bip350Address"]


def test_bip341_every_tree_is_one_that_terms_can_say() -> None:
    for case in cases():
        said = terms(*flat(case["given"]["scriptTree"]))
        assert contents.parse(Terms, contents.encode(said)) == said


def test_siblings_may_stand_in_either_order() -> None:
    one, other = leaf(1, b"\x51"), leaf(1, b"\x52")
    assert tree_root((one, other)) == tree_root((other, one))


def test_a_long_script_is_hashed_with_its_length() -> None:
    assert leaf_hash(leaf(0, bytes(252))) != leaf_hash(leaf(0, bytes(253)))


@pytest.mark.parametrize("depths", [(), (1,), (0, 0), (1, 2), (2, 1, 2), (1, 1, 1), (2, 2), (1, 2, 2, 2)])
def test_leaves_that_are_no_whole_tree_are_refused(depths: tuple[int, ...]) -> None:
    leaves = tuple(leaf(depth) for depth in depths)
    with pytest.raises(BadInput, match="tree"):
        contents.encode(terms(*leaves))
    with pytest.raises(BadInput, match="tree"):
        tree_root(leaves)


@pytest.mark.parametrize("fields", [{"tweak": "tree"}, {"tweak": "bip86", "tree": (leaf(0),)}, {"tweak": "root"}])
def test_a_tree_and_its_word_go_together(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="belongs to tweak"):
        contents.encode(Terms(v=1, label="", network="regtest", **fields))

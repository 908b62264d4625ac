"""From terms and steps to BIP-327's tweaks: explicit ones and no others."""

from typing import Any

import pytest

from keymeld_protocol.bitcoin.children import child_tweaks
from keymeld_protocol.bitcoin.tree import tree_root
from keymeld_protocol.bitcoin.tweaks import child_steps, is_opaque, told_steps, tweaked
from keymeld_protocol.curve.keyagg import Tweak, aggregate, bip86_tweak, taproot_tweak
from keymeld_protocol.curve.secp256k1 import pubkey_of, xonly
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.plaintext.body import BareRoot, Bip86, Child, Scalar, Step, TermsStep, XOnlyScalar
from keymeld_protocol.plaintext.contents import Leaf, Script, Terms
from keymeld_protocol.values import Hash
from tests.support.vectors import published_json
from tests.support.world import secret_of

KEYS = tuple(pubkey_of(secret_of(name)) for name in ("alice", "bob", "carol"))
ORDER = bytes.fromhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
LEAF = Leaf(depth=0, version=0xC0, script=Script(b"\x51"))
ROOT = Hash(secret_of("root"))


def terms(tweak: Any, **fields: Any) -> Terms:
    return Terms(v=1, label="", network="regtest", tweak=tweak, **fields)


TERMS = {
    "bip86": terms("bip86"), "none": terms("none"), "tree": terms("tree", tree=(LEAF,)),
    "root": terms("root", root=ROOT),
}  # fmt: skip


def test_without_steps_the_terms_say_what_is_done() -> None:
    inner = xonly(aggregate(KEYS).point)
    assert tweaked(KEYS, TERMS["bip86"]) is aggregate(KEYS, [bip86_tweak(KEYS)])
    assert tweaked(KEYS, TERMS["none"]) is aggregate(KEYS)
    assert tweaked(KEYS, TERMS["tree"]) is aggregate(KEYS, [taproot_tweak(inner, tree_root((LEAF,)))])
    assert tweaked(KEYS, TERMS["root"]) is aggregate(KEYS, [taproot_tweak(inner, ROOT)])


@pytest.mark.parametrize("word", TERMS)
def test_no_steps_are_no_tweak_whatever_the_terms_say(word: str) -> None:
    assert tweaked(KEYS, TERMS[word], ()) is aggregate(KEYS)


@pytest.mark.parametrize("word", TERMS)
def test_the_step_terms_is_what_the_terms_say(word: str) -> None:
    assert tweaked(KEYS, TERMS[word], (TermsStep(),)) is tweaked(KEYS, TERMS[word])


def test_steps_are_applied_in_order_to_the_key_as_it_is() -> None:
    path = child_tweaks(aggregate(KEYS).point, (0, 3))
    child = aggregate(KEYS, path)
    made = tweaked(KEYS, TERMS["bip86"], child_steps((0, 3)))
    assert made is aggregate(KEYS, (*path, taproot_tweak(xonly(child.point))))
    assert tweaked(KEYS, TERMS["none"], (Child(path=(0, 3)), Bip86())) is made


def test_a_list_of_one_key_is_tweaked_as_well() -> None:
    assert tweaked(KEYS[:1], TERMS["bip86"], child_steps((0, 0))).output != tweaked(KEYS[:1], TERMS["bip86"]).output


def test_bip327_tweak_vectors_through_steps() -> None:
    """The outputs of the vectors' tweak lists, given as steps of an item, are those of BIP-327."""
    vectors = published_json("bip327/tweak_vectors.json")
    keys = tuple(sorted(bytes.fromhex(key) for key in vectors["pubkeys"][:3]))
    scalars = [bytes.fromhex(tweak) for tweak in vectors["tweaks"]]
    for case in vectors["valid_test_cases"]:
        named = list(zip(case["tweak_indices"], case["is_xonly"], strict=True))
        steps = tuple((XOnlyScalar if x else Scalar)(scalar=Hash(scalars[i])) for i, x in named)
        assert tweaked(keys, TERMS["none"], steps) is aggregate(keys, [Tweak(scalars[i], x) for i, x in named])
    for case in vectors["error_test_cases"]:
        with pytest.raises(InvalidCrypto):
            tweaked(keys, TERMS["none"], (Scalar(scalar=Hash(scalars[case["tweak_indices"][0]])),))


@pytest.mark.parametrize("step", [Scalar, XOnlyScalar])
@pytest.mark.parametrize("value", [bytes(32), ORDER, b"\xff" * 32], ids=["zero", "n", "above n"])
def test_attack_10_a_scalar_that_cannot_be_applied_is_refused_and_never_dropped(step: Any, value: bytes) -> None:
    with pytest.raises(InvalidCrypto, match="tweak"):
        tweaked(KEYS, TERMS["bip86"], (step(scalar=Hash(value)),))


@pytest.mark.parametrize(
    ("word", "steps", "opaque"),
    [
        ("bip86", None, False), ("none", None, False), ("tree", None, False), ("root", None, True),
        ("root", (), False), ("root", (Bip86(),), False), ("root", child_steps((0, 0)), True),
        ("bip86", (BareRoot(root=ROOT),), True), ("bip86", (Scalar(scalar=ROOT),), True),
        ("bip86", (XOnlyScalar(scalar=ROOT),), True), ("tree", child_steps((0, 0)), False),
    ],
)  # fmt: skip
def test_what_hides_something_is_opaque(word: str, steps: tuple[Step, ...] | None, opaque: bool) -> None:
    assert is_opaque(TERMS[word], steps) is opaque


def test_tweaks_are_told_in_their_order_and_what_is_hidden_by_its_bytes() -> None:
    assert told_steps(child_steps((0, 5))) == "child 0/5, then the tweak of the terms"
    assert told_steps(()) == "no tweak"
    hidden = (BareRoot(root=ROOT), Scalar(scalar=ROOT), XOnlyScalar(scalar=ROOT))
    assert told_steps((Bip86(), *hidden)) == (
        f"the tweak of BIP-86, then script root {ROOT.hex()}, then plain tweak {ROOT.hex()}, "
        f"then x-only tweak {ROOT.hex()}"
    )

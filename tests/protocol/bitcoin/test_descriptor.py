"""descriptor.py: what a watch-only wallet imports leads to the group's own script."""

import pytest
from btclib_wallet.descriptors import checksum, multipath_descriptors, parse, strip_checksum
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.bitcoin.children import synthetic_xpub
from keymeld_protocol.bitcoin.descriptor import BOTH_BRANCHES, child_descriptor, taproot_descriptor, with_checksum
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps, tweaked
from keymeld_protocol.curve.keyagg import Tweak, aggregate, bip86_tweak
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import BadInput
from keymeld_protocol.plaintext.contents import Terms, TermsTweak

CHARACTERS = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


def keys(count: int) -> list[bytes]:
    return [b"\x03" + Keypair.generate().key for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("tweaked", [True, False])
def test_another_wallet_derives_the_same_script(count: int, tweaked: bool) -> None:
    members = keys(count)
    keyagg = aggregate(members, (bip86_tweak(members),) if tweaked else ())
    assert parse(taproot_descriptor(keyagg)).script_pub_key().script == taproot_script(keyagg.output)


def test_a_group_reads_like_this() -> None:
    members = aggregate(keys(2)).keys
    inner, tweak = ",".join(key.hex() for key in members), bip86_tweak(members)
    assert strip_checksum(taproot_descriptor(aggregate(members, (tweak,)))) == f"tr(musig({inner}))"
    assert strip_checksum(taproot_descriptor(aggregate(members))) == f"rawtr(musig({inner}))"
    lone = aggregate(members[:1], (bip86_tweak(members[:1]),))
    assert strip_checksum(taproot_descriptor(lone)) == f"tr({members[0].hex()})"


def test_another_tweak_leaves_the_output_key_alone() -> None:
    members = keys(2)
    keyagg = aggregate(members, (Tweak(bytes(31) + b"\7", xonly=True),))
    told = taproot_descriptor(keyagg)
    assert strip_checksum(told) == f"rawtr({keyagg.output.hex()})"
    assert parse(told).script_pub_key().script == taproot_script(keyagg.output)


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("tweak", ["bip86", "none"])
def test_another_wallet_follows_all_children(count: int, tweak: TermsTweak) -> None:
    members = tuple(keys(count))
    terms = Terms(v=1, label="", network="bitcoin", tweak=tweak)
    told = child_descriptor(synthetic_xpub(aggregate(members).point, "bitcoin"), BOTH_BRANCHES, tweak)
    for branch, followed in enumerate(map(parse, multipath_descriptors(told))):
        for index in (0, 1, 19):
            child = taproot_script(tweaked(members, terms, child_steps((branch, index))).output)
            assert followed.script_pub_key(index).script == child


def test_a_child_with_scripts_beside_its_key_has_no_descriptor() -> None:
    xpub = synthetic_xpub(keys(1)[0], "bitcoin")
    with pytest.raises(BadInput, match="with scripts beside it"):
        child_descriptor(xpub, "0/5", "tree")


def test_the_checksum_is_that_of_bip_380() -> None:
    assert with_checksum("raw(deadbeef)") == "raw(deadbeef)#89f8spxm"


@given(st.text(CHARACTERS, max_size=60))
def test_checksums_agree_with_another_implementation(text: str) -> None:
    assert with_checksum(text) == f"{text}#{checksum(text)}"


def test_a_character_that_descriptors_do_not_have_is_refused() -> None:
    with pytest.raises(BadInput, match="character"):
        with_checksum("tr(é)")

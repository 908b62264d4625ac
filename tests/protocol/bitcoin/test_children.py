"""BIP-328: the synthetic xpub of an aggregate key, and its children."""

import hmac

import pytest
from coincurve import PublicKey

from keymeld_protocol.bitcoin.children import CHAIN_CODE, child_tweaks, synthetic_xpub
from keymeld_protocol.curve.keyagg import aggregate, key_agg
from keymeld_protocol.curve.secp256k1 import pubkey_of
from keymeld_protocol.errors import InvalidCrypto
from tests.support.vectors import published_json
from tests.support.world import secret_of

KEYS = tuple(pubkey_of(secret_of(name)) for name in ("alice", "bob", "carol"))


def test_bip328_every_aggregate_and_xpub() -> None:
    for case in published_json("bip328/vectors.json"):
        made = key_agg(tuple(map(bytes.fromhex, case["keys"])))
        assert made.point.hex() == case["aggregate_pubkey"]
        assert synthetic_xpub(made.point, "bitcoin") == case["xpub"]


def test_the_chain_code_is_bip328s() -> None:
    assert CHAIN_CODE.hex() == "868087ca02a6f974c4598924c36b57762d32cb45717167e300622c7167e38965"


def test_another_network_has_another_prefix() -> None:
    assert synthetic_xpub(aggregate(KEYS).point, "regtest").startswith("tpub")


def test_a_path_is_one_plain_tweak_for_each_step() -> None:
    root = aggregate(KEYS)
    tweaks = child_tweaks(root.point, (1, 7))
    assert [tweak.xonly for tweak in tweaks] == [False, False]
    assert child_tweaks(root.point, (1,)) == tweaks[:1]
    assert child_tweaks(root.point, (1, 8))[1] != tweaks[1]


def test_a_child_is_that_of_bip32() -> None:
    """CKDpub, written down once more from BIP-32's text, over another library's points."""
    point, chain = aggregate(KEYS).point, CHAIN_CODE
    for index in (0, 5):
        both = hmac.new(chain, point + index.to_bytes(4, "big"), "sha512").digest()
        point, chain = PublicKey(point).add(both[:32]).format(), both[32:]
    assert aggregate(KEYS, child_tweaks(aggregate(KEYS).point, (0, 5))).point == point


@pytest.mark.parametrize("index", [-1, 2**31])
def test_an_aggregate_key_has_no_hardened_children(index: int) -> None:
    with pytest.raises(InvalidCrypto, match="unhardened"):
        child_tweaks(aggregate(KEYS).point, (index,))

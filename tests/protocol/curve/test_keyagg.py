"""Key aggregation: BIP-327's vectors, key lists of one, and agreement with another implementation."""

import random
from typing import Any

import pytest
from ecc.ecc import musig2 as oracle

from keymeld_protocol.curve import libmusig
from keymeld_protocol.curve.keyagg import (
    GENERATOR,
    KeyAgg,
    Tweak,
    aggregate,
    bip86_tweak,
    key_agg,
    key_sort,
    paired,
    taproot_tweak,
)
from keymeld_protocol.curve.libsecp256k1 import CONTEXT, ffi, lib, parse_point, serialize_point
from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.curve.secp256k1 import Secret, point_add, point_mul, point_negate, seckey_negate
from keymeld_protocol.errors import InvalidCrypto
from tests.support.vectors import published_json

ONE = bytes(31) + b"\x01"


def keys_of(count: int) -> list[bytes]:
    return [Secret.generate().point for _ in range(count)]


def case_of(vectors: Any, case: Any) -> tuple[tuple[bytes, ...], tuple[Tweak, ...]]:
    keys = tuple(bytes.fromhex(vectors["pubkeys"][index]) for index in case["key_indices"])
    values = [bytes.fromhex(vectors["tweaks"][index]) for index in case.get("tweak_indices", [])]
    return keys, tuple(Tweak(value, xonly) for value, xonly in zip(values, case.get("is_xonly", []), strict=True))


def oracle_of(keyagg: KeyAgg) -> oracle.KeyAggContext:
    values, xonly = [tweak.value for tweak in keyagg.tweaks], [tweak.xonly for tweak in keyagg.tweaks]
    return oracle.key_agg_and_tweak_var(keyagg.keys, values, xonly)


# ---------------------------------------------------------------------------------------------------------- vectors


def test_key_sort_vectors() -> None:
    vectors = published_json("bip327/key_sort_vectors.json")
    given, expected = (map(bytes.fromhex, vectors[name]) for name in ("pubkeys", "sorted_pubkeys"))
    assert key_sort(given) == tuple(expected)


def test_key_agg_vectors() -> None:
    vectors = published_json("bip327/key_agg_vectors.json")
    for case in vectors["valid_test_cases"]:
        assert key_agg(*case_of(vectors, case)).output.hex().upper() == case["expected"]


def test_key_agg_vectors_that_fail() -> None:
    vectors = published_json("bip327/key_agg_vectors.json")
    for case in vectors["error_test_cases"]:
        signer = case["error"].get("signer")
        with pytest.raises(InvalidCrypto, match="tweak" if signer is None else rf"keys\[{signer}\]"):
            keys, tweaks = case_of(vectors, case)
            cache = libmusig.pubkey_agg(keys)  # below `key_agg`, for which a key list of one is its key
            for tweak in tweaks:
                cache = libmusig.tweak_add(cache, tweak.value, tweak.xonly)


# ------------------------------------------------------------------------------------------------------------- lists


def test_key_sort_is_libsecp256k1s() -> None:
    keys = keys_of(20)
    pubkeys = [parse_point(key) for key in keys]
    array = ffi.new("secp256k1_pubkey *[]", pubkeys)
    assert lib.secp256k1_ec_pubkey_sort(CONTEXT, array, len(keys))
    assert key_sort(keys) == tuple(serialize_point(pubkey) for pubkey in array)


def test_aggregate_sorts_its_keys() -> None:
    keys = keys_of(4)
    assert aggregate(keys).output == aggregate(reversed(keys)).output == key_agg(key_sort(keys)).output


def test_equal_key_lists_share_one_result() -> None:
    keys = keys_of(4)
    assert aggregate(keys) is aggregate(reversed(keys))


def test_the_aggregate_is_the_weighted_sum_of_the_keys() -> None:
    for keys in (keys_of(3), [*keys_of(1) * 2, *keys_of(2) * 2], keys_of(1) * 3):
        keyagg = aggregate(keys)
        assert point_add(*(point_mul(key, keyagg.coefficient(key)) for key in keys)) == keyagg.aggregate


def test_the_second_distinct_key_counts_once() -> None:
    first, second, third = key_sort(keys_of(3))
    assert key_agg((first, second, third)).coefficient(second) == ONE
    assert key_agg((first, first, second, third)).coefficient(second) == ONE
    assert ONE not in {key_agg((first, second, third)).coefficient(key) for key in (first, third)}


def test_a_strange_key_has_no_coefficient() -> None:
    with pytest.raises(InvalidCrypto, match="not of this key list"):
        aggregate(keys_of(3)).coefficient(keys_of(1)[0])


def test_keys_that_are_none_are_refused_with_their_index() -> None:
    good = keys_of(2)
    for wrong in (b"", b"\x02", bytes(33), good[0] + b"\x00"):
        with pytest.raises(InvalidCrypto, match=r"keys\[2\]"):
            key_agg((*good, wrong))
        with pytest.raises(InvalidCrypto):
            key_agg((wrong,))


def test_no_keys_are_no_key_list() -> None:
    with pytest.raises(InvalidCrypto):
        aggregate([])


# ------------------------------------------------------------------------------------------------------------ tweaks


def test_any_keys_and_tweaks_agree_with_another_implementation() -> None:
    draw = random.Random(327)
    for _ in range(25):
        pool = keys_of(draw.randint(2, 4))
        tweaks = [Tweak(draw.randbytes(32), draw.random() < 0.5) for _ in range(draw.randint(0, 4))]
        keyagg = aggregate(draw.choices(pool, k=draw.randint(2, 6)), tweaks)
        theirs = oracle_of(keyagg)
        assert keyagg.output == theirs.x_only_pub_key
        sign = (1 if theirs.Q[1] % 2 == 0 else -1) * (1 if theirs.gacc == 1 else -1)
        assert keyagg.negated is (sign == -1)


def test_tweak_lists_that_begin_alike_share_what_they_come_to() -> None:
    keys, first, second = keys_of(3), Tweak(b"\x01" * 32, xonly=False), Tweak(b"\x02" * 32, xonly=True)
    assert aggregate(keys, [first, second]) is aggregate(keys, [first]).tweaked(second)


def test_a_tweak_more_leaves_what_it_starts_from_as_it_was() -> None:
    keys, tweak = keys_of(3), Tweak(b"\x01" * 32, xonly=True)
    before = aggregate(keys, [tweak])
    point, raw = before.point, bytes(ffi.buffer(before.cache))
    before.tweaked(tweak)
    assert (before.point, bytes(ffi.buffer(before.cache))) == (point, raw)
    assert before.tweaks == (tweak,)


def test_coefficients_are_those_of_the_keys_whatever_the_tweaks() -> None:
    keys = key_sort(keys_of(4))
    plain, tweaked = aggregate(keys), aggregate(keys, [Tweak(b"\x05" * 32, xonly=True)])
    assert all(plain.coefficient(key) == tweaked.coefficient(key) for key in keys)


def test_a_tweak_of_another_length_is_refused() -> None:
    for length in {*range(70)} - {32}:
        with pytest.raises(InvalidCrypto):
            Tweak(bytes(length), xonly=True)


def test_a_tweak_of_the_order_or_more_is_refused() -> None:
    for keys in (keys_of(1), keys_of(2)):
        with pytest.raises(InvalidCrypto):
            aggregate(keys, [Tweak(b"\xff" * 32, xonly=False)])


def test_a_refused_tweak_leaves_the_untweaked_keys_as_they_were() -> None:
    keys = keys_of(3)
    before = aggregate(keys).output
    with pytest.raises(InvalidCrypto):
        aggregate(keys, [Tweak(ONE, xonly=False), Tweak(b"\xff" * 32, xonly=False)])
    assert aggregate(keys).output == before


def test_the_bip_86_tweak_commits_to_the_internal_key_alone() -> None:
    keys = keys_of(3)
    internal = aggregate(keys).output
    assert bip86_tweak(keys) == Tweak(tagged_hash("TapTweak", internal), xonly=True)


def test_a_script_root_is_committed_to() -> None:
    internal, root = aggregate(keys_of(3)).output, b"\x07" * 32
    assert taproot_tweak(internal, root).value == tagged_hash("TapTweak", internal + root)


def test_an_internal_key_or_root_of_another_length_is_refused() -> None:
    for internal, root in ((bytes(33), b""), (bytes(32), b"\x01"), (bytes(32), bytes(33))):
        with pytest.raises(InvalidCrypto):
            taproot_tweak(internal, root)


def test_bip_341_output_keys() -> None:
    for case in published_json("bip341/wallet-test-vectors.json")["scriptPubKey"]:
        internal = bytes.fromhex(case["given"]["internalPubkey"])
        root = bytes.fromhex(case["intermediary"]["merkleRoot"] or "")
        keyagg = aggregate([b"\x02" + internal], [taproot_tweak(internal, root)])
        assert keyagg.output.hex() == case["intermediary"]["tweakedPubkey"]


# ----------------------------------------------------------------------------------------------- a signer of many


def test_a_signer_of_many_keys_is_their_weighted_sum() -> None:
    keys = key_sort(keys_of(4))
    keyagg, some = aggregate(keys), (keys[0], keys[2])
    signer = keyagg.collapsed(some)
    assert signer is not None
    assert signer.key == point_add(*(point_mul(key, keyagg.coefficient(key)) for key in some))


def test_a_signer_of_one_key_is_libsecp256k1s_own() -> None:
    keyagg = aggregate(keys_of(3))
    assert keyagg.collapsed(keyagg.keys[1:2]) == (keyagg.keys[1], keyagg.cache)


def test_no_signer_is_made_of_no_keys_of_strange_ones_or_of_a_list_of_one() -> None:
    keyagg = aggregate(keys_of(3))
    assert keyagg.collapsed(()) is None
    with pytest.raises(InvalidCrypto, match="not of this key list"):
        keyagg.collapsed((keyagg.keys[0], *keys_of(1)))
    lone = aggregate(keys_of(1))
    with pytest.raises(InvalidCrypto, match="list of one"):
        lone.collapsed(lone.keys)


# ------------------------------------------------------------------------------------------------- a key list of one


def test_a_key_list_of_one_is_its_key() -> None:
    (key,) = keys_of(1)
    keyagg = aggregate([key])
    assert (keyagg.aggregate, keyagg.point, keyagg.output) == (key, key, key[1:])
    assert keyagg.cache is None
    assert keyagg.coefficient(key) == ONE


def test_a_key_list_of_one_is_tweaked() -> None:
    for _ in range(8):
        (key,) = keys_of(1)
        tweaks = [Tweak(b"\x01" * 32, xonly=True), Tweak(b"\x02" * 32, xonly=False), Tweak(b"\x03" * 32, xonly=True)]
        context = oracle.KeyAggContext(oracle._cpoint_var(key), 1, 0)
        for tweak in tweaks:
            context = oracle.apply_tweak_var(context, tweak.value, tweak.xonly)
        assert aggregate([key], tweaks).output == context.x_only_pub_key


def test_a_key_list_of_one_that_is_tweaked_to_infinity_is_refused() -> None:
    secret = Secret.generate()
    key = secret.point
    seckey_negate(secret.buffer)
    with pytest.raises(InvalidCrypto):
        aggregate([key], [Tweak(bytes(secret.buffer), xonly=False)])


# -------------------------------------------------------------------------------------------------- one key as a pair


def test_a_pair_comes_to_its_key_of_either_parity() -> None:
    seen: set[int] = set()
    while seen != {2, 3}:
        (key,) = keys_of(1)
        made = paired(key)
        assert made.keys == (GENERATOR, key) and made.point == key and made.coefficient(key) == ONE
        assert oracle_of(made).x_only_pub_key == made.output
        seen.add(key[0])


@pytest.mark.parametrize("key", [GENERATOR, point_negate(GENERATOR)], ids=["G", "-G"])
def test_the_generator_has_no_pair(key: bytes) -> None:
    with pytest.raises(InvalidCrypto, match="generator"):
        paired(key)

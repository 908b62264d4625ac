"""The door: right answers for points and scalars, and a refusal for every input of a wrong length or range."""

import copy
import pickle
from collections.abc import Callable
from hashlib import sha256

import pytest

from keymeld_protocol.curve import secp256k1
from keymeld_protocol.curve.libsecp256k1 import CONTEXT, ffi, lib
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import InvalidCrypto

ORDER = bytes.fromhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
G = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
MINUS_G = b"\x03" + G[1:]
TWO_G = bytes.fromhex("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")
NOT_ON_CURVE = b"\x02" + bytes(31) + b"\x05"  # 5³ + 7 is no square


def scalar(number: int) -> bytes:
    return number.to_bytes(32, "big")


ZERO, ONE, TWO = scalar(0), scalar(1), scalar(2)
MINUS_ONE = scalar(int.from_bytes(ORDER, "big") - 1)
WRONG_SCALARS = [ZERO, ORDER, b"\xff" * 32]


# ---------------------------------------------------------------------------------------------------- public points


def test_points_add_up() -> None:
    assert secp256k1.point_add(G, G) == TWO_G
    assert secp256k1.point_add(G) == G


def test_a_point_and_its_opposite_add_up_to_infinity() -> None:
    assert secp256k1.point_add(G, MINUS_G) is None
    assert secp256k1.point_add(G, TWO_G, MINUS_G) == TWO_G


def test_no_points_add_up_to_infinity() -> None:
    assert secp256k1.point_add() is None


def test_a_point_is_multiplied() -> None:
    assert secp256k1.point_mul(G, TWO) == TWO_G
    assert secp256k1.point_mul(G, MINUS_ONE) == MINUS_G


@pytest.mark.parametrize("wrong", WRONG_SCALARS)
def test_a_point_is_not_multiplied_by_zero_or_by_the_order_or_more(wrong: bytes) -> None:
    with pytest.raises(InvalidCrypto):
        secp256k1.point_mul(G, wrong)


def test_a_point_is_tweaked() -> None:
    assert secp256k1.point_tweak_add(G, ONE) == TWO_G
    assert secp256k1.point_tweak_add(G, ZERO) == G


def test_a_tweak_that_gives_infinity_is_refused() -> None:
    with pytest.raises(InvalidCrypto):
        secp256k1.point_tweak_add(G, MINUS_ONE)


def test_arithmetic_leaves_the_shared_parsed_point_alone() -> None:
    secp256k1.point_mul(G, TWO)
    secp256k1.point_negate(G)
    secp256k1.point_tweak_add(G, ONE)
    assert secp256k1.point_add(G) == G


def test_a_point_is_negated() -> None:
    assert secp256k1.point_negate(G) == MINUS_G
    assert secp256k1.point_negate(MINUS_G) == G


def test_the_parity_of_y_is_told() -> None:
    assert secp256k1.has_even_y(G)
    assert not secp256k1.has_even_y(MINUS_G)


def test_x_is_taken_and_lifted_to_even_y() -> None:
    assert secp256k1.xonly(MINUS_G) == G[1:]
    assert secp256k1.lift_x(G[1:]) == G


def test_an_x_of_no_point_is_not_lifted() -> None:
    with pytest.raises(InvalidCrypto):
        secp256k1.lift_x(NOT_ON_CURVE[1:])


@pytest.mark.parametrize(
    "wrong", [NOT_ON_CURVE, b"\x04" + G[1:], b"\x00" + G[1:], bytes(33), b"\x02" + b"\xff" * 32], ids=bytes.hex
)
def test_what_is_no_point_is_refused(wrong: bytes) -> None:
    with pytest.raises(InvalidCrypto):
        secp256k1.parse_point(wrong)


def test_the_uncompressed_form_is_refused() -> None:
    with pytest.raises(InvalidCrypto):
        secp256k1.parse_point(b"\x04" + G[1:] + bytes(32))


# --------------------------------------------------------------------------------------------------- secret scalars


def test_a_public_key_is_computed() -> None:
    assert secp256k1.pubkey_of(bytearray(TWO)) == TWO_G


@pytest.mark.parametrize("wrong", WRONG_SCALARS)
def test_what_is_no_secret_key_is_refused(wrong: bytes) -> None:
    assert not secp256k1.seckey_verify(wrong)
    for refuse in (secp256k1.pubkey_of, Secret, lambda seckey: secp256k1.ecdh(seckey, G)):
        with pytest.raises(InvalidCrypto):
            refuse(wrong)


def test_a_secret_key_is_tweaked_in_place() -> None:
    seckey = bytearray(ONE)
    secp256k1.seckey_tweak_add(seckey, ONE)
    assert seckey == TWO
    secp256k1.seckey_tweak_mul(seckey, TWO)
    secp256k1.seckey_tweak_add(seckey, ZERO)
    assert seckey == scalar(4)


def test_a_secret_key_is_negated_in_place() -> None:
    seckey = bytearray(ONE)
    secp256k1.seckey_negate(seckey)
    assert seckey == MINUS_ONE


Tweak = Callable[[bytearray, bytes], None]


@pytest.mark.parametrize(
    ("tweaked", "tweak"),
    [
        (secp256k1.seckey_tweak_add, MINUS_ONE),  # the sum is 0
        (secp256k1.seckey_tweak_add, ORDER),
        (secp256k1.seckey_tweak_add, ONE[:31]),
        (secp256k1.seckey_tweak_mul, ZERO),
        (secp256k1.seckey_tweak_mul, ORDER),
        (secp256k1.seckey_tweak_mul, ONE + b"\x00"),
    ],
)
def test_a_failed_tweak_wipes_the_secret_key(tweaked: Tweak, tweak: bytes) -> None:
    seckey = bytearray(ONE)
    with pytest.raises(InvalidCrypto):
        tweaked(seckey, tweak)
    assert seckey == ZERO


def test_a_failed_negation_wipes_the_buffer() -> None:
    buffer = bytearray(b"\xff" * 32)
    with pytest.raises(InvalidCrypto):
        secp256k1.seckey_negate(buffer)
    assert buffer == ZERO


def test_both_sides_agree_on_a_shared_secret() -> None:
    alice, bob = Secret.generate(), Secret.generate()
    assert secp256k1.ecdh(alice.buffer, bob.point) == secp256k1.ecdh(bob.buffer, alice.point)


def test_the_shared_secret_is_the_hash_of_the_compressed_product() -> None:
    assert secp256k1.ecdh(TWO, G) == sha256(TWO_G).digest()


def test_a_buffer_is_wiped_and_keeps_its_length() -> None:
    buffer = bytearray(b"\xaa" * 40)
    secp256k1.wipe(buffer)
    assert buffer == bytes(40)


# ----------------------------------------------------------------------------------------------------- wrong lengths


@pytest.mark.parametrize(
    ("size", "call"),
    [
        (33, secp256k1.parse_point),
        (33, secp256k1.xonly),
        (33, secp256k1.has_even_y),
        (33, secp256k1.point_negate),
        (33, lambda given: secp256k1.point_add(G, given)),
        (33, lambda given: secp256k1.point_mul(given, ONE)),
        (33, lambda given: secp256k1.ecdh(ONE, given)),
        (32, lambda given: secp256k1.point_mul(G, given)),
        (32, lambda given: secp256k1.point_tweak_add(G, given)),
        (32, lambda given: secp256k1.ecdh(given, G)),
        (32, secp256k1.lift_x),
        (32, secp256k1.pubkey_of),
        (32, Secret),
        (32, lambda given: secp256k1.seckey_negate(bytearray(given))),
        (32, lambda given: secp256k1.seckey_tweak_add(bytearray(given), ONE)),
        (32, lambda given: secp256k1.seckey_tweak_add(bytearray(ONE), given)),
        (32, lambda given: secp256k1.seckey_tweak_mul(bytearray(ONE), given)),
    ],
)
def test_an_input_of_any_other_length_is_refused(size: int, call: Callable[[bytes], object]) -> None:
    for length in {*range(70)} - {size}:
        with pytest.raises(InvalidCrypto):
            call(b"\x02" * length)


def test_a_secret_key_of_another_length_is_none() -> None:
    assert not any(secp256k1.seckey_verify(b"\x01" * length) for length in range(70) if length != 32)


def test_misuse_of_the_binding_returns_zero_and_the_process_lives() -> None:
    assert lib.secp256k1_ec_pubkey_negate(CONTEXT, ffi.new("secp256k1_pubkey *")) == 0


# ------------------------------------------------------------------------------------------------ holders of secrets


def test_a_secret_copies_its_scalar_in() -> None:
    given = bytearray(TWO)
    secret = Secret(given)
    secp256k1.wipe(given)
    assert secret.point == TWO_G


def test_generated_secrets_differ() -> None:
    assert Secret.generate().point != Secret.generate().point


def test_a_secret_prints_nothing() -> None:
    secret = Secret(b"\xab" * 32)
    assert repr(secret) == str(secret) == f"{secret}" == "<Secret>"


@pytest.mark.parametrize("spread", [copy.copy, copy.deepcopy, pickle.dumps, lambda it: copy.deepcopy([it])])
def test_a_secret_is_neither_copied_nor_pickled(spread: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="never"):
        spread(Secret.generate())


def test_secrets_are_not_compared_by_value() -> None:
    assert Secret(TWO) != Secret(TWO)


def test_a_with_block_wipes_its_secret() -> None:
    with Secret.generate() as secret:
        buffer = secret.buffer
    assert buffer == ZERO


def test_the_last_reference_wipes_the_secret() -> None:
    secret = Secret.generate()
    buffer = secret.buffer
    del secret
    assert buffer == ZERO


def test_a_wiped_secret_is_refused() -> None:
    secret = Secret.generate()
    secret.wipe()
    with pytest.raises(InvalidCrypto):
        _ = secret.point


def test_a_refusal_never_shows_the_value() -> None:
    with pytest.raises(InvalidCrypto) as caught:
        Secret(b"\xff" * 32)
    assert "ffff" not in str(caught.value) and "xff" not in str(caught.value)

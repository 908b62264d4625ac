"""ECDSA: RFC 6979's nonces, low s alone, and two ways to write a signature."""

import hmac
from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.curve import ecdsa
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import InvalidCrypto

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
HALF = ORDER // 2
MESSAGE = sha256(b"sample").digest()
KEY = Secret(bytes(31) + b"\x07")

SCALARS = st.integers(min_value=0, max_value=ORDER - 1)
KEYS = st.integers(min_value=1, max_value=ORDER - 1)
MESSAGES = st.binary(min_size=32, max_size=32)

# Published with RFC 6979 for secp256k1 by Bitcoin's wallets: secret, message before SHA-256, r ‖ s.
PUBLISHED = [
    (
        "0000000000000000000000000000000000000000000000000000000000000001", b"Satoshi Nakamoto",
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
        "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
    ),
    (
        "0000000000000000000000000000000000000000000000000000000000000001",
        b"All those moments will be lost in time, like tears in rain. Time to die...",
        "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
        "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
    ),
    (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", b"Satoshi Nakamoto",
        "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"
        "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
    ),
    (
        "f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181", b"Alan Turing",
        "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c"
        "58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea",
    ),
]  # fmt: skip


def high(signature: bytes) -> bytes:
    """The same signature with its s in the upper half."""
    return signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")


def rfc6979(secret: bytes, message: bytes, extra: bytes) -> int:
    """The nonce of RFC 6979, section 3.2, with the additional data of 3.6, written down from the text."""
    seed = secret + (int.from_bytes(message, "big") % ORDER).to_bytes(32, "big") + extra
    v, k = b"\x01" * 32, bytes(32)
    for byte in (b"\x00", b"\x01"):
        k = hmac.digest(k, v + byte + seed, "sha256")
        v = hmac.digest(k, v, "sha256")
    return int.from_bytes(hmac.digest(k, v, "sha256"), "big")


def other(secret: Secret) -> ec.EllipticCurvePrivateKey:
    """The same key in an implementation that shares no code with ours."""
    return ec.derive_private_key(int.from_bytes(secret.buffer, "big"), ec.SECP256K1())


def other_verifies(encoded: bytes, message: bytes, point: bytes) -> bool:
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), point)
    try:
        key.verify(encoded, message, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize(("secret", "text", "signature"), PUBLISHED)
def test_the_published_signatures_of_rfc_6979_are_made(secret: str, text: bytes, signature: str) -> None:
    message = sha256(text).digest()
    made = ecdsa.sign(message, Secret(bytes.fromhex(secret)), b"")
    assert made.hex() == signature
    assert ecdsa.verify(made, message, Secret(bytes.fromhex(secret)).point)


@given(KEYS, MESSAGES, MESSAGES)
def test_the_extra_bytes_go_into_the_nonce_as_rfc_6979_says(key: int, message: bytes, extra: bytes) -> None:
    secret = Secret(key.to_bytes(32, "big"))
    nonce = rfc6979(bytes(secret.buffer), message, extra)
    expected = ec.derive_private_key(nonce, ec.SECP256K1()).public_key().public_numbers().x % ORDER
    assert ecdsa.sign(message, secret, extra)[:32] == expected.to_bytes(32, "big")


@given(KEYS, MESSAGES)
def test_what_is_signed_has_low_s_and_verifies_elsewhere_too(key: int, message: bytes) -> None:
    secret = Secret(key.to_bytes(32, "big"))
    signature = ecdsa.sign(message, secret)
    assert int.from_bytes(signature[32:], "big") <= HALF
    assert ecdsa.verify(signature, message, secret.point)
    assert other_verifies(ecdsa.der(signature), message, secret.point)


@given(KEYS, MESSAGES)
def test_what_another_implementation_signs_verifies_once_its_s_is_low(key: int, message: bytes) -> None:
    secret = Secret(key.to_bytes(32, "big"))
    signature = ecdsa.compact(other(secret).sign(message, ec.ECDSA(Prehashed(SHA256()))))
    is_low = int.from_bytes(signature[32:], "big") <= HALF
    assert ecdsa.verify(signature if is_low else high(signature), message, secret.point)


def test_two_signatures_of_one_message_differ() -> None:
    assert ecdsa.sign(MESSAGE, KEY) != ecdsa.sign(MESSAGE, KEY)


def test_high_s_is_refused() -> None:
    signature = high(ecdsa.sign(MESSAGE, KEY))
    assert other_verifies(ecdsa.der(signature), MESSAGE, KEY.point), "it is right but for its form"
    assert not ecdsa.verify(signature, MESSAGE, KEY.point)


def test_an_altered_signature_message_or_key_does_not_verify() -> None:
    signature = ecdsa.sign(MESSAGE, KEY)
    assert not ecdsa.verify(signature[:-1] + bytes([signature[-1] ^ 1]), MESSAGE, KEY.point)
    assert not ecdsa.verify(signature, sha256(b"test").digest(), KEY.point)
    assert not ecdsa.verify(signature, MESSAGE, Secret.generate().point)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_is_none(size: int) -> None:
    assert not ecdsa.verify(b"\x01" * size, MESSAGE, KEY.point)


def test_what_is_no_message_or_no_key_verifies_nothing() -> None:
    signature = ecdsa.sign(MESSAGE, KEY)
    assert not ecdsa.verify(signature, MESSAGE[:31], KEY.point)
    assert not ecdsa.verify(signature, MESSAGE, b"\x02" + b"\xff" * 32)
    assert not ecdsa.verify(signature, MESSAGE, KEY.point[1:])


def test_numbers_that_are_not_below_the_order_are_no_signature() -> None:
    assert not ecdsa.verify(b"\xff" * 64, MESSAGE, KEY.point)
    with pytest.raises(InvalidCrypto, match="below the group's order"):
        ecdsa.der(b"\xff" * 64)


def test_a_wiped_secret_signs_nothing() -> None:
    secret = Secret.generate()
    secret.wipe()
    with pytest.raises(InvalidCrypto, match="wiped"):
        ecdsa.sign(MESSAGE, secret)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_messages_have_32_bytes(size: int) -> None:
    with pytest.raises(InvalidCrypto, match="message: 32 bytes"):
        ecdsa.sign(bytes(size), KEY)


def test_extra_bytes_are_32_or_none() -> None:
    with pytest.raises(InvalidCrypto, match="extra: 32 bytes"):
        ecdsa.sign(MESSAGE, KEY, bytes(31))


# DER --------------------------------------------------------------------------------------------------------------


@given(SCALARS, SCALARS)
def test_der_and_compact_are_each_others_way_back(r: int, s: int) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert ecdsa.compact(ecdsa.der(signature)) == signature
    assert decode_dss_signature(ecdsa.der(signature)) == (r, s)


def test_the_longest_der_signature_has_72_bytes() -> None:
    assert len(ecdsa.der((ORDER - 1).to_bytes(32, "big") * 2)) == 72


def test_a_number_of_der_must_be_below_the_order() -> None:
    with pytest.raises(InvalidCrypto, match="strict DER"):
        ecdsa.compact(encode_dss_signature(ORDER, 1))


@given(SCALARS, SCALARS, st.data())
def test_der_that_was_cut_off_or_altered_in_form_is_refused(r: int, s: int, data: st.DataObject) -> None:
    encoded = ecdsa.der(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    cut = encoded[: data.draw(st.integers(min_value=0, max_value=len(encoded) - 1))]
    padded = bytes([0x30, encoded[1] + 1, 2, encoded[3] + 1, 0]) + encoded[4:]
    for wrong in (cut, encoded + b"\x01", padded):
        with pytest.raises(InvalidCrypto, match="strict DER"):
            ecdsa.compact(wrong)

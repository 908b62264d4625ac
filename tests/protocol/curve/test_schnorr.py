"""BIP-340: the published vectors, and an identity that signs and keeps its secret."""

import copy
import csv
import pickle
from collections.abc import Callable
from hashlib import sha256

import pytest

from keymeld_protocol.curve import schnorr
from keymeld_protocol.curve.schnorr import Keypair, tagged_hash, verify
from keymeld_protocol.curve.secp256k1 import Secret, pubkey_of
from keymeld_protocol.errors import InvalidCrypto
from tests.support.vectors import published

MESSAGE = bytes(range(32))


@pytest.fixture
def rows() -> list[dict[str, str]]:
    with published("bip340/test-vectors.csv").open() as file:
        return [row for row in csv.DictReader(file) if len(row["message"]) == 64]  # ours are 32 bytes, always


def test_the_published_signatures_verify_as_they_should(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 15
    for row in rows:
        signature, message, key = (bytes.fromhex(row[name]) for name in ("signature", "message", "public key"))
        assert verify(signature, message, key) is (row["verification result"] == "TRUE"), row["comment"]


def test_the_published_signatures_are_made_with_their_randomness(
    rows: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in (row for row in rows if row["secret key"]):
        aux = bytes.fromhex(row["aux_rand"])
        monkeypatch.setattr(schnorr, "urandom", lambda size, aux=aux: aux)
        key = Keypair(Secret(bytes.fromhex(row["secret key"])))
        assert key.key.hex().upper() == row["public key"]
        assert key.sign(bytes.fromhex(row["message"])).hex().upper() == row["signature"]


def test_a_tagged_hash_is_two_hashes_of_the_tag_and_then_the_data() -> None:
    tag = sha256(b"keymeld/test/v1").digest()
    for data in (b"", b"one", b"two" * 100):
        assert tagged_hash("keymeld/test/v1", data) == sha256(tag + tag + data).digest()


def test_a_tagged_hash_takes_any_buffer() -> None:
    assert tagged_hash("t", bytearray(b"x")) == tagged_hash("t", memoryview(b"x")) == tagged_hash("t", b"x")


def test_what_is_signed_verifies() -> None:
    secret = Secret.generate()
    assert verify(schnorr.sign(MESSAGE, secret), MESSAGE, secret.point[1:])


def test_an_altered_signature_message_or_key_does_not_verify() -> None:
    key = Keypair.generate()
    signature = key.sign(MESSAGE)
    for place in range(0, 64, 7):
        assert not verify(_flip(signature, place), MESSAGE, key.key)
    assert not verify(signature, _flip(MESSAGE, 0), key.key)
    assert not verify(signature, MESSAGE, Keypair.generate().key)


def test_two_signatures_of_one_message_differ() -> None:
    key = Keypair.generate()
    assert key.sign(MESSAGE) != key.sign(MESSAGE)


def test_wrong_lengths_are_no_signatures() -> None:
    key = Keypair.generate()
    signature = key.sign(MESSAGE)
    for length in range(80):
        assert verify((signature * 2)[:length], MESSAGE, key.key) is (length == 64)
        assert verify(signature, (MESSAGE * 3)[:length], key.key) is (length == 32)
        assert verify(signature, MESSAGE, (key.key * 3)[:length]) is (length == 32)


def test_a_message_of_another_length_is_not_signed() -> None:
    key = Keypair.generate()
    for length in {*range(70)} - {32}:
        with pytest.raises(InvalidCrypto):
            key.sign(bytes(length))


def test_a_signing_key_shows_its_plain_and_its_xonly_key() -> None:
    secret = Secret.generate()
    key = Keypair(secret)
    assert key.point == pubkey_of(secret.buffer)
    assert key.key == key.point[1:]


def test_a_signing_key_prints_nothing() -> None:
    key = Keypair.generate()
    assert repr(key) == str(key) == "<Keypair>"


@pytest.mark.parametrize("spread", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_signing_key_is_neither_copied_nor_pickled(spread: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="never"):
        spread(Keypair.generate())


def test_a_wiped_signing_key_does_not_sign() -> None:
    key = Keypair.generate()
    key.wipe()
    with pytest.raises(InvalidCrypto):
        key.sign(MESSAGE)


def test_a_wiped_secret_makes_no_signing_key() -> None:
    secret = Secret.generate()
    secret.wipe()
    with pytest.raises(InvalidCrypto):
        Keypair(secret)


def _flip(value: bytes, place: int) -> bytes:
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]

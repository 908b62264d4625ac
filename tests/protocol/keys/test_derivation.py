"""Every derivation against RFC 5869 written out by hand, and the proof of possession against every other place."""

import copy
import hmac
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from keymeld_protocol.curve.schnorr import Keypair, verify
from keymeld_protocol.curve.secp256k1 import Secret, has_even_y, pubkey_of, xonly
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.keys import derivation
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.values import Hash, Id, PlainKey, Salt, Signature, XOnlyKey

ROOT = bytes(range(32))
KEYGEN = Id(b"\x11" * 32)
OTHER_KEYGEN = Id(b"\x12" * 32)
SALT = Salt(b"\x22" * 32)
POLICIES = [Hash(bytes([n]) * 32) for n in (0x44, 0x45, 0x46)]


def rfc5869(ikm: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 to one block, by its definition."""
    extracted = hmac.digest(salt or bytes(32), ikm, sha256)
    return hmac.digest(extracted, info + b"\x01", sha256)


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def copied(secret: Secret) -> bytes:
    """The bytes of a secret that is wiped as soon as nobody holds it."""
    return bytes(secret.buffer)


def xonly_of(scalar: bytes) -> bytes:
    return xonly(pubkey_of(scalar))


# ------------------------------------------------------------------------------------------------------ derivations


def test_the_creator_key_comes_from_the_salt() -> None:
    assert Identity(ROOT).creator(SALT).key == xonly_of(rfc5869(ROOT, SALT, b"keymeld/create/v1"))


def test_the_auth_key_comes_from_the_keygen_and_the_slot() -> None:
    expected = rfc5869(ROOT, KEYGEN, b"keymeld/auth/v1" + u16(258))
    assert Identity(ROOT).auth(KEYGEN, 258).key == xonly_of(expected)


def test_the_signing_key_comes_from_keygen_slot_and_policy() -> None:
    expected = rfc5869(ROOT, KEYGEN, b"keymeld/signing/v1" + u16(3) + POLICIES[0])
    assert copied(Identity(ROOT).signing(KEYGEN, 3, POLICIES[0])) == expected


def test_the_wallet_key_comes_from_the_identity_alone() -> None:
    assert Identity(ROOT).wallet().key == xonly_of(rfc5869(ROOT, b"", b"keymeld/wallet/v1"))


def test_the_open_secret_comes_from_the_salt() -> None:
    assert Identity(ROOT).open_secret(SALT) == rfc5869(ROOT, SALT, b"keymeld/open/v1")


def test_a_slot_secret_comes_from_the_open_secret() -> None:
    assert copied(derivation.slot_secret(ROOT, 7)) == rfc5869(ROOT, b"", b"keymeld/invite/v1" + u16(7))


def test_what_one_root_derives_is_all_distinct() -> None:
    identity = Identity(ROOT)
    made = [identity.creator(SALT).key, identity.wallet().key]
    made += [identity.auth(k, slot).key for k in (KEYGEN, OTHER_KEYGEN) for slot in range(3)]
    made += [xonly(identity.signing(KEYGEN, slot, policy).point) for slot in range(3) for policy in POLICIES]
    made += [xonly(derivation.slot_secret(ROOT, slot).point) for slot in range(3)]
    assert len(set(made)) == len(made)


def test_the_same_phrase_finds_the_same_keys_again() -> None:
    assert Identity(ROOT).auth(KEYGEN, 1).key == Identity(bytearray(ROOT)).auth(KEYGEN, 1).key


@pytest.mark.parametrize("size", [0, 31, 33])
def test_roots_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(InvalidCrypto, match="identity secret: 32 bytes"):
        Identity(bytes(size))
    with pytest.raises(InvalidCrypto, match="open secret: 32 bytes"):
        derivation.slot_secret(bytes(size), 0)


# ---------------------------------------------------------------------------------------------------------- secrecy


@pytest.mark.parametrize(
    "derive",
    [
        lambda identity: identity.creator(SALT),
        lambda identity: identity.auth(KEYGEN, 0),
        lambda identity: identity.signing(KEYGEN, 0, POLICIES[0]),
        lambda identity: identity.wallet(),
    ],
)
def test_a_wiped_identity_derives_nothing(derive: Callable[[Identity], object]) -> None:
    identity = Identity.generate()
    identity.wipe()
    with pytest.raises(InvalidCrypto, match="identity secret"):
        derive(identity)


def test_wiping_overwrites_the_identity_before_letting_go_of_it() -> None:
    identity = Identity(ROOT)
    lent = identity.buffer
    identity.wipe()
    identity.wipe()
    assert lent == bytes(32)


def test_an_identity_is_never_copied_pickled_or_shown() -> None:
    identity = Identity(ROOT)
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            refused(identity)
    assert repr(identity) == str(identity) == "<Identity>"


# ------------------------------------------------------------------------------------------------------- parity of y


def secret_of(parity: str) -> Secret:
    """A secret whose point has even or odd y."""
    while True:
        secret = Secret.generate()
        if has_even_y(secret.point) == (parity == "even"):
            return secret


@pytest.mark.parametrize("parity", ["even", "odd"])
def test_an_even_secret_belongs_to_the_same_x_and_leaves_the_original_alone(parity: str) -> None:
    secret = secret_of(parity)
    before = secret.point
    assert derivation.even_secret(secret).point == b"\x02" + xonly(before)
    assert secret.point == before


# ---------------------------------------------------------------------------------------------- proof of possession


@dataclass(frozen=True)
class Place:
    """Where a proof of possession belongs."""

    keygen_id: Id
    slot: int
    auth: XOnlyKey


SIGNING = Secret(b"\x33" * 32)
PUBKEY = PlainKey(SIGNING.point)
PLACE = Place(KEYGEN, 2, XOnlyKey(Identity(ROOT).auth(KEYGEN, 2).key))
PROOF = derivation.prove_possession(SIGNING, PLACE.keygen_id, PLACE.slot, PLACE.auth)


def proven(place: Place, pubkey: PlainKey = PUBKEY, proof: Signature = PROOF) -> bool:
    return derivation.possession_is_proven(proof, place.keygen_id, place.slot, place.auth, pubkey)


def test_a_proof_of_possession_verifies_in_its_place() -> None:
    assert proven(PLACE)
    assert verify(PROOF, derivation.possession_message(KEYGEN, 2, PLACE.auth, PUBKEY), PUBKEY[1:])


@pytest.mark.parametrize("parity", ["even", "odd"])
def test_signing_keys_of_either_parity_prove_themselves(parity: str) -> None:
    secret = secret_of(parity)
    proof = derivation.prove_possession(secret, KEYGEN, 2, PLACE.auth)
    assert proven(PLACE, PlainKey(secret.point), proof)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, keygen_id=OTHER_KEYGEN),
        replace(PLACE, slot=3),
        replace(PLACE, auth=XOnlyKey(Identity(ROOT).auth(KEYGEN, 3).key)),
    ],
    ids=["another session", "another slot", "another auth key"],
)
def test_attack_30_a_proof_copied_elsewhere_is_refused(elsewhere: Place) -> None:
    assert not proven(elsewhere)


def test_a_proof_does_not_hold_for_the_key_of_opposite_y() -> None:
    opposite = PlainKey(bytes([PUBKEY[0] ^ 1]) + PUBKEY[1:])
    assert not proven(PLACE, opposite)


@pytest.mark.parametrize("prefix", [0, 1, 4, 5, 6, 255])
def test_a_key_that_is_no_point_proves_nothing(prefix: int) -> None:
    wrong = PlainKey(bytes([prefix]) + PUBKEY[1:])
    with Keypair(SIGNING) as key:  # a perfect signature over the wrong key
        proof = Signature(key.sign(derivation.possession_message(KEYGEN, 2, PLACE.auth, wrong)))
    assert not proven(PLACE, wrong, proof)


@pytest.mark.parametrize("index", range(0, 64, 7))
def test_an_altered_proof_is_refused(index: int) -> None:
    altered = bytearray(PROOF)
    altered[index] ^= 1
    assert not proven(PLACE, proof=Signature(bytes(altered)))

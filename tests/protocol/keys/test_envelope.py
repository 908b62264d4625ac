"""An envelope opens for one enclave in one place, and is refused everywhere else."""

import copy
import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.curve.secp256k1 import Secret, ecdh, has_even_y, xonly
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.keys import aead, envelope
from keymeld_protocol.keys.envelope import (
    MAX_POLICY,
    MIN_ENVELOPE,
    EnvelopeContext,
    OpenedEnvelope,
    open_envelope,
    seal_envelope,
)
from keymeld_protocol.keys.kdf import hkdf
from keymeld_protocol.values import Digest, Hash, Id, XOnlyKey
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.sizes import MAX_ENVELOPE


def identity_of(parity: str) -> Secret:
    """An enclave identity whose point has even or odd y."""
    while True:
        secret = Secret.generate()
        if has_even_y(secret.point) == (parity == "even"):
            return secret


IDENTITY, OTHER_IDENTITY = identity_of("even"), identity_of("even")
KEY_BYTES = b"\x33" * 32
S = bytes(range(32))
POLICY = b'{"v":1}'
CONTEXT = EnvelopeContext(
    keygen_id=Id(b"\x11" * 32),
    slot=2,
    policy=Hash(b"\xbb" * 32),
    auth=XOnlyKey(b"\xaa" * 32),
    enclave=XOnlyKey(xonly(IDENTITY.point)),
)


def sealed(context: EnvelopeContext = CONTEXT, policy: bytes = POLICY) -> bytes:
    return seal_envelope(context, Secret(KEY_BYTES), S, policy)


def forged(plaintext: bytes) -> bytes:
    """An envelope, correct in every respect but for what is inside."""
    ephemeral = Secret.generate()
    points = ephemeral.point + CONTEXT.point
    key = hkdf(ecdh(ephemeral.buffer, CONTEXT.point), points, b"keymeld/envelope/v1")
    return b"\x01" + ephemeral.point + aead.seal(key, plaintext, CONTEXT.data)


# --------------------------------------------------------------------------------------------------------- round trips


def test_an_envelope_gives_back_key_group_secret_and_policy() -> None:
    opened = open_envelope(IDENTITY, CONTEXT, sealed())
    assert opened.signing.buffer == KEY_BYTES
    assert opened.group_secret == S
    assert opened.policy == POLICY


@pytest.mark.parametrize("parity", ["even", "odd"])
def test_attack_49_an_identity_of_either_parity_opens_its_envelopes(parity: str) -> None:
    identity = identity_of(parity)
    context = replace(CONTEXT, enclave=XOnlyKey(xonly(identity.point)))
    opened = open_envelope(identity, context, sealed(context))
    assert opened.group_secret == S


@settings(max_examples=25)
@given(st.binary(max_size=MAX_POLICY))
def test_every_policy_that_fits_comes_back(policy: bytes) -> None:
    assert open_envelope(IDENTITY, CONTEXT, sealed(policy=policy)).policy == policy


def test_the_bytes_are_those_of_the_specification() -> None:
    opened = open_envelope(IDENTITY, CONTEXT, forged(KEY_BYTES + S + POLICY))
    assert opened.signing.buffer == KEY_BYTES
    place = CONTEXT.keygen_id + b"\x00\x02" + CONTEXT.policy + CONTEXT.auth + CONTEXT.enclave
    assert CONTEXT.data == tagged_hash("keymeld/envelope/v1", place)


def test_no_two_envelopes_are_alike() -> None:
    first, second = sealed(), sealed()
    assert first[1:34] != second[1:34] and first[34:] != second[34:]


def test_a_join_says_where_its_envelope_belongs() -> None:
    join = KeygenJoin(
        v=1, by=CONTEXT.auth, stream=CONTEXT.keygen_id, after=Hash(bytes(32)), slot=2, invite=XOnlyKey(bytes(32)),
        custody="sealed", rule=Rule(approval="self"), policy=CONTEXT.policy, enclave=CONTEXT.enclave,
        card=Digest(bytes(32)), envelope=Digest(bytes(32)),
    )  # fmt: skip
    assert EnvelopeContext.of_join(join) == CONTEXT


# ------------------------------------------------------------------------------------------------- in no other place


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(CONTEXT, keygen_id=Id(b"\x12" * 32)),
        replace(CONTEXT, slot=3),
        replace(CONTEXT, policy=Hash(b"\xbc" * 32)),
        replace(CONTEXT, policy=Hash(CONTEXT.auth), auth=XOnlyKey(CONTEXT.policy)),
        replace(CONTEXT, auth=XOnlyKey(b"\xab" * 32)),
        replace(CONTEXT, auth=CONTEXT.enclave),
    ],
    ids=["session", "slot", "policy", "policy and auth key swapped", "auth key", "enclave as auth key"],
)
def test_attack_23_an_envelope_replayed_elsewhere_is_refused(elsewhere: EnvelopeContext) -> None:
    with pytest.raises(InvalidCrypto, match="does not open"):
        open_envelope(IDENTITY, elsewhere, sealed())


def test_an_envelope_for_another_enclave_is_refused() -> None:
    with pytest.raises(InvalidCrypto, match="another enclave identity"):
        open_envelope(OTHER_IDENTITY, CONTEXT, sealed())
    theirs = replace(CONTEXT, enclave=XOnlyKey(xonly(OTHER_IDENTITY.point)))
    with pytest.raises(InvalidCrypto, match="does not open"):
        open_envelope(OTHER_IDENTITY, theirs, sealed())


def test_attack_1_an_envelope_sealed_to_a_foreign_key_does_not_open_for_the_named_one() -> None:
    theirs = replace(CONTEXT, enclave=XOnlyKey(xonly(OTHER_IDENTITY.point)))
    with pytest.raises(InvalidCrypto, match="does not open"):
        open_envelope(IDENTITY, CONTEXT, sealed(theirs))


def test_an_ephemeral_point_that_was_negated_is_refused() -> None:
    altered = bytearray(sealed())
    altered[1] ^= 1
    with pytest.raises(InvalidCrypto, match="does not open"):
        open_envelope(IDENTITY, CONTEXT, bytes(altered))


# ------------------------------------------------------------------------------------------------------ odd and short


def test_truncations_of_every_length_are_refused() -> None:
    whole = sealed()
    for size in range(len(whole)):
        with pytest.raises(InvalidCrypto):
            open_envelope(IDENTITY, CONTEXT, whole[:size])


def test_every_altered_byte_is_refused() -> None:
    whole = sealed()
    for at in range(len(whole)):
        altered = bytearray(whole)
        altered[at] ^= 0x40
        with pytest.raises(InvalidCrypto):
            open_envelope(IDENTITY, CONTEXT, bytes(altered))


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidCrypto):
        open_envelope(IDENTITY, CONTEXT, raw)


def test_an_envelope_has_its_sizes() -> None:
    assert len(sealed(policy=b"")) == MIN_ENVELOPE == 138
    assert len(sealed(policy=bytes(MAX_POLICY))) == MAX_ENVELOPE == 16384


def test_what_is_too_big_is_refused_on_both_sides() -> None:
    with pytest.raises(InvalidCrypto, match="policy: at most 16246 bytes"):
        sealed(policy=bytes(MAX_POLICY + 1))
    with pytest.raises(InvalidCrypto, match="138 to 16384 bytes"):
        open_envelope(IDENTITY, CONTEXT, forged(KEY_BYTES + S + bytes(MAX_POLICY + 1)))


def test_another_version_is_refused() -> None:
    with pytest.raises(InvalidCrypto, match="newer version"):
        open_envelope(IDENTITY, CONTEXT, b"\x02" + sealed()[1:])


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32], ids=["zero", "above the order"])
def test_an_envelope_without_a_key_inside_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidCrypto, match="secret"):
        open_envelope(IDENTITY, CONTEXT, forged(key + S))


def test_an_enclave_key_that_is_no_point_is_refused() -> None:
    with pytest.raises(InvalidCrypto, match="point"):
        sealed(replace(CONTEXT, enclave=XOnlyKey(bytes(31) + b"\x05")))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_group_secrets_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(InvalidCrypto, match="group secret: 32 bytes"):
        seal_envelope(CONTEXT, Secret(KEY_BYTES), bytes(size), POLICY)


def test_a_wiped_signing_key_is_not_sealed() -> None:
    secret = Secret(KEY_BYTES)
    secret.wipe()
    with pytest.raises(InvalidCrypto, match="signing key"):
        seal_envelope(CONTEXT, secret, S, POLICY)


# ------------------------------------------------------------------------------------------------------------- secrecy


def test_wiping_overwrites_both_secrets() -> None:
    with open_envelope(IDENTITY, CONTEXT, sealed()) as opened:
        pass
    assert opened.signing.buffer == bytes(32)
    assert opened.group_secret == bytes(32)


def test_a_signing_key_outlives_the_envelope_it_came_in() -> None:
    signing = open_envelope(IDENTITY, CONTEXT, sealed()).signing
    assert signing.buffer == KEY_BYTES


def test_sealing_leaves_the_callers_secrets_alone() -> None:
    signing, group_secret = Secret(KEY_BYTES), bytearray(S)
    seal_envelope(CONTEXT, signing, group_secret, POLICY)
    assert signing.buffer == KEY_BYTES and group_secret == S


def test_the_opened_plaintext_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytearray] = []
    monkeypatch.setattr(envelope, "OpenedEnvelope", seen.append)
    open_envelope(IDENTITY, CONTEXT, sealed())
    assert seen == [bytearray(64 + len(POLICY))]


def test_an_opened_envelope_is_never_copied_pickled_or_shown() -> None:
    opened = OpenedEnvelope(bytearray(KEY_BYTES + S))
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            refused(opened)
    assert repr(opened) == "<OpenedEnvelope>"

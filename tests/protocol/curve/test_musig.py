"""BIP-327's public half: its vectors, agreement with another implementation, and psigs that lie."""

from collections.abc import Callable
from typing import Any

import pytest
from ecc.ecc import musig2 as oracle

from keymeld_protocol.curve.keyagg import KeyAgg, Tweak, aggregate, key_agg
from keymeld_protocol.curve.musig import (
    SessionContext,
    aggregate_psigs,
    bind_adaptor,
    nonce_agg,
    signature,
    verify_collapsed_psig,
    verify_psig,
)
from keymeld_protocol.curve.musig_secret import CollapsedSigner
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret, point_add, point_negate
from keymeld_protocol.errors import InvalidCrypto
from tests.support.ceremony import Signed, sign_together
from tests.support.vectors import published_json

MESSAGE = bytes(range(32))
TWEAKS = [Tweak(b"\x11" * 32, xonly=False), Tweak(b"\x22" * 32, xonly=True), Tweak(b"\x33" * 32, xonly=True)]


def unhex(values: list[str], indices: list[int]) -> list[bytes]:
    return [bytes.fromhex(values[index]) for index in indices]


def keyagg_of(vectors: Any, case: Any) -> KeyAgg:
    values = unhex(vectors.get("tweaks", []), case.get("tweak_indices", []))
    tweaks = (Tweak(value, xonly) for value, xonly in zip(values, case.get("is_xonly", []), strict=True))
    return key_agg(tuple(unhex(vectors["pubkeys"], case["key_indices"])), tuple(tweaks))


@pytest.fixture(scope="module")
def secrets() -> list[Secret]:
    return [Secret.generate() for _ in range(5)]


@pytest.fixture(scope="module")
def keyagg(secrets: list[Secret]) -> KeyAgg:
    return aggregate((secret.point for secret in secrets), TWEAKS)


@pytest.fixture(scope="module")
def signed(keyagg: KeyAgg, secrets: list[Secret]) -> Signed:
    """Three slots sign as one signer, the other two each for itself."""
    slots = (secrets[:3], secrets[3:4], secrets[4:])
    return sign_together(keyagg, [CollapsedSigner(keyagg, held) for held in slots], MESSAGE)


def keys_of(secrets: list[Secret]) -> list[bytes]:
    return [secret.point for secret in secrets]


# ---------------------------------------------------------------------------------------------------------- vectors


def test_nonce_agg_vectors() -> None:
    vectors = published_json("bip327/nonce_agg_vectors.json")
    for case in vectors["valid_test_cases"]:
        pubnonces = unhex(vectors["pnonces"], case["pnonce_indices"])
        assert nonce_agg(pubnonces).hex().upper() == case["expected"]


def test_nonce_agg_vectors_that_fail() -> None:
    vectors = published_json("bip327/nonce_agg_vectors.json")
    for case in vectors["error_test_cases"]:
        with pytest.raises(InvalidCrypto, match=rf"pubnonces\[{case['error']['signer']}\]"):
            nonce_agg(unhex(vectors["pnonces"], case["pnonce_indices"]))


def test_psigs_of_the_sign_verify_vectors_verify() -> None:
    vectors = published_json("bip327/sign_verify_vectors.json")
    cases = [case for case in vectors["valid_test_cases"] if len(vectors["msgs"][case["msg_index"]]) == 64]
    assert len(cases) == 4  # libsecp256k1 signs 32-byte messages only: two of the six are of another length
    for case in cases:
        assert verify_case(vectors, case, bytes.fromhex(case["expected"]))


def test_sign_verify_vectors_that_fail_to_verify() -> None:
    vectors = published_json("bip327/sign_verify_vectors.json")
    for case in vectors["verify_fail_test_cases"]:
        assert not verify_case(vectors, case, bytes.fromhex(case["sig"]))


def test_sign_verify_vectors_that_cannot_be_verified() -> None:
    vectors = published_json("bip327/sign_verify_vectors.json")
    for case in vectors["verify_error_test_cases"]:
        contrib = {"pubnonce": "pubnonces", "pubkey": "keys"}[case["error"]["contrib"]]
        with pytest.raises(InvalidCrypto, match=rf"{contrib}\[{case['error']['signer']}\]"):
            verify_case(vectors, case, bytes.fromhex(case["sig"]))


def test_tweak_vectors_verify() -> None:
    vectors = published_json("bip327/tweak_vectors.json")
    vectors["msgs"] = [vectors["msg"]]
    for case in vectors["valid_test_cases"]:
        assert verify_case(vectors, {**case, "msg_index": 0}, bytes.fromhex(case["expected"]))


def test_sig_agg_vectors() -> None:
    vectors = published_json("bip327/sig_agg_vectors.json")
    for case in vectors["valid_test_cases"]:
        assert nonce_agg(unhex(vectors["pnonces"], case["nonce_indices"])).hex().upper() == case["aggnonce"]
        session = SessionContext(
            keyagg_of(vectors, case), bytes.fromhex(case["aggnonce"]), bytes.fromhex(vectors["msg"])
        )
        assert signature(session, unhex(vectors["psigs"], case["psig_indices"])).hex().upper() == case["expected"]


def test_sig_agg_vectors_that_fail() -> None:
    vectors = published_json("bip327/sig_agg_vectors.json")
    for case in vectors["error_test_cases"]:
        session = SessionContext(
            keyagg_of(vectors, case), bytes.fromhex(case["aggnonce"]), bytes.fromhex(vectors["msg"])
        )
        with pytest.raises(InvalidCrypto, match=rf"psigs\[{case['error']['signer']}\]"):
            signature(session, unhex(vectors["psigs"], case["psig_indices"]))


def verify_case(vectors: Any, case: Any, psig: bytes) -> bool:
    pubnonces = unhex(vectors["pnonces"], case["nonce_indices"])
    message = bytes.fromhex(vectors["msgs"][case["msg_index"]])
    keyagg = keyagg_of(vectors, case)
    session, signer = SessionContext(keyagg, nonce_agg(pubnonces), message), case["signer_index"]
    return verify_psig(session, psig, pubnonces[signer], keyagg.keys[signer])


# ---------------------------------------------------------------------------------------------------------- sessions


@pytest.mark.parametrize("with_adaptor", [False, True])
def test_session_values_agree_with_another_implementation(with_adaptor: bool) -> None:
    for count in (2, 3, 4):
        held = [Secret.generate() for _ in range(count)]
        keyagg = aggregate(keys_of(held), TWEAKS[: count - 1])
        adaptor = Secret.generate().point if with_adaptor else None
        signed = sign_together(keyagg, [CollapsedSigner(keyagg, [secret]) for secret in held], MESSAGE, adaptor)
        theirs = context_of(signed.session)
        values = oracle.session_values(theirs)
        assert int.from_bytes(signed.session.coefficient, "big") == values.b
        assert int.from_bytes(signed.session.challenge, "big") == values.e
        assert signed.session.nonce == oracle._cbytes(values.R)
        for psig, pubnonce, secret in zip(signed.psigs, signed.pubnonces, held, strict=True):
            assert oracle.partial_sig_verify_(psig, pubnonce, secret.point, theirs)


def context_of(session: SessionContext) -> oracle.SessionContext:
    values = [tweak.value for tweak in session.keyagg.tweaks]
    xonly = [tweak.xonly for tweak in session.keyagg.tweaks]
    return oracle.SessionContext(session.aggnonce, session.keyagg.keys, values, xonly, session.message, session.adaptor)


def test_the_final_nonce_is_the_signatures_nonce(signed: Signed) -> None:
    assert signature(signed.session, signed.psigs)[:32] == signed.session.nonce[1:]


def test_an_aggregate_nonce_at_infinity_goes_on(keyagg: KeyAgg) -> None:
    for aggnonce in (bytes(66), bytes(33) + keyagg.point, keyagg.point + bytes(33)):
        session = SessionContext(keyagg, aggnonce, MESSAGE)
        assert aggregate_psigs(session, [bytes(32)])[:32] == session.nonce[1:]
        assert oracle._cpoint_var(session.nonce) == oracle.session_values(context_of(session)).R


def test_two_nonces_that_cancel_are_33_zeros() -> None:
    first, second = (Secret.generate().point for _ in range(2))
    assert nonce_agg([first + second, point_negate(first) + second])[:33] == bytes(33)


def test_an_adaptor_is_added_to_the_first_half_of_the_nonce() -> None:
    first, second, adaptor = (Secret.generate().point for _ in range(3))
    bound = point_add(first, adaptor)
    assert bound is not None
    assert bind_adaptor(first + second, adaptor) == bound + second
    assert bind_adaptor(bytes(33) + second, adaptor) == adaptor + second
    assert bind_adaptor(point_negate(adaptor) + second, adaptor) == bytes(33) + second


def test_a_session_with_an_adaptor_gives_no_signature_by_itself(keyagg: KeyAgg, secrets: list[Secret]) -> None:
    done = sign_together(keyagg, [CollapsedSigner(keyagg, secrets)], MESSAGE, Secret.generate().point)
    assert len(aggregate_psigs(done.session, done.psigs)) == 64
    with pytest.raises(InvalidCrypto, match="do not add up"):
        signature(done.session, done.psigs)


def test_a_key_list_of_one_has_no_session() -> None:
    with pytest.raises(InvalidCrypto, match="list of one"):
        SessionContext(aggregate([Secret.generate().point]), bytes(66), MESSAGE)


# ------------------------------------------------------------------------------------------------------------- psigs


def test_honest_psigs_verify_and_add_up(signed: Signed, secrets: list[Secret]) -> None:
    together, alone, last = zip(signed.psigs, signed.pubnonces, strict=True)
    assert verify_collapsed_psig(signed.session, *together, keys_of(secrets[:3]))
    assert verify_psig(signed.session, *alone, secrets[3].point)
    assert verify_collapsed_psig(signed.session, *last, keys_of(secrets[4:]))
    assert verify(signature(signed.session, signed.psigs), MESSAGE, signed.session.keyagg.output)


@pytest.mark.parametrize("place", range(0, 32, 3))
def test_an_altered_psig_is_refused(signed: Signed, secrets: list[Secret], place: int) -> None:
    for number, keys in ((0, keys_of(secrets[:3])), (1, [secrets[3].point])):
        altered = bytearray(signed.psigs[number])
        altered[place] ^= 1
        assert not verify_collapsed_psig(signed.session, bytes(altered), signed.pubnonces[number], keys)


def test_a_psig_for_other_slots_another_nonce_or_another_session_is_refused(
    signed: Signed, secrets: list[Secret], keyagg: KeyAgg
) -> None:
    psig, pubnonce, keys = signed.psigs[0], signed.pubnonces[0], keys_of(secrets[:3])
    assert not verify_collapsed_psig(signed.session, psig, pubnonce, keys[:2])
    assert not verify_collapsed_psig(signed.session, psig, pubnonce, keys[:1])
    assert not verify_collapsed_psig(signed.session, psig, pubnonce, [*keys, secrets[3].point])
    assert not verify_collapsed_psig(signed.session, psig, signed.pubnonces[1], keys)
    other = SessionContext(keyagg, signed.session.aggnonce, bytes(32))
    assert not verify_collapsed_psig(other, psig, pubnonce, keys)


def test_the_order_of_the_slots_does_not_matter(signed: Signed, secrets: list[Secret]) -> None:
    keys = keys_of(secrets[2::-1])
    assert verify_collapsed_psig(signed.session, signed.psigs[0], signed.pubnonces[0], keys)


@pytest.mark.parametrize("psig", [b"\xff" * 32, bytes(32)])
def test_a_psig_out_of_range_or_zero_is_refused(signed: Signed, secrets: list[Secret], psig: bytes) -> None:
    assert not verify_collapsed_psig(signed.session, psig, signed.pubnonces[0], keys_of(secrets[:3]))
    assert not verify_psig(signed.session, psig, signed.pubnonces[1], secrets[3].point)


def test_a_psig_that_leaves_out_its_nonce_is_refused(signed: Signed, secrets: list[Secret]) -> None:
    session, keys = signed.session, keys_of(secrets[:2])
    order = int("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
    weights = (int.from_bytes(session.keyagg.coefficient(key), "big") for key in keys)
    owed = sum(a * int.from_bytes(secret.buffer, "big") for a, secret in zip(weights, secrets[:2], strict=True))
    challenge = oracle.session_values(context_of(session)).e * (-1 if session.keyagg.negated else 1)
    psig = (challenge * owed % order).to_bytes(32, "big")  # s·G = e·g·Σ aⱼ·Pⱼ, so that nothing is left for the nonce
    assert not verify_collapsed_psig(session, psig, signed.pubnonces[0], keys)


def test_psigs_that_do_not_add_up_make_no_signature(signed: Signed) -> None:
    for psigs in (signed.psigs[:2], [*signed.psigs, signed.psigs[0]], [bytes(32)] * 3):
        with pytest.raises(InvalidCrypto, match="do not add up"):
            signature(signed.session, psigs)
    with pytest.raises(InvalidCrypto):
        signature(signed.session, [])


def test_a_strange_key_is_refused(signed: Signed, secrets: list[Secret]) -> None:
    strange = Secret.generate().point
    for keys in ([strange], [strange, secrets[0].point]):
        with pytest.raises(InvalidCrypto, match="not of this key list"):
            verify_collapsed_psig(signed.session, signed.psigs[0], signed.pubnonces[0], keys)


def test_a_signer_without_slots_is_no_signer(signed: Signed) -> None:
    assert not verify_collapsed_psig(signed.session, signed.psigs[0], signed.pubnonces[0], [])


# ----------------------------------------------------------------------------------------------------- wrong lengths


@pytest.mark.parametrize(
    ("size", "call"),
    [
        (66, lambda signed, keys, given: nonce_agg([signed.pubnonces[0], given])),
        (66, lambda signed, keys, given: SessionContext(signed.session.keyagg, given, MESSAGE)),
        (32, lambda signed, keys, given: SessionContext(signed.session.keyagg, signed.session.aggnonce, given)),
        (
            33,
            lambda signed, keys, given: SessionContext(signed.session.keyagg, signed.session.aggnonce, MESSAGE, given),
        ),
        (32, lambda signed, keys, given: signature(signed.session, [given])),
        (32, lambda signed, keys, given: verify_psig(signed.session, given, signed.pubnonces[0], keys[0])),
        (66, lambda signed, keys, given: verify_psig(signed.session, signed.psigs[0], given, keys[0])),
        (33, lambda signed, keys, given: verify_psig(signed.session, signed.psigs[0], signed.pubnonces[0], given)),
        (32, lambda signed, keys, given: verify_collapsed_psig(signed.session, given, signed.pubnonces[0], keys)),
        (66, lambda signed, keys, given: verify_collapsed_psig(signed.session, signed.psigs[0], given, keys)),
    ],
)
def test_an_input_of_any_other_length_is_refused(
    size: int, call: Callable[[Signed, list[bytes], bytes], object], signed: Signed, secrets: list[Secret]
) -> None:
    for length in {*range(140)} - {size}:
        with pytest.raises(InvalidCrypto):
            call(signed, keys_of(secrets[:3]), (signed.pubnonces[0] * 3)[:length])

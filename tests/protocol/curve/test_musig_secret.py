"""The secret half: nonces are spent once, one signer stands for many slots, and nothing secret gets out."""

import copy
import os
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from ecc.ecc import musig2 as oracle

from keymeld_protocol.curve import libmusig, musig_secret, schnorr
from keymeld_protocol.curve.keyagg import (
    GENERATOR,
    KeyAgg,
    Tweak,
    aggregate,
    bip86_tweak,
    hash_to_scalar,
    key_agg,
    taproot_tweak,
)
from keymeld_protocol.curve.libsecp256k1 import ffi
from keymeld_protocol.curve.musig import SessionContext, nonce_agg, signature, verify_collapsed_psig
from keymeld_protocol.curve.musig_secret import (
    CollapsedSigner,
    Secnonce,
    nonce_gen,
    partial_sign,
    summed_secret,
    summed_signer,
    weighted_secret,
)
from keymeld_protocol.curve.schnorr import tagged_hash, verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import InvalidCrypto
from tests.support.ceremony import EXTRA, draw, sign_alone, sign_together
from tests.support.musig_structs import forge_cache, forge_secnonce, numbers_of
from tests.support.vectors import published_json

MESSAGE = bytes(range(32))


def people(count: int) -> list[Secret]:
    return [Secret.generate() for _ in range(count)]


def group(secrets: list[Secret], *tweaks: Tweak) -> KeyAgg:
    return aggregate((secret.point for secret in secrets), tweaks)


def some_tweaks(draw: random.Random) -> list[Tweak]:
    return [Tweak(draw.randbytes(32), draw.random() < 0.5) for _ in range(draw.randint(0, 3))]


# ---------------------------------------------------------------------------------------------------------- vectors


def test_bip_341_every_key_is_tweaked_and_signs_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key list of one: its tweaked secret, and its signature over the published sighash, of whatever type that is."""
    monkeypatch.setattr(schnorr, "urandom", bytes)  # the vectors' auxiliary randomness is zeros
    (case,) = published_json("bip341/wallet-test-vectors.json")["keyPathSpending"]
    for vector in case["inputSpending"]:
        given, expected = vector["given"], vector["intermediary"]
        with Secret(bytes.fromhex(given["internalPrivkey"])) as secret:
            tweak = taproot_tweak(secret.point[1:], bytes.fromhex(given["merkleRoot"] or ""))
            assert (secret.point[1:].hex(), tweak.value.hex()) == (expected["internalPubkey"], expected["tweak"])
            with summed_secret(secret, aggregate([secret.point], [tweak])) as key:
                assert bytes(ffi.buffer(key.keypair))[:32].hex() == expected["tweakedPrivkey"]
                signed = key.sign(bytes.fromhex(expected["sigHash"]))
        assert signed.hex() == vector["expected"]["witness"][0][:128]


def test_nonce_gen_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = published_json("bip327/nonce_gen_vectors.json")["test_cases"]
    cases = [case for case in cases if case["msg"] is None or len(case["msg"]) == 64]
    assert len(cases) == 2  # libsecp256k1 knows 32-byte messages only: two of the four are of another length
    for case in cases:
        given: dict[str, Any] = {
            name: None if case[name] is None else bytes.fromhex(case[name]) for name in case if name != "comment"
        }
        monkeypatch.setattr(musig_secret, "_cache_of", lambda keyagg, output=given["aggpk"]: forge_cache(output))
        secnonce = nonce_gen(
            given["pk"],
            secret=given["sk"] and Secret(given["sk"]),
            keyagg=given["aggpk"] and group(people(2)),
            message=given["msg"],
            extra=given["extra_in"],
            secrand=bytearray(given["rand_"]),
        )
        assert secnonce.pubnonce == given["expected_pubnonce"]
        assert numbers_of(secnonce) == given["expected_secnonce"][:64]


def test_sign_verify_vectors() -> None:
    vectors = published_json("bip327/sign_verify_vectors.json")
    cases = [case for case in vectors["valid_test_cases"] if len(vectors["msgs"][case["msg_index"]]) == 64]
    for case in cases:
        secnonce = forge(bytes.fromhex(vectors["secnonces"][0]))
        assert secnonce.pubnonce.hex().upper() == vectors["pnonces"][0]
        psig = sign_case(vectors, case, bytes.fromhex(vectors["aggnonces"][case["aggnonce_index"]]), secnonce)
        assert psig.hex().upper() == case["expected"]


def test_sign_verify_vectors_that_fail_to_sign() -> None:
    vectors = published_json("bip327/sign_verify_vectors.json")
    for case in vectors["sign_error_test_cases"]:
        secnonce = forge(bytes.fromhex(vectors["secnonces"][case["secnonce_index"]]))
        with pytest.raises(InvalidCrypto):
            sign_case(vectors, case, bytes.fromhex(vectors["aggnonces"][case["aggnonce_index"]]), secnonce)


def test_tweak_vectors() -> None:
    vectors = published_json("bip327/tweak_vectors.json")
    for case in vectors["valid_test_cases"]:
        secnonce = forge(bytes.fromhex(vectors["secnonce"]))
        assert sign_case(vectors, case, bytes.fromhex(vectors["aggnonce"]), secnonce).hex().upper() == case["expected"]
    for case in vectors["error_test_cases"]:
        with pytest.raises(InvalidCrypto, match="tweak"):
            case_keyagg(vectors, case)


def test_det_sign_vectors() -> None:
    vectors = published_json("bip327/det_sign_vectors.json")
    cases = [case for case in vectors["valid_test_cases"] if len(vectors["msgs"][case["msg_index"]]) == 64]
    assert len(cases) == 3  # the fourth has a message that libsecp256k1 cannot sign
    for case in cases:
        assert [value.hex().upper() for value in det_sign(vectors, case)] == case["expected"]


def test_det_sign_vectors_that_fail() -> None:
    vectors = published_json("bip327/det_sign_vectors.json")
    for case in vectors["error_test_cases"]:
        with pytest.raises(InvalidCrypto):
            det_sign(vectors, case)


def forge(secnonce: bytes) -> Secnonce:
    return forge_secnonce(secnonce[:64], secnonce[64:])


def case_keyagg(vectors: Any, case: Any) -> KeyAgg:
    values = case.get("tweaks", [vectors["tweaks"][index] for index in case.get("tweak_indices", [])])
    pairs = zip(values, case.get("is_xonly", []), strict=True)
    keys = tuple(bytes.fromhex(vectors["pubkeys"][index]) for index in case["key_indices"])
    return key_agg(keys, tuple(Tweak(bytes.fromhex(value), xonly) for value, xonly in pairs))


def case_message(vectors: Any, case: Any) -> bytes:
    return bytes.fromhex(vectors["msgs"][case["msg_index"]] if "msgs" in vectors else vectors["msg"])


def sign_case(vectors: Any, case: Any, aggnonce: bytes, secnonce: Secnonce) -> bytes:
    keyagg, message = case_keyagg(vectors, case), case_message(vectors, case)
    signer = CollapsedSigner(keyagg, [Secret(bytes.fromhex(vectors["sk"]))])
    return partial_sign(SessionContext(keyagg, aggnonce, message), signer, secnonce)


def det_sign(vectors: Any, case: Any) -> tuple[bytes, bytes]:
    """BIP-327's DeterministicSign, which the protocol does not use: nonces from a hash, then our own signing."""
    keyagg, message, secret = case_keyagg(vectors, case), case_message(vectors, case), bytes.fromhex(vectors["sk"])
    others = nonce_agg([bytes.fromhex(case["aggothernonce"])])
    if case["rand"] is not None:
        aux = tagged_hash("MuSig/aux", bytes.fromhex(case["rand"]))
        mixed = bytes(left ^ right for left, right in zip(secret, aux, strict=True))
    else:
        mixed = secret
    known = mixed + others + keyagg.output + len(message).to_bytes(8, "big") + message
    numbers = b"".join(hash_to_scalar("MuSig/deterministic/nonce", known + bytes([i])) for i in (0, 1))
    secnonce = forge_secnonce(numbers, Secret(secret).point)
    aggnonce = nonce_agg([secnonce.pubnonce, others])
    return secnonce.pubnonce, sign_case(vectors, case, aggnonce, secnonce)


# ------------------------------------------------------------------------------------------------------------ nonces


def test_nonces_differ_although_everything_else_is_equal() -> None:
    secrets = people(2)
    keyagg = group(secrets)
    signer = CollapsedSigner(keyagg, secrets)
    assert len({draw(signer, keyagg, MESSAGE).pubnonce for _ in range(50)}) == 50


def test_everything_known_goes_into_the_nonce() -> None:
    secret, other = people(2)
    keyagg = group([secret, other])
    known: dict[str, Any] = {"secret": secret, "keyagg": keyagg, "message": MESSAGE, "extra": EXTRA}
    given = [known, *({name: known[name] for name in known if name != left_out} for left_out in known)]
    nonces = {nonce_gen(secret.point, secrand=bytearray(b"\x01" * 32), **arguments).pubnonce for arguments in given}
    assert len(nonces) == 5


def test_the_random_bytes_are_wiped() -> None:
    for secrand in (bytearray(b"\x01" * 32), bytearray(32)):
        with suppress(InvalidCrypto):
            nonce_gen(Secret.generate().point, secrand=secrand)
        assert secrand == bytes(32)


def test_zeros_are_not_random_bytes() -> None:
    with pytest.raises(InvalidCrypto, match="zeros"):
        nonce_gen(Secret.generate().point, secrand=bytearray(32))


def test_a_secnonce_signs_once() -> None:
    secrets = people(2)
    keyagg = group(secrets)
    signer = CollapsedSigner(keyagg, secrets)
    secnonce = draw(signer, keyagg, MESSAGE)
    partial_sign(SessionContext(keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE), signer, secnonce)
    with pytest.raises(InvalidCrypto, match="spent"):
        partial_sign(SessionContext(keyagg, nonce_agg([secnonce.pubnonce]), bytes(32)), signer, secnonce)


def test_a_secnonce_is_spent_by_a_signature_that_fails() -> None:
    secrets = people(2)
    keyagg = group(secrets)
    signer, stranger = CollapsedSigner(keyagg, secrets), CollapsedSigner(keyagg, secrets[1:])
    secnonce = draw(signer, keyagg, MESSAGE)
    session = SessionContext(keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE)
    with pytest.raises(InvalidCrypto, match="another key"):
        partial_sign(session, stranger, secnonce)
    with pytest.raises(InvalidCrypto, match="spent"):
        partial_sign(session, signer, secnonce)


def test_signing_wipes_libsecp256k1s_secnonce() -> None:
    secrets = people(2)
    keyagg = group(secrets)
    signer = CollapsedSigner(keyagg, secrets)
    secnonce = draw(signer, keyagg, MESSAGE)
    struct = secnonce._held[0]
    partial_sign(SessionContext(keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE), signer, secnonce)
    assert bytes(ffi.buffer(struct)) == bytes(132)


def test_an_abandoned_secnonce_is_wiped() -> None:
    secnonce = nonce_gen(Secret.generate().point)
    struct = secnonce._held[0]
    del secnonce
    assert bytes(ffi.buffer(struct)) == bytes(132)


def test_a_wiped_secnonce_does_not_sign() -> None:
    secnonce = nonce_gen(Secret.generate().point)
    secnonce.wipe()
    with pytest.raises(InvalidCrypto, match="spent or wiped"):
        secnonce.spend()


def test_of_many_threads_one_gets_the_secnonce() -> None:
    secnonce = nonce_gen(Secret.generate().point)

    def try_to_spend(_: int) -> bool:
        try:
            secnonce.spend()
        except InvalidCrypto:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_to_spend, range(64))) == 1


def test_a_forked_process_does_not_sign_with_its_parents_secnonce(monkeypatch: pytest.MonkeyPatch) -> None:
    secnonce = nonce_gen(Secret.generate().point)
    parent = os.getpid()
    monkeypatch.setattr(musig_secret, "getpid", lambda: parent + 1)
    with pytest.raises(InvalidCrypto, match="forked"):
        secnonce.spend()


def test_a_nonce_that_is_gone_proves_nothing() -> None:
    secnonce = nonce_gen(Secret.generate().point)
    secnonce.wipe()
    with pytest.raises(InvalidCrypto, match="spent or wiped"):
        secnonce.prove(MESSAGE)


def test_a_proof_is_by_the_first_half_of_the_nonce_and_different_each_time() -> None:
    for _ in range(8):
        secnonce = nonce_gen(Secret.generate().point)
        one, two = secnonce.prove(MESSAGE), secnonce.prove(MESSAGE)
        assert one != two and all(verify(proof, MESSAGE, secnonce.pubnonce[1:33]) for proof in (one, two))
        assert not verify(one, MESSAGE, secnonce.pubnonce[34:])


def test_a_secnonce_of_another_layout_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    secnonce = nonce_gen(Secret.generate().point)
    monkeypatch.setattr(musig_secret, "_FIRST", 36)
    with pytest.raises(InvalidCrypto, match="elsewhere"):
        secnonce.prove(MESSAGE)


@pytest.mark.parametrize("spread", [copy.copy, copy.deepcopy, pickle.dumps, lambda it: copy.deepcopy({"nonce": it})])
def test_secnonces_and_signers_are_neither_copied_nor_pickled(spread: Callable[[object], object]) -> None:
    secrets = people(2)
    for holder in (nonce_gen(secrets[0].point), CollapsedSigner(group(secrets), secrets)):
        with pytest.raises(TypeError, match="never"):
            spread(holder)


def test_secnonces_and_signers_print_nothing() -> None:
    secrets = people(2)
    assert repr(nonce_gen(secrets[0].point)) == "<Secnonce>"
    assert f"{CollapsedSigner(group(secrets), secrets)}" == "<CollapsedSigner>"


# ------------------------------------------------------------------------------------------ one signer, many slots


def test_any_groups_of_slots_sign_together() -> None:
    """Enclaves and devices in any mixture, duplicate keys, both kinds of tweaks, adaptors."""
    draw = random.Random(42)
    for _ in range(40):
        secrets = draw.choices(people(4), k=draw.randint(2, 7))
        keyagg = group(secrets, *some_tweaks(draw))
        held = split(secrets, draw)
        adaptor = Secret.generate().point if draw.random() < 0.3 else None
        done = sign_together(keyagg, [CollapsedSigner(keyagg, slots) for slots in held], draw.randbytes(32), adaptor)
        for psig, pubnonce, slots in zip(done.psigs, done.pubnonces, held, strict=True):
            assert verify_collapsed_psig(done.session, psig, pubnonce, [slot.point for slot in slots])
        if adaptor is None:
            assert verify(signature(done.session, done.psigs), done.session.message, keyagg.output)


def split(secrets: list[Secret], draw: random.Random) -> list[list[Secret]]:
    """Deal the slots out to one or more signers, none of them empty-handed."""
    cuts = sorted(draw.sample(range(1, len(secrets)), draw.randint(0, len(secrets) - 1)))
    return [secrets[start:end] for start, end in zip([0, *cuts], [*cuts, len(secrets)], strict=True)]


def test_an_enclave_signs_together_with_devices_that_run_another_implementation() -> None:
    draw = random.Random(7)
    for _ in range(10):
        secrets = people(5)
        keyagg = group(secrets, *some_tweaks(draw))
        enclave = CollapsedSigner(keyagg, secrets[:3])
        ours = enclave.nonce_gen(keyagg, MESSAGE, EXTRA)
        theirs = [oracle.nonce_gen(None, secret.point) for secret in secrets[3:]]
        session = SessionContext(keyagg, nonce_agg([ours.pubnonce, *(pubnonce for _, pubnonce in theirs)]), MESSAGE)
        context = oracle.SessionContext(
            session.aggnonce, keyagg.keys, [t.value for t in keyagg.tweaks], [t.xonly for t in keyagg.tweaks], MESSAGE
        )
        psigs = [partial_sign(session, enclave, ours)]
        for (secnonce, _), secret in zip(theirs, secrets[3:], strict=True):
            psigs.append(oracle.sign(secnonce, int.from_bytes(secret.buffer, "big"), context))
        assert verify(signature(session, psigs), MESSAGE, keyagg.output)


def test_for_one_slot_the_psig_is_an_ordinary_one() -> None:
    secrets = people(3)
    keyagg = group(secrets, Tweak(b"\x05" * 32, xonly=True))
    done = sign_together(keyagg, [CollapsedSigner(keyagg, [secret]) for secret in secrets], MESSAGE)
    for psig, pubnonce, secret in zip(done.psigs, done.pubnonces, secrets, strict=True):
        parsed = libmusig.parse_psig(psig)
        assert libmusig.partial_sig_verify(parsed, pubnonce, secret.point, keyagg.cache, done.session.struct)


def test_one_signer_serves_every_tweak_of_its_key_list() -> None:
    secrets = people(3)
    signer = CollapsedSigner(group(secrets), secrets)
    for tweaks in ([], [Tweak(b"\x01" * 32, xonly=False)], [Tweak(b"\x01" * 32, xonly=True)]):
        keyagg = group(secrets, *tweaks)
        done = sign_together(keyagg, [signer], MESSAGE)
        assert verify(signature(done.session, done.psigs), MESSAGE, keyagg.output)


def test_a_session_of_another_key_list_is_refused() -> None:
    secrets = people(3)
    signer = CollapsedSigner(group(secrets), secrets)
    other = group(secrets[:2])
    secnonce = draw(signer, other, MESSAGE)
    with pytest.raises(InvalidCrypto, match="another key list"):
        partial_sign(SessionContext(other, nonce_agg([secnonce.pubnonce]), MESSAGE), signer, secnonce)


@pytest.mark.parametrize("slots", [1, 3])
def test_a_psig_that_does_not_verify_never_leaves(monkeypatch: pytest.MonkeyPatch, slots: int) -> None:
    secrets = people(3)
    keyagg = group(secrets)
    signer = CollapsedSigner(keyagg, secrets[:slots])
    monkeypatch.setattr(CollapsedSigner, "sign", lambda self, session, struct: b"\x01" * 32)
    secnonce = draw(signer, keyagg, MESSAGE)
    with pytest.raises(InvalidCrypto, match="does not verify"):
        partial_sign(SessionContext(keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE), signer, secnonce)


def test_a_signer_needs_slots_of_its_key_list() -> None:
    secrets = people(3)
    for held in ([], [people(1)[0]], [secrets[0], people(1)[0]]):
        with pytest.raises(InvalidCrypto):
            CollapsedSigner(group(secrets), held)


def test_a_wiped_signer_neither_draws_nor_signs() -> None:
    secrets = people(2)
    keyagg = group(secrets)
    signer = CollapsedSigner(keyagg, secrets)
    secnonce = draw(signer, keyagg, MESSAGE)
    signer.wipe()
    with pytest.raises(InvalidCrypto):
        draw(signer, keyagg, MESSAGE)
    with pytest.raises(InvalidCrypto):
        partial_sign(SessionContext(keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE), signer, secnonce)


def test_a_signer_leaves_the_secrets_of_its_maker_alone() -> None:
    secrets = people(3)
    keys = [secret.point for secret in secrets]
    with CollapsedSigner(group(secrets), secrets) as signer:
        draw(signer, signer.keyagg, MESSAGE)
    assert [secret.point for secret in secrets] == keys


# ------------------------------------------------------------------------------------------------- every key at hand


def test_whoever_holds_every_key_signs_alone() -> None:
    draw = random.Random(16)
    for _ in range(40):
        secrets = draw.choices(people(4), k=draw.randint(1, 6))
        keyagg = group(secrets, *some_tweaks(draw))
        assert verify(sign_alone(secrets, keyagg, MESSAGE), MESSAGE, keyagg.output)


def test_the_order_of_the_secrets_does_not_matter() -> None:
    secrets = people(4)
    keyagg = group(secrets, bip86_tweak(secret.point for secret in secrets))
    assert (
        summed_secret(weighted_secret(secrets, keyagg), keyagg).key
        == summed_secret(weighted_secret(secrets[::-1], keyagg), keyagg).key
        == keyagg.output
    )


def test_the_summed_key_signs_many_messages() -> None:
    secrets = people(3)
    keyagg = group(secrets)
    with summed_secret(weighted_secret(secrets, keyagg), keyagg) as key:
        for message in (MESSAGE, bytes(32)):
            assert verify(key.sign(message), message, keyagg.output)


def test_the_summed_signer_stands_for_a_pair_that_comes_to_the_output_key() -> None:
    secrets = people(3)
    keyagg = group(secrets, *some_tweaks(random.Random(3)))
    signer = summed_signer(weighted_secret(secrets, keyagg), keyagg)
    assert signer.keyagg.point == keyagg.point and signer.keys == (keyagg.point, GENERATOR)
    done = sign_together(signer.keyagg, [signer], MESSAGE)
    assert verify(signature(done.session, done.psigs), MESSAGE, keyagg.output)


def test_missing_superfluous_or_strange_secrets_do_not_sign_alone() -> None:
    secrets = people(3)
    keyagg = group(secrets)
    for held in ([], secrets[:2], [*secrets, secrets[0]], [*secrets[:2], people(1)[0]]):
        with pytest.raises(InvalidCrypto):
            sign_alone(held, keyagg, MESSAGE)


def test_signing_alone_leaves_the_secrets_as_they_were() -> None:
    secrets = people(3)
    keys = [secret.point for secret in secrets]
    sign_alone(secrets, group(secrets, Tweak(b"\x09" * 32, xonly=True)), MESSAGE)
    assert [secret.point for secret in secrets] == keys


# ----------------------------------------------------------------------------------------------------- wrong lengths


@pytest.mark.parametrize(
    ("size", "call"),
    [
        (33, lambda given: nonce_gen(given)),
        (32, lambda given: nonce_gen(Secret.generate().point, secrand=bytearray(given))),
        (32, lambda given: nonce_gen(Secret.generate().point, message=given)),
        (32, lambda given: nonce_gen(Secret.generate().point, extra=given)),
        (32, lambda given: sign_alone((held := people(2)), group(held), given)),
    ],
)
def test_an_input_of_any_other_length_is_refused(size: int, call: Callable[[bytes], object]) -> None:
    for length in {*range(70)} - {size}:
        with pytest.raises(InvalidCrypto):
            call(b"\x02" * length)

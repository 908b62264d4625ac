"""adaptor.py: a pre-signature that one secret completes, checked against two other implementations of the same."""

from __future__ import annotations

import random
from secrets import token_bytes

import pytest
from ecc.ecc import musig2 as oracle
from ecc.ecc import ssa_adaptor

from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.keyagg import Tweak, aggregate, bip86_tweak, key_agg, key_sort
from keymeld_protocol.curve.musig import SessionContext, bind_adaptor, nonce_agg, verify_collapsed_psig
from keymeld_protocol.curve.musig_secret import CollapsedSigner, nonce_gen, partial_sign, summed_signer, weighted_secret
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret, point_add, point_negate, pubkey_of, seckey_tweak_mul
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.values import Id
from tests.protocol.curve.test_musig import context_of
from tests.support.ceremony import EXTRA, Signed, sign_together

MESSAGE = bytes(range(32))
TWEAKS = (Tweak(b"\x11" * 32, xonly=False), Tweak(b"\x22" * 32, xonly=True), Tweak(b"\x33" * 32, xonly=True))
ORDER = bytes.fromhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")


def some(count: int) -> list[Secret]:
    return [Secret.generate() for _ in range(count)]


def made(secret: Secret, *, slots: int = 3, tweaks: int = 0) -> tuple[bytes, Signed]:
    """A pre-signature for the point of ``secret``, of as many slots under as many tweaks."""
    held = some(slots)
    keyagg = aggregate((each.point for each in held), TWEAKS[:tweaks])
    signed = sign_together(keyagg, [CollapsedSigner(keyagg, [each]) for each in held], MESSAGE, secret.point)
    return adaptor.presignature(signed.session, signed.psigs), signed


@pytest.fixture
def secret() -> Secret:
    return Secret.generate()


# Against other implementations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tweaks", range(4))
def test_pre_signatures_of_both_parities_are_completed_as_others_complete_them(tweaks: int) -> None:
    parities: set[int] = set()
    while parities != {2, 3}:
        secret = Secret.generate()
        presigned, signed = made(secret, tweaks=tweaks)
        parities.add(presigned[0])
        output, theirs = signed.session.keyagg.output, context_of(signed.session)
        half = oracle.partial_sig_agg_adaptor(signed.psigs, theirs)
        whole = oracle.adapt(half, int.from_bytes(secret.buffer, "big"), theirs)
        assert presigned[1:] == half.r.to_bytes(32, "big") + half.s.to_bytes(32, "big")
        assert adaptor.verify(presigned, secret.point, MESSAGE, output)
        assert ssa_adaptor.verify(presigned, MESSAGE, output, secret.point)
        signature = adaptor.adapt(presigned, secret.buffer)
        assert signature == whole.serialize() and verify(signature, MESSAGE, output)
        assert adaptor.extract(presigned, signature, secret.point) == bytes(secret.buffer)
        assert oracle.extract_adaptor(whole, half, theirs) == int.from_bytes(secret.buffer, "big")


def test_pre_signatures_that_others_make_are_completed_here() -> None:
    parities: set[int] = set()
    while parities != {2, 3}:
        key, secret = some(2)
        presigned = ssa_adaptor.presign(MESSAGE, int.from_bytes(key.buffer, "big"), secret.point)
        parities.add(presigned[0])
        assert adaptor.verify(presigned, secret.point, MESSAGE, key.point[1:])
        signature = adaptor.adapt(presigned, secret.buffer)
        assert verify(signature, MESSAGE, key.point[1:])
        assert adaptor.extract(presigned, signature, secret.point) == bytes(secret.buffer)


def test_what_others_refuse_is_refused_here() -> None:
    draw = random.Random(5)
    secret = Secret.generate()
    presigned, signed = made(secret, tweaks=2)
    for _ in range(200):
        altered = bytearray(presigned)
        altered[draw.randrange(65)] ^= 1 << draw.randrange(8)
        output = signed.session.keyagg.output
        assert not adaptor.verify(bytes(altered), secret.point, MESSAGE, output)
        assert not ssa_adaptor.verify(bytes(altered), MESSAGE, output, secret.point)


# Verify, adapt, extract -------------------------------------------------------------------------------------------


def test_a_pre_signature_belongs_to_its_point_message_and_key(secret: Secret) -> None:
    presigned, signed = made(secret)
    output = signed.session.keyagg.output
    assert adaptor.verify(presigned, secret.point, MESSAGE, output)
    for point, message, key in (
        (point_negate(secret.point), MESSAGE, output),
        (Secret.generate().point, MESSAGE, output),
        (secret.point, MESSAGE[::-1], output),
        (secret.point, MESSAGE, Secret.generate().point[1:]),
        (b"\x02" + ORDER, MESSAGE, output),
        (secret.point[1:], MESSAGE, output),
        (secret.point, MESSAGE, b"\xff" * 32),
    ):
        assert not adaptor.verify(presigned, point, message, key)


@pytest.mark.parametrize(
    "bad", [b"", bytes(65), b"\x02" * 64, b"\x05" + b"\x01" * 64], ids=["empty", "zeros", "64", "05"]
)
def test_what_is_no_pre_signature_is_refused(bad: bytes, secret: Secret) -> None:
    assert not adaptor.verify(bad, secret.point, MESSAGE, secret.point[1:])
    with pytest.raises(InvalidCrypto):
        adaptor.adapt(bad, secret.buffer)
    with pytest.raises(InvalidCrypto):
        adaptor.extract(bad, bytes(64), secret.point)


def test_a_pre_signature_whose_scalar_is_not_below_the_order_is_refused(secret: Secret) -> None:
    presigned, signed = made(secret)
    beyond = presigned[:33] + ORDER
    assert not adaptor.verify(beyond, secret.point, MESSAGE, signed.session.keyagg.output)
    with pytest.raises(InvalidCrypto):
        adaptor.adapt(beyond, secret.buffer)


def test_a_pre_signature_whose_nonce_is_the_point_itself_is_refused(secret: Secret) -> None:
    """R' = T leaves no nonce of the signers'."""
    assert not adaptor.verify(secret.point + bytes(31) + b"\x01", secret.point, MESSAGE, Secret.generate().point[1:])


@pytest.mark.parametrize("bad", [bytes(32), ORDER, b"\x01" * 31], ids=["zero", "order", "short"])
def test_what_is_no_secret_completes_nothing(bad: bytes, secret: Secret) -> None:
    presigned, _ = made(secret)
    with pytest.raises(InvalidCrypto):
        adaptor.adapt(presigned, bad)


def test_the_secret_of_another_point_gives_no_signature(secret: Secret) -> None:
    presigned, signed = made(secret)
    wrong = adaptor.adapt(presigned, token_bytes(32))
    assert not verify(wrong, MESSAGE, signed.session.keyagg.output)


def test_a_secret_is_given_away_by_its_own_signature_only(secret: Secret) -> None:
    presigned, _ = made(secret)
    signature = adaptor.adapt(presigned, secret.buffer)
    other, _ = made(secret)
    for lie, point in (
        (adaptor.adapt(presigned, token_bytes(32)), secret.point),
        (adaptor.adapt(other, secret.buffer), secret.point),
        (signature, point_negate(secret.point)),
        (presigned[1:], secret.point),
    ):
        with pytest.raises(InvalidCrypto):
            adaptor.extract(presigned, lie, point)


# Several points ---------------------------------------------------------------------------------------------------


def test_an_and_takes_the_secrets_of_all_its_points() -> None:
    secrets = some(5)
    points = [each.point for each in secrets]
    buffers = [bytes(each.buffer) for each in secrets]
    together = adaptor.combined_secret(points, buffers)
    assert pubkey_of(together) == adaptor.combined_point(points) == adaptor.combined_point(points[::-1])
    assert adaptor.combined_secret(points[::-1], buffers[::-1]) == together
    theirs = oracle.key_agg_and_tweak_var(oracle.key_sort(points), [], [])
    assert oracle._cbytes(theirs.Q) == adaptor.combined_point(points)


def test_a_secret_that_is_not_that_of_its_point_is_named() -> None:
    secrets = some(3)
    points, buffers = [each.point for each in secrets], [bytes(each.buffer) for each in secrets]
    with pytest.raises(InvalidCrypto, match=r"secrets\[1\]"):
        adaptor.combined_secret(points, [buffers[0], buffers[2], buffers[1]])


def test_attack_19_nothing_is_left_of_the_others_where_a_secret_is_not_that_of_its_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """19: secrets in memory: what was summed so far would stay there, unwiped."""
    secrets, terms = some(2), list[bytearray]()
    monkeypatch.setattr(adaptor, "seckey_tweak_mul", lambda term, _: terms.append(term))
    points, buffers = [each.point for each in secrets], [bytes(each.buffer) for each in secrets]
    with pytest.raises(InvalidCrypto, match=r"secrets\[1\]"):
        adaptor.combined_secret(points, [buffers[0], buffers[0]])
    assert not any(any(term) for term in terms)


def test_attack_45_a_last_point_cannot_cancel_the_others() -> None:
    """45: T3 = x·G − T1 − T2: in a plain sum x alone would complete; combined as a key list it is worth nothing."""
    (first, second), x = some(2), Secret.generate()
    rogue = point_add(x.point, point_negate(first.point), point_negate(second.point))
    assert rogue is not None
    points = [first.point, second.point, rogue]
    assert point_add(*points) == x.point, "the plain sum, which nobody uses, falls"
    bound = adaptor.combined_point(points)
    assert bound != x.point
    held = some(2)
    keyagg = aggregate(each.point for each in held)
    signed = sign_together(keyagg, [CollapsedSigner(keyagg, held)], MESSAGE, bound)
    presigned = adaptor.presignature(signed.session, signed.psigs)
    assert adaptor.verify(presigned, bound, MESSAGE, keyagg.output)
    weighted = bytearray(x.buffer)
    seckey_tweak_mul(weighted, key_agg(key_sort(points)).coefficient(rogue))
    for guess in (x.buffer, weighted):
        assert not verify(adaptor.adapt(presigned, guess), MESSAGE, keyagg.output)


# A nonce proves itself --------------------------------------------------------------------------------------------

PLACE = (Id(bytes(range(32))), 1, 2, 3)


def test_a_nonce_proves_itself_and_stays_unspent(secret: Secret) -> None:
    keyagg = aggregate([secret.point, Secret.generate().point])
    signer, T = CollapsedSigner(keyagg, [secret]), Secret.generate().point
    secnonce = signer.nonce_gen(keyagg, MESSAGE, EXTRA)
    said = adaptor.proof_message(*PLACE, T, secnonce.pubnonce)
    assert adaptor.nonce_is_proven(secnonce.prove(said), said, secnonce.pubnonce)
    session = SessionContext(keyagg, secnonce.pubnonce, MESSAGE, T)
    assert verify_collapsed_psig(session, partial_sign(session, signer, secnonce), secnonce.pubnonce, signer.keys)


def test_a_proof_holds_in_its_own_place_only(secret: Secret) -> None:
    T, other = Secret.generate().point, nonce_gen(secret.point)
    secnonce = nonce_gen(secret.point)
    proof = secnonce.prove(adaptor.proof_message(*PLACE, T, secnonce.pubnonce))
    signing, attempt, item, point = PLACE
    swapped = secnonce.pubnonce[:33] + other.pubnonce[33:]
    for message, nonce in (
        (adaptor.proof_message(Id(bytes(32)), attempt, item, point, T, secnonce.pubnonce), secnonce.pubnonce),
        (adaptor.proof_message(signing, 2, item, point, T, secnonce.pubnonce), secnonce.pubnonce),
        (adaptor.proof_message(signing, attempt, 3, point, T, secnonce.pubnonce), secnonce.pubnonce),
        (adaptor.proof_message(signing, attempt, item, 2, T, secnonce.pubnonce), secnonce.pubnonce),
        (adaptor.proof_message(signing, attempt, item, point, point_negate(T), secnonce.pubnonce), secnonce.pubnonce),
        (adaptor.proof_message(signing, attempt, item, point, T, other.pubnonce), other.pubnonce),
        (adaptor.proof_message(signing, attempt, item, point, T, swapped), swapped),
    ):
        assert not adaptor.nonce_is_proven(proof, message, nonce)


def test_attack_29_what_a_nonce_of_r_minus_t_would_do() -> None:
    """29: a pubnonce r·G − T in an adaptor item: unproven, it completes the signature without t.

    The honest signer's psig and the traitor's own add up to a whole signature: T has cancelled out of R1.  The traitor
    cannot prove that nonce, because nobody knows its secret.
    """
    honest, traitor = some(2)
    keyagg = aggregate([honest.point, traitor.point])
    T, signer = Secret.generate().point, CollapsedSigner(keyagg, [honest])
    secnonce, own = (
        signer.nonce_gen(keyagg, MESSAGE, EXTRA),
        CollapsedSigner(keyagg, [traitor]).nonce_gen(keyagg, MESSAGE, EXTRA),
    )
    cancelling = point_add(own.pubnonce[:33], point_negate(T))
    assert cancelling is not None
    hostile = cancelling + own.pubnonce[33:]
    session = SessionContext(keyagg, nonce_agg([secnonce.pubnonce, hostile]), MESSAGE, T)
    plain = SessionContext(keyagg, nonce_agg([secnonce.pubnonce, own.pubnonce]), MESSAGE)
    assert bind_adaptor(session.aggnonce, T) == plain.aggnonce == session.bound
    psigs = [partial_sign(session, signer, secnonce), partial_sign(plain, CollapsedSigner(keyagg, [traitor]), own)]
    assert verify(adaptor.presignature(session, psigs)[1:], MESSAGE, keyagg.output), "signed, and nobody used t"
    said = adaptor.proof_message(*PLACE, T, hostile)
    again = CollapsedSigner(keyagg, [traitor]).nonce_gen(keyagg, MESSAGE, EXTRA)
    assert not adaptor.nonce_is_proven(again.prove(said), said, hostile)


# A signer that is alone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("tweaks", range(4))
def test_who_holds_every_key_makes_pre_signatures_alone(slots: int, tweaks: int) -> None:
    held, secret = some(slots), Secret.generate()
    keyagg = aggregate((each.point for each in held), TWEAKS[:tweaks])
    with summed_signer(weighted_secret(held, keyagg), keyagg) as signer:
        assert signer.keyagg.point == keyagg.point
        secnonce = signer.nonce_gen(signer.keyagg, MESSAGE, EXTRA)
        session = SessionContext(signer.keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE, secret.point)
        presigned = adaptor.presignature(session, [partial_sign(session, signer, secnonce)])
    assert adaptor.verify(presigned, secret.point, MESSAGE, keyagg.output)
    assert ssa_adaptor.verify(presigned, MESSAGE, keyagg.output, secret.point)
    assert verify(adaptor.adapt(presigned, secret.buffer), MESSAGE, keyagg.output)


def test_a_taproot_key_of_one_slot_makes_pre_signatures_of_both_parities() -> None:
    seen: set[tuple[int, int]] = set()
    while seen != {(a, b) for a in (2, 3) for b in (2, 3)}:
        key, secret = some(2)
        keyagg = aggregate([key.point], (bip86_tweak([key.point]),))
        signer = summed_signer(weighted_secret([key], keyagg), keyagg)
        secnonce = signer.nonce_gen(signer.keyagg, MESSAGE, EXTRA)
        session = SessionContext(signer.keyagg, nonce_agg([secnonce.pubnonce]), MESSAGE, secret.point)
        presigned = adaptor.presignature(session, [partial_sign(session, signer, secnonce)])
        seen.add((keyagg.point[0], presigned[0]))
        assert verify(adaptor.adapt(presigned, secret.buffer), MESSAGE, keyagg.output)

"""adaptors.json: points and their secrets, proofs of nonces, and pre-signatures with the signatures they become."""

from __future__ import annotations

from typing import Any

from keymeld_protocol.curve import adaptor, musig
from keymeld_protocol.curve.keyagg import aggregate, bip86_tweak, key_agg, key_sort, paired
from keymeld_protocol.curve.musig import SessionContext
from keymeld_protocol.curve.musig_secret import CollapsedSigner, nonce_gen, partial_sign, summed_signer, weighted_secret
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.values import Id

from .cast import commented, secret_of
from .chance import Chance

SIGNING, EXTRA = Id(secret_of("some signing")), bytes(32)


def adaptors_json() -> Any:
    """What is computed for an adaptor point, by signers and by whoever hears them."""
    with Chance("adaptors"):
        together = [_together(word) for word in _both_parities()]
        alone = [_alone(count) for count in (1, 3)]
        proofs = [_proof(attempt, item, point) for attempt, item, point in ((1, 0, 0), (16, 999, 63))]
    return commented(
        "T is the point, or of an 'and' the aggregate of KeyAgg(KeySort(points)). A pre-signature is R' || s'; "
        "s'G = +-(R' - T) + eP, minus where R' has odd y; the signature is x(R') || s, s = s' +- t.",
        combined=[_combined(count) for count in (2, 3, 64)], proofs=proofs, presignatures=[*together, *alone],
    )  # fmt: skip


def _secrets(word: str, count: int) -> list[Secret]:
    return [Secret(secret_of(f"{word} {i}")) for i in range(count)]


def _combined(count: int) -> dict[str, Any]:
    """The points of an ``and`` in the order of the request, and what they come to."""
    secrets = _secrets(f"one of {count}", count)
    points = [secret.point for secret in secrets]
    keyagg = key_agg(key_sort(points))
    return commented(
        f"{count} points", points=points, secrets=[bytes(secret.buffer) for secret in secrets],
        coefficients=[keyagg.coefficient(point) for point in points], T=adaptor.combined_point(points),
        t=bytes(adaptor.combined_secret(points, [secret.buffer for secret in secrets])),
    )  # fmt: skip


def _proof(attempt: int, item: int, point: int) -> dict[str, Any]:
    """A nonce that proves itself in one place."""
    key, lock = _secrets("prover", 2)
    secnonce = nonce_gen(key.point)
    message = adaptor.proof_message(SIGNING, attempt, item, point, lock.point, secnonce.pubnonce)
    return commented(
        f"attempt {attempt}, item {item}, point {point}", signing_id=SIGNING, attempt=attempt, item=item, point=point,
        T=lock.point, pubnonce=secnonce.pubnonce, message=message, proof=secnonce.prove(message),
    )  # fmt: skip


def _both_parities() -> list[str]:
    """Names of secrets whose pre-signatures have a nonce of even, and of odd y."""
    found: dict[int, str] = {}
    for word in (f"lock {i}" for i in range(64)):
        found.setdefault(int(_together(word)["presignature"][1]), word)
    return [found[parity] for parity in sorted(found)]


def _together(word: str) -> dict[str, Any]:
    """Two signers, one of whom stands for two slots, and every value between nonces and signature."""
    held, lock = _secrets("slot", 3), Secret(secret_of(word))
    points = [secret.point for secret in held]
    keyagg, message = aggregate(points, (bip86_tweak(points),)), secret_of("message")
    signers = [CollapsedSigner(keyagg, held[:2]), CollapsedSigner(keyagg, held[2:])]
    with Chance(word):
        secnonces = [signer.nonce_gen(keyagg, message, EXTRA) for signer in signers]
    pubnonces = [secnonce.pubnonce for secnonce in secnonces]
    session = SessionContext(keyagg, musig.nonce_agg(pubnonces), message, lock.point)
    psigs = [partial_sign(session, *pair) for pair in zip(signers, secnonces, strict=True)]
    made = adaptor.presignature(session, psigs)
    return commented(
        "two signers: the first stands for two slots", keys=list(keyagg.keys), keys_of_signers=[points[:2], points[2:]],
        pubnonces=pubnonces, aggnonce=session.aggnonce, bound=session.bound, b=session.coefficient,
        e=session.challenge, psigs=psigs, **_completed(made, lock, message, keyagg.output),
    )  # fmt: skip


def _alone(count: int) -> dict[str, Any]:
    """A signer who holds every key signs with their tweaked sum, as the second of (G, Q)."""
    held, lock, message = _secrets("lone slot", count), Secret(secret_of("lone lock")), secret_of("message")
    points = [secret.point for secret in held]
    keyagg = aggregate(points, (bip86_tweak(points),))
    signer = summed_signer(weighted_secret(held, keyagg), keyagg)
    secnonce = signer.nonce_gen(signer.keyagg, message, EXTRA)
    session = SessionContext(signer.keyagg, secnonce.pubnonce, message, lock.point)
    made = adaptor.presignature(session, [partial_sign(session, signer, secnonce)])
    return commented(
        f"alone with {count} of {count} slots: a list (G, Q) with a plain tweak", keys=list(keyagg.keys),
        list=list(signer.keyagg.keys), tweak=paired(keyagg.point).tweaks[0].value, pubnonces=[secnonce.pubnonce],
        **_completed(made, lock, message, keyagg.output),
    )  # fmt: skip


def _completed(made: bytes, lock: Secret, message: bytes, output: bytes) -> dict[str, Any]:
    return {
        "message": message, "output": output, "T": lock.point, "t": bytes(lock.buffer), "presignature": made,
        "signature": adaptor.adapt(made, lock.buffer),
    }  # fmt: skip

"""MuSig2 among signers in one process: everybody at one table, nobody hostile unless the test says so."""

from collections.abc import Sequence
from dataclasses import dataclass

from keymeld_protocol.curve.keyagg import KeyAgg
from keymeld_protocol.curve.musig import SessionContext, nonce_agg
from keymeld_protocol.curve.musig_secret import CollapsedSigner, Secnonce, partial_sign, summed_secret, weighted_secret
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import InvalidCrypto

EXTRA = bytes(32)


@dataclass(frozen=True)
class Signed:
    """One attempt that came to its end; psigs and pubnonces in the order of the signers."""

    session: SessionContext
    pubnonces: list[bytes]
    psigs: list[bytes]


def draw(signer: CollapsedSigner, keyagg: KeyAgg, message: bytes) -> Secnonce:
    """Draw a nonce for a signer."""
    return signer.nonce_gen(keyagg, message, EXTRA)


def sign_together(
    keyagg: KeyAgg, signers: Sequence[CollapsedSigner], message: bytes, adaptor: bytes | None = None
) -> Signed:
    """Let signers that hold every slot between them exchange nonces and sign."""
    secnonces = [draw(signer, keyagg, message) for signer in signers]
    pubnonces = [secnonce.pubnonce for secnonce in secnonces]
    session = SessionContext(keyagg, nonce_agg(pubnonces), message, adaptor)
    psigs = [partial_sign(session, *pair) for pair in zip(signers, secnonces, strict=True)]
    return Signed(session, pubnonces, psigs)


def sign_alone(secrets: Sequence[Secret], keyagg: KeyAgg, message: bytes) -> bytes:
    """Sign ``message`` (32 bytes) with every secret of a key list; returns a BIP-340 signature (64 bytes), verified.

    Raises:
        InvalidCrypto: the secrets are not exactly those of the key list, one was wiped, or the message is not 32 bytes.
    """
    with weighted_secret(secrets, keyagg) as total, summed_secret(total, keyagg) as key:
        signed = key.sign(message)
    if not verify(signed, message, keyagg.output):
        raise InvalidCrypto("signature: our own does not verify")
    return signed

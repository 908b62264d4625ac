"""Whether one contribution was sound when it was said: what the log itself proves against a signer.

    for each contribution, in the order of the log:   attempt.hear(by, entries)  ▶  require_sound(attempt, by, step)

An enclave that refuses names itself; who is at fault, every hearer finds here, and believes nobody (§11.5).
A contribution is judged by what was in the log before it: what another signer says later neither excuses it nor spoils
it, so nobody frames who refused because of it.
"""

from __future__ import annotations

from typing import Final

from ..curve import musig
from ..errors import Blamed, InvalidCrypto
from ..values import XOnlyKey
from ..wire.shapes import Signer
from .attempt import Attempt

ACCUSES: Final = frozenset({
    "bad_values", "said_twice", "failed_late", "foreign_signer", "missing_nonce", "bad_nonce", "bad_proof",
    "missing_psig", "bad_psig", "bad_signature",
})  # fmt: skip
"""Codes of a refusal that say: somebody's contribution is bad.  Any other speaks of what nobody else can see."""


def require_sound(attempt: Attempt, by: XOnlyKey, step: str) -> None:
    """Judge the contribution of ``by`` with ``step`` that ``attempt`` has heard last (§11.5).

    What is missing is a fault unless its item has failed; what is there must hold.

    Raises:
        Blamed: ``missing_nonce``, ``bad_nonce``, ``bad_proof``, ``missing_psig``, ``bad_psig`` or ``bad_signature``;
            names the signer's slots and the first place.
    """
    signer = attempt.signer(by)
    for index in range(len(attempt.places)):
        signers = attempt.signers_of(index)
        if step == "signatures" or signers == (signer,):
            _require_finished(attempt, index, signer, step)
        elif signer in signers:
            _require_nonce(attempt, index, signer, step)
            _require_psig(attempt, index, signer, step)


def _require_finished(attempt: Attempt, index: int, signer: Signer, step: str) -> None:
    """Who is alone on a place, or finishes, sends what it is for."""
    due = step != "nonces" and index not in attempt.failed
    if due and not attempt.places[index].holds(attempt.finished.get(index)):
        raise Blamed("bad_signature", signer.slots, str(attempt.places[index]))


def _require_nonce(attempt: Attempt, index: int, signer: Signer, step: str) -> None:
    """A nonce is two points, and proves itself where it has to."""
    nonce, place = attempt.value(attempt.pubnonces, signer, index), attempt.places[index]
    if step == "psigs":
        return
    if nonce is None:
        return _require_excuse("missing_nonce", attempt, index, signer)
    try:
        musig.nonce_agg([nonce])
    except InvalidCrypto:
        raise Blamed("bad_nonce", signer.slots, str(place)) from None
    if place.adaptor is not None and not attempt.is_proven(index, signer):
        raise Blamed("bad_proof", signer.slots, str(place))


def _require_psig(attempt: Attempt, index: int, signer: Signer, step: str) -> None:
    """A psig verifies over everybody's nonces; where one of those is bad, nobody can tell."""
    if step == "nonces":
        return
    if attempt.value(attempt.psigs, signer, index) is None:
        return _require_excuse("missing_psig", attempt, index, signer)
    try:
        session = attempt.session(index)
    except Blamed:
        return
    if not attempt.psig_holds(index, session, signer):
        raise Blamed("bad_psig", signer.slots, str(attempt.places[index]))


def _require_excuse(code: str, attempt: Attempt, index: int, signer: Signer) -> None:
    """Nothing is owed to an item that has failed."""
    if index not in attempt.failed:
        raise Blamed(code, signer.slots, str(attempt.places[index]))

"""An oracle that will sign one of several outcomes, and whose signature everybody can lock coins to beforehand.

    announces   R = k·G, once                         outcome j ──▶ its point S_j = R + H(R‖P‖j)·P: anybody computes it
    attests     s_j = k + H(R‖P‖j)·p, for one j       s_j·G = S_j: the secret that completes what was locked to S_j

R‖s_j is an ordinary BIP-340 signature of the outcome.  The oracle knows of no contract, no coin and no player.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from keymeld_protocol.curve.keyagg import hash_to_scalar
from keymeld_protocol.curve.schnorr import tagged_hash, verify
from keymeld_protocol.curve.secp256k1 import (
    Secret,
    lift_x,
    point_add,
    point_mul,
    seckey_negate,
    seckey_tweak_add,
    seckey_tweak_mul,
    wipe,
    xonly,
)

_CHALLENGE: Final = "BIP0340/challenge"


class Announcement(NamedTuple):
    """What the oracle publishes long before: its key, the nonce of this event, both x-only (32 bytes), the outcomes."""

    key: bytes
    nonce: bytes
    outcomes: tuple[str, ...]

    def point(self, outcome: str) -> bytes:
        """The point (33 bytes) whose secret the oracle will publish if this is the outcome.

        Raises:
            ValueError: the oracle has announced no such outcome.
        """
        point = point_add(lift_x(self.nonce), point_mul(lift_x(self.key), self.challenge(outcome)))
        if point is None:
            raise ValueError("nonce: cancels the oracle's key")
        return point

    def challenge(self, outcome: str) -> bytes:
        """BIP-340's e (32 bytes) of an outcome.

        Raises:
            ValueError: the oracle has announced no such outcome.
        """
        return hash_to_scalar(_CHALLENGE, self.nonce + self.key + self._message(outcome))

    def holds(self, outcome: str, attestation: bytes) -> bool:
        """Whether this ``attestation`` (32 bytes) says so: with R before it, it is the oracle's BIP-340 signature."""
        return verify(self.nonce + attestation, self._message(outcome), self.key)

    def _message(self, outcome: str) -> bytes:
        if outcome not in self.outcomes:
            raise ValueError(f"outcome: must be one of {', '.join(self.outcomes)}")
        return tagged_hash("oracle/outcome", outcome.encode())


class Oracle:
    """Attests one outcome of one event: two attestations with one nonce would give its key away."""

    def __init__(self, outcomes: Sequence[str]) -> None:
        """Draw a key and the nonce of the event, and announce them."""
        self._key, self._nonce = _even(), _even()
        self.announcement = Announcement(xonly(self._key.point), xonly(self._nonce.point), tuple(outcomes))

    def attest(self, outcome: str) -> bytes:
        """Publish s (32 bytes) of what has happened; the nonce is spent by it.

        Raises:
            ValueError: no such outcome was announced.
            InvalidCrypto: an outcome was attested before.
        """
        share = bytearray(self._key.buffer)
        seckey_tweak_mul(share, self.announcement.challenge(outcome))
        with self._nonce as nonce:  # wiped at the end of this block; zeros are refused below
            attestation = bytearray(nonce.buffer)
        seckey_tweak_add(attestation, share)
        wipe(share)
        return bytes(attestation)


def _even() -> Secret:
    """A fresh secret whose point has an even y, as BIP-340 wants keys and nonces."""
    secret = Secret.generate()
    if secret.point[0] == 3:
        seckey_negate(secret.buffer)
    return secret

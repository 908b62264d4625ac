"""Attack 25: an adaptor point that is chosen after the nonces forges signatures, unless it is bound into them.

256 sessions open at once ── R_i is known ── for each two points, two challenges ── the bits of one challenge more
                                                                          └──▶ a signature that nobody made

This is the polynomial attack on ROS.  Each final nonce is R_i + T_i, so whoever chooses T_i last chooses the challenge
e_i while the signer's own nonce R_i stays as it is; the answers then add up to an answer to the attacker's own message.
With T_i in the aggnonce, the nonce coefficient b_i and with it R_i move with every choice, and nothing adds up.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import randbelow, token_bytes

from keymeld_protocol.curve.keyagg import aggregate, hash_to_scalar
from keymeld_protocol.curve.musig import SessionContext, bind_adaptor
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret, point_add, point_mul, pubkey_of

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
SESSIONS = 256
TARGET = b"pay everything to the attacker!!"


def raw(number: int) -> bytes:
    return (number % ORDER).to_bytes(32, "big")


def times(number: int, point: bytes) -> bytes:
    return point_mul(point, raw(number))


def plus(*points: bytes) -> bytes:
    total = point_add(*points)
    assert total is not None
    return total


@dataclass(frozen=True)
class Choice:
    """One adaptor point for one session: the signer's own nonce r·G, and the challenge that it would answer."""

    r: int
    own: bytes
    challenge: int


class Victim:
    """A signer with a key of even y, which opens sessions and answers each once; ``bound``: as §10.7 demands."""

    def __init__(self, bound: bool) -> None:
        self.bound = bound
        self.secret = 1 + randbelow(ORDER - 1)
        self.point = pubkey_of(raw(self.secret))
        if self.point[0] == 3:
            self.secret, self.point = ORDER - self.secret, b"\x02" + self.point[1:]
        self.nonces = [(1 + randbelow(ORDER - 1), 1 + randbelow(ORDER - 1)) for _ in range(SESSIONS)]
        self.aggnonces = [pubkey_of(raw(first)) + pubkey_of(raw(second)) for first, second in self.nonces]

    def choice(self, index: int) -> Choice:
        """What a random T makes of session ``index``; its final nonce has even y, so no sign disturbs the sum."""
        while True:
            T = pubkey_of(token_bytes(32))
            message, aggnonce = index.to_bytes(32, "big"), self.aggnonces[index]
            hashed = bind_adaptor(aggnonce, T) if self.bound else aggnonce
            b = int.from_bytes(hash_to_scalar("MuSig/noncecoef", hashed + self.point[1:] + message), "big")
            own = plus(aggnonce[:33], times(b, aggnonce[33:]))
            final = plus(own, T)
            if final[0] == 2:
                first, second = self.nonces[index]
                return Choice(first + b * second, own, self.challenge(final, message))

    def challenge(self, nonce: bytes, message: bytes) -> int:
        return int.from_bytes(hash_to_scalar("BIP0340/challenge", nonce[1:] + self.point[1:] + message), "big")

    def answer(self, chosen: Choice) -> int:
        """The one psig of a session."""
        return (chosen.r + chosen.challenge * self.secret) % ORDER


def forged(victim: Victim) -> bool:
    """Run the attack: one choice of two for every session, so that their challenges add up to that of `TARGET`."""
    pairs = [(victim.choice(index), victim.choice(index)) for index in range(SESSIONS)]
    while True:
        weights = [pow(2, i, ORDER) * pow(b.challenge - a.challenge, -1, ORDER) for i, (a, b) in enumerate(pairs)]
        constant = -sum(weight * a.challenge for weight, (a, _) in zip(weights, pairs, strict=True))
        terms = [times(weight, a.own) for weight, (a, _) in zip(weights, pairs, strict=True)]
        nonce = plus(*terms, times(-constant, victim.point))
        if nonce[0] == 2:
            break
        pairs[0] = (pairs[0][0], victim.choice(0))
    bits = victim.challenge(nonce, TARGET)
    chosen = [pair[bits >> i & 1] for i, pair in enumerate(pairs)]
    s = sum(weight * victim.answer(choice) for weight, choice in zip(weights, chosen, strict=True))
    return verify(nonce[1:] + raw(s), TARGET, victim.point[1:])


def test_attack_25_points_chosen_after_the_nonces_forge_where_they_are_not_bound() -> None:
    """25: T chosen after the nonces: 256 answers to other messages make a signature of a message nobody signed."""
    assert forged(Victim(bound=False))


def test_attack_25_points_chosen_after_the_nonces_forge_nothing_where_they_are_bound() -> None:
    """25: T chosen after the nonces: the same attack against the coefficient that binds T."""
    assert not forged(Victim(bound=True))


def test_attack_25_our_sessions_bind_their_point_as_that_victim_does() -> None:
    """25: T chosen after the nonces."""
    keys = [Secret.generate() for _ in range(2)]
    keyagg, T = aggregate(key.point for key in keys), Secret.generate().point
    aggnonce = Secret.generate().point + Secret.generate().point
    session = SessionContext(keyagg, aggnonce, TARGET, T)
    bound = bind_adaptor(aggnonce, T)
    assert session.coefficient == hash_to_scalar("MuSig/noncecoef", bound + keyagg.output + TARGET)
    assert session.nonce == plus(bound[:33], point_mul(bound[33:], session.coefficient))

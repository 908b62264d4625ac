"""The secret half: one signer for all the slots of a keygen whose keys are held here (§10.6).

    alone on a place:    key sum ─────────────────────────────▶ signature, or pre-signature for an adaptor point
    not the last:        nonces ▶ (kept, unspent) ▶ everybody's nonces ▶ psigs, nonces spent
    who finishes:        the same, then everybody else's psigs ▶ signatures, added up and verified
    the last:            everybody else's nonces ▶ nonces and psigs in one step, nothing kept

For an adaptor point every nonce proves itself, and no psig leaves before everybody else's proof was verified, and with
it the psig of the last one (attack 29).

A secnonce lives in ``Nonces`` only, for one attempt, and is popped before its psig is computed: a crash, a retry or a
duplicate message finds it gone (attack 28).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import TypeVar

from ..curve import adaptor, ecdsa, musig
from ..curve.keyagg import KeyAgg
from ..curve.musig_secret import (
    CollapsedSigner,
    Secnonce,
    partial_sign,
    summed_secret,
    summed_signer,
    weighted_secret,
)
from ..curve.schnorr import Keypair, tagged_hash
from ..curve.secp256k1 import Secret
from ..errors import KeymeldError
from ..plaintext.contributions import Both, Entry, Finished, Nonce, Nothing, Prefinished, Psig
from ..two_threads import each
from .attempt import Attempt
from .holder import KeyHolder
from .plan import Item
from .roster import Roster

MAX_SUMS = 1024
"""Tweaked sums of keys that are kept, of either sort; the oldest is wiped for the next."""

Sum = TypeVar("Sum", Keypair, CollapsedSigner)


class NoncesGone(KeymeldError):
    """The nonces of this attempt were spent, wiped, or never made by this process: ask for a new attempt."""


class Nonces:
    """The unspent secnonces of one attempt, by place."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self._secnonces: dict[int, Secnonce] = {}

    def keep(self, index: int, secnonce: Secnonce) -> None:
        """Keep a place's secnonce until its psig."""
        self._secnonces[index] = secnonce

    def pop(self, index: int) -> Secnonce:
        """Give the secnonce away, once.

        Raises:
            NoncesGone: it is not here any more.
        """
        secnonce = self._secnonces.pop(index, None)
        if secnonce is None:
            raise NoncesGone(f"place {index} of attempt {self.attempt}")
        return secnonce

    def wipe(self) -> None:
        """Wipe what was not spent."""
        while self._secnonces:
            self._secnonces.popitem()[1].wipe()

    def __repr__(self) -> str:
        """How many are left, never what they are."""
        return f"<Nonces of attempt {self.attempt}: {len(self._secnonces)} unspent>"


class MemberSigner:
    """One holder of keys in one keygen, whatever number of slots it signs for."""

    def __init__(self, holder: KeyHolder, roster: Roster) -> None:
        self._key = holder.key
        self.holder = holder
        self.roster = roster
        self._totals: dict[tuple[int, ...], Secret] = {}
        self._sums: dict[bytes, Keypair] = {}
        self._lone: dict[bytes, CollapsedSigner] = {}
        self._collapsed: dict[tuple[int, ...], CollapsedSigner] = {}
        self._summing = Lock()  # the places of a big batch are signed on two threads

    def alone(self, attempt: Attempt) -> tuple[Entry, ...]:
        """Finished signatures and pre-signatures, each verified: every needed slot is held here.

        Raises:
            Blamed: what was made does not verify: names us.
        """
        made = each(lambda i: attempt.known.get(i) or self._finished(attempt, i), len(attempt.places))
        attempt.hear(self._key, made, finished=True)
        return attempt.made()

    def nonces(self, attempt: Attempt, kept: Nonces) -> tuple[Entry, ...]:
        """A fresh nonce for every place that we sign with others; the secret halves go to ``kept``."""
        return each(lambda i: self._first(attempt, i, kept), len(attempt.places))

    def both(self, attempt: Attempt) -> tuple[Entry, ...]:
        """As the last signer: nonces and psigs in one step; no secret outlives the call.

        Raises:
            Blamed: somebody else's nonce is missing or invalid, or does not prove itself.
        """
        return each(lambda i: self._last(attempt, i), len(attempt.places))

    def psigs(self, attempt: Attempt, kept: Nonces, *, verified: bool = True) -> tuple[Entry, ...]:
        """Spend the kept nonces on everybody's; each is ``verified``, unless it never leaves (`signatures`).

        Raises:
            NoncesGone: some nonce is not here any more; nothing is said.
            Blamed: somebody else's nonce is missing or invalid, or does not prove itself; or for an adaptor point the
                last one's psig does not hold.
        """
        return each(lambda i: self._answer(attempt, i, kept, verified), len(attempt.places))

    def signatures(self, attempt: Attempt, kept: Nonces) -> tuple[Entry, ...]:
        """The same for who finishes: what everybody's psigs come to, each verified.

        Raises:
            NoncesGone: as `psigs`.
            Blamed: as `psigs`; or what it comes to does not verify: names whose psig it is.
        """
        attempt.hear(self._key, self.psigs(attempt, kept, verified=False))
        return attempt.made()

    def wipe(self) -> None:
        """Wipe the sums of keys."""
        for held in (*self._totals.values(), *self._sums.values(), *self._lone.values(), *self._collapsed.values()):
            held.wipe()
        self._totals.clear()
        self._sums.clear()
        self._lone.clear()
        self._collapsed.clear()

    def _finished(self, attempt: Attempt, index: int) -> Entry:
        """What a place whose slots are all held here is for: its signature, or pre-signature."""
        place = attempt.places[index]
        if place.adaptor is not None:
            return Prefinished(self._presigned(attempt, index, place.adaptor))
        if place.item.ecdsa:
            return Finished(ecdsa.sign(place.item.message, self.holder.secret(place.item.slots[0])))
        return Finished(self._sum(self._sums, place.item, summed_secret).sign(place.item.message))

    def _presigned(self, attempt: Attempt, index: int, bound: bytes) -> bytes:
        """A pre-signature of ours alone: MuSig2 with one signer, who has seen nobody else's nonces (§10.7)."""
        item = attempt.places[index].item
        signer = self._sum(self._lone, item, summed_signer)
        secnonce = signer.nonce_gen(signer.keyagg, item.message, self._extra(attempt, index, bytes(66)))
        session = musig.SessionContext(signer.keyagg, musig.nonce_agg([secnonce.pubnonce]), item.message, bound)
        return adaptor.presignature(session, [partial_sign(session, signer, secnonce)])

    def _sum(self, kept: dict[bytes, Sum], item: Item, make: Callable[[Secret, KeyAgg], Sum]) -> Sum:
        """The tweaked sum of the keys of an item of which we hold every slot."""
        with self._summing:
            found = kept.get(item.keyagg.output)
            if found is None:
                if len(kept) >= MAX_SUMS:
                    del kept[next(iter(kept))]  # wiped when nobody signs with it any more
                found = kept[item.keyagg.output] = make(self._total(item), item.keyagg)
            return found

    def _total(self, item: Item) -> Secret:
        """The sum of the keys of a list of which we hold every slot, whatever the tweaks."""
        if item.slots not in self._totals:
            secrets = [self.holder.secret(slot) for slot in item.slots]
            self._totals[item.slots] = weighted_secret(secrets, item.keyagg)
        return self._totals[item.slots]

    def _first(self, attempt: Attempt, index: int, kept: Nonces) -> Entry:
        if not self._takes_part(attempt, index):
            return Nothing()
        if index in attempt.known:
            return attempt.known[index]
        if self._is_alone(attempt, index):
            return Nothing()  # no signature leaves in a step that everybody calls nonces
        secnonce = self._draw(attempt, index, bytes(66))
        kept.keep(index, secnonce)
        return Nonce(secnonce.pubnonce, self._proof(attempt, index, secnonce))

    def _last(self, attempt: Attempt, index: int) -> Entry:
        if not self._takes_part(attempt, index):
            return Nothing()
        if attempt.unsigned(index):
            return attempt.known.get(index, Nothing())
        if self._is_alone(attempt, index):
            return self._finished(attempt, index)
        attempt.require_proofs(index, self._key)
        secnonce = self._draw(attempt, index, attempt.aggnonce_of_others(index, self._key))
        proof = self._proof(attempt, index, secnonce)
        session = attempt.session(index, also=secnonce.pubnonce, by=self._key)
        return Both(secnonce.pubnonce, partial_sign(session, self._signer(attempt, index), secnonce), proof)

    def _answer(self, attempt: Attempt, index: int, kept: Nonces, verified: bool) -> Entry:
        if not self._takes_part(attempt, index) or attempt.unsigned(index):
            return Nothing()
        if self._is_alone(attempt, index):
            return self._finished(attempt, index)
        secnonce = kept.pop(index)
        if self._said(attempt, index) != secnonce.pubnonce:
            secnonce.wipe()
            raise NoncesGone(f"place {index} of attempt {attempt.number}: the log has another nonce of ours")
        session = attempt.session(index)
        attempt.require_proofs(index, self._key, session)
        return Psig(partial_sign(session, self._signer(attempt, index), secnonce, verified=verified))

    def _said(self, attempt: Attempt, index: int) -> bytes | None:
        """Our nonce in the log; where two processes have one identity, the other one's may stand there."""
        ours = attempt.pubnonces.get(self._key)
        return None if ours is None else ours[index]

    def _draw(self, attempt: Attempt, index: int, others: bytes) -> Secnonce:
        """NonceGen with fresh randomness and everything that is known (§10.6)."""
        item, extra = attempt.places[index].item, self._extra(attempt, index, others)
        return self._signer(attempt, index).nonce_gen(item.keyagg, item.message, extra)

    def _extra(self, attempt: Attempt, index: int, others: bytes) -> bytes:
        """What binds a nonce to its place: 32 bytes; ``others`` is their aggregate nonce (66 bytes) or zeros."""
        place, ours = attempt.places[index], _written(attempt.signer(self._key).slots)
        numbers = b"".join(number.to_bytes(4, "big") for number in (attempt.number, place.index, place.point))
        bound = place.adaptor or bytes(33)
        return tagged_hash("keymeld/nonce-extra/v1", attempt.signing + numbers + ours + others + bound)

    def _proof(self, attempt: Attempt, index: int, secnonce: Secnonce) -> bytes | None:
        """For an adaptor point: that R1 of our nonce is ours."""
        if attempt.places[index].adaptor is None:
            return None
        return secnonce.prove(attempt.proof_message(index, secnonce.pubnonce))

    def _signer(self, attempt: Attempt, index: int) -> CollapsedSigner:
        """The one signer for all our slots of the item's key list."""
        item = attempt.places[index].item
        with self._summing:
            found = self._collapsed.get(item.slots)
            if found is None:
                ours = sorted(set(attempt.signer(self._key).slots).intersection(item.slots))
                secrets = [self.holder.secret(slot) for slot in ours]
                found = self._collapsed[item.slots] = CollapsedSigner(item.keyagg, secrets)
            return found

    def _takes_part(self, attempt: Attempt, index: int) -> bool:
        return any(signer.key == self._key for signer in attempt.signers_of(index))

    def _is_alone(self, attempt: Attempt, index: int) -> bool:
        signers = attempt.signers_of(index)
        return len(signers) == 1 and signers[0].key == self._key


@lru_cache(64)
def _written(slots: tuple[int, ...]) -> bytes:
    """Slots as nonces are bound to them: u16 each, the same for every place."""
    return b"".join(slot.to_bytes(2, "big") for slot in slots)

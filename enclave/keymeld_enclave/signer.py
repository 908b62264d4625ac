"""The secret half: one signer for all the slots of a keygen that are sealed to this enclave.

    alone on an item:    key sum ─────────────────────────────▶ signature
    not the last:        nonces ▶ (kept, unspent) ▶ everybody's nonces ▶ psigs, nonces spent
    the last:            everybody else's nonces ▶ nonces and psigs in one step, nothing kept

A secnonce lives in ``Nonces`` only, for one attempt, and is popped before its psig is computed: a crash, a retry or a
duplicate message finds it gone (attack 28).
"""

from __future__ import annotations

from keymeld_protocol import ecdsa, musig
from keymeld_protocol.attempt import Attempt
from keymeld_protocol.contributions import Both, Entry, Finished, Nonce, Nothing, Psig
from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.musig_secret import Secnonce, partial_sign, summed_secret
from keymeld_protocol.musig_secret import Signer as CollapsedSigner
from keymeld_protocol.plan import Item
from keymeld_protocol.roster import Roster
from keymeld_protocol.schnorr import SigningKey, tagged_hash
from keymeld_protocol.values import Id

from .custody import Custody

MAX_SUMS = 1024
"""Tweaked sums of keys that are kept; the oldest is wiped for the next."""


class NoncesGone(KeymeldError):
    """The nonces of this attempt were spent, wiped, or never made by this process: ask for a new attempt."""


class Nonces:
    """The unspent secnonces of one attempt, by item."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self._secnonces: dict[int, Secnonce] = {}

    def keep(self, index: int, secnonce: Secnonce) -> None:
        """Keep an item's secnonce until its psig."""
        self._secnonces[index] = secnonce

    def pop(self, index: int) -> Secnonce:
        """Give the secnonce away, once.

        Raises:
            NoncesGone: it is not here any more.
        """
        secnonce = self._secnonces.pop(index, None)
        if secnonce is None:
            raise NoncesGone(f"item {index} of attempt {self.attempt}")
        return secnonce

    def wipe(self) -> None:
        """Wipe what was not spent."""
        while self._secnonces:
            self._secnonces.popitem()[1].wipe()

    def __repr__(self) -> str:
        """How many are left, never what they are."""
        return f"<Nonces of attempt {self.attempt}: {len(self._secnonces)} unspent>"


class Signer:
    """This enclave in one keygen, whatever number of slots it speaks for."""

    def __init__(self, custody: Custody, roster: Roster) -> None:
        self.custody = custody
        self._key = custody.key
        self.roster = roster
        self._sums: dict[bytes, SigningKey] = {}
        self._collapsed: dict[tuple[int, ...], CollapsedSigner] = {}

    def alone(self, attempt: Attempt) -> tuple[Entry, ...]:
        """Finished signatures: every needed slot is held here."""
        return tuple(attempt.known.get(i) or self._finished(attempt.item(i)) for i in range(len(attempt.items)))

    def nonces(self, signing: Id, attempt: Attempt, kept: Nonces) -> tuple[Entry, ...]:
        """A fresh nonce for every item that we sign with others; the secret halves go to ``kept``."""
        return tuple(self._first(signing, attempt, i, kept) for i in range(len(attempt.items)))

    def both(self, signing: Id, attempt: Attempt) -> tuple[Entry, ...]:
        """As the last signer: nonces and psigs in one step; no secret outlives the call.

        Raises:
            Blamed: somebody else's nonce is missing or invalid.
        """
        return tuple(self._last(signing, attempt, i) for i in range(len(attempt.items)))

    def psigs(self, attempt: Attempt, kept: Nonces) -> tuple[Entry, ...]:
        """Spend the kept nonces on everybody's.

        Raises:
            NoncesGone: some nonce is not here any more; nothing is said.
            Blamed: somebody else's nonce is missing or invalid.
        """
        return tuple(self._answer(attempt, i, kept) for i in range(len(attempt.items)))

    def wipe(self) -> None:
        """Wipe the sums of keys."""
        for held in (*self._sums.values(), *self._collapsed.values()):
            held.wipe()
        self._sums.clear()
        self._collapsed.clear()

    def _finished(self, item: Item) -> Entry:
        """The signature of an item whose slots are all held here."""
        if item.ecdsa:
            return Finished(signature=ecdsa.sign(item.message, self.custody.take(item.slots[0]).secret))
        key = self._sums.get(item.keyagg.output)
        if key is None:
            if len(self._sums) >= MAX_SUMS:
                self._sums.pop(next(iter(self._sums))).wipe()
            secrets = [self.custody.take(slot).secret for slot in item.slots]
            key = self._sums[item.keyagg.output] = summed_secret(secrets, item.keyagg)
        return Finished(signature=key.sign(item.message))

    def _first(self, signing: Id, attempt: Attempt, index: int, kept: Nonces) -> Entry:
        if not self._takes_part(attempt, index):
            return Nothing()
        if index in attempt.known:
            return attempt.known[index]
        if self._is_alone(attempt, index):
            return Nothing()  # no signature leaves in a step that everybody calls nonces
        secnonce = self._draw(signing, attempt, index, bytes(66))
        kept.keep(index, secnonce)
        return Nonce(pubnonce=secnonce.pubnonce)

    def _last(self, signing: Id, attempt: Attempt, index: int) -> Entry:
        if not self._takes_part(attempt, index):
            return Nothing()
        if index in attempt.failed:
            return attempt.known.get(index, Nothing())
        if self._is_alone(attempt, index):
            return self._finished(attempt.item(index))
        secnonce = self._draw(signing, attempt, index, attempt.aggnonce_of_others(index, self._key))
        pubnonce = secnonce.pubnonce
        session = attempt.session(index, also=pubnonce)
        return Both(pubnonce=pubnonce, psig=self._spend(attempt, index, session, secnonce))

    def _answer(self, attempt: Attempt, index: int, kept: Nonces) -> Entry:
        if not self._takes_part(attempt, index) or index in attempt.failed:
            return Nothing()
        if self._is_alone(attempt, index):
            return self._finished(attempt.item(index))
        secnonce = kept.pop(index)
        if self._said(attempt, index) != secnonce.pubnonce:
            secnonce.wipe()
            raise NoncesGone(f"item {index} of attempt {attempt.number}: the log has another nonce of ours")
        return Psig(psig=self._spend(attempt, index, attempt.session(index), secnonce))

    def _said(self, attempt: Attempt, index: int) -> bytes | None:
        """Our nonce in the log; where two processes have one identity, the other one's may stand there."""
        ours = attempt.pubnonces.get(self._key)
        return None if ours is None else ours[index]

    def _spend(self, attempt: Attempt, index: int, session: musig.Session, secnonce: Secnonce) -> bytes:
        return partial_sign(session, self._signer(attempt, index), secnonce)

    def _draw(self, signing: Id, attempt: Attempt, index: int, others: bytes) -> Secnonce:
        """NonceGen with fresh randomness and everything that is known (CRYPTO §4)."""
        item = attempt.item(index)
        slots = b"".join(slot.to_bytes(2, "big") for slot in attempt.signer(self._key).slots)
        place = attempt.number.to_bytes(4, "big") + index.to_bytes(4, "big") + bytes(4)
        extra = tagged_hash("keymeld/nonce-extra/v1", signing + place + slots + others + bytes(33))
        return self._signer(attempt, index).nonce_gen(item.keyagg, item.message, extra)

    def _signer(self, attempt: Attempt, index: int) -> CollapsedSigner:
        """The one signer for all our slots of the item's key list."""
        item = attempt.item(index)
        ours = tuple(slot for slot in attempt.signer(self._key).slots if slot in set(item.slots))
        if item.slots not in self._collapsed:
            secrets = [self.custody.take(slot).secret for slot in ours]
            self._collapsed[item.slots] = CollapsedSigner(item.keyagg, secrets)
        return self._collapsed[item.slots]

    def _takes_part(self, attempt: Attempt, index: int) -> bool:
        return any(signer.key == self._key for signer in attempt.signers_of(index))

    def _is_alone(self, attempt: Attempt, index: int) -> bool:
        signers = attempt.signers_of(index)
        return len(signers) == 1 and signers[0].key == self._key

"""One attempt of a signing, as a hearer reads it: nonces and psigs by signer, verified, added up to signatures.

    signing.contribute (nonces) ──┐
    signing.contribute (both)  ───┼──▶ for each place: aggnonce ▶ session context ▶ final (pre-)signature, verified
    signing.contribute (psigs) ──┘                               └ when that fails: each psig, and whom to blame
    signing.contribute (signatures) ─▶ what the signer who finishes has added up; each verified

Final signatures are tried first, single psigs only when that fails.  Whoever hears an attempt computes the result
itself; nobody's word for it is needed.

A *place* is one signature, or one pre-signature for an adaptor point; an item is one place, or with ``or`` several.
Where an adaptor is bound in, nobody signs before `require_proofs` (§10.7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..curve import adaptor, musig
from ..curve.musig import SessionContext
from ..errors import Blamed, InvalidCrypto
from ..machines.signing_state import SigningState
from ..plaintext.contributions import Both, Entry, Failed, Finished, Nonce, Prefinished, Psig
from ..two_threads import each
from ..values import Id, XOnlyKey
from ..wire.shapes import Signer
from .places import Made, Result, by_item, places
from .plan import Impossible, Planned
from .roster import Roster

ValuesBySigner = dict[XOnlyKey, list[bytes | None]]
"""Values of one sort: for each signer, one for each place."""


@dataclass
class Attempt:
    """The contributions of one attempt; ``last`` is who sends nonces and psigs in one step, if anybody does.

    ``finisher`` has said ``signatures``, for every place.  ``known`` are the places that are not signed whatever is
    said: nobody can (`plan.Impossible`), or we will not.
    """

    signing: Id
    number: int
    items: tuple[Planned, ...]
    signers: tuple[Signer, ...]
    last: XOnlyKey | None
    roster: Roster
    pubnonces: ValuesBySigner = field(default_factory=dict)
    proofs: ValuesBySigner = field(default_factory=dict)
    psigs: ValuesBySigner = field(default_factory=dict)
    finished: dict[int, Finished | Prefinished] = field(default_factory=dict)
    finisher: Signer | None = None
    failed: dict[int, Failed] = field(default_factory=dict)
    known: dict[int, Failed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Items that nobody can sign have failed before anybody spoke."""
        self.places = places(self.items)
        self._sessions: dict[int, SessionContext] = {}
        self.refuse({i: Failed(item.code) for i, item in enumerate(self.items) if isinstance(item, Impossible)})
        self.failed.update(self.known)

    @classmethod
    def of(cls, state: SigningState, items: tuple[Planned, ...], roster: Roster) -> Attempt:
        """The latest attempt of a signing, in which nothing has been heard."""
        return cls(state.stream, state.attempt, items, state.signers, state.last, roster)

    def refuse(self, known: Mapping[int, Failed]) -> None:
        """Sign nothing of these items; with which code they fail says who is first in the log."""
        for item, reason in known.items():
            for index in self._places_of[item]:
                self.known.setdefault(index, reason)

    def take_word(self, entries: tuple[Entry, ...]) -> None:
        """Take whoever finishes at his word that items have failed, where nothing shows whether they have."""
        for index, entry in enumerate(entries):
            if isinstance(entry, Failed):
                self.failed.update(dict.fromkeys(self._places_of[self.places[index].index], entry))

    def unsigned(self, index: int) -> bool:
        """Whether a place is not signed whatever is said from now on."""
        return index in self.known or index in self.failed

    @cached_property
    def _places_of(self) -> list[list[int]]:
        """The places of each item."""
        found: list[list[int]] = [[] for _ in self.items]
        for index, place in enumerate(self.places):
            found[place.index].append(index)
        return found

    # Who ----------------------------------------------------------------------------------------------------------

    def signer(self, key: XOnlyKey) -> Signer:
        """The signer with this key.

        Raises:
            Blamed: there is none.
        """
        found = next((signer for signer in self.signers if signer.key == key), None)
        if found is None:
            raise Blamed("foreign_signer", (), "not a signer of this attempt")
        return found

    def signers_of(self, index: int) -> tuple[Signer, ...]:
        """The signers that hold a slot of the place's key list."""
        return self._signers_of[index]

    @cached_property
    def _signers_of(self) -> list[tuple[Signer, ...]]:
        lists = {item.slots for item in self.items}
        found = {slots: tuple(s for s in self.signers if set(s.slots) & set(slots)) for slots in lists}
        return [found[place.planned.slots] for place in self.places]

    def keys_of(self, signer: Signer, index: int) -> tuple[bytes, ...]:
        """The signing keys of the place's key list for which ``signer`` stands."""
        slots = set(self.places[index].planned.slots)
        return tuple(self.roster.cards[slot].pubkey for slot in signer.slots if slot in slots)

    # Hearing ------------------------------------------------------------------------------------------------------

    def hear(self, by: XOnlyKey, entries: tuple[Entry, ...], *, finished: bool = False) -> None:
        """Take the opened values of a contribution, one entry for each place; the same value twice is fine (§10.4).

        With ``finished`` they are ``signatures``, of places too in which he has no part: he has added up the psigs.

        Raises:
            Blamed: ``foreign_signer``; ``bad_values``: an entry of a sort that its place does not take;
                ``said_twice``: a second value where the signer has given one; or ``failed_late``: an item is failed
                of which the signer has given a nonce before, so that others may have signed.
        """
        signer = self.signer(by)
        if finished:
            self.finisher, self.finished = signer, {}
        # where he has no part nobody waits for him, and he spoils nobody's item
        own = [(index, entry) for index, entry in enumerate(entries) if finished or signer in self.signers_of(index)]
        for index, entry in own:
            if not self.places[index].takes(entry):
                raise Blamed("bad_values", signer.slots, f"{self.places[index]}: of a sort that it does not take")
            if isinstance(entry, Failed) and signer in self.signers_of(index):
                self._fail(signer, index, entry)
        for index, entry in own:
            if isinstance(entry, (Finished, Prefinished)) and (finished or self.signers_of(index) == (signer,)):
                self.finished[index] = entry
            if isinstance(entry, (Nonce, Both)):
                self._once(self.pubnonces, signer, index, entry.pubnonce)
                self._once(self.proofs, signer, index, entry.proof)
            if isinstance(entry, (Psig, Both)):
                self._once(self.psigs, signer, index, entry.psig)

    def _fail(self, signer: Signer, index: int, reason: Failed) -> None:
        """An item fails as a whole, and before its signer gives a nonce: later he may hold all psigs (§10.4)."""
        every = self._places_of[self.places[index].index]
        if all(place in self.failed for place in every):
            return
        if any(self.value(self.pubnonces, signer, place) is not None for place in every):
            raise Blamed("failed_late", signer.slots, f"{self.places[index]}: its nonce may have been answered")
        for place in every:
            self.failed.setdefault(place, Failed(reason.code, signer.slots))

    def _once(self, heard: ValuesBySigner, signer: Signer, index: int, value: bytes | None) -> None:
        """Keep a value; another one for the same place is the signer's fault (attack 44)."""
        values = heard.setdefault(signer.key, [None] * len(self.places))
        if values[index] not in (None, value):
            raise Blamed("said_twice", signer.slots, f"{self.places[index]}: two values of one kind in one attempt")
        values[index] = value

    def _said(self, heard: ValuesBySigner, index: int, *, but: XOnlyKey | None = None, code: str) -> list[bytes]:
        """What every signer of a place has said, except for one.

        Raises:
            Blamed: ``code``, naming who has not.
        """
        signers = [signer for signer in self.signers_of(index) if signer.key != but]
        values = [self.value(heard, signer, index) for signer in signers]
        silent = [slot for signer, value in zip(signers, values, strict=True) if value is None for slot in signer.slots]
        if silent:
            raise Blamed(code, tuple(silent), str(self.places[index]))
        return [value for value in values if value is not None]

    def value(self, heard: ValuesBySigner, signer: Signer, index: int) -> bytes | None:
        """What a signer has said for a place, of one sort."""
        values = heard.get(signer.key)
        return None if values is None else values[index]

    # Sessions -----------------------------------------------------------------------------------------------------

    def session(self, index: int, also: bytes | None = None, by: XOnlyKey | None = None) -> SessionContext:
        """The place's MuSig2 session over all signers' nonces; ``also``: that of ``by``, not yet said (§10.6).

        Raises:
            Blamed: a signer's nonce is missing or is not two points.
        """
        if also is None and index in self._sessions:
            return self._sessions[index]
        nonces = self._said(self.pubnonces, index, but=by, code="missing_nonce") + ([] if also is None else [also])
        place = self.places[index]
        try:
            made = SessionContext(place.item.keyagg, musig.nonce_agg(nonces), place.item.message, place.adaptor)
        except InvalidCrypto:
            raise self._bad_nonce(index) from None
        if also is None:
            self._sessions[index] = made
        return made

    def aggnonce_of_others(self, index: int, key: XOnlyKey) -> bytes:
        """The place's aggregate nonce (66 bytes) of every signer but ``key``.

        Raises:
            Blamed: one is missing, or is not two points.
        """
        nonces = self._said(self.pubnonces, index, but=key, code="missing_nonce")
        try:
            return musig.nonce_agg(nonces)
        except InvalidCrypto:
            raise self._bad_nonce(index) from None

    def _bad_nonce(self, index: int) -> Blamed:
        """Blame whose nonce is not two points."""
        for signer in self.signers_of(index):
            nonce = self.value(self.pubnonces, signer, index)
            try:
                if nonce is not None:
                    musig.nonce_agg([nonce])
            except InvalidCrypto:
                return Blamed("bad_nonce", signer.slots, str(self.places[index]))
        return Blamed("bad_nonce", (), str(self.places[index]))

    # Before a psig leaves -----------------------------------------------------------------------------------------

    def require_proofs(self, index: int, ours: XOnlyKey, session: SessionContext | None = None) -> None:
        """What ``ours`` demands before its psig for an adaptor point leaves; for a signature nothing is demanded.

        Every other signer has proven its nonce, and the last one's psig is here and verifies (§10.7; attack 29).
        ``session`` is that of the place, if it is at hand.

        Raises:
            Blamed: a nonce, a proof or the last one's psig is missing or does not hold; names the slots.
        """
        if self.places[index].adaptor is None:
            return
        for signer in (signer for signer in self.signers_of(index) if signer.key != ours):
            if not self.is_proven(index, signer):
                raise Blamed("bad_proof", signer.slots, f"{self.places[index]}: the nonce does not prove itself")
            if signer.key == self.last:
                self._require_psig(index, session or self.session(index), signer)

    def proof_message(self, index: int, pubnonce: bytes) -> bytes:
        """What R1 of a pubnonce signs for this place, which is one for an adaptor point."""
        place = self.places[index]
        bound = place.adaptor or b""
        return adaptor.proof_message(self.signing, self.number, place.index, place.point, bound, pubnonce)

    def is_proven(self, index: int, signer: Signer) -> bool:
        """Whether a signer's nonce for an adaptor point, which is two points, proves itself.

        Raises:
            Blamed: there is no nonce.
        """
        nonce, proof = (self.value(heard, signer, index) for heard in (self.pubnonces, self.proofs))
        if nonce is None:
            raise Blamed("missing_nonce", signer.slots, str(self.places[index]))
        return proof is not None and adaptor.nonce_is_proven(proof, self.proof_message(index, nonce), nonce)

    def _require_psig(self, index: int, session: SessionContext, signer: Signer) -> None:
        if self.value(self.psigs, signer, index) is None:
            raise Blamed("missing_psig", signer.slots, str(self.places[index]))
        if not self.psig_holds(index, session, signer):
            raise Blamed("bad_psig", signer.slots, str(self.places[index]))

    # What comes of it ---------------------------------------------------------------------------------------------

    def results(self) -> tuple[Result, ...]:
        """The verified signature or pre-signatures of every item, or the error its signer gave for it.

        Raises:
            Blamed: something is missing, or does not verify; names the slots.
        """
        return by_item(self.items, self.made())

    def made(self) -> tuple[Made, ...]:
        """The same place by place: what ``signatures`` say.

        Raises:
            Blamed: as `results`.
        """
        return each(lambda i: self.failed.get(i) or self._made(i), len(self.places))

    def _made(self, index: int) -> Made:
        if self.finisher is not None or len(self.signers_of(index)) == 1:
            return self._finished(index)
        session = self.session(index)
        psigs = self._said(self.psigs, index, code="missing_psig")
        try:
            made = _added(session, psigs)
        except InvalidCrypto:
            raise self._bad_psig(index, session) from None
        if not self.places[index].holds(made):
            raise self._bad_psig(index, session)
        return made

    def _finished(self, index: int) -> Made:
        """What an enclave has sent that is alone on this place, or finishes."""
        made, signer = self.finished.get(index), self.finisher or self.signers_of(index)[0]
        if made is None or not self.places[index].holds(made):
            raise Blamed("bad_signature", signer.slots, str(self.places[index]))
        return made

    def _bad_psig(self, index: int, session: SessionContext) -> Blamed:
        """Verify each psig and blame the first that does not hold (§11.2)."""
        for signer in self.signers_of(index):
            if not self.psig_holds(index, session, signer):
                return Blamed("bad_psig", signer.slots, str(self.places[index]))
        return Blamed("bad_psig", (), f"{self.places[index]}: no single psig is to blame")

    def psig_holds(self, index: int, session: SessionContext, signer: Signer) -> bool:
        """Whether a signer's psig for a place is there and verifies."""
        psig, nonce = (self.value(heard, signer, index) or b"" for heard in (self.psigs, self.pubnonces))
        return musig.verify_collapsed_psig(session, psig, nonce, self.keys_of(signer, index))


def _added(session: SessionContext, psigs: list[bytes]) -> Finished | Prefinished:
    """Add up the psigs of a session; nothing is verified."""
    if session.adaptor is None:
        return Finished(musig.aggregate_psigs(session, psigs))
    return Prefinished(adaptor.presignature(session, psigs))

"""One attempt of a signing, as a hearer reads it: nonces and psigs by signer, verified, added up to signatures.

    signing.contribute (nonces) ──┐
    signing.contribute (both)  ───┼──▶ for each item: aggnonce ▶ Session ▶ final signature, verified
    signing.contribute (psigs) ──┘                              └ when that fails: each psig, and whom to blame

Final signatures are tried first, single psigs only when that fails.  Whoever hears an attempt computes the result
itself; nobody's word for it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from . import musig
from .contributions import Both, Entry, Failed, Finished, Nonce, Psig
from .errors import Blamed, InvalidCrypto
from .musig import Session
from .plan import Impossible, Item, Planned, signable
from .roster import Roster
from .shapes import Signer
from .values import Signature, XOnlyKey

Result = Signature | Failed


@dataclass
class Attempt:
    """The contributions of one attempt; ``pubnonces`` and ``psigs`` hold, for each signer, one place for each item.

    ``known`` are the items that are not signed whatever is said: nobody can (`plan.Impossible`), or we will not.
    """

    number: int
    items: tuple[Planned, ...]
    signers: tuple[Signer, ...]
    roster: Roster
    pubnonces: dict[XOnlyKey, list[bytes | None]] = field(default_factory=dict)
    psigs: dict[XOnlyKey, list[bytes | None]] = field(default_factory=dict)
    finished: dict[int, bytes] = field(default_factory=dict)
    failed: dict[int, Failed] = field(default_factory=dict)
    known: dict[int, Failed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Items that nobody can sign have failed before anybody spoke."""
        impossible = {i: Failed(item.code) for i, item in enumerate(self.items) if isinstance(item, Impossible)}
        self.refuse(impossible)

    def refuse(self, known: dict[int, Failed]) -> None:
        """Let items fail before they are signed; each keeps its first reason."""
        for index, reason in known.items():
            self.known.setdefault(index, reason)
            self.failed.setdefault(index, reason)

    def item(self, index: int) -> Item:
        """An item that can be signed.

        Raises:
            Blamed: nobody can sign it.
        """
        return signable(index, self.items[index])

    def hear(self, by: XOnlyKey, entries: tuple[Entry, ...]) -> None:
        """Take the opened values of a contribution, one entry for each item; the same value twice is fine.

        Raises:
            Blamed: ``foreign_signer``, or ``said_twice``: a second value where the signer has given one.
        """
        signer = self.signer(by)
        for index, entry in enumerate(entries):
            if signer not in self.signers_of(index):
                continue  # nobody waits for it, and it spoils nobody's item
            if isinstance(entry, Failed):
                self.failed.setdefault(index, entry)
            elif isinstance(entry, Finished) and self.signers_of(index) == (signer,):
                self.finished[index] = entry.signature
            if isinstance(entry, (Nonce, Both)):
                self._once(self.pubnonces, signer, index, entry.pubnonce)
            if isinstance(entry, (Psig, Both)):
                self._once(self.psigs, signer, index, entry.psig)

    def _once(self, heard: dict[XOnlyKey, list[bytes | None]], signer: Signer, index: int, value: bytes) -> None:
        """Keep a value; another one for the same item is the signer's fault (attack 44)."""
        values = heard.setdefault(signer.key, [None] * len(self.items))
        if values[index] not in (None, value):
            raise Blamed("said_twice", signer.slots, f"item {index}: two values of one kind in one attempt")
        values[index] = value

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
        """The signers that hold a slot of the item's key list."""
        return self._signers_by_slots[self.items[index].slots]

    @cached_property
    def _signers_by_slots(self) -> dict[tuple[int, ...], tuple[Signer, ...]]:
        lists = {item.slots for item in self.items}
        return {slots: tuple(s for s in self.signers if set(s.slots) & set(slots)) for slots in lists}

    def keys_of(self, signer: Signer, index: int) -> tuple[bytes, ...]:
        """The signing keys of the item's key list for which ``signer`` stands."""
        slots = set(self.items[index].slots)
        return tuple(self.roster.cards[slot].pubkey for slot in signer.slots if slot in slots)

    def session(self, index: int, also: bytes | None = None) -> Session:
        """The item's MuSig2 session over all signers' nonces; ``also``: our own, not yet said.

        Raises:
            Blamed: a signer's nonce is missing or is not two points.
        """
        nonces = [] if also is None else [also]
        for signer in self.signers_of(index):
            nonce = self.pubnonces.get(signer.key, [None] * len(self.items))[index]
            if nonce is not None:
                nonces.append(nonce)
        if len(nonces) != len(self.signers_of(index)):
            raise Blamed("missing_nonce", self._without(index, self.pubnonces), f"item {index}")
        item = self.item(index)
        try:
            return Session(item.keyagg, musig.nonce_agg(nonces), item.message)
        except InvalidCrypto:
            raise self._bad_nonce(index) from None

    def aggnonce_of_others(self, index: int, key: XOnlyKey) -> bytes:
        """The item's aggregate nonce (66 bytes) of every signer but ``key``.

        Raises:
            Blamed: one is missing, or is not two points.
        """
        others = [s for s in self.signers_of(index) if s.key != key]
        nonces = [self.pubnonces.get(s.key, [None] * len(self.items))[index] for s in others]
        present = [n for n in nonces if n is not None]
        if len(present) != len(others):
            missing = tuple(slot for s, n in zip(others, nonces, strict=True) if n is None for slot in s.slots)
            raise Blamed("missing_nonce", missing, f"item {index}")
        try:
            return musig.nonce_agg(present)
        except InvalidCrypto:
            raise self._bad_nonce(index) from None

    def _bad_nonce(self, index: int) -> Blamed:
        """Blame whose nonce is not two points."""
        for signer in self.signers_of(index):
            nonce = self.pubnonces.get(signer.key, [None] * len(self.items))[index]
            try:
                if nonce is not None:
                    musig.nonce_agg([nonce])
            except InvalidCrypto:
                return Blamed("bad_nonce", signer.slots, f"item {index}")
        return Blamed("bad_nonce", (), f"item {index}")

    def _without(self, index: int, heard: dict[XOnlyKey, list[bytes | None]]) -> tuple[int, ...]:
        absent = [None] * len(self.items)
        return tuple(x for s in self.signers_of(index) if heard.get(s.key, absent)[index] is None for x in s.slots)

    def results(self) -> tuple[Result, ...]:
        """The verified signature of every item, or the error its signer gave for it.

        Raises:
            Blamed: something is missing, or does not verify; names the slots.
        """
        return tuple(self.failed.get(i) or self._signature(i) for i in range(len(self.items)))

    def _signature(self, index: int) -> Signature:
        item = self.item(index)
        if len(self.signers_of(index)) == 1:
            return self._finished(index)
        session = self.session(index)
        psigs = [self.psigs.get(s.key, [None] * len(self.items))[index] for s in self.signers_of(index)]
        present = [p for p in psigs if p is not None]
        if len(present) != len(psigs):
            raise Blamed("missing_psig", self._without(index, self.psigs), f"item {index}")
        try:
            signature = musig.aggregate_psigs(session, present)
        except InvalidCrypto:
            raise self._bad_psig(index, session) from None
        if not item.verifies(signature):
            raise self._bad_psig(index, session)
        return Signature(signature)

    def _finished(self, index: int) -> Signature:
        """The signature that an enclave alone on this item has sent."""
        item, (only,) = self.item(index), self.signers_of(index)
        signature = self.finished.get(index, b"")
        if not item.verifies(signature):
            raise Blamed("bad_signature", only.slots, f"item {index}")
        return Signature(signature)

    def _bad_psig(self, index: int, session: Session) -> Blamed:
        """Verify each psig and blame the first that does not hold."""
        for signer in self.signers_of(index):
            psig, nonce = self.psigs[signer.key][index], self.pubnonces[signer.key][index]
            if not musig.verify_collapsed_psig(session, psig or b"", nonce or b"", self.keys_of(signer, index)):
                return Blamed("bad_psig", signer.slots, f"item {index}")
        return Blamed("bad_psig", (), f"item {index}: no single psig is to blame")

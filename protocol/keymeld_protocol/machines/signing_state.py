"""A signing as its log tells it, and what it waits for: who owes which step, and what time and presence call for.

    contributions ─▶ expected ─▶ holdouts                 who owes what now
    rules, consent ─▶ verdict ─▶ may_open ─▶ due          what the coordinator may say now
                   └▶ ripe_at ─▶ deadline                 when time alone will have changed that
    request ─▶ signers_of                                 who will sign, for which slots

Nothing here moves: ``signing.apply`` does.  Coordinator, enclaves and clients ask the same questions of the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from ..curve.schnorr import tagged_hash
from ..values import Hash, Id, XOnlyKey
from ..wire.payloads import AttemptOpened, SigningExpired, SigningRequest
from ..wire.shapes import MAX_ATTEMPTS, Signer
from . import consent
from .consent import Consent, Verdict
from .keygen_state import KeygenState
from .machine import NOBODY, Due, StreamKind, StreamState


class SigningPhase(StrEnum):
    """Where a signing stands; the last five are its ends."""

    APPROVING = "approving"
    NONCES = "nonces"
    PSIGS = "psigs"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDS = frozenset(
    {SigningPhase.COMPLETED, SigningPhase.REJECTED, SigningPhase.FAILED, SigningPhase.CANCELLED, SigningPhase.EXPIRED}
)


@dataclass(frozen=True)
class Contribution:
    """What one signer has said in the current attempt; its values are the blob of the record at ``offset``."""

    id: Id
    by: XOnlyKey
    slots: tuple[int, ...]
    step: str
    offset: int


@dataclass(frozen=True)
class SigningState(StreamState):
    """A signing as its log tells it, beside the keygen it belongs to."""

    kind: ClassVar[StreamKind] = "signing"

    stream: Id
    request: SigningRequest
    keygen: KeygenState
    phase: SigningPhase
    consent: Consent
    attempt: int = 0
    signers: tuple[Signer, ...] = ()
    last: XOnlyKey | None = None
    opened: int = 0
    step_since: int = 0
    contributions: tuple[Contribution, ...] = ()
    retry: bool = False
    code: str | None = None
    blamed: tuple[int, ...] = ()
    psig_sent: bool = False
    psig_owed: bool = False
    words: Mapping[int, int] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether anything can still happen."""
        return self.phase not in ENDS

    @property
    def opener(self) -> XOnlyKey:
        """The requester."""
        return self.request.by

    @property
    def parent(self) -> Id:
        """The keygen whose key is asked for."""
        return self.request.keygen

    @property
    def coordinator(self) -> XOnlyKey:
        """The keygen's."""
        return self.keygen.create.coordinator

    @property
    def may_be_held(self) -> bool:
        """Whether somebody has sent a psig, or owed one that was perhaps kept out of the log (§7.1)."""
        return self.psig_sent or self.psig_owed

    @property
    def may_be_signed(self) -> bool:
        """Ended without a result, and somebody may hold a signature (§7.1)."""
        return self.phase in ENDS - {SigningPhase.COMPLETED} and self.may_be_held

    def hearers(self) -> frozenset[XOnlyKey]:
        """The members, their readers, and the enclaves of the needed slots (§4.4)."""
        joins = self.keygen.joins
        keys = {k for join in joins for k in (join.by, join.reader) if k is not None}
        keys.update(e for slot in self.request.slots if (e := joins[slot].enclave) is not None)
        return frozenset(keys)

    def holdouts(self) -> tuple[int, ...]:
        """The slots that are still missing for the next step."""
        if self.phase == SigningPhase.APPROVING:
            return tuple(sorted(self._unapproved()))
        if self.phase in (SigningPhase.NONCES, SigningPhase.PSIGS):
            missing = expected(self)
            return tuple(sorted(slot for s in self.signers if s.key in missing for slot in s.slots))
        return ()

    def _unapproved(self) -> set[int]:
        joins, needed = self.keygen.joins, frozenset(self.request.slots)
        verdicts = (consent.missing(joins[s].rule, s, needed, self.consent, self.step_since) for s in needed)
        return {slot for verdict in verdicts for slot in verdict}

    def ripe_at(self) -> dict[int, int | None]:
        """For each needed slot, from when on (ms) its rule's clock allows an attempt; None: its delay has not begun."""
        joins = self.keygen.joins
        return {slot: consent.ripe_at(joins[slot].rule, slot, self.consent) for slot in self.request.slots}

    def unheard(self) -> tuple[int, ...]:
        """The needed slots whose delay has not begun: their enclaves have not said that they verified the request."""
        return tuple(slot for slot, time in self.ripe_at().items() if time is None)

    def deadline(self, up_since: int = 0, after: int = -1) -> int | None:
        """When the deadline, a grace or a rule's time passes (ms), later than ``after``; None in an end."""
        if not self.open:
            return None
        times = [self.request.expires_at]
        if self.phase in (SigningPhase.NONCES, SigningPhase.PSIGS):
            times.append(max(self.step_since, up_since) + self.request.grace_ms)
        if self.phase == SigningPhase.APPROVING:
            times.extend(time for time in self.ripe_at().values() if time is not None and time > self.step_since)
        return min((time for time in times if time > after), default=None)

    def awaited(self, at: int, up_since: int = 0) -> frozenset[XOnlyKey]:
        """The signers of the attempt that the log allows at ``at`` (ms)."""
        return frozenset(signer.key for signer in signers_of(self)) if may_open(self, at, up_since) else NOBODY


def expected(state: SigningState) -> dict[XOnlyKey, str]:
    """The step that each missing signer of the current attempt owes now (§10.3)."""
    said = {(c.by, c.step) for c in state.contributions}
    if state.phase == SigningPhase.NONCES:
        if len(state.signers) == 1:
            return {state.signers[0].key: "signatures"}
        first = {s.key: "nonces" for s in state.signers if s.key != state.last and (s.key, "nonces") not in said}
        return first or ({state.last: "both"} if state.last is not None and (state.last, "both") not in said else {})
    if state.phase == SigningPhase.PSIGS:
        *others, finisher = (s.key for s in state.signers if s.key != state.last)
        return {key: "psigs" for key in others if (key, "psigs") not in said} or {finisher: "signatures"}
    return {}


def verdict(state: SigningState, at: int) -> Verdict:
    """Whether the public rules of all needed slots are met at ``at`` (ms)."""
    joins, needed = state.keygen.joins, consent.as_key_list(state.request.slots)
    found = {consent.evaluate(joins[slot].rule, slot, needed, state.consent, at) for slot in needed}
    return next((v for v in (Verdict.HOPELESS, Verdict.WAITING) if v in found), Verdict.MET)


def signers_of(state: SigningState) -> tuple[Signer, ...]:
    """Each enclave that signs and the needed slots it speaks for, by lowest slot (§7.3)."""
    joins, slots = state.keygen.joins, dict[XOnlyKey, list[int]]()
    for slot in state.request.slots:
        enclave = joins[slot].enclave
        if enclave is not None:
            slots.setdefault(enclave, []).append(slot)
    return tuple(Signer(key=key, slots=tuple(held)) for key, held in slots.items())


def last_of(signers: tuple[Signer, ...]) -> XOnlyKey | None:
    """Who goes last where nobody chooses: the one with the most slots, of several the first; alone nobody (§7.3)."""
    return max(signers, key=lambda s: len(s.slots)).key if len(signers) > 1 else None


def may_open(state: SigningState, at: int, up_since: int = 0) -> bool:
    """Whether the log allows a new attempt at ``at`` (ms) (§7.3)."""
    ready = state.phase == SigningPhase.APPROVING or _given_up(state, at, up_since)
    return ready and state.attempt < MAX_ATTEMPTS and verdict(state, at) is Verdict.MET


def exhausted(state: SigningState, at: int, up_since: int = 0) -> bool:
    """Whether the last attempt that a request has came to nothing, at ``at`` (ms)."""
    return state.attempt >= MAX_ATTEMPTS and _given_up(state, at, up_since)


def _given_up(state: SigningState, at: int, up_since: int) -> bool:
    """Whether the attempt under way waits for a signer whose nonces are gone, or longer than its grace (§7.3)."""
    late = at >= max(state.step_since, up_since) + state.request.grace_ms
    return state.phase in (SigningPhase.NONCES, SigningPhase.PSIGS) and (state.retry or late)


def due(state: SigningState, at: int, here: frozenset[XOnlyKey], up_since: int = 0) -> Due | None:
    """The notice that time and presence call for: ``attempt.opened`` or ``signing.expired``.

    ``here`` are the enclaves that the coordinator hears now: it opens an attempt only when every signer is among them.
    """
    if state.open and (at >= state.request.expires_at or exhausted(state, at, up_since)):
        return Due(SigningExpired)
    if not may_open(state, at, up_since):
        return None
    signers = signers_of(state)
    if not all(signer.key in here for signer in signers):
        return None
    return Due(AttemptOpened, {"attempt": state.attempt + 1, "signers": signers, "last": last_of(signers)})


def nonces_hash(state: SigningState) -> Hash:
    """``over``: the nonces of this attempt that a psig answers, by lowest slot of who sent them (§10.5)."""
    ids = [(c.slots[0], c.id) for c in state.contributions if c.step in ("nonces", "both")]
    return over(state.stream, state.attempt, [ident for _, ident in sorted(ids)])


def over(signing_id: Id, attempt: int, ids: Iterable[Id]) -> Hash:
    """The hash that a psig names: the nonces it answers (§10.5).

    ``ids`` are those of the attempt's contributions with pubnonces (steps nonces and both), by their lowest slot.
    """
    return Hash(tagged_hash("keymeld/nonces/v1", signing_id + attempt.to_bytes(4, "big") + b"".join(ids)))

"""A signing: who agreed, who has contributed, and when the signatures are there.

    APPROVING ── every rule met: attempt.opened ▶ NONCES ── all ▶ PSIGS ── all ▶ CONFIRMING ── signing.confirm ▶ COMPLETED
        │                                           └─ retry, grace passed: attempt n+1, all contributions of n forgotten
        ├─ signing.reject, a rule can no longer be met ▶ REJECTED      ├─ signing.refuse ▶ FAILED(code)
        └─ signing.cancel, before the first attempt ▶ CANCELLED        └─ signing.expired ▶ EXPIRED

The steps of an attempt (PROTOCOL §4): all signers but the last send ``nonces``; the last hears them and sends ``both``,
keeping nothing; the others answer with ``psigs``.  Who signs alone sends ``signatures``.

Like the keygen: states are values, ``TRANSITIONS`` is the table, each handler checks and moves in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from . import policy
from .contributions import over
from .errors import BadInput, Reason, Refused, bad_field
from .keygen import KeygenState
from .keygen import Phase as KeygenPhase
from .payloads import (
    AttemptOpened,
    Note,
    SigningApprove,
    SigningCancel,
    SigningConfirm,
    SigningContribute,
    SigningExpired,
    SigningRefuse,
    SigningReject,
    SigningRequest,
    SigningRetry,
)
from .policy import Consent, Verdict
from .records import Record
from .shapes import MAX_ATTEMPTS, REQUEST_LIFE_MS, Payload, Signer
from .values import Hash, Id, XOnlyKey


class Phase(StrEnum):
    """Where a signing stands; the last five are its ends."""

    APPROVING = "approving"
    NONCES = "nonces"
    PSIGS = "psigs"
    CONFIRMING = "confirming"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDS = frozenset({Phase.COMPLETED, Phase.REJECTED, Phase.FAILED, Phase.CANCELLED, Phase.EXPIRED})


@dataclass(frozen=True)
class Contribution:
    """What one signer has said in the current attempt; its values are the blob of the record at ``offset``."""

    id: Id
    by: XOnlyKey
    slots: tuple[int, ...]
    step: str
    offset: int


@dataclass(frozen=True)
class SigningState:
    """A signing as its log tells it, beside the keygen it belongs to."""

    stream: Id
    request: SigningRequest
    keygen: KeygenState
    phase: Phase
    consent: Consent
    attempt: int = 0
    signers: tuple[Signer, ...] = ()
    last: XOnlyKey | None = None
    step_since: int = 0
    contributions: tuple[Contribution, ...] = ()
    retry: bool = False
    code: str | None = None
    blamed: tuple[int, ...] = ()
    psig_sent: bool = False
    confirmed: int | None = None

    @property
    def open(self) -> bool:
        """Whether anything can still happen."""
        return self.phase not in ENDS

    @property
    def may_be_signed(self) -> bool:
        """Ended without a result after a psig was sent: somebody may hold a signature (PROTOCOL §4)."""
        return self.phase in ENDS - {Phase.COMPLETED} and self.psig_sent

    def hearers(self) -> frozenset[XOnlyKey]:
        """The members, their readers, and the enclaves of the needed slots."""
        joins = self.keygen.joins
        keys = {k for join in joins for k in (join.by, join.reader) if k is not None}
        keys.update(e for slot in self.request.slots if (e := joins[slot].enclave) is not None)
        return frozenset(keys)

    def holdouts(self) -> tuple[int, ...]:
        """The slots that are still missing for the next step."""
        if self.phase == Phase.APPROVING:
            return tuple(sorted(self._unapproved()))
        if self.phase in (Phase.NONCES, Phase.PSIGS):
            missing = expected(self)
            return tuple(sorted(slot for s in self.signers if s.key in missing for slot in s.slots))
        return ()

    def _unapproved(self) -> set[int]:
        joins, needed = self.keygen.joins, frozenset(self.request.slots)
        verdicts = (policy.missing(joins[s].rule, s, needed, self.consent, self.step_since) for s in needed)
        return {slot for verdict in verdicts for slot in verdict}

    def deadline(self, up_since: int = 0, after: int = -1) -> int | None:
        """When the clock next has something to say (ms), later than ``after``; ``up_since``: this coordinator's start."""
        if not self.open:
            return None
        times = [self.request.expires_at]
        if self.phase in (Phase.NONCES, Phase.PSIGS):
            times.append(max(self.step_since, up_since) + self.request.grace_ms)
        if self.phase == Phase.APPROVING:
            rules = (self.keygen.joins[slot].rule for slot in self.request.slots)
            times.extend(r.not_before for r in rules if r.not_before is not None and r.not_before > self.step_since)
        return min((time for time in times if time > after), default=None)


def opened(record: Record, keygen: KeygenState) -> SigningState:
    """The state after a ``signing.request`` of a completed keygen.

    Raises:
        Refused: the keygen is not completed, the requester is no member that signs, or the deadline is impossible.
    """
    request = record.statement.payload
    if not isinstance(request, SigningRequest):
        raise BadInput(Reason.UNKNOWN_STREAM, "a signing begins with signing.request", field="kind")
    if keygen.phase != KeygenPhase.COMPLETED:
        raise Refused(Reason.WRONG_STATE, f"the keygen is {keygen.phase}; only a completed one signs", field="keygen")
    if request.roster != keygen.roster:
        raise Refused(Reason.NOT_ALLOWED, "roster: not the roster of this keygen", field="roster")
    _check_slots(request, keygen)
    slot = keygen.slot_of(request.by)
    if slot is None or slot not in request.slots:
        raise Refused(Reason.NOT_ALLOWED, "by: a requester must be a member whose slot is needed", field="by")
    if request.expires_at <= record.at:
        raise Refused(Reason.EXPIRED, "expires_at: must lie in the future", field="expires_at")
    if request.expires_at > record.at + REQUEST_LIFE_MS:
        raise Refused(Reason.OVER_LIMIT, "expires_at: at most 7 days ahead", field="expires_at", limit=REQUEST_LIFE_MS)
    consent = Consent(slot, {slot: request.expires_at}, frozenset())
    state = SigningState(record.statement.id, request, keygen, Phase.APPROVING, consent, step_since=record.at)
    return _rejected_if_hopeless(state, record.at)


def _check_slots(request: SigningRequest, keygen: KeygenState) -> None:
    """Every needed slot exists and can sign without its device."""
    for slot in request.slots:
        if slot >= len(keygen.joins):
            raise bad_field("slots", f"this keygen has slots 0…{len(keygen.joins) - 1}")
        if keygen.joins[slot].custody == "device":
            raise Refused(
                Reason.NOT_ALLOWED, f"slot {slot} signs on its device; devices cannot sign yet", field="slots"
            )


def apply(state: SigningState, record: Record) -> SigningState:
    """The state after ``record``; the only place where a signing moves.

    Raises:
        Refused: the table has no such entry, or a rule forbids it; nothing has changed.
    """
    said = record.statement.payload
    if isinstance(said, Note):
        _member(state, said)
        return state
    handler = TRANSITIONS.get((state.phase, type(said)))
    if handler is None:
        raise Refused(Reason.WRONG_STATE, f"{said.kind} is not possible while {state.phase}", field="kind")
    return handler(state, said, record)


# What is expected next, and what the clock or the presence of a signer calls for ---------------------------------


def expected(state: SigningState) -> dict[XOnlyKey, str]:
    """The step that each missing signer of the current attempt owes now."""
    said = {(c.by, c.step) for c in state.contributions}
    if state.phase == Phase.NONCES:
        if len(state.signers) == 1:
            return {state.signers[0].key: "signatures"}
        first = {s.key: "nonces" for s in state.signers if s.key != state.last and (s.key, "nonces") not in said}
        return first or ({state.last: "both"} if state.last is not None else {})
    if state.phase == Phase.PSIGS:
        return {s.key: "psigs" for s in state.signers if s.key != state.last and (s.key, "psigs") not in said}
    return {}


def verdict(state: SigningState, at: int) -> Verdict:
    """Whether the public rules of all needed slots are met at ``at`` (ms)."""
    joins, needed = state.keygen.joins, frozenset(state.request.slots)
    found = {policy.evaluate(joins[slot].rule, slot, needed, state.consent, at) for slot in needed}
    return next((v for v in (Verdict.HOPELESS, Verdict.WAITING) if v in found), Verdict.MET)


def signers_of(state: SigningState) -> tuple[Signer, ...]:
    """Each enclave that signs and the needed slots it speaks for, by lowest slot."""
    slots: dict[XOnlyKey, list[int]] = {}
    for slot in state.request.slots:
        enclave = state.keygen.joins[slot].enclave
        if enclave is not None:
            slots.setdefault(enclave, []).append(slot)
    return tuple(Signer(key=key, slots=tuple(held)) for key, held in slots.items())


def may_open(state: SigningState, at: int, up_since: int = 0) -> bool:
    """Whether the log allows a new attempt at ``at`` (ms)."""
    if state.attempt >= MAX_ATTEMPTS or verdict(state, at) is not Verdict.MET:
        return False
    if state.phase == Phase.APPROVING:
        return True
    late = at >= max(state.step_since, up_since) + state.request.grace_ms
    return state.phase in (Phase.NONCES, Phase.PSIGS) and (state.retry or late)


def due(state: SigningState, at: int, here: frozenset[XOnlyKey], up_since: int = 0) -> dict[str, Any] | None:
    """The fields of the notice that time and presence call for: ``attempt.opened`` or ``signing.expired``.

    ``here`` are the enclaves that the coordinator runs and hears now: only they go last (attack 50), and an attempt is
    opened only when every signer is here.
    """
    if state.open and at >= state.request.expires_at:
        return {"type": SigningExpired}
    signers = signers_of(state)
    if not may_open(state, at, up_since) or not all(signer.key in here for signer in signers):
        return None
    last = max(signers, key=lambda s: len(s.slots)).key if len(signers) > 1 else None
    return {"type": AttemptOpened, "attempt": state.attempt + 1, "signers": signers, "last": last}


def nonces_hash(state: SigningState) -> Hash:
    """``over``: the nonces of this attempt that a psig answers, by lowest slot of who sent them."""
    ids = [(c.slots[0], c.id) for c in state.contributions if c.step in ("nonces", "both")]
    return over(state.stream, state.attempt, [ident for _, ident in sorted(ids)])


# The handlers ---------------------------------------------------------------------------------------------------


def _member(state: SigningState, said: Payload | Note) -> int:
    """The slot that speaks."""
    slot = state.keygen.slot_of(said.by)
    if slot is None:
        raise Refused(Reason.NOT_ALLOWED, "by: not a member of this session", field="by")
    return slot


def _signer(state: SigningState, said: Any) -> Signer:
    """The signer of the current attempt that speaks."""
    if said.attempt != state.attempt:
        raise Refused(Reason.STALE_ATTEMPT, f"attempt: the current one is {state.attempt}", field="attempt")
    signer = next((s for s in state.signers if s.key == said.by), None)
    if signer is None:
        raise Refused(Reason.NOT_ALLOWED, f"by: no signer of attempt {state.attempt}", field="by")
    return signer


def _only_coordinator(state: SigningState, said: Payload) -> None:
    if said.by != state.keygen.create.coordinator:
        raise Refused(Reason.NOT_ALLOWED, "by: only the coordinator says notices", field="by")


def _rejected_if_hopeless(state: SigningState, at: int) -> SigningState:
    """REJECTED when a needed slot's rule can never be met any more."""
    return replace(state, phase=Phase.REJECTED) if verdict(state, at) is Verdict.HOPELESS else state


def _approve(state: SigningState, said: SigningApprove, record: Record) -> SigningState:
    slot = _member(state, said)
    until = state.request.expires_at if said.until is None else min(said.until, state.request.expires_at)
    if slot in state.consent.rejected:
        raise Refused(Reason.ALREADY_SAID, f"slot {slot} has rejected this request", field="by")
    if until <= record.at:
        raise Refused(Reason.EXPIRED, "until: must lie in the future", field="until")
    if state.consent.approvals.get(slot) == until:
        raise Refused(Reason.ALREADY_SAID, f"slot {slot} has approved this request", field="by")
    return replace(state, consent=replace(state.consent, approvals={**state.consent.approvals, slot: until}))


def _reject(state: SigningState, said: SigningReject, record: Record) -> SigningState:
    slot = _member(state, said)
    if slot in state.consent.rejected:
        raise Refused(Reason.ALREADY_SAID, f"slot {slot} has rejected this request", field="by")
    consent = replace(state.consent, rejected=state.consent.rejected | {slot})
    return _rejected_if_hopeless(replace(state, consent=consent), record.at)


def _cancel(state: SigningState, said: SigningCancel, record: Record) -> SigningState:
    if said.by != state.request.by:
        raise Refused(Reason.NOT_ALLOWED, "by: only the requester cancels", field="by")
    return replace(state, phase=Phase.CANCELLED)


def _open_attempt(state: SigningState, said: AttemptOpened, record: Record) -> SigningState:
    """The coordinator may choose the moment and who goes last, nothing else."""
    _only_coordinator(state, said)
    if said.attempt != state.attempt + 1:
        raise Refused(Reason.STALE_ATTEMPT, f"attempt: the next one is {state.attempt + 1}", field="attempt")
    if said.signers != signers_of(state):
        raise Refused(Reason.NOT_ALLOWED, "signers: not the enclaves and slots of this request", field="signers")
    if (said.last is None) != (len(said.signers) == 1):
        raise Refused(Reason.NOT_ALLOWED, "last: one of several signers goes last", field="last")
    if not may_open(state, record.at):
        raise Refused(
            Reason.NOT_ALLOWED, "attempt.opened before the rules were met or the grace had passed", field="kind"
        )
    return replace(
        state, phase=Phase.NONCES, attempt=said.attempt, signers=said.signers, last=said.last,
        step_since=record.at, contributions=(), retry=False,
    )  # fmt: skip


def _contribute(state: SigningState, said: SigningContribute, record: Record) -> SigningState:
    """Take the step that this signer owes; any other is refused."""
    signer = _signer(state, said)
    if any(c.by == said.by and c.step == said.step for c in state.contributions):
        raise Refused(Reason.ALREADY_CONTRIBUTED, f"{said.step} of this signer are in the log already", field="step")
    owed = expected(state).get(said.by)
    if said.step != owed:
        rule = f"this signer owes {owed} now" if owed else "this signer owes nothing now"
        raise Refused(Reason.WRONG_STATE, f"step: {rule}", field="step")
    if said.slots != signer.slots:
        raise Refused(Reason.NOT_ALLOWED, f"slots: this signer speaks for {list(signer.slots)}", field="slots")
    if said.over is not None and said.over != nonces_hash(state):
        raise Refused(Reason.FORK, "over: answers other nonces than this log holds", field="over")
    taken = Contribution(record.statement.id, said.by, said.slots, said.step, record.offset)
    sent = state.psig_sent or said.step != "nonces"
    return _stepped(replace(state, contributions=(*state.contributions, taken), psig_sent=sent), record.at)


def _stepped(state: SigningState, at: int) -> SigningState:
    """The next phase once nobody owes anything in this one; a step's grace begins with the record that opened it."""
    if state.phase == Phase.NONCES and state.contributions[-1].step == "signatures":
        return replace(state, phase=Phase.CONFIRMING, step_since=at)
    owed = expected(state)
    if owed:
        return replace(state, step_since=at) if "both" in owed.values() else state
    following = Phase.PSIGS if state.phase == Phase.NONCES else Phase.CONFIRMING
    return replace(state, phase=following, step_since=at)


def _confirm(state: SigningState, said: SigningConfirm, record: Record) -> SigningState:
    _signer(state, said)
    return replace(state, phase=Phase.COMPLETED, confirmed=record.offset)


def _retry(state: SigningState, said: SigningRetry, record: Record) -> SigningState:
    """A signer's nonces are gone; the 16th such attempt fails, naming who still owed something."""
    _signer(state, said)
    if state.retry:
        raise Refused(Reason.ALREADY_SAID, "a new attempt is asked for already", field="attempt")
    if state.attempt >= MAX_ATTEMPTS:
        return replace(state, phase=Phase.FAILED, code="too_many_attempts", blamed=state.holdouts())
    return replace(state, retry=True)


def _refuse(state: SigningState, said: SigningRefuse, record: Record) -> SigningState:
    """An enclave refuses for needed slots that are sealed to it."""
    if said.attempt != state.attempt:
        raise Refused(Reason.STALE_ATTEMPT, f"attempt: the current one is {state.attempt}", field="attempt")
    held = set(state.keygen.slots_at(said.by)) & set(state.request.slots)
    if not held or not set(said.slots) <= held:
        raise Refused(Reason.NOT_ALLOWED, "slots: only an enclave refuses, for needed slots it holds", field="slots")
    return replace(state, phase=Phase.FAILED, code=said.code, blamed=said.slots)


def _expired(state: SigningState, said: SigningExpired, record: Record) -> SigningState:
    _only_coordinator(state, said)
    if record.at < state.request.expires_at:
        raise Refused(Reason.NOT_ALLOWED, "signing.expired before expires_at", field="kind")
    return replace(state, phase=Phase.EXPIRED)


Handler = Callable[[SigningState, Any, Record], SigningState]
TRANSITIONS: Mapping[tuple[Phase, type], Handler] = {
    (Phase.APPROVING, SigningApprove): _approve,
    (Phase.APPROVING, SigningReject): _reject,
    (Phase.APPROVING, SigningCancel): _cancel,
    (Phase.APPROVING, SigningRefuse): _refuse,
    (Phase.APPROVING, AttemptOpened): _open_attempt,
    (Phase.APPROVING, SigningExpired): _expired,
    (Phase.NONCES, SigningContribute): _contribute,
    (Phase.NONCES, SigningApprove): _approve,
    (Phase.NONCES, SigningReject): _reject,
    (Phase.NONCES, SigningRetry): _retry,
    (Phase.NONCES, SigningRefuse): _refuse,
    (Phase.NONCES, AttemptOpened): _open_attempt,
    (Phase.NONCES, SigningExpired): _expired,
    (Phase.PSIGS, SigningContribute): _contribute,
    (Phase.PSIGS, SigningApprove): _approve,
    (Phase.PSIGS, SigningReject): _reject,
    (Phase.PSIGS, SigningRetry): _retry,
    (Phase.PSIGS, SigningRefuse): _refuse,
    (Phase.PSIGS, AttemptOpened): _open_attempt,
    (Phase.PSIGS, SigningExpired): _expired,
    (Phase.CONFIRMING, SigningConfirm): _confirm,
    (Phase.CONFIRMING, SigningRefuse): _refuse,
    (Phase.CONFIRMING, SigningExpired): _expired,
}

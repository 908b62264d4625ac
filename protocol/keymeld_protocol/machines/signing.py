"""A signing: who agreed, who has contributed, and when the signatures are there (§7).

Drawn from ``TRANSITIONS`` by ``make diagrams``; ``↺`` is what happens without leaving a phase:

    signing.request ─▶ APPROVING, NONCES if every rule is met by it, REJECTED if a rule is hopeless from the start

    APPROVING  ↺ signing.approve, signing.reject, signing.heard
               ├▶ NONCES     attempt.opened · signing.approve if every rule is met now
               ├▶ REJECTED   signing.approve, signing.reject, signing.heard if a rule is hopeless now
               ├▶ FAILED     signing.refuse
               ├▶ CANCELLED  signing.cancel
               └▶ EXPIRED    signing.expired
    NONCES     ↺ signing.contribute, signing.approve, signing.reject, signing.retry, attempt.opened
               ├▶ PSIGS      signing.contribute once all nonces are there
               ├▶ COMPLETED  signing.contribute after `signatures`
               ├▶ REJECTED   signing.reject if a rule is hopeless now
               ├▶ FAILED     signing.refuse · signing.retry in the 16th attempt
               │             signing.expired after the 16th attempt
               ├▶ CANCELLED  signing.cancel
               └▶ EXPIRED    signing.expired
    PSIGS      ↺ signing.contribute, signing.approve, signing.reject, signing.retry
               ├▶ NONCES     attempt.opened
               ├▶ COMPLETED  signing.contribute after `signatures`
               ├▶ REJECTED   signing.reject if a rule is hopeless now
               ├▶ FAILED     signing.refuse · signing.retry in the 16th attempt
               │             signing.expired after the 16th attempt
               └▶ EXPIRED    signing.expired
    ends       COMPLETED · REJECTED · FAILED · CANCELLED · EXPIRED

The record that meets the last rule opens the first attempt.  The coordinator opens it where time meets the rule, and
another, what was said before forgotten, when a signer asks or its grace has passed.  A rule with a delay waits in
APPROVING, from when its enclave says ``signing.heard``.

The steps of an attempt (§10.3): all signers but the last send ``nonces``; the last hears them and sends ``both``,
keeping nothing; the others answer with ``psigs``, but the one that finishes waits for them, adds up, and sends
``signatures``.  Who signs alone sends them at once.

Like the keygen: states are values, ``TRANSITIONS`` is the table, each handler checks and moves in one go.  The state
itself, and what it waits for, are in ``signing_state``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import BadInput, Reason, Refused, bad_field
from ..values import XOnlyKey
from ..wire.payloads import (
    AttemptOpened,
    Note,
    SigningApprove,
    SigningCancel,
    SigningContribute,
    SigningExpired,
    SigningHeard,
    SigningRefuse,
    SigningReject,
    SigningRequest,
    SigningRetry,
)
from ..wire.records import Record
from ..wire.shapes import MAX_ATTEMPTS, MAX_WORDS, REQUEST_LIFE_MS, Payload, Signer
from .consent import Consent, Verdict
from .keygen_state import KeygenState
from .machine import Machine, Move
from .signing_state import (
    ENDS,
    Contribution,
    SigningPhase,
    SigningState,
    due,
    exhausted,
    expected,
    last_of,
    may_open,
    nonces_hash,
    signers_of,
    verdict,
)

__all__ = [
    "ENDS", "MACHINE", "TRANSITIONS", "Contribution", "SigningPhase", "SigningState", "apply", "due", "exhausted",
    "expected", "last_of", "may_open", "nonces_hash", "opened", "signers_of", "verdict",
]  # fmt: skip


def opened(record: Record, keygen: KeygenState | None) -> SigningState:
    """The state after a ``signing.request`` of a completed keygen (checked in the order of §7.2).

    Raises:
        BadInput: it is another statement, or what it names as its keygen is none.
        Refused: the keygen is not completed, the requester is no member that signs, or the deadline is impossible.
    """
    request = record.statement.payload
    if not isinstance(request, SigningRequest):
        raise BadInput(Reason.UNKNOWN_STREAM, "a signing begins with signing.request", field="kind")
    if keygen is None:
        raise BadInput(Reason.UNKNOWN_STREAM, "a keygen begins with keygen.create", field="kind")
    if keygen.roster is None:  # one that its members have left since was completed, too
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
    state = SigningState(record.statement.id, request, keygen, SigningPhase.APPROVING, consent, step_since=record.at)
    return _attempted_if_met(state, record)


def _check_slots(request: SigningRequest, keygen: KeygenState) -> None:
    """Every needed slot exists and can sign without its device."""
    joins = keygen.joins
    for slot in request.slots:
        if slot >= len(joins):
            raise bad_field("slots", f"this keygen has slots 0…{len(joins) - 1}")
        if joins[slot].custody == "device":
            raise Refused(
                Reason.NOT_ALLOWED, f"slot {slot} signs on its device; devices cannot sign yet", field="slots"
            )


def apply(state: SigningState, record: Record) -> SigningState:
    """The state after ``record``; the only place where a signing moves (§7.1).

    Raises:
        Refused: the table has no such entry, or a rule forbids it; nothing has changed.
    """
    said = record.statement.payload
    if isinstance(said, Note):
        return _counted(state, _member(state, said))
    if state.open and record.at >= state.request.expires_at and not isinstance(said, SigningExpired):
        raise Refused(Reason.EXPIRED, "the request has expired", field="kind")
    move = TRANSITIONS.get((state.phase, type(said)))
    if move is None:
        raise Refused(Reason.WRONG_STATE, f"{said.kind} is not possible while {state.phase}", field="kind")
    return move.take(state, said, record)


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


def _counted(state: SigningState, slot: int) -> SigningState:
    """Count what a member may say often; nobody fills a log without end."""
    words = state.words.get(slot, 0) + 1
    if words > MAX_WORDS:
        message = f"slot {slot} has said enough here: at most {MAX_WORDS} approvals and notes"
        raise Refused(Reason.OVER_LIMIT, message, field="by", limit=MAX_WORDS)
    return replace(state, words={**state.words, slot: words})


def _only_coordinator(state: SigningState, said: Payload) -> None:
    if said.by != state.keygen.create.coordinator:
        raise Refused(Reason.NOT_ALLOWED, "by: only the coordinator says notices", field="by")


def _rejected_if_hopeless(state: SigningState, at: int) -> SigningState:
    """REJECTED when a needed slot's rule can never be met any more (§7.2)."""
    return replace(state, phase=SigningPhase.REJECTED) if verdict(state, at) is Verdict.HOPELESS else state


def _attempted_if_met(state: SigningState, record: Record) -> SigningState:
    """The record that meets the last rule opens the first attempt: there is nothing to choose (§7.3)."""
    if verdict(state, record.at) is not Verdict.MET:
        return _rejected_if_hopeless(state, record.at)
    signers = signers_of(state)
    return _attempted(state, signers, last_of(signers), record)


def _attempted(state: SigningState, signers: tuple[Signer, ...], last: XOnlyKey | None, record: Record) -> SigningState:
    """The next attempt, which ``record`` opened; what was said in the one before is forgotten (§7.3)."""
    return _owing(replace(
        state, phase=SigningPhase.NONCES, attempt=state.attempt + 1, signers=signers, last=last,
        opened=record.offset, step_since=record.at, contributions=(), retry=False,
    ))  # fmt: skip


def _owing(state: SigningState) -> SigningState:
    """Note that a psig is owed: who reaches its signer first may have it, whatever the log holds (§7.1)."""
    owed = state.psig_owed or bool(set(expected(state).values()) - {"nonces"})
    return replace(state, psig_owed=owed) if owed != state.psig_owed else state


def _approve(state: SigningState, said: SigningApprove, record: Record) -> SigningState:
    slot = _member(state, said)
    until = state.request.expires_at if said.until is None else min(said.until, state.request.expires_at)
    if slot in state.consent.rejected:
        raise Refused(Reason.ALREADY_SAID, f"slot {slot} has rejected this request", field="by")
    if until <= record.at:
        raise Refused(Reason.EXPIRED, "until: must lie in the future", field="until")
    if state.consent.approvals.get(slot) == until:
        raise Refused(Reason.ALREADY_SAID, f"slot {slot} has approved this request", field="by")
    consent = replace(state.consent, approvals={**state.consent.approvals, slot: until})
    approved = replace(_counted(state, slot), consent=consent)
    return _attempted_if_met(approved, record) if state.phase == SigningPhase.APPROVING else approved


def _reject(state: SigningState, said: SigningReject, record: Record) -> SigningState:
    slot = _member(state, said)
    if slot in state.consent.rejected:
        raise Refused(Reason.ALREADY_SAID, f"slot {slot} has rejected this request", field="by")
    consent = replace(state.consent, rejected=state.consent.rejected | {slot})
    return _rejected_if_hopeless(replace(state, consent=consent), record.at)


def _cancel(state: SigningState, said: SigningCancel, record: Record) -> SigningState:
    if said.by != state.request.by:
        raise Refused(Reason.NOT_ALLOWED, "by: only the requester cancels", field="by")
    if state.psig_sent:
        raise Refused(Reason.WRONG_STATE, "psigs were sent: somebody may hold a signature", field="kind")
    return replace(state, phase=SigningPhase.CANCELLED)


def _heard(state: SigningState, said: SigningHeard, record: Record) -> SigningState:
    """The delays that an enclave keeps begin, once: publicly at the later of its own time and its record's (§7.4).

    So nobody opens an attempt too early for an enclave whose clock is behind.  The enclave itself asks its clock alone.
    """
    joins = state.keygen.joins
    held = [s for s in state.request.slots if joins[s].enclave == said.by and joins[s].rule.delay_ms is not None]
    if not held:
        message = "by: only an enclave that holds a needed slot whose rule has a delay"
        raise Refused(Reason.NOT_ALLOWED, message, field="by")
    if held[0] in state.consent.heard:
        raise Refused(Reason.ALREADY_SAID, "this enclave's delay has begun already", field="by")
    heard = {**state.consent.heard, **dict.fromkeys(held, max(said.at, record.at))}
    return _rejected_if_hopeless(replace(state, consent=replace(state.consent, heard=heard)), record.at)


def _open_attempt(state: SigningState, said: AttemptOpened, record: Record) -> SigningState:
    """The coordinator may choose the moment and who goes last, nothing else (§7.3)."""
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
    return _attempted(state, said.signers, said.last, record)


def _contribute(state: SigningState, said: SigningContribute, record: Record) -> SigningState:
    """Take the step that this signer owes; any other is refused (checked in the order of §7.2)."""
    signer = _signer(state, said)
    if any(c.by == said.by and c.step == said.step for c in state.contributions):
        raise Refused(Reason.ALREADY_CONTRIBUTED, f"{said.step} of this signer are in the log already", field="step")
    owed = expected(state).get(said.by)
    if said.step != owed:
        rule = f"this signer owes {owed} now" if owed else "this signer owes nothing now"
        raise Refused(Reason.WRONG_STATE, f"step: {rule}", field="step")
    if said.slots != signer.slots:
        raise Refused(Reason.NOT_ALLOWED, f"slots: this signer speaks for {list(signer.slots)}", field="slots")
    if said.over != (None if said.step == "nonces" or len(state.signers) == 1 else nonces_hash(state)):
        raise Refused(Reason.FORK, "over: answers other nonces than this log holds", field="over")
    taken = Contribution(record.statement.id, said.by, said.slots, said.step, record.offset)
    sent = state.psig_sent or said.step != "nonces"
    return _owing(_stepped(replace(state, contributions=(*state.contributions, taken), psig_sent=sent), record.at))


def _stepped(state: SigningState, at: int) -> SigningState:
    """The next phase once nobody owes a step; its grace begins with the record that opened it (§7.3)."""
    if state.contributions[-1].step == "signatures":
        return replace(state, phase=SigningPhase.COMPLETED, step_since=at)
    owed = set(expected(state).values())
    if not owed:
        return replace(state, phase=SigningPhase.PSIGS, step_since=at)
    return state if owed & {"nonces", "psigs"} else replace(state, step_since=at)


def _retry(state: SigningState, said: SigningRetry, record: Record) -> SigningState:
    """A signer's nonces are gone; the 16th such attempt fails, naming it and whoever still owed something."""
    signer = _signer(state, said)
    if state.retry:
        raise Refused(Reason.ALREADY_SAID, "a new attempt is asked for already", field="attempt")
    if state.attempt >= MAX_ATTEMPTS:
        return _spent(state, signer.slots)
    return replace(state, retry=True)


def _spent(state: SigningState, also: tuple[int, ...] = ()) -> SigningState:
    """FAILED after the last attempt, naming the holdouts."""
    blamed = tuple(sorted({*state.holdouts(), *also}))
    return replace(state, phase=SigningPhase.FAILED, code="too_many_attempts", blamed=blamed)


def _refuse(state: SigningState, said: SigningRefuse, record: Record) -> SigningState:
    """An enclave refuses for needed slots that are sealed to it (§7.2)."""
    if said.attempt != state.attempt:
        raise Refused(Reason.STALE_ATTEMPT, f"attempt: the current one is {state.attempt}", field="attempt")
    held = set(state.keygen.slots_at(said.by)) & set(state.request.slots)
    if not held or not set(said.slots) <= held:
        raise Refused(Reason.NOT_ALLOWED, "slots: only an enclave refuses, for needed slots it holds", field="slots")
    alone = state.attempt == 1 and len(state.signers) == 1  # it owed the only psig, and has sent none
    return replace(
        state, phase=SigningPhase.FAILED, code=said.code, blamed=said.slots, psig_owed=state.psig_owed and not alone
    )


def _expired(state: SigningState, said: SigningExpired, record: Record) -> SigningState:
    """The deadline has passed, or the sixteenth attempt's grace (§7.3)."""
    _only_coordinator(state, said)
    if record.at >= state.request.expires_at:
        return replace(state, phase=SigningPhase.EXPIRED)
    if not exhausted(state, record.at):
        raise Refused(Reason.NOT_ALLOWED, "signing.expired before expires_at or the last grace", field="kind")
    return _spent(state)


APPROVING, NONCES, PSIGS, COMPLETED, REJECTED, FAILED, CANCELLED, EXPIRED = SigningPhase
_HOPELESS, _LAST = {REJECTED: "if a rule is hopeless now"}, {FAILED: "in the 16th attempt"}
_GIVEN_UP = {EXPIRED: "", FAILED: "after the 16th attempt"}
_MET = {NONCES: "if every rule is met now"}
_FIRST = {NONCES: "", PSIGS: "once all nonces are there", COMPLETED: "after `signatures`"}
_SECOND = {PSIGS: "", COMPLETED: "after `signatures`"}
TRANSITIONS: Mapping[tuple[SigningPhase, type], Move[SigningState]] = {
    (APPROVING, SigningApprove): Move(_approve, {APPROVING: "", **_MET, **_HOPELESS}),
    (APPROVING, SigningReject): Move(_reject, {APPROVING: "", **_HOPELESS}),
    (APPROVING, SigningCancel): Move(_cancel, {CANCELLED: ""}),
    (APPROVING, SigningHeard): Move(_heard, {APPROVING: "", **_HOPELESS}),
    (APPROVING, SigningRefuse): Move(_refuse, {FAILED: ""}),
    (APPROVING, AttemptOpened): Move(_open_attempt, {NONCES: ""}),
    (APPROVING, SigningExpired): Move(_expired, {EXPIRED: ""}),
    (NONCES, SigningContribute): Move(_contribute, _FIRST),
    (NONCES, SigningApprove): Move(_approve, {NONCES: ""}),
    (NONCES, SigningReject): Move(_reject, {NONCES: "", **_HOPELESS}),
    (NONCES, SigningCancel): Move(_cancel, {CANCELLED: ""}),
    (NONCES, SigningRetry): Move(_retry, {NONCES: "", **_LAST}),
    (NONCES, SigningRefuse): Move(_refuse, {FAILED: ""}),
    (NONCES, AttemptOpened): Move(_open_attempt, {NONCES: ""}),
    (NONCES, SigningExpired): Move(_expired, _GIVEN_UP),
    (PSIGS, SigningContribute): Move(_contribute, _SECOND),
    (PSIGS, SigningApprove): Move(_approve, {PSIGS: ""}),
    (PSIGS, SigningReject): Move(_reject, {PSIGS: "", **_HOPELESS}),
    (PSIGS, SigningRetry): Move(_retry, {PSIGS: "", **_LAST}),
    (PSIGS, SigningRefuse): Move(_refuse, {FAILED: ""}),
    (PSIGS, AttemptOpened): Move(_open_attempt, {NONCES: ""}),
    (PSIGS, SigningExpired): Move(_expired, _GIVEN_UP),
}
"""What may happen when, and where it may lead; ``note.*`` is possible in every phase and moves nothing."""
_BEGINS = {APPROVING: "", NONCES: "if every rule is met by it", REJECTED: "if a rule is hopeless from the start"}
MACHINE = Machine(SigningState, SigningRequest, _BEGINS, TRANSITIONS, opened, apply, due)

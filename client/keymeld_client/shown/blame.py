"""Who is at fault that nothing was signed: recomputed from a verified log, since no accusation is believed (§11.5).

    signing.contribute ─▶ as it stood when it was said ──────────────▶ sound, or its signer's fault
    signing.refuse ─────▶ it accuses, and nobody else is at fault ────▶ the refuser's own fault

A refusal names who refuses; whom it accuses stands in its sealed detail, which is a word like any other.  Contributions
are signed: what they prove, they prove to every member.
"""

from __future__ import annotations

from dataclasses import dataclass

from keymeld_protocol.errors import NEWER, Blamed
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningState, last_of, signers_of
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.faults import ACCUSES, require_sound
from keymeld_protocol.member.plan import Planned, plan_of
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.payloads import AttemptOpened, SigningContribute, SigningRefuse
from keymeld_protocol.wire.records import Record

from .results import open_values


@dataclass(frozen=True)
class Fault:
    """What the log proves against the enclave of ``slots`` in an attempt; ``where`` says it closer: ``item 3``."""

    code: str
    slots: tuple[int, ...]
    attempt: int
    where: str = ""


@dataclass(frozen=True)
class Refusal:
    """Which enclave refused, by its needed slots, and with which code."""

    code: str
    slots: tuple[int, ...]
    attempt: int

    @property
    def accuses(self) -> bool:
        """Whether it says that somebody's contribution is bad."""
        return self.code in ACCUSES


@dataclass(frozen=True)
class Judgement:
    """Everything that a log proves, in its order; of one signer the first fault of each attempt.

    ``unread`` is the offset from which on nothing is judged, because sealed values are not here.
    """

    faults: tuple[Fault, ...] = ()
    refusal: Refusal | None = None
    unread: int | None = None

    @property
    def at_fault(self) -> tuple[int, ...]:
        """The slots whose enclaves are at fault, rising; that of who asked, if the request does not hold."""
        return tuple(sorted({slot for fault in self.faults for slot in fault.slots}))

    @property
    def has_cause(self) -> bool:
        """Whether a refusal accuses, and somebody else is at fault in its attempt."""
        by = self.refusal
        others = by is not None and any(f.attempt == by.attempt and f.slots != by.slots for f in self.faults)
        return by is not None and by.accuses and others


def judge_signing(heard: Replay, roster: Roster, group: GroupKey) -> Judgement:
    """Judge a signing as far as it was heard."""
    state, records = heard.as_signing, tuple(heard.records)
    assert state is not None, "a signing"
    try:
        items = plan_of(state, records[0].statement, roster, group).items
    except Blamed as error:
        return _of_request(state, error)
    court = _Court(state, items, roster, group)
    for record in records:
        court.hear(record)
    return court.judgement


def _of_request(state: SigningState, error: Blamed) -> Judgement:
    """A request whose body does not hold is its requester's fault; of one that cannot be read here nothing is known."""
    if error.code in ("missing_blob", NEWER):
        return Judgement(unread=1)
    return Judgement((Fault("bad_request", (state.consent.requester,), 0, error.code),))


class _Court:
    """Hears a log record by record."""

    def __init__(self, state: SigningState, items: tuple[Planned, ...], roster: Roster, group: GroupKey) -> None:
        self._state, self._items, self._roster, self._group = state, items, roster, group
        self._attempt = Attempt(state.stream, 0, items, (), None, roster)
        self.faults: list[Fault] = []
        self.refusal: Refusal | None = None
        self.unread: int | None = None

    def hear(self, record: Record) -> None:
        """Judge what one record says."""
        said = record.statement.payload
        try:
            match said:
                case AttemptOpened():
                    self._open(said.attempt, said.last)
                case SigningContribute():
                    self._contributed(record, said)
                case SigningRefuse():
                    self._refused(said)
        except Blamed as error:
            if error.code == "missing_blob":
                self.unread = self.unread or record.offset
            else:
                self._convict(error)

    @property
    def judgement(self) -> Judgement:
        """What was found so far."""
        return Judgement(tuple(self.faults), self.refusal, self.unread)

    def _convict(self, error: Blamed) -> None:
        attempt = self._attempt.number
        if not any((fault.slots, fault.attempt) == (error.slots, attempt) for fault in self.faults):
            self.faults.append(Fault(error.code, error.slots, attempt, error.message))

    def _open(self, number: int, last: XOnlyKey | None) -> None:
        signers = signers_of(self._state)
        self._attempt = Attempt(self._state.stream, number, self._items, signers, last, self._roster)

    def _require(self, number: int) -> None:
        """The first attempt is opened by no word of its own, if the record that met the last rule did (§7.3)."""
        if number > self._attempt.number:
            self._open(number, last_of(signers_of(self._state)))

    def _contributed(self, record: Record, said: SigningContribute) -> None:
        self._require(said.attempt)
        if self.unread is None:
            entries = open_values(record, "values", len(self._attempt.places), self._group, said.slots)
            self._attempt.hear(said.by, entries, finished=said.step == "signatures")
            require_sound(self._attempt, said.by, said.step)

    def _refused(self, said: SigningRefuse) -> None:
        """An accusation without cause is the refuser's own fault (§11.5)."""
        self._require(said.attempt)
        needed = set(self._state.request.slots)
        slots = tuple(slot for slot in self._state.keygen.slots_at(said.by) if slot in needed)
        self.refusal = Refusal(said.code, slots, self._attempt.number)
        if self.refusal.accuses and not self.judgement.has_cause and self.unread is None:
            raise Blamed("without_cause", slots, "")

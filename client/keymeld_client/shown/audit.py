"""What an exported log proves: what was checked, what failed, and what nobody can check with it.

    section of a keygen  ──▶ records, head ──▶ with the group secret: terms, cards, roster, address, confirmations
    section of a signing ──▶ records, head ──▶ with the group secret: what was asked, and every signature

A log proves who said what in which order.  It cannot prove that it is the newest, that the coordinator's key is the
right one, or that an enclave is what it claims to be: the report says so each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

from keymeld_protocol.errors import NEWER, Blamed, BrokenLog, InvalidCrypto, KeymeldError, WireError
from keymeld_protocol.foreign import quoted
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay, coordinator_of
from keymeld_protocol.machines.signing import SigningPhase, SigningState
from keymeld_protocol.member.plan import Plan, read_plan, require_possible
from keymeld_protocol.member.roster import Roster, read_roster, read_terms, safety
from keymeld_protocol.printable import still_printable
from keymeld_protocol.values import Id, Signature, XOnlyKey
from keymeld_protocol.wire.frames import WireHead, WireRecord, head_of, record_of
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wording import counted, slots_told

from ..errors import SIGNED_ALL_THE_SAME
from .blame import judge_signing
from .endings import tell_judgement
from .results import ItemError, ItemResult, results_of
from .telling import lines_of_request, moment, name_of

T = TypeVar("T")
FindingVerdict = Literal["holds", "FAILED", "not checked", "says", "proves"]


@dataclass(frozen=True)
class Finding:
    """One line of a report; ``says`` is what the log says once it holds, ``proves`` whose fault it shows."""

    verdict: FindingVerdict
    text: str


@dataclass
class Report:
    """Everything that was found; ``address`` and ``signatures`` only where they were computed and hold."""

    findings: list[Finding] = field(default_factory=list)
    address: str | None = None
    signatures: tuple[Signature, ...] = ()
    newer: bool = False

    @property
    def ok(self) -> bool:
        """Whether something was checked, nothing failed, and nothing needs a newer Keymeld."""
        verdicts = {finding.verdict for finding in self.findings}
        return "holds" in verdicts and "FAILED" not in verdicts and not self.newer

    @property
    def failures(self) -> tuple[str, ...]:
        """What failed."""
        return tuple(finding.text for finding in self.findings if finding.verdict == "FAILED")

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What was not checked, and why."""
        return tuple(finding.text for finding in self.findings if finding.verdict == "not checked")

    def lines(self) -> Iterator[str]:
        """The report for people: safe to print, one finding a line, the verdict last."""
        for finding in self.findings:
            yield f"{finding.verdict:<12} {finding.text}"
        if self.newer and not self.failures:
            yield "This log needs a newer version of Keymeld."
        else:
            yield "This log holds, as far as it was checked." if self.ok else "This log does NOT hold."

    def add(self, verdict: FindingVerdict, text: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(verdict, text))

    def fail(self, what: str, error: KeymeldError) -> None:
        """Note what does not hold, or what a newer version may read."""
        blamed = isinstance(error, Blamed) and error.code == NEWER
        newer = blamed or (isinstance(error, WireError) and error.reason.is_newer)
        self.newer = self.newer or newer
        self.add("not checked" if newer else "FAILED", f"{what}: {still_printable(str(error))}")


class Audit:
    """Goes through the sections of one file; ``secret`` is the group secret S of the session ``named``, or None.

    A session is known by its name: a member who knows S can open another one with the same S and the same salt.
    """

    def __init__(self, secret: bytes | None, now: Callable[[], int], named: Id | None = None) -> None:
        """``now`` is the clock (ms): whether an address is safe to fund may depend on it."""
        self.report = Report()
        self._now = now
        self._secret = secret
        self._named = named
        self._streams: set[Id] = set()
        self._keygens: dict[Id, Replay] = {}
        self._groups: dict[Id, GroupKey] = {}
        self._rosters: dict[Id, Roster] = {}

    def section(
        self, stream: Id, kind: str, coordinator: XOnlyKey, records: list[WireRecord], head: WireHead | None
    ) -> None:
        """Verify one stream; what does not hold goes into the report."""
        if stream in self._streams:
            self.report.add("FAILED", f"{kind} {stream.hex()[:12]} stands here twice: one session has one history")
            return
        self._streams.add(stream)
        heard = Replay(stream, keygen=self._home(records), coordinator=coordinator)
        if not self._records(heard, kind, records):
            return
        if (state := heard.as_keygen) is not None:
            self._keygens[stream] = heard
        self._coordinator(heard, coordinator)
        self._head(heard, head)
        if state is not None:
            self._keygen(heard, state)
        elif (signing := heard.as_signing) is not None:
            self._signing(heard, signing)

    # Who said what, in which order ------------------------------------------------------------------------------

    def _home(self, records: list[WireRecord]) -> Replay | None:
        """The verified keygen that a signing belongs to."""
        try:
            said = record_of(records[0]).statement.payload if records else None
        except WireError:
            return None
        return self._keygens.get(said.keygen) if isinstance(said, SigningRequest) else None

    def _records(self, heard: Replay, kind: str, records: list[WireRecord]) -> bool:
        """Every record: canonical, signed, chained, said in this history, allowed by the machine."""
        name = f"{kind} {heard.stream.hex()[:12]}"
        for wire in records:
            try:
                heard.hear(record_of(wire))
            except (WireError, BrokenLog) as error:
                self.report.fail(f"{name}, offset {wire.offset}", error)
                return False
        if heard.state is None or heard.state.kind != kind:
            self.report.add("FAILED", f"{name}: holds no {kind}")
            return False
        self.report.add("holds", f"{name}: {counted(len(records), 'record')}; every signature, hash, place and step")
        return True

    def _coordinator(self, heard: Replay, coordinator: XOnlyKey) -> None:
        """The header's coordinator is the one that the session names."""
        if coordinator_of(heard.state) != coordinator:
            self.report.add("FAILED", "the header names another coordinator than the session")

    def _head(self, heard: Replay, wire: WireHead | None) -> None:
        """The signed head ends the log; without one nobody vouches for its end."""
        if wire is None:
            self.report.add("not checked", "no signed head: the coordinator does not vouch for the end of this log")
            return
        try:
            heard.check_head(head_of(wire))
        except BrokenLog as error:
            self.report.add("FAILED", str(error))
            return
        if wire.offset > heard.chain.offset:
            self.report.add("FAILED", f"the head is at offset {wire.offset}: records are missing at the end")
            return
        self.report.add("holds", f"the coordinator's signed head at offset {wire.offset}, {_moment(wire.at)}")
        self.report.add("not checked", f"what may have been said after {_moment(heard.chain.at)}")

    # What was sealed --------------------------------------------------------------------------------------------

    def _group(self, heard: Replay, state: KeygenState) -> GroupKey | None:
        """The group's key, if the secret at hand is this session's."""
        if self._secret is None:
            self.report.add(
                "not checked", "what members sealed: cards, address, messages, signatures (no ticket given)"
            )
            return None
        if self._named is not None and self._named != heard.stream:
            self.report.add("FAILED", f"the ticket is for another session, {self._named.hex()[:12]}")
            return None
        try:
            self._groups[heard.stream] = GroupKey.open_group(self._secret, state.create.salt, state.create.group)
        except InvalidCrypto:
            self.report.add("FAILED", "the ticket's group secret is not this session's")
        return self._groups.get(heard.stream)

    def _keygen(self, heard: Replay, state: KeygenState) -> None:
        """Terms, cards and the keys they come to; who has confirmed."""
        self.report.add("says", f"the keygen is {state.phase}, {counted(len(state.seats), 'slot')}")
        self.report.add("not checked", f"whether {state.create.coordinator.hex()} is the coordinator's key")
        enclaves = {
            seat.join.enclave.hex() for seat in state.seats if seat is not None and seat.join.enclave is not None
        }
        for enclave in sorted(enclaves):
            self.report.add("not checked", f"whether {enclave} is a genuine enclave")
        group = self._group(heard, state)
        if group is None:
            return
        terms = self._try("terms", lambda: read_terms(heard, group))
        if terms is not None:
            label = quoted(terms.label) if terms.label else "(none)"
            self.report.add("says", f"label {label}, {terms.network}, tweak {terms.tweak}")
        if state.roster is not None:
            self._roster(heard, state, group)

    def _roster(self, heard: Replay, state: KeygenState, group: GroupKey) -> None:
        roster = self._try("roster", lambda: read_roster(heard, group))
        if roster is None:
            return
        self._rosters[heard.stream] = roster
        self.report.address = roster.address()
        self.report.add("holds", f"{counted(len(roster.cards), 'card')}, each with its proof of possession")
        self.report.add("holds", f"address {self.report.address}")
        self.report.add("says", f"{safety(state, self._now())}")

    def _signing(self, heard: Replay, state: SigningState) -> None:
        """What was asked, and what came of it."""
        who = "missing" if state.code == "too_many_attempts" else "refused by"
        why = f", code {state.code}, {who} {slots_told(state.blamed)}" if state.code else ""
        self.report.add("says", f"the signing is {state.phase}{why}")
        if state.may_be_signed:
            self.report.add("says", SIGNED_ALL_THE_SAME)
        group, roster = self._groups.get(state.keygen.stream), self._rosters.get(state.keygen.stream)
        if group is None or roster is None:
            self.report.add("not checked", "what was asked and signed: needs the ticket and a roster that holds")
            return
        for line in tell_judgement(judge_signing(heard, roster, group), partial(name_of, roster)):
            self.report.add("proves", line)
        plan = self._try("request", lambda: read_plan(state, heard.records[0].statement, roster, group))
        if plan is None:
            return
        for line in lines_of_request(state, plan, roster):
            self.report.add("says", line)
        if state.phase is SigningPhase.COMPLETED:
            self._signatures(heard, plan, roster, group)

    def _signatures(self, heard: Replay, plan: Plan, roster: Roster, group: GroupKey) -> None:
        """What was made holds; an item that failed alone (§10.2) is told, and spoils nothing."""

        def check() -> tuple[ItemResult, ...]:
            require_possible(plan)
            return results_of(heard, plan, roster, group)

        found = self._try("signatures", check)
        if found is None:
            self.report.add("says", SIGNED_ALL_THE_SAME)
            return
        for number, result in enumerate(found, 1):
            if isinstance(result, ItemError):
                why = f"{result.code}, {slots_told(result.slots)}: {still_printable(result.why)}"
                self.report.add("says", f"Item {number} of {len(found)} was not signed: {why}")
        self.report.signatures = tuple(result for result in found if isinstance(result, Signature))
        made = [each for result in found if isinstance(result, tuple) for each in result]
        for count, word in ((len(self.report.signatures), "signature"), (len(made), "pre-signature")):
            if count:
                self.report.add("holds", f"{counted(count, word)}, under the key and message computed here")

    def _try(self, what: str, check: Callable[[], T]) -> T | None:
        """A check of something sealed; what it raises is a failure."""
        try:
            return check()
        except KeymeldError as error:
            self.report.fail(what, error)
            return None


def _moment(at: int) -> str:
    return moment(at, "%Y-%m-%d %H:%M:%S UTC")

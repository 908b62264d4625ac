"""audit.py: what each section of a log proves, what fails, what nobody can check with it; test_log.py has the files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client.shown.audit import Audit, Report
from keymeld_protocol.plaintext.body import Scalar, SignEcdsa, SignMessage
from keymeld_protocol.values import Hash, Id, Message, XOnlyKey
from keymeld_protocol.wire.frames import WireHead, WireRecord, wire_head
from tests.client.paper import GROUP_SECRET, Tale
from tests.support.coordinator import NOON, key_of, secret_of
from tests.support.world import MESSAGE

STRANGER = XOnlyKey(key_of("stranger").key)


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


class Reading:
    """An audit of the tale's streams, section by section."""

    def __init__(self, tale: Tale, secret: bytes | None = GROUP_SECRET, named: Id | None = None) -> None:
        """Nothing was read yet."""
        self.tale, self.audit = tale, Audit(secret, lambda: NOON, named)

    def reads(
        self, stream: Id, kind: str, records: list[WireRecord] | None = None, head: WireHead | None = None,
        coordinator: XOnlyKey | None = None,
    ) -> Reading:  # fmt: skip
        """One section, as the tale has it unless it is said otherwise."""
        wires = self.tale.wires(stream) if records is None else records
        self.audit.section(stream, kind, coordinator or self.tale.coordinator, wires, head)
        return self

    def keygen(self, **said: WireHead) -> Reading:
        """The keygen's section."""
        return self.reads(self.tale.keygen, "keygen", **said)  # type: ignore[arg-type]

    def signing(self) -> Reading:
        """The signing's section."""
        return self.reads(self.tale.signing, "signing")

    @property
    def report(self) -> Report:
        """What was found so far."""
        return self.audit.report

    def failed(self) -> str:
        """The only failure."""
        (failure,) = self.report.failures
        assert not self.report.ok and list(self.report.lines())[-1] == "This log does NOT hold."
        return failure


@pytest.fixture
def reading(tale: Tale) -> Iterator[Reading]:
    yield Reading(tale)


def test_nothing_read_holds_nothing() -> None:
    report = Audit(GROUP_SECRET, lambda: NOON).report
    assert not report.ok and report.failures == ()


def test_a_keygen_and_its_signing_hold_with_address_and_signatures(reading: Reading, tale: Tale) -> None:
    report = reading.keygen(head=wire_head(tale.head(tale.keygen))).signing().report
    assert report.ok and list(report.lines())[-1] == "This log holds, as far as it was checked."
    assert report.address == tale.alice.roster(tale.keygen).address()
    assert report.signatures == tale.alice.signatures(tale.signing)


def test_an_item_that_failed_alone_is_told_and_the_log_holds() -> None:
    tale = Tale()
    opaque = SignMessage(message=Message(MESSAGE), tweaks=(Scalar(scalar=Hash(bytes(31) + b"\1")),))
    tale.signing = tale.alice.request(tale.keygen, MESSAGE, opaque)
    tale.world.run()
    tale.bob.approve(tale.signing)
    tale.world.run()
    report = Reading(tale).keygen().signing().report
    assert report.ok and len(report.signatures) == 1
    told = [finding.text for finding in report.findings if finding.verdict == "says"]
    (failed,) = [text for text in told if "not signed" in text]
    assert failed.startswith("Item 2 of 2 was not signed: opaque_tweak, slots 0 and 1: ")


def test_a_request_whose_only_item_nobody_can_sign_was_refused_and_the_log_holds() -> None:
    tale = Tale()
    tale.signing = tale.alice.request(tale.keygen, SignEcdsa(message=Message(MESSAGE)))
    tale.world.run()
    report = Reading(tale).keygen().signing().report
    assert report.ok and report.address and report.signatures == ()
    (why,) = [finding.text for finding in report.findings if "CANNOT BE SIGNED" in finding.text]
    assert why.startswith("Item 1 of 1 CANNOT BE SIGNED: ecdsa_needs_one_key, ")


def test_what_no_log_can_prove_is_said_each_time(reading: Reading, tale: Tale) -> None:
    unchecked = reading.keygen().report.unchecked
    vault = next(iter(tale.world.enclaves)).key
    assert "no signed head: the coordinator does not vouch for the end of this log" in unchecked
    assert f"whether {tale.coordinator.hex()} is the coordinator's key" in unchecked
    assert f"whether {vault.hex()} is a genuine enclave" in unchecked


def test_without_a_ticket_nothing_sealed_is_checked(tale: Tale) -> None:
    report = Reading(tale, None).keygen().signing().report
    assert report.ok and report.address is None and report.signatures == ()
    assert any("no ticket given" in text for text in report.unchecked)
    assert any("what was asked and signed" in text for text in report.unchecked)


def test_a_signing_without_its_keygen_fails(reading: Reading) -> None:
    assert "offset 1" in reading.signing().failed()


def test_a_stream_stands_in_a_log_once(reading: Reading) -> None:
    assert "stands here twice" in reading.keygen().keygen().failed()


def test_a_record_that_is_missing_in_between_fails_where_it_is_missed(reading: Reading, tale: Tale) -> None:
    wires = tale.wires(tale.keygen)
    assert "offset 3" in reading.reads(tale.keygen, "keygen", wires[:1] + wires[2:]).failed()


def test_an_empty_section_holds_no_keygen(reading: Reading, tale: Tale) -> None:
    assert reading.reads(tale.keygen, "keygen", []).failed().endswith("holds no keygen")


def test_a_section_is_of_the_kind_that_it_says(reading: Reading, tale: Tale) -> None:
    assert reading.reads(tale.keygen, "signing").failed().endswith("holds no signing")


def test_another_coordinator_than_the_session_names_fails(reading: Reading, tale: Tale) -> None:
    reading.reads(tale.keygen, "keygen", tale.wires(tale.keygen)[:1], coordinator=STRANGER)
    assert "names another coordinator" in " · ".join(reading.report.failures)


def test_records_that_a_head_promises_and_that_are_not_there_fail(reading: Reading, tale: Tale) -> None:
    wires, head = tale.wires(tale.keygen), wire_head(tale.head(tale.keygen))
    assert "records are missing at the end" in reading.reads(tale.keygen, "keygen", wires[:-1], head).failed()


def test_a_head_of_another_history_fails(reading: Reading, tale: Tale) -> None:
    other = Tale()
    other.world.wait(1)
    head = wire_head(other.head(other.signing, 1))
    reading.keygen(head=head)
    assert reading.failed()


def test_a_ticket_of_another_session_is_not_tried(tale: Tale) -> None:
    reading = Reading(tale, named=tale.signing).keygen()
    assert f"another session, {tale.signing.hex()[:12]}" in reading.failed()
    assert reading.report.address is None


def test_a_secret_that_opens_nothing_fails(tale: Tale) -> None:
    assert "group secret is not this session's" in Reading(tale, secret_of("another S")).keygen().failed()


def test_what_was_sealed_and_is_not_here_fails_by_its_name(reading: Reading, tale: Tale) -> None:
    create, *others = tale.world.logs[tale.keygen].records
    bare = tale.world.wire(create.without_blobs(("terms",)), tale.alice)
    reading.reads(tale.keygen, "keygen", [bare, *(tale.world.wire(record, tale.alice) for record in others)])
    assert [failure.partition(":")[0] for failure in reading.report.failures] == ["terms", "roster"]
    assert reading.report.address is None


def test_a_report_for_people_has_one_printable_line_for_each_finding(reading: Reading, tale: Tale) -> None:
    lines = list(reading.keygen().signing().report.lines())
    assert len(lines) == len(reading.report.findings) + 1
    assert all(line.isprintable() for line in lines)

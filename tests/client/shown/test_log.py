"""Exported logs: whoever has the file can check it, and nobody can change a byte of it unnoticed."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.shown.audit import Report
from keymeld_client.shown.log import BadLog, export_log, verify_log
from keymeld_protocol.values import Hash, Id
from keymeld_protocol.wire.frames import head_json, wire_head
from tests.client.paper import GROUP_SECRET, Reader, Tale, spoilt_head
from tests.support.wire import each, wire

ZEROS = "00" * 32


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session."""
    return Tale()


@pytest.fixture(scope="module")
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody who has heard all of it."""
    reader = Reader(tale)
    for stream in (tale.keygen, tale.signing):
        reader.subscribed(stream, head=wire_head(tale.head(stream)))
        reader.hear(stream)
    yield reader
    reader.wallet._passing = True
    reader.wallet.close()


@pytest.fixture
def lines(reader: Reader, tale: Tale) -> list[str]:
    """The signing's log, as exported."""
    return export_log(reader.wallet, tale.signing)


def edited(lines: list[str], number: int, change: Callable[[dict], None]) -> list[str]:  # type: ignore[type-arg]
    """The same file with one line changed."""
    line = json.loads(lines[number])
    change(line)
    return [*lines[:number], json.dumps(line, separators=(",", ":"), ensure_ascii=False), *lines[number + 1 :]]


def failures(lines: list[str], secret: bytes | None = GROUP_SECRET) -> str:
    report = verify_log(lines, secret)
    assert not report.ok
    return " · ".join(report.failures)


def test_an_honest_log_holds(lines: list[str], tale: Tale) -> None:
    report = verify_log(lines, GROUP_SECRET)
    assert report.ok, report.failures
    assert report.address == tale.alice.roster(tale.keygen).address()
    assert report.signatures == tale.alice.signatures(tale.signing)


def test_a_log_holds_without_its_secret_as_far_as_it_can_be_read(lines: list[str]) -> None:
    report = verify_log(lines)
    assert report.ok and report.address is None and report.signatures == ()
    assert any("no ticket given" in text for text in report.unchecked)


def test_a_keygen_can_be_exported_alone(reader: Reader, tale: Tale) -> None:
    assert verify_log(export_log(reader.wallet, tale.keygen), GROUP_SECRET).address is not None


def test_the_report_reads_well(lines: list[str]) -> None:
    told = "\n".join(verify_log(lines, GROUP_SECRET).lines())
    assert "records; every signature, hash, place and step" in told
    assert "BLIND" in told and "rent" in told
    assert told.endswith("This log holds, as far as it was checked.")


def test_the_report_says_what_nobody_can_check(lines: list[str], tale: Tale) -> None:
    unchecked = " · ".join(verify_log(lines, GROUP_SECRET).unchecked)
    assert "what may have been said after" in unchecked
    assert "is a genuine enclave" in unchecked
    assert f"whether {tale.coordinator.hex()} is the coordinator's key" in unchecked


def test_a_log_survives_a_journey_through_a_file(lines: list[str]) -> None:
    text = "\r\n".join(lines) + "\n\n"
    assert verify_log(text.splitlines(keepends=True), GROUP_SECRET).ok


def test_a_wallet_exports_only_what_it_has(reader: Reader) -> None:
    with pytest.raises(WalletError, match="no log"):
        export_log(reader.wallet, Id(bytes(32)))


# What does not hold


def test_another_group_secret_is_refused(lines: list[str]) -> None:
    assert "not this session's" in failures(lines, b"\1" * 32)


def test_a_record_that_was_left_out_is_missed(lines: list[str]) -> None:
    assert "offset 3" in failures([*lines[:2], *lines[3:]])


def test_a_log_that_was_cut_short_is_missed(lines: list[str]) -> None:
    assert "records are missing at the end" in failures([*lines[:-2], lines[-1]])


def test_a_log_without_its_head_says_so(lines: list[str]) -> None:
    report = verify_log(lines[:-1], GROUP_SECRET)
    assert report.ok and any("no signed head" in text for text in report.unchecked)


def test_a_head_of_another_history_is_refused(lines: list[str], tale: Tale) -> None:
    other = Hash(b"\7" * 32)
    head = spoilt_head(tale, tale.signing, other)
    line = {"head": head_json(head)}
    assert "another history" in failures([*lines[:-1], json.dumps(line, separators=(",", ":"))])


def test_a_signing_without_its_keygen_is_refused(lines: list[str]) -> None:
    start = next(i for i, line in enumerate(lines) if '"kind":"signing","coordinator"' in line)
    assert "not verified" in failures(lines[start:])


def test_another_coordinator_in_the_header_is_refused(lines: list[str]) -> None:
    def change(header: dict) -> None:  # type: ignore[type-arg]
        header["coordinator"] = "11" * 32

    assert "another coordinator" in failures(edited(lines, 0, change))


def test_every_altered_record_is_noticed(lines: list[str]) -> None:
    """Attack 27, offline: a bit of any record's time, hash or signature."""

    def later(line: dict) -> None:  # type: ignore[type-arg]
        line["at"] += 1

    def other_signature(line: dict) -> None:  # type: ignore[type-arg]
        signature = line["statement"]["signatures"][0]
        line["statement"]["signatures"][0] = f"{int(signature, 16) ^ 1:0128x}"

    for number, line in enumerate(lines):
        if line.startswith('{"epoch"'):
            for change in (later, other_signature):
                assert failures(edited(lines, number, change))


def test_a_ciphertext_in_the_place_of_another_is_noticed(lines: list[str]) -> None:
    """Attack 23."""

    def swap(line: dict) -> None:  # type: ignore[type-arg]
        line["statement"]["blobs"][0] = json.loads(lines[1])["statement"]["blobs"][0]

    assert "SHA-256" in failures(edited(lines, 2, swap))


def test_a_deleted_ciphertext_is_told_and_the_log_still_chains(lines: list[str]) -> None:
    def delete(line: dict) -> None:  # type: ignore[type-arg]
        line["statement"]["blobs"] = [None] * len(line["statement"]["blobs"])

    gone = edited(lines, 2, delete)
    assert verify_log(gone).ok
    assert "not delivered" in failures(gone)


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ([], "empty"),
        (["not json"], "line 1"),
        (["{}"], "line 1 must begin"),
        (['{"keymeld":"log/9"}'], "line 1 is of another format than log/1: it needs a newer Keymeld"),
        ([f'{{"keymeld":"log/1","stream":"{ZEROS}","kind":"keygen","coordinator":"{ZEROS}"}}'], "holds no record"),
        (['{"keymeld":"log/1","stream":"00","kind":"keygen","coordinator":"00"}'], "stream: must be 64"),
    ],
)
def test_a_file_that_is_no_log_is_refused_by_line(spoilt: list[str], told: str) -> None:
    with pytest.raises(BadLog, match=told):
        verify_log(spoilt)


def test_a_line_that_is_no_record_is_refused_by_line(lines: list[str]) -> None:
    with pytest.raises(BadLog, match=r"line 3: .* is missing"):
        verify_log([*lines[:2], "{}", *lines[2:]])


@pytest.mark.parametrize(
    "spelled",
    [
        lambda line: line.replace(":", ": ", 1),
        lambda line: " " + line,
        lambda line: line + " ",
        lambda line: line[:-1] + ',"extra":1}',
        lambda line: line.replace('"hash"', '"h\\u0061sh"'),
        lambda line: line.replace('"offset":1', '"offset":1.0'),
        lambda line: line.replace('"offset":1,"at"', '"offset":1,"offset":1,"at"'),
        lambda line: json.dumps(dict(reversed(json.loads(line).items())), separators=(",", ":"), ensure_ascii=False),
    ],
    ids=["a space", "a space before", "a space behind", "extra", "an escape", "1.0", "twice", "another order"],
)
def test_a_line_in_another_spelling_is_refused(lines: list[str], spelled: Callable[[str], str]) -> None:
    assert spelled(lines[1]) != lines[1]
    with pytest.raises(BadLog, match="line 2"):
        verify_log([lines[0], spelled(lines[1]), *lines[2:]])


def test_a_record_of_a_later_version_is_not_checked_and_the_log_is_not_called_broken(lines: list[str]) -> None:
    def later(line: dict) -> None:  # type: ignore[type-arg]
        line["statement"]["payload"] = line["statement"]["payload"].replace('"v":1', '"v":2')

    report = verify_log(edited(lines, len(lines) - 2, later), GROUP_SECRET)
    assert (report.ok, report.newer, report.failures) == (False, True, ())
    assert list(report.lines())[-1] == "This log needs a newer version of Keymeld."
    assert any("newer version of Keymeld" in text for text in report.unchecked)


def test_a_section_has_records(lines: list[str]) -> None:
    head = next(line for line in lines if line.startswith('{"head"'))
    for broken in ([lines[0], *lines], [lines[0], head]):
        with pytest.raises(BadLog, match=r"line 2 .* no record"):
            verify_log(broken)


@each("export", "logs")
def test_an_exported_log_of_the_vectors_holds(one: Any) -> None:
    report = verify_log(one["lines"], bytes.fromhex(one["S"]))
    assert report.ok and report.address == one["address"]
    assert [signature.hex() for signature in report.signatures] == one["signatures"]


def changed(one: Any) -> list[str]:
    """The first log of the vectors with one line put otherwise, or left out."""
    lines: list[str] = list(wire("export")["logs"][0]["lines"])
    lines[one["line"] - 1 : one["line"]] = one["instead"]
    return lines


@each("export", "refused")
def test_what_is_no_exported_log_is_refused(one: Any) -> None:
    with pytest.raises(BadLog, match=r"^(line \d+|the )"):
        verify_log(changed(one))


@each("export", "does_not_hold")
def test_an_exported_log_that_was_changed_does_not_hold(one: Any) -> None:
    assert not verify_log(changed(one)).ok


def test_nothing_follows_a_head_but_the_next_section(lines: list[str]) -> None:
    with pytest.raises(BadLog, match="follows a head"):
        verify_log([*lines, lines[1]])


def test_a_report_of_nothing_is_not_ok() -> None:
    assert not Report().ok

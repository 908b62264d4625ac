"""outbox.py: what was said is kept until it is answered, and known again when it comes back, byte for byte."""

import pytest
from msgspec import structs

from keymeld_enclave import outbox
from keymeld_enclave.outbox import Unanswered
from keymeld_protocol.errors import BadInput
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.records import Record
from tests.support.logs import Scribe


def wire(record: Record) -> WireRecord:
    """A record as it comes back."""
    return WireRecord(record.epoch, record.offset, record.at, record.hash, record.statement.wire)


@pytest.fixture
def records() -> list[Record]:
    """A stream that somebody wrote."""
    scribe = Scribe(Scribe.EPOCH)
    return [scribe.open(), *scribe.notes(3)]


def test_what_is_said_waits_in_its_order_until_it_is_answered(records: list[Record]) -> None:
    said, mine = [record.statement for record in records], Unanswered()
    assert mine.add(said[:2]) == said[:2]
    mine.add(said[2:])
    assert mine.unanswered() == said
    mine.answered(said[1].id)
    mine.answered(said[1].id)
    assert mine.unanswered() == [said[0], *said[2:]]


def test_what_waits_is_counted_once_and_no_longer_than_it_waits(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    said, mine = [record.statement for record in records], Unanswered()
    mine.add([*said, said[0]])
    assert mine.size == sum(statement.size for statement in said)
    monkeypatch.setattr(outbox, "MOST_BYTES", mine.size + 3 * outbox.REQUEST)
    assert not mine.is_full(3) and mine.is_full(4)
    for statement in said:
        mine.answered(statement.id)
    assert mine.size == 0


def test_our_own_words_are_known_when_they_come_back(records: list[Record]) -> None:
    mine = Unanswered()
    mine.add([records[0].statement])
    mine.answered(records[0].statement.id)
    assert mine.record_of(wire(records[0])).statement is records[0].statement


def test_words_of_others_are_verified(records: list[Record]) -> None:
    heard = Unanswered().record_of(wire(records[1]))
    assert heard == records[1] and heard.statement is not records[1].statement


def test_our_words_under_other_signatures_are_not_ours(records: list[Record]) -> None:
    mine = Unanswered()
    mine.add([records[0].statement])
    theirs = wire(records[0])
    forged = structs.replace(theirs, statement=structs.replace(theirs.statement, signatures=("00" * 64,)))
    with pytest.raises(BadInput, match="does not verify"):
        mine.record_of(forged)


def test_only_the_latest_words_are_remembered(records: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "REMEMBERED", 2)
    mine = Unanswered()
    mine.add(record.statement for record in records)
    known = [mine.record_of(wire(record)).statement is record.statement for record in records]
    assert known == [False, False, True, True]
    assert len(mine.unanswered()) == 4, "what was not answered waits all the same"

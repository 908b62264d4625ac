"""session.py: what is decided runs ahead of what is on disk; only this is told; envelopes to their enclaves."""

from __future__ import annotations

import pytest

from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.errors import BrokenLog, WireError
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.values import Salt, XOnlyKey
from keymeld_protocol.wire.payloads import KeygenLeave
from keymeld_protocol.wire.records import Record, head_is_signed, head_message
from keymeld_protocol.wire.statements import Statement
from keymeld_server.decide import Decider
from keymeld_server.session import TAIL_RECORDS, Part, Session, Told, session_row
from tests.support.build import Cast, say, xonly
from tests.support.coordinator import NOON, key_of
from tests.support.logs import Scribe

VAULT, TOWER = key_of("vault"), key_of("tower")
HERE = frozenset({xonly(VAULT)})


class Bench:
    """A keygen of one slot, sealed to the vault; nothing of it is on disk until ``settle``."""

    def __init__(self) -> None:
        """The join is decided."""
        self.decider = Decider(key_of("coordinator"), 0)
        self.cast = Cast("treasury", self.decider.key, 1)
        create = self.cast.create(NOON)
        self.session = Session(create.id, Scribe.EPOCH)
        self.parts = list[Part]()
        self.decide(create)
        self.join = self.cast.join(0, self.session.chain.hash, xonly(VAULT))
        self.decide(self.join)

    def decide(self, said: Statement) -> Part:
        """One more statement."""
        part = self.decider.decide(self.session, said, NOON, HERE).part
        assert part is not None
        self.parts.append(part)
        return part

    def settle(self) -> Session:
        """All of it is on disk."""
        for part in self.parts[:]:
            self.session.settle(part)
            self.parts.remove(part)
        return self.session


def wallet(notes: int) -> tuple[Session, list[Record]]:
    """A stream of a wallet, loaded from the store."""
    scribe = Scribe(Scribe.EPOCH)
    records, session = [scribe.open(), *scribe.notes(notes)], Session(scribe.stream, Scribe.EPOCH)
    for record in records:
        session.load(record)
    session.loaded()
    return session, records


def test_what_is_decided_is_not_told_before_it_is_on_disk() -> None:
    bench = Bench()
    session = bench.session
    assert (session.chain.offset, session.top, session.settled, session.told(1)) == (2, 0, None, None)
    bench.settle()
    assert session.top == 2 and session.settled is session.state and session.told(2) is not None


def test_a_part_says_whom_the_stream_begins_to_concern() -> None:
    bench = Bench()
    created, joined = bench.parts
    assert created.changed and xonly(bench.cast.creator) in created.come
    assert {xonly(bench.cast.auth(0)), xonly(VAULT)} <= joined.come
    assert created.append().expected == 0 and joined.append().expected == 1
    settled = bench.settle()
    assert settled.hearers == joined.hearers


def test_a_part_that_concerns_nobody_new_leaves_the_hearers_as_they_are() -> None:
    bench = Bench()
    bench.decide(bench.cast.accept(0, bench.join, bench.session.chain.hash, VAULT))
    assert isinstance(bench.session.state, KeygenState) and bench.session.state.roster is not None
    part = bench.decide(bench.cast.confirm(0, bench.session.chain.hash, bench.session.state.roster))
    assert part.come == frozenset() and not part.changed and part.append().hearers is None


def test_a_refused_statement_changes_nothing() -> None:
    session = Bench().settle()
    before = session.state, session.chain.offset
    with pytest.raises(WireError):
        session.say(say(TOWER, KeygenLeave, session.stream, session.chain.hash, slot=0), NOON)
    assert (session.state, session.chain.offset) == before and not session.has_said


@pytest.mark.parametrize(("proven", "whole"), [({xonly(VAULT)}, True), ({xonly(TOWER)}, False), (set(), False)])
def test_an_envelope_is_told_to_its_enclave_alone(proven: set[XOnlyKey], whole: bool) -> None:
    told = Bench().settle().told(2)
    assert told is not None
    frame = told.frame(proven)
    assert (b"null" not in frame) is whole
    assert told.frame(proven) is frame, "made once"


def test_of_a_slot_that_has_left_no_envelope_is_told_any_more() -> None:
    bench = Bench()
    bench.decide(bench.cast.accept(0, bench.join, bench.session.chain.hash, VAULT))
    leaving = say(bench.cast.auth(0), KeygenLeave, bench.session.stream, bench.session.chain.hash, slot=0)
    assert bench.decide(leaving).append().left == (2,)
    session = bench.settle()
    told = session.told(2)
    assert told is not None and told.record.statement.blob("envelope") is None
    assert b"null" in told.frame({xonly(VAULT)})
    assert session.weight == sum(each.size for each in session.tail)


def test_only_the_end_of_a_log_stays_in_memory() -> None:
    session, records = wallet(TAIL_RECORDS + 5)
    assert session.told(6) is None and session.told(len(records) + 1) is None and session.told(0) is None
    assert [told.record for told in session.tail] == records[-TAIL_RECORDS:]
    assert session.weight == sum(Told(session.stream, record).size for record in records[-TAIL_RECORDS:])


def test_a_loaded_log_stands_where_it_stood_and_one_that_does_not_follow_is_not_loaded() -> None:
    session, records = wallet(2)
    assert (session.top, session.chain.offset, session.hearers) == (3, 3, frozenset({records[0].statement.payload.by}))
    with pytest.raises(BrokenLog):
        session.load(records[1])


def test_a_head_is_signed_once_for_each_top() -> None:
    session, records = wallet(1)
    key = key_of("coordinator")
    head = session.head(key.sign, NOON + 5)
    assert session.head(key.sign, NOON + 9) is head and head.position == records[-1].position
    assert verify(head.signature, head_message(session.stream, head.position, NOON + 5), key.key)


def test_a_head_over_a_nonce_is_signed_when_it_is_asked_for() -> None:
    session, records = wallet(1)
    key, nonce = key_of("coordinator"), Salt(b"\7" * 32)
    old, head = session.head(key.sign, NOON), session.head(key.sign, NOON + 9, nonce)
    assert (head.at, head.nonce, head.position) == (NOON + 9, nonce, old.position)
    assert session.head(key.sign, NOON + 9) is old
    early = session.head(key.sign, 0, nonce)
    assert early.at == records[-1].at, "never before the record's own time"
    assert all(head_is_signed(session.stream, each, xonly(key)) for each in (old, head, early))


def test_only_the_latest_record_is_told_with_its_head() -> None:
    session, _ = wallet(2)
    key = key_of("coordinator")
    told = session.told(3)
    assert told is not None
    head = session.head(key.sign, NOON)
    frame = told.frame(set(), head)
    assert told.frame(set(), head) is frame and head.signature.hex().encode() in frame
    assert b'"head"' not in told.frame(set())


def test_the_stores_row_says_what_the_session_is_and_when_it_is_looked_at() -> None:
    bench = Bench()
    row = bench.parts[-1].append().session
    assert (row.kind, row.state, row.top, row.keygen, row.open) == ("keygen", "collecting", 2, None, True)
    assert row.deadline_ms == bench.decider.deadline(bench.session, NOON)
    session, records = wallet(0)
    assert session.state is not None
    row = session_row(session.state, records[-1], None)
    assert (row.kind, row.top, row.hash) == ("wallet", 1, records[-1].hash)

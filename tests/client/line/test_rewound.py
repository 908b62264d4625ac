"""A coordinator that was restored: what it tells anew is compared with what was verified, what it lost is kept."""

from collections.abc import Iterator, Sequence

import pytest
from msgspec import structs

from keymeld_client.line.ledger import Ledger
from keymeld_client.shown.log import export_log, verify_log
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.values import Epoch, Id
from keymeld_protocol.wire.connection import SessionInfo
from keymeld_protocol.wire.frames import WireRecord, wire_head
from keymeld_protocol.wire.records import Chain, Record, sign_head
from tests.client.paper import GROUP_SECRET, Reader, Tale
from tests.promises.desk import at_desk

LATER = Epoch(b"after a restore.")
NOT_THERE = Refused(Reason.UNKNOWN_STREAM, "stream: no such stream here")


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody who has heard all of it, and is greeted by a store in its next epoch."""
    reader = Reader(tale)
    for stream in (tale.keygen, tale.signing):
        reader.subscribed(stream)
        reader.hear(stream)
    reader.ledger.greet(tale.coordinator, LATER)
    yield reader
    reader.wallet._passing = True
    reader.wallet.close()


def restored(tale: Tale, stream: Id, count: int, more: int = 1, epoch: Epoch = LATER) -> list[Record]:
    """The log with its first ``count`` records, and ``more`` of what had followed, in the next epoch."""
    chain, told = Chain(stream), list[Record]()
    for record in tale.world.logs[stream].records[: count + more]:
        anew = record if record.offset <= count else chain.next(epoch, record.at + 1, record.statement)
        chain.append(anew)
        told.append(anew)
    return told


def wires(records: Sequence[Record]) -> list[WireRecord]:
    return [WireRecord(r.epoch, r.offset, r.at, r.hash, r.statement.wire) for r in records]


def tell(reader: Reader, stream: Id, records: Sequence[Record]) -> None:
    reader.subscribed(stream, top=len(records), reason="epoch")
    reader.hear(stream, wires(records))


def test_a_new_epoch_that_repeats_everything_loses_nothing(reader: Reader, tale: Tale) -> None:
    tell(reader, tale.keygen, tale.world.logs[tale.keygen].records)
    assert reader.ledger.trouble(tale.keygen) is None and reader.ledger.waiting(tale.keygen) is None
    assert reader.wallet.lost.of(tale.keygen) == ()


def test_until_all_of_it_has_come_nothing_changes(reader: Reader, tale: Tale) -> None:
    told = restored(tale, tale.keygen, 4)
    before = reader.heard(tale.keygen)
    reader.subscribed(tale.keygen, top=len(told), reason="epoch")
    reader.hear(tale.keygen, wires(told[:-1]))
    assert reader.heard(tale.keygen) == before and not reader.ledger.caught_up()
    reader.hear(tale.keygen, wires(told[-1:]))
    assert reader.heard(tale.keygen) == 5 and reader.ledger.trouble(tale.keygen) is None


def test_what_was_lost_is_kept_and_waited_for_also_by_the_next_process(reader: Reader, tale: Tale) -> None:
    records = tale.world.logs[tale.keygen].records
    tell(reader, tale.keygen, restored(tale, tale.keygen, 4))
    assert [record.offset for record in reader.wallet.lost.of(tale.keygen)] == list(range(5, len(records) + 1))
    told = reader.ledger.waiting(tale.keygen)
    assert told is not None and told.startswith("not broken, waiting for ")
    reader.wallet._passing = False
    again = reader.again()
    assert again.heard(tale.keygen) == 5 and again.ledger.waiting(tale.keygen) == told
    reader.wallet = again.wallet


def test_the_head_of_the_answer_is_taken_with_the_new_history(reader: Reader, tale: Tale) -> None:
    told = restored(tale, tale.keygen, 4)
    head = wire_head(sign_head(tale.keygen, told[-1], tale.world.coordinator.sign))
    reader.subscribed(tale.keygen, top=len(told), reason="epoch", head=head)
    reader.ledger.head(tale.keygen, head)
    assert reader.ledger.head_age_ms(tale.keygen) is None
    reader.hear(tale.keygen, wires(told))
    assert reader.ledger.head_age_ms(tale.keygen) is not None and reader.ledger.trouble(tale.keygen) is None


def test_attack_60_another_history_of_the_same_epoch_is_a_fork_also_when_it_is_called_an_epoch(
    reader: Reader, tale: Tale
) -> None:
    """60: has a fork taken for a restore."""
    old = tale.world.logs[tale.keygen].records[0].epoch
    tell(reader, tale.keygen, restored(tale, tale.keygen, 4, epoch=old))
    assert "two ways within one epoch" in (reader.ledger.trouble(tale.keygen) or "")
    evidence = reader.wallet.evidence(tale.keygen)
    assert evidence is not None and evidence["fork"] is True and evidence["theirs"]
    assert reader.wallet.lost.of(tale.keygen) == ()


def test_attack_60_a_shorter_history_in_the_same_epoch_is_a_fork(reader: Reader, tale: Tale) -> None:
    """60: nothing of the store's present epoch can be lost by a restore."""
    records = tale.world.logs[tale.keygen].records
    reader.ledger.greet(tale.coordinator, records[0].epoch)
    tell(reader, tale.keygen, records[:4])
    assert "two ways within one epoch" in (reader.ledger.trouble(tale.keygen) or "")


def test_attack_60_a_withheld_leaving_is_named_whatever_the_epoch_is_called(reader: Reader, tale: Tale) -> None:
    """60: who pretends an epoch hides nothing: what is missing is visible, and nothing is said without it."""
    tell(reader, tale.keygen, restored(tale, tale.keygen, len(tale.world.logs[tale.keygen].records) - 3, more=0))
    missing = [record.statement.payload.kind for record in reader.ledger.missing(tale.keygen)]
    assert missing and set(missing) <= {"keygen.confirm", "custody.accept", "keygen.join"}


def test_attack_60_an_after_of_the_lost_history_is_one_of_another_history(reader: Reader, tale: Tale) -> None:
    """60: nobody mixes two histories by calling one an epoch."""
    tell(reader, tale.keygen, restored(tale, tale.keygen, 4, more=3))
    assert "another history" in (reader.ledger.trouble(tale.keygen) or "")


def test_a_stream_that_an_earlier_epoch_had_is_waited_for_whole(reader: Reader, tale: Tale) -> None:
    reader.ledger.expect(tale.keygen)
    reader.ledger.refuse(tale.keygen, NOT_THERE)
    assert reader.ledger.trouble(tale.keygen) is None and reader.ledger.caught_up()
    assert reader.ledger.missing(tale.keygen)[0].statement.payload.kind == "keygen.create"


def test_one_of_the_present_epoch_that_is_not_there_is_refused(reader: Reader, tale: Tale) -> None:
    reader.ledger.greet(tale.coordinator, tale.world.logs[tale.keygen].records[0].epoch)
    reader.ledger.refuse(tale.keygen, NOT_THERE)
    assert "does not let us hear it" in (reader.ledger.trouble(tale.keygen) or "")


def test_a_record_of_another_epoch_that_nobody_asked_for_is_asked_for_and_no_fork(reader: Reader, tale: Tale) -> None:
    asked: list[Id] = []
    reader.ledger.look_again = asked.append
    for _ in range(2):
        reader.hear(tale.keygen, wires(restored(tale, tale.keygen, 3)[-1:]))
        reader.hear(tale.signing, wires(restored(tale, tale.signing, 1)[-1:]))
    assert asked == [tale.keygen], "the signing has ended: nothing follows"
    assert reader.ledger.trouble(tale.keygen) is None and reader.ledger.trouble(tale.signing) is None


def test_a_log_that_does_not_hold_breaks_as_ever(reader: Reader, tale: Tale) -> None:
    told = restored(tale, tale.keygen, 3, more=2)
    tell(reader, tale.keygen, [*told[:-1], told[0]])
    assert reader.ledger.trouble(tale.keygen) is not None


def test_whoever_follows_hears_what_differs(reader: Reader, tale: Tale) -> None:
    assert isinstance(reader.ledger, Ledger)
    seen = len(reader.ledger.heard)
    tell(reader, tale.keygen, restored(tale, tale.keygen, 4))
    assert [record.offset for _, record in reader.ledger.heard[seen:]] == [5]


def test_a_history_told_anew_that_does_not_hold_is_given_up_at_once_and_nothing_of_it_is_gathered(
    reader: Reader, tale: Tale
) -> None:
    """Attack 21: a coordinator alone fills nobody's memory by calling an epoch."""
    told = wires(restored(tale, tale.keygen, 3, more=0))
    reader.subscribed(tale.keygen, top=2**40, reason="epoch")
    reader.hear(tale.keygen, [told[0], told[2]])
    assert "jump from 1 to 3" in (reader.ledger.trouble(tale.keygen) or "")
    assert tale.keygen not in reader.ledger.returning


def test_a_keygen_that_is_not_there_is_never_safe_also_for_whoever_goes_on_without_it(
    reader: Reader, tale: Tale
) -> None:
    reader.ledger.refuse(tale.keygen, NOT_THERE)
    keygen = at_desk(reader).keygen(tale.keygen)
    assert keygen.go_without_lost() and keygen.missing == {}
    assert keygen.waiting == "not broken, but its coordinator has not got it any more" and not keygen.safety.safe


def test_who_goes_on_without_what_he_was_shown_waits_for_what_was_lost_meanwhile(reader: Reader, tale: Tale) -> None:
    first, second = (r for r in tale.world.logs[tale.keygen].records if r.statement.payload.kind == "custody.accept")
    tell(reader, tale.keygen, restored(tale, tale.keygen, second.offset - 1, more=0))
    keygen = at_desk(reader).keygen(tale.keygen)
    shown = keygen.missing
    assert second.statement.id in shown and first.statement.id not in shown
    reader.ledger.greet(tale.coordinator, Epoch(b"yet another one."))
    tell(reader, tale.keygen, restored(tale, tale.keygen, first.offset - 1, more=0))
    assert {record.statement.id for record in keygen.go_without_lost(shown)} == {*shown}
    assert first.statement.id in keygen.missing and not {*keygen.missing} & {*shown} and keygen.waiting is not None


def test_what_was_verified_counts_once_the_ticket_is_there_again(reader: Reader, tale: Tale) -> None:
    """A folder that has lost its ticket: what a restored coordinator has lost since is waited for all the same."""
    entry = reader.wallet.keygen(tale.keygen)
    assert entry is not None
    reader.wallet._passing = False
    reader.wallet.forget(tale.keygen)
    again = reader.again()
    assert again.ledger.streams() == ()
    again.wallet.remember(entry)
    again.ledger.load()
    again.ledger.greet(tale.coordinator, LATER)
    assert len(again.ledger.streams()) == 2
    tell(again, tale.keygen, restored(tale, tale.keygen, 4))
    assert again.ledger.waiting(tale.keygen) is not None
    reader.wallet = again.wallet


def test_a_signing_that_was_refused_is_asked_for_where_it_is_listed_otherwise() -> None:
    tale = Tale(refused=True)
    with Reader(tale).closing() as reader:
        for stream in (tale.keygen, tale.signing):
            reader.subscribed(stream)
            reader.hear(stream)
        last, asked = tale.world.logs[tale.signing].records[-1], list[Id]()
        reader.ledger.look_again = asked.append
        same = SessionInfo(tale.signing, "signing", "rejected", last.offset, tale.keygen, last.hash)
        other = structs.replace(same, top=1)
        assert not reader.ledger.is_listed_otherwise(other), "within one epoch nothing can be lost"
        reader.ledger.greet(tale.coordinator, LATER)
        assert reader.ledger.is_listed_otherwise(other) and not reader.ledger.is_listed_otherwise(same)
        reader.hear(tale.signing, wires(restored(tale, tale.signing, 1)[-1:]))
        assert asked == [tale.signing]
        reader.time = other.top + 2**42
        assert not reader.ledger.is_listed_otherwise(other), "its time is over"


def lost_signing(reader: Reader, tale: Tale, keygen: Sequence[Record]) -> Reader:
    """The coordinator tells ``keygen``, and has not got the signing any more; gives what the next process knows."""
    tell(reader, tale.keygen, keygen)
    reader.ledger.expect(tale.signing)
    reader.ledger.refuse(tale.signing, NOT_THERE)
    told = at_desk(reader).signing(tale.signing).waiting
    assert told == "not broken, but its coordinator has not got it any more"
    reader.wallet._passing = False
    again = reader.again()
    again.ledger.greet(tale.coordinator, LATER)
    again.subscribed(tale.keygen)
    again.ledger.note_listed([SessionInfo(tale.keygen, "keygen", "completed", len(keygen))])
    reader.wallet = again.wallet
    return again


@pytest.mark.parametrize("kept", [None, 4], ids=["its keygen is there", "and all that followed the joins"])
def test_a_signing_that_was_lost_altogether_is_shown_as_such_and_its_log_still_holds(
    reader: Reader, tale: Tale, kept: int | None
) -> None:
    records = tale.world.logs[tale.keygen].records
    told = records if kept is None else restored(tale, tale.keygen, kept, more=0)
    again = lost_signing(reader, tale, told)
    (signing,) = at_desk(again).signings()
    assert signing.id == tale.signing and signing.phase == "completed" and signing.read_only is None
    assert signing.waiting == "not broken, but its coordinator has not got it any more"
    report = verify_log(export_log(again.wallet, tale.signing), GROUP_SECRET)
    assert report.ok and report.signatures == tale.alice.signatures(tale.signing)


def test_what_is_listed_or_belongs_to_what_is_not_is_not_called_lost(reader: Reader, tale: Tale) -> None:
    keygen, signing = (SessionInfo(each, "", "", 1) for each in (tale.keygen, tale.signing))
    for listed in ([keygen, signing], [signing], []):
        reader.ledger.note_listed(listed)
        assert reader.ledger.waiting(tale.signing) is None
    reader.ledger.note_listed([keygen])
    assert reader.ledger.waiting(tale.signing) is not None
    reader.ledger.greet(tale.coordinator, tale.world.logs[tale.keygen].records[0].epoch)
    reader.ledger.note_listed([keygen])
    assert reader.ledger.waiting(tale.signing) is None

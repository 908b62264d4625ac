"""A log that is told anew: what is shared, what is a fork, what was lost, and what of that is waited for."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.rewound import conflict, meanings, missing, sent_psigs, shared
from keymeld_protocol.values import Epoch, Hash
from keymeld_protocol.wire.payloads import KeygenLeave, SigningCancel, SigningHeard
from keymeld_protocol.wire.records import Chain, Record, record_hash
from keymeld_protocol.wire.statements import Statement
from tests.support.build import say
from tests.support.machines import EPOCH, NOON, TOWER, VAULT, Keygen, Signing, Stream, completed

LATER, LATEST = Epoch(b"after a restore."), Epoch(b"the next restore")


def anew(records: Sequence[Record], epoch: Epoch = LATER) -> list[Record]:
    """The same statements, chained in another epoch after whatever comes before them."""
    made, before = list[Record](), records[0].hash
    for record in records:
        at = record.at + 1
        before = record_hash(before, epoch, record.offset, at, record.statement.id)
        made.append(Record(epoch, record.offset, at, before, record.statement))
    return made


def replayed(stream: Stream, count: int, *said: Statement, keygen: Keygen | None = None) -> Replay:
    """The log with its first ``count`` records, and then what was said in the next epoch."""
    home = None
    if keygen is not None:
        home = Replay(keygen.stream)
        for record in keygen.records:
            home.hear(record)
    heard = Replay(stream.stream, home)
    for record in stream.records[:count]:
        heard.hear(record)
    for statement in said:
        heard.hear(heard.chain.next(LATER, NOON + 1, statement))
    return heard


def kinds(records: Sequence[Record]) -> list[str]:
    return [record.statement.payload.kind for record in records]


def waited(stream: Stream, count: int, heard: Replay | None, now: int = NOON + 2) -> list[str]:
    """What is waited for of ``stream``, of which ``count`` records survived."""
    return kinds(missing(stream.records[:count], stream.records[count:], heard, now))


# Shared, or a fork


def test_histories_share_what_has_the_same_hashes() -> None:
    records = completed(2).records
    assert shared(records, records) == shared(records, records[:3] + anew(records[3:])) + 2 == len(records)
    assert shared(records[:2], records) == 2 and shared([], records) == 0


def test_histories_that_differ_in_epoch_wherever_they_differ_are_those_of_a_restore() -> None:
    records = completed(2).records
    told = records[:3] + anew(records[3:])
    for ours in (records, records[:3] + anew(records[3:], LATEST)):
        assert conflict(ours, told, LATER) is None
    assert conflict(records, records, LATER) is None


def test_attack_60_two_records_for_one_offset_of_one_epoch_are_a_fork_whatever_they_are_called() -> None:
    """60: has a fork taken for a restore."""
    records = completed(2).records
    other = [replace(record, hash=Hash(b"\7" * 32)) for record in records[3:]]
    assert conflict(records, records[:3] + other, LATER) == 4
    mixed = records[:3] + anew(records[3:4]) + other[1:]
    assert conflict(records, mixed, LATER) == 5


def test_attack_60_what_the_present_epoch_had_and_has_not_is_a_fork() -> None:
    """60: nothing of the present epoch is lost by a restore."""
    records = completed(2).records
    assert conflict(records, records[:3], EPOCH) == 4
    assert conflict(records, records[:3], LATER) is None
    assert conflict(records[:3] + anew(records[3:]), records[:2], LATER) == 4


# What it means


def test_a_statement_means_the_same_after_another_record() -> None:
    one, other = completed(2), completed(2)
    other.now += 5
    other.hear(other.note(other.auth(0)))
    words = [stream.hear(stream.leave(1)) and stream.records[-1] for stream in (one, other)]
    assert words[0].statement.id != words[1].statement.id
    assert meanings([words[0]])[words[0].statement.id] == meanings([words[1]])[words[1].statement.id]


def test_what_names_a_join_means_the_same_of_the_same_join_said_anew() -> None:
    one, other = Keygen(2).fill(0), Keygen(2)
    other.hear(other.join(1))
    other.fill(0)
    words = [stream.records[-1] for stream in (one, other)]
    joins = [word.statement.payload.join for word in words]  # type: ignore[union-attr]
    assert joins[0] != joins[1]
    first, second = (
        meanings(stream.records)[word.statement.id] for stream, word in zip((one, other), words, strict=True)
    )
    assert first == second


def test_an_enclaves_own_time_makes_no_difference() -> None:
    signing = Signing(completed(2))
    words = [say(VAULT, SigningHeard, signing.stream, signing.chain.hash, at=NOON + each) for each in (0, 9)]
    chain = Chain(signing.stream)
    records = [chain.next(EPOCH, NOON, word) for word in words]
    first, second = (meanings([record])[record.statement.id] for record in records)
    assert first == second


# What is waited for


def test_of_a_keygen_joins_enclaves_words_and_leaving_are_waited_for_and_notices_and_notes_are_not() -> None:
    keygen = Keygen(2).fill(0)
    keygen.hear(keygen.note(keygen.auth(0)))
    keygen.fill(1)
    keygen.hear(keygen.confirm(keygen.auth(0)), keygen.leave(1))
    heard = replayed(keygen, 3)
    assert waited(keygen, 3, heard) == [
        "keygen.join", "custody.accept", "keygen.confirm", "keygen.leave",
    ]  # fmt: skip


def test_what_was_said_again_is_waited_for_no_longer() -> None:
    keygen = completed(2)
    keygen.hear(keygen.leave(0), keygen.leave(1))
    count = len(keygen.records) - 2
    heard = replayed(keygen, count)
    heard.hear(heard.chain.next(LATER, NOON, say(keygen.auth(1), KeygenLeave, keygen.stream, heard.chain.hash, slot=1)))
    assert waited(keygen, count, heard) == ["keygen.leave"]
    lost = keygen.records[count:]
    assert missing([], lost, heard, NOON, [record.statement.id for record in lost]) == ()


def test_a_join_that_was_refused_or_freed_again_is_not_waited_for_nor_what_names_it() -> None:
    keygen = Keygen(2)
    keygen.hear(keygen.join(0), keygen.join(1))
    keygen.hear(keygen.refuse(0), keygen.release(1))
    assert waited(keygen, 1, replayed(keygen, 1)) == []
    assert waited(keygen, 3, replayed(keygen, 3)) == ["custody.refuse", "keygen.release"]


def test_a_confirm_of_another_roster_than_there_is_now_is_not_waited_for() -> None:
    keygen = completed(1)
    keygen.hear(keygen.confirm(keygen.auth(0)))
    heard = replayed(keygen, 3)
    assert waited(keygen, 3, heard) == ["keygen.confirm"]
    heard.state = replace(heard.state, roster=Hash(b"\7" * 32))  # type: ignore[type-var]
    assert waited(keygen, 3, heard) == []


def busy() -> tuple[Keygen, Signing]:
    """Approved twice by one, once by another, refused by a third."""
    keygen = completed(3)
    signing = Signing(keygen)
    signing.hear(signing.approve(1, until=NOON + 9), signing.approve(1), signing.approve(2), signing.reject(2))
    return keygen, signing


def test_of_a_signing_the_last_yes_of_each_and_every_no_are_waited_for() -> None:
    keygen, signing = busy()
    assert waited(signing, 1, replayed(signing, 1, keygen=keygen)) == ["signing.approve", "signing.reject"]


def test_of_a_signing_that_has_expired_nothing_is() -> None:
    keygen, signing = busy()
    assert waited(signing, 1, replayed(signing, 1, keygen=keygen), signing.state.request.expires_at) == []


def test_of_a_signing_that_is_gone_the_request_is_waited_for_too() -> None:
    _, signing = busy()
    assert waited(signing, 0, None) == ["signing.request", "signing.approve", "signing.reject"]


def test_of_one_that_has_ended_since_only_a_no_is_still_named() -> None:
    keygen, signing = busy()
    cancel = say(keygen.auth(0), SigningCancel, signing.stream, signing.records[0].hash)
    heard = replayed(signing, 1, cancel, keygen=keygen)
    assert heard.state is not None and not heard.state.open
    assert waited(signing, 1, heard) == ["signing.reject"]


def test_attempts_are_not_waited_for_but_that_psigs_were_sent_is_not_forgotten() -> None:
    keygen = completed(2)
    signing = Signing(keygen)
    signing.hear(signing.contribute(VAULT, "signatures"))
    assert waited(signing, 1, replayed(signing, 1, keygen=keygen)) == []
    assert sent_psigs(signing.records) and not sent_psigs(signing.records[:1])
    before, after = replayed(signing, 2, keygen=keygen), replayed(signing, 1, keygen=keygen)
    before.become(after)
    state = before.as_signing
    assert state is not None and state.psig_sent and before.chain is after.chain


def test_attack_60_a_restore_makes_nobody_sign_twice() -> None:
    """60: a yes that is said again to enclaves which forgot makes a second pre-signature; a no is said all the same."""
    keygen, signing = busy()
    signing.open()
    signing.hear(signing.contribute(TOWER, "nonces"))
    before = waited(signing, 1, replayed(signing, 1, keygen=keygen))
    assert before == ["signing.approve", "signing.reject"]
    signing.hear(signing.contribute(VAULT, "both"))
    assert waited(signing, 1, replayed(signing, 1, keygen=keygen)) == ["signing.reject"]
    assert waited(signing, 0, None) == ["signing.reject"]


@pytest.mark.parametrize("offset", [0, 99])
def test_a_place_beyond_the_log_has_no_epoch(offset: int) -> None:
    heard = replayed(completed(2), 3)
    assert heard.chain.epoch_at(offset) is None and heard.chain.epoch_at(3) == EPOCH

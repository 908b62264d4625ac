"""The hash chain: whatever a hostile coordinator does to a log, somebody who has verified it sees."""

from dataclasses import replace
from typing import Any

import pytest

from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.errors import BrokenLog, Fork
from keymeld_protocol.values import Epoch, Hash, Salt, Signature
from keymeld_protocol.wire.records import (
    Chain,
    Head,
    Record,
    first_hash,
    head_is_signed,
    head_message,
    record_hash,
    sign_head,
)
from tests.support.logs import NOON, Scribe
from tests.support.machines import COORDINATOR, STRANGER, xonly

SCRIBE = Scribe(Scribe.EPOCH)
LOG = [SCRIBE.open(), *SCRIBE.notes(3)]
STREAM = SCRIBE.stream


def chain_of(*records: Record) -> Chain:
    chain = Chain(STREAM)
    for record in records:
        chain.check(record)
        chain.append(record)
    return chain


def rehashed(record: Record, previous: Hash) -> Record:
    return replace(record, hash=record_hash(previous, record.epoch, record.offset, record.at, record.statement.id))


def breaks(chain: Chain, record: Record) -> BrokenLog:
    before = chain.position
    with pytest.raises(BrokenLog) as caught:
        chain.check(record)
    assert chain.position == before
    return caught.value


def test_a_log_follows_itself() -> None:
    chain = chain_of(*LOG)
    assert (chain.offset, chain.hash, chain.at) == (4, LOG[3].hash, LOG[3].at)
    assert chain.position == LOG[3].position


def test_hashes_are_the_specifications() -> None:
    first = tagged_hash("keymeld/stream/v1", STREAM)
    assert first_hash(STREAM) == Chain(STREAM).hash == first
    place = (1).to_bytes(8, "big") + LOG[0].at.to_bytes(8, "big")
    assert LOG[0].hash == tagged_hash("keymeld/record/v1", first + bytes(16) + place + LOG[0].statement.id)


def test_before_the_first_record_nobody_stands_anywhere() -> None:
    assert Chain(STREAM).position is None and Chain(STREAM).offset == 0


def test_the_next_record_changes_nothing_until_it_is_appended() -> None:
    chain = chain_of(*LOG[:1])
    record = chain.next(Scribe.EPOCH, NOON, LOG[1].statement)
    assert chain.offset == 1
    chain.check(record)


def test_a_chain_knows_every_hash_it_passed_and_no_other() -> None:
    chain = chain_of(*LOG)
    assert all(chain.knows(record.hash) for record in LOG)
    assert not chain.knows(first_hash(STREAM)) and not chain.knows(bytes(32))


def test_attack_27_a_gap_is_seen() -> None:
    assert "jump from 1 to 3" in str(breaks(chain_of(LOG[0]), LOG[2]))
    assert "jump from 0 to 2" in str(breaks(chain_of(), LOG[1]))


def test_attack_27_a_record_before_the_first_is_seen() -> None:
    for offset in (0, -1):
        assert "start at 1" in str(breaks(chain_of(), replace(LOG[0], offset=offset)))
        assert "start at 1" in str(breaks(chain_of(*LOG), replace(LOG[0], offset=offset)))


def test_attack_27_a_repeated_record_is_seen() -> None:
    assert "came twice" in str(breaks(chain_of(*LOG[:2]), LOG[1]))


def test_attack_27_a_statement_repeated_at_another_offset_is_seen() -> None:
    chain = chain_of(*LOG[:2])
    again = rehashed(replace(LOG[2], statement=LOG[1].statement), chain.hash)
    assert "repeats a statement" in str(breaks(chain, again))


def test_attack_27_reordered_records_are_seen() -> None:
    chain = chain_of(LOG[0])
    assert isinstance(breaks(chain, replace(LOG[2], offset=2)), Fork)


def test_attack_27_an_altered_statement_is_seen() -> None:
    assert isinstance(breaks(chain_of(LOG[0]), replace(LOG[1], statement=LOG[2].statement)), Fork)


def test_attack_42_an_altered_time_is_seen() -> None:
    assert isinstance(breaks(chain_of(LOG[0]), replace(LOG[1], at=LOG[1].at + 1)), Fork)


def test_attack_42_a_clock_set_back_is_seen_however_it_is_hashed() -> None:
    chain = chain_of(*LOG[:2])
    earlier = rehashed(replace(LOG[2], at=LOG[1].at - 1), chain.hash)
    assert "goes back" in str(breaks(chain, earlier))


def test_attack_42_a_record_is_never_written_before_the_latest() -> None:
    chain = chain_of(*LOG[:2])
    assert chain.next(Scribe.EPOCH, 0, LOG[2].statement).at == chain.at


def test_attack_37_another_epoch_does_not_fit_an_old_hash() -> None:
    assert isinstance(
        breaks(
            chain_of(LOG[0]),
            replace(LOG[1], epoch=Epoch(b"another epoch...")),
        ),
        Fork,
    )


def test_attack_27_another_history_of_a_known_offset_is_a_fork() -> None:
    other = rehashed(replace(LOG[1], statement=LOG[2].statement), LOG[0].hash)
    error = breaks(chain_of(*LOG), other)
    assert isinstance(error, Fork) and "offset 2" in str(error)


def test_attack_27_a_record_on_another_history_is_a_fork() -> None:
    other = rehashed(replace(LOG[1], statement=LOG[3].statement), LOG[0].hash)
    assert isinstance(breaks(chain_of(*LOG[:2]), rehashed(LOG[2], other.hash)), Fork)


def test_a_record_of_another_stream_is_a_fork() -> None:
    assert isinstance(breaks(chain_of(), Scribe(Scribe.EPOCH).open()), Fork)


# Truncating -------------------------------------------------------------------------------------------------------


def test_what_was_not_committed_is_forgotten() -> None:
    chain, kept = chain_of(*LOG), chain_of(*LOG[:2])
    chain.truncate(2, LOG[1].at)
    assert chain == kept
    chain.check(LOG[2])


def test_a_chain_may_be_forgotten_to_its_beginning() -> None:
    chain = chain_of(*LOG)
    chain.truncate(0, 0)
    assert (chain.position, chain.hash, chain.ids, chain.offsets) == (None, first_hash(STREAM), {}, {})


# Heads ------------------------------------------------------------------------------------------------------------


def test_a_head_is_the_coordinators_word() -> None:
    nonce = Salt(b"\7" * 32)
    for at, given in ((0, None), (LOG[3].at + 9, nonce)):
        head = sign_head(STREAM, LOG[3], COORDINATOR.sign, at, given)
        assert (head.position, head.at, head.nonce) == (LOG[3].position, max(at, LOG[3].at), given)
        assert head_is_signed(STREAM, head, xonly(COORDINATOR))
        here = LOG[3].epoch + (4).to_bytes(8, "big") + LOG[3].hash + head.at.to_bytes(8, "big")
        message = tagged_hash("keymeld/head/v1", STREAM + here + (given or bytes(32)))
        assert head_message(STREAM, LOG[3].position, head.at, given) == message


@pytest.mark.parametrize("spoil", ["stream", "epoch", "offset", "hash", "at", "nonce", "signature", "key"])
def test_a_head_that_nobody_signed_is_no_head(spoil: str) -> None:
    head, stream, key = sign_head(STREAM, LOG[3], COORDINATOR.sign), STREAM, xonly(COORDINATOR)
    if spoil == "stream":
        stream = Scribe(Scribe.EPOCH).stream
    elif spoil == "key":
        key = xonly(STRANGER)
    else:
        others: dict[str, Any] = {"epoch": Epoch(b"\7" * 16), "offset": 5, "hash": LOG[2].hash, "at": head.at + 1,
                  "nonce": Salt(b"\7" * 32), "signature": Signature(bytes(64))}  # fmt: skip
        head = replace(head, **{spoil: others[spoil]})
    assert not head_is_signed(stream, head, key)


def test_two_heads_for_one_offset_are_both_signed_and_convict() -> None:
    other = rehashed(replace(LOG[3], statement=LOG[1].statement), LOG[2].hash)
    heads: list[Head] = [sign_head(STREAM, record, COORDINATOR.sign) for record in (LOG[3], other)]
    assert heads[0].offset == heads[1].offset and heads[0].hash != heads[1].hash
    assert all(head_is_signed(STREAM, head, xonly(COORDINATOR)) for head in heads)


def test_a_record_may_be_shown_without_a_blob_and_keeps_its_place() -> None:
    shown = LOG[1].without_blobs(("note",))
    assert shown.hash == LOG[1].hash and shown.statement.blob("note") is None
    chain_of(LOG[0], shown)

"""bygone.py: a history that was lost is put together from what is kept and what was lost, hash by hash."""

from __future__ import annotations

from dataclasses import replace

from keymeld_client.line.bygone import bygone, history_with
from keymeld_protocol.values import Epoch, Hash
from keymeld_protocol.wire.records import Chain, Record
from tests.client.paper import Reader, Tale
from tests.support.machines import completed

LATER = Epoch(b"after a restore.")


def told_anew(records: list[Record], count: int) -> list[Record]:
    """The first ``count`` records, and the last one behind them, in the next epoch."""
    chain = Chain(records[0].statement.id)
    for record in records[:count]:
        chain.append(record)
    return [*records[:count], chain.next(LATER, records[-1].at, records[-1].statement)]


def test_the_history_in_which_a_hash_stands_goes_back_to_the_first_record_and_on_to_the_last() -> None:
    records = completed(2).records
    anew, lost = told_anew(records, 3), records[3:]
    for record in records:
        assert list(history_with(record.hash, anew, lost)) == records
    assert list(history_with(anew[-1].hash, anew, lost)) == anew


def test_there_is_none_where_a_record_is_missing_or_nothing_has_the_hash() -> None:
    records = completed(2).records
    assert history_with(records[-1].hash, records[:2], records[3:]) == ()
    assert history_with(Hash(bytes(32)), records, []) == ()


def test_a_signing_of_which_anything_does_not_hold_is_none() -> None:
    tale = Tale()
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        keygen, records = reader.ledger.replay(tale.keygen), tale.world.logs[tale.keygen].records
        assert keygen is not None
        found = bygone(tale.wires(tale.signing), keygen, records)
        assert found is not None and found.caught_up and found.as_signing is not None
        forged = [replace(record, at=record.at + 1) for record in records]
        keygen.records.clear()
        assert bygone(tale.wires(tale.signing), keygen, forged) is None
        assert bygone(tale.wires(tale.signing)[1:], keygen, records) is None

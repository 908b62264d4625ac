"""Streams that are told anew: gathered whole before anything is decided."""

from keymeld_client.line.returning import Returning
from keymeld_protocol.wire.connection import Subscribed
from tests.client.paper import Tale


def test_a_stream_is_told_when_all_that_there_was_has_come() -> None:
    tale = Tale()
    records, returning = tale.world.logs[tale.keygen].records, Returning()
    returning.begin(tale.keygen, Subscribed(2, False, "epoch"))
    assert tale.keygen in returning and returning.told() == []
    for record in records[:2]:
        assert returning.told() == []
        returning.add(tale.keygen, record)
    assert returning.told() == [tale.keygen]
    answer, told = returning.take(tale.keygen)
    assert (answer.top, told) == (2, records[:2]) and tale.keygen not in returning


def test_a_signing_waits_for_its_keygen() -> None:
    tale, returning = Tale(), Returning()
    for stream in (tale.signing, tale.keygen):
        returning.begin(stream, Subscribed(1, False, "epoch"))
    returning.add(tale.signing, tale.world.logs[tale.signing].records[0])
    assert returning.told() == []
    returning.drop(tale.keygen)
    assert returning.told() == [tale.signing]
    returning.drop(tale.keygen)

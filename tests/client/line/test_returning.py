"""Streams that are told anew: verified as they come, and nothing is gathered that does not hold."""

import pytest

from keymeld_client.line.returning import Returning
from keymeld_protocol.errors import BrokenLog
from keymeld_protocol.machines.hearing import MAX_WAITING
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.wire.connection import Subscribed
from tests.client.paper import Tale


def test_records_are_taken_as_they_come_for_one_history() -> None:
    tale = Tale()
    records, returning = tale.world.logs[tale.keygen].records, Returning()
    returning.begin(tale.keygen, Subscribed(2, False, "epoch"))
    assert tale.keygen in returning and returning.next() is None
    returning.add(tale.keygen, records[0])
    assert returning.next() == tale.keygen
    history = returning.history(tale.keygen, lambda stream, _: Replay(stream))
    assert returning.take(tale.keygen) == records[:1] and returning.next() is None
    assert (history.stream, history.top, history.caught_up) == (tale.keygen, 2, False)
    returning.add(tale.keygen, records[1])
    assert returning.history(tale.keygen, lambda stream, _: Replay(stream)) is history
    answer = returning.drop(tale.keygen)
    assert answer is not None and answer.top == 2
    assert tale.keygen not in returning and returning.drop(tale.keygen) is None


def test_a_signing_waits_for_its_keygen_but_not_without_end() -> None:
    tale, returning = Tale(), Returning()
    for stream in (tale.signing, tale.keygen):
        returning.begin(stream, Subscribed(1, False, "epoch"))
    opening = tale.world.logs[tale.signing].records[0]
    for _ in range(MAX_WAITING):
        returning.add(tale.signing, opening)
    assert returning.next() is None
    with pytest.raises(BrokenLog, match="waits for a keygen that does not come"):
        returning.add(tale.signing, opening)
    returning.drop(tale.keygen)
    assert returning.next() == tale.signing

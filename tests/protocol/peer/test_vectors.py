"""tests/vectors/wire/peer.json: what every peer does alike, told in numbers."""

from typing import Any

import pytest

from keymeld_protocol.peer.waits import Backoff, Ended
from tests.support.played import played
from tests.support.wire import each, wire


@each("peer", "waits")
def test_a_peer_waits_as_it_is_written(one: Any) -> None:
    numbers = iter(one["random"])
    backoff = Backoff(lambda: next(numbers))
    for end in one["ends"]:
        ended = Ended("because", end["code"], end["retry_after_ms"])
        assert backoff.after(ended, end["stood_ms"]) == end["wait_ms"]
    assert list(numbers) == []


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(one, id=one["comment"])
        for kind in ("pacing", "heartbeat", "resuming")
        for one in wire("peer")[kind]
    ],
)
def test_a_conversation_is_held_as_it_is_written(one: Any) -> None:
    assert played(one) == {name: one[name] for name in ("sent", "ready_at", "lost_at")}

"""Silence: a ping, then the end."""

import pytest

from keymeld_protocol.peer.heartbeat import ANSWER_MS, Heartbeat
from keymeld_protocol.peer.waits import Ended


@pytest.fixture
def greeted() -> Heartbeat:
    beat = Heartbeat()
    beat.heard(0)
    beat.greeted(20_000)
    return beat


def test_a_coordinator_without_a_hello_is_left() -> None:
    beat = Heartbeat()
    assert [beat.tick(now) for now in (5, 4 + ANSWER_MS)] == [False, False]
    assert beat.due == 5 + ANSWER_MS
    with pytest.raises(Ended, match="said nothing"):
        beat.tick(5 + ANSWER_MS)


def test_silence_is_answered_with_one_ping(greeted: Heartbeat) -> None:
    assert [greeted.tick(now) for now in (19_999, 20_000, 20_001, 29_999)] == [False, True, False, False]


def test_more_silence_is_the_end(greeted: Heartbeat) -> None:
    greeted.tick(20_500)
    assert greeted.due == 20_500 + ANSWER_MS
    with pytest.raises(Ended, match="does not answer") as ended:
        greeted.tick(20_500 + ANSWER_MS)
    assert ended.value.code is None, "a lost connection"


def test_any_frame_is_a_sign_of_life(greeted: Heartbeat) -> None:
    assert greeted.tick(20_000)
    greeted.heard(29_999)
    assert not greeted.tick(49_998)
    assert greeted.tick(49_999)

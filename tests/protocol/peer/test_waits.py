"""When a peer comes back: codes decide, jitter spreads, nothing here waits."""

import pytest

from keymeld_protocol.peer.waits import LONGEST_WAIT_MS, Backoff, Ended, Return
from keymeld_protocol.wire.connection import Close


def worst(code: int | None = None, retry_after_ms: int = 0, times: int = 10) -> list[int | None]:
    backoff = Backoff(lambda: 1.0)
    return [backoff.after(Ended("because", code, retry_after_ms)) for _ in range(times)]


def test_waits_double_up_to_half_a_minute() -> None:
    assert worst(4100) == [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]


def test_the_jitter_is_full() -> None:
    assert Backoff(lambda: 0.0).after(Ended("slow", 4100)) == 0
    assert Backoff(lambda: 0.5).after(Ended("slow", 4100)) == 125


def test_a_conversation_that_stood_begins_anew() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.after(Ended("slow", 4100), stood) for stood in (0, 0, 1000, 0)]
    assert waits == [250, 500, 250, 500]


def test_one_that_was_resumed_and_lost_at_once_is_no_success() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.after(Ended("lost"), 999) for _ in range(3)] == [0, 500, 1000]


@pytest.mark.parametrize("code", [4200, 4201, 4299, None, 1000, 1006, 1011, 3000, 4300])
def test_a_coordinator_that_stops_and_a_lost_connection_are_dialled_again_at_once_the_first_time(
    code: int | None,
) -> None:
    assert worst(code, times=3) == [0, 500, 1000]


def test_what_the_coordinator_asks_for_is_waited_also_where_it_would_be_at_once() -> None:
    assert worst(4102, 2000, times=1) == [2250]
    assert worst(4200, 1500, times=1) == [1750]


def test_nobody_can_make_us_wait_for_hours() -> None:
    assert max(wait or 0 for wait in worst(4102, 10**9)) <= 2 * LONGEST_WAIT_MS


@pytest.mark.parametrize("code", [4000, 4001, 4003, 4009, 4010, 4099])
def test_a_terminal_code_is_waited_for_ever(code: int) -> None:
    assert Ended("forbidden", code).terminal
    assert worst(code, 1000, times=2) == [None, None]


def test_a_peer_that_gives_up_needs_no_code() -> None:
    assert Backoff(lambda: 1.0).after(Ended("it does not take us", for_good=True)) is None


@pytest.mark.parametrize("code", Close)
def test_every_close_code_says_what_to_do(code: Close) -> None:
    hundreds = {40: Return.NEVER, 41: Return.LATER, 42: Return.AT_ONCE}
    assert Return.after(code) is hundreds[code // 100]

"""When a client comes back: codes decide, jitter spreads, nothing here waits."""

import pytest

from keymeld_client.line.backoff import CAP_S, Backoff, is_at_once, is_terminal


def worst(code: int | None = None, **said: int) -> list[float]:
    backoff = Backoff(lambda: 1.0)
    return [backoff.failed(code, **said) for _ in range(10)]


def test_waits_double_up_to_thirty_seconds() -> None:
    assert worst()[:4] == [0.25, 0.5, 1.0, 2.0]
    assert worst()[-1] == CAP_S


def test_the_jitter_is_full() -> None:
    assert Backoff(lambda: 0.0).failed() == 0.0
    assert Backoff(lambda: 0.5).failed() == 0.125


def test_a_success_begins_anew() -> None:
    backoff = Backoff(lambda: 1.0)
    backoff.failed()
    backoff.failed()
    backoff.succeeded()
    assert backoff.failed() == 0.25


def test_a_draining_coordinator_is_dialled_again_at_once() -> None:
    assert worst(4200)[0] == 0.0


def test_a_coordinator_that_only_drains_is_backed_off_from() -> None:
    assert worst(4200)[1:3] == [0.5, 1.0]


def test_what_the_coordinator_asks_for_is_waited() -> None:
    assert worst(4102, retry_after_ms=2000)[0] == 2.25


def test_nobody_can_make_us_wait_for_hours() -> None:
    assert max(worst(4102, retry_after_ms=10**9)) <= 2 * CAP_S


@pytest.mark.parametrize(("code", "terminal", "at_once"), [
    (4001, True, False), (4010, True, False), (4100, False, False), (4200, False, True), (1006, False, False),
    (None, False, False),
])  # fmt: skip
def test_a_close_code_says_what_to_do(code: int | None, terminal: bool, at_once: bool) -> None:
    assert (is_terminal(code), is_at_once(code)) == (terminal, at_once)

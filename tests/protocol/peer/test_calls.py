"""Requests and answers: the pace, the repetitions, and who is told what."""

import json
from typing import Any

import pytest

from keymeld_protocol.errors import BadInput, Reason, Refused, WireError
from keymeld_protocol.peer.calls import REPEATABLE, Calls
from keymeld_protocol.wire.connection import Answer, PeerSide, Placed
from keymeld_protocol.wire.frames import result


class Desk:
    """Calls, and what comes of them."""

    def __init__(self, per_second: int = 100) -> None:
        self.side = PeerSide("unix")
        self.refused: list[tuple[str, Reason]] = []
        self.calls = Calls(self.side, lambda method, problem: self.refused.append((method, problem.reason)))
        self.calls.begin(per_second, 0)

    def sent(self, now: int) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.calls.take(now)]

    def answer(self, ident: int, value: dict[str, Any], now: int = 0) -> None:
        event = self.side.receive(result(ident, value))
        assert isinstance(event, Answer)
        self.calls.answered(event, now)

    def refuse(self, ident: int, reason: Reason, now: int = 0, retry_after_ms: int | None = None) -> None:
        problem = Refused(reason, "no", retry_after_ms=retry_after_ms)
        self.calls.answered(Answer(ident, b"", problem), now)  # type: ignore[arg-type]


def test_an_answer_finds_who_asked() -> None:
    desk, found = Desk(), list[Placed]()
    for _ in range(2):
        desk.calls.ask("submit", {}, found.append, Placed)
    desk.sent(0)
    for ident in (2, 1):
        desk.answer(ident, {"stream": "00" * 32, "offset": ident})
    assert [placed.offset for placed in found] == [2, 1]


def test_a_request_is_counted_until_it_is_answered() -> None:
    desk = Desk()
    desk.calls.ask("ping", {})
    desk.calls.ask("ping", {})
    assert len(desk.calls) == 2
    sent = desk.sent(0)
    assert len(desk.calls) == 2
    for each in sent:
        desk.answer(each["id"], {})
    assert len(desk.calls) == 0


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    desk, found = Desk(), list[object]()
    desk.calls.ask("ping", {}, found.append)
    desk.sent(0)
    desk.answer(7, {})
    desk.answer(1, {})
    desk.answer(1, {})
    assert found == [None]


def test_an_answer_that_cannot_be_read_is_the_coordinators_fault() -> None:
    desk = Desk()
    desk.calls.ask("submit", {}, None, Placed)
    desk.sent(0)
    with pytest.raises(BadInput):
        desk.answer(1, {"offset": "three"})


def test_a_refusal_is_told_to_who_asked_or_else_to_whom_it_concerns() -> None:
    desk, mine = Desk(), list[WireError]()
    desk.calls.ask("submit", {}, refused=mine.append)
    desk.calls.ask("unsubscribe", {})
    desk.sent(0)
    for ident in (1, 2):
        desk.refuse(ident, Reason.NOT_ALLOWED)
    assert [problem.reason for problem in mine] == [Reason.NOT_ALLOWED]
    assert desk.refused == [("unsubscribe", Reason.NOT_ALLOWED)]
    assert desk.calls.due is None


@pytest.mark.parametrize("reason", Reason)
def test_what_may_help_is_repeated_with_the_same_parameters_and_nothing_else_is(reason: Reason) -> None:
    desk = Desk()
    desk.calls.ask("submit", {"statement": "said"})
    first = desk.sent(0)
    desk.refuse(1, reason)
    again = desk.sent(250)
    assert [frame["params"] for frame in again] == [first[0]["params"]] * (reason in REPEATABLE)
    assert (reason in REPEATABLE) is reason.repeatable


def test_each_further_refusal_doubles_the_wait_up_to_half_a_minute() -> None:
    desk, now, waits = Desk(), 0, []
    desk.calls.ask("submit", {})
    for ident in range(1, 11):
        assert desk.sent(now)
        desk.refuse(ident, Reason.UNAVAILABLE, now)
        assert desk.calls.due is not None
        waits.append(desk.calls.due - now)
        now = desk.calls.due
        assert desk.sent(now - 1) == []
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]


def test_the_coordinators_wish_is_kept_and_bounded() -> None:
    desk = Desk()
    for _ in range(2):
        desk.calls.ask("submit", {})
    desk.sent(0)
    desk.refuse(1, Reason.TOO_MANY_REQUESTS, retry_after_ms=2500)
    assert desk.calls.due == 2500
    desk.refuse(2, Reason.TOO_MANY_REQUESTS, retry_after_ms=10**9)
    desk.sent(2500)
    assert desk.calls.due == 30_000


def test_who_is_put_off_is_told_each_time() -> None:
    desk, told = Desk(), list[Reason]()
    desk.calls.ask("submit", {}, put_off=lambda problem: told.append(problem.reason))
    desk.sent(0)
    desk.refuse(1, Reason.UNAVAILABLE)
    desk.sent(250)
    desk.refuse(2, Reason.DRAINING, 250)
    assert told == [Reason.UNAVAILABLE, Reason.DRAINING]


def test_a_call_may_be_repeated_for_other_reasons_than_the_rest() -> None:
    desk, told = Desk(), list[WireError]()
    desk.calls.ask("enclaves", {}, refused=told.append, again=frozenset())
    desk.sent(0)
    desk.refuse(1, Reason.UNAVAILABLE)
    assert [problem.reason for problem in told] == [Reason.UNAVAILABLE]


def test_requests_leave_at_the_pace_that_hello_allows_in_the_order_in_which_they_were_asked() -> None:
    desk = Desk(per_second=2)
    for number in range(5):
        desk.calls.ask("submit", {"number": number})
    assert [frame["params"]["number"] for frame in desk.sent(0)] == [0, 1]
    assert desk.calls.due == 500
    assert desk.sent(499) == []
    assert desk.calls.due == 500
    assert [frame["params"]["number"] for frame in desk.sent(1500)] == [2, 3]
    assert desk.calls.due == 2000


def test_a_pace_that_does_not_divide_a_second_loses_nothing() -> None:
    desk, now = Desk(per_second=3), 0
    for _ in range(33):
        desk.calls.ask("submit", {})
    while desk.calls.due is not None:
        now = max(now, desk.calls.due)
        desk.sent(now)
    assert now == 10_000


def test_no_coordinator_stops_us_by_allowing_nothing() -> None:
    desk = Desk(per_second=0)
    for _ in range(2):
        desk.calls.ask("submit", {})
    assert (len(desk.sent(0)), desk.calls.due) == (1, 1000)


def test_a_clock_that_is_set_back_gives_no_request_more_and_goes_on_from_there() -> None:
    desk = Desk(per_second=1)
    for _ in range(2):
        desk.calls.ask("submit", {})
    assert [len(desk.sent(now)) for now in (5000, 4000, 4999, 5000)] == [1, 0, 0, 1]

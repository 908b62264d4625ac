"""calls.py: requests leave at the pace that hello allows, and are repeated, the same bytes, where that helps."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from keymeld_enclave.calls import FIRST_RETRY_MS, LONGEST_RETRY_MS, Calls
from keymeld_protocol.errors import BadInput, Reason, Refused, Unavailable, WireError
from keymeld_protocol.wire.connection import Answer, PeerSide, Placed

BUSY = Unavailable(Reason.UNAVAILABLE, "later")


class Bench:
    """The requests of one connection, and what became of them."""

    def __init__(self, per_second: int = 100) -> None:
        """Hello was heard at 0."""
        self.calls = Calls(PeerSide("unix"))
        self.calls.begin(per_second, 0)
        self.results: list[Any] = []
        self.refusals: list[WireError] = []

    def ask(self, method: str = "ping", **how: Any) -> None:
        """Ask, and remember what comes of it."""
        self.calls.ask(method, {}, self.results.append, refused=self.refusals.append, **how)

    def leaving(self, now: int) -> list[dict[str, Any]]:
        """What leaves now."""
        self.calls.tick(now)
        return [msgspec.json.decode(frame) for frame in self.calls.take(now)]

    def answer(self, ident: int, result: bytes = b"{}", problem: WireError | None = None, now: int = 0) -> None:
        """The coordinator answers."""
        self.calls.answered(Answer(ident, msgspec.Raw(result), problem), now)


def test_a_second_takes_what_hello_allows_and_the_rest_waits() -> None:
    bench = Bench(per_second=3)
    for _ in range(5):
        bench.ask()
    assert [frame["id"] for frame in bench.leaving(0)] == [1, 2, 3] and bench.calls.waiting
    assert bench.leaving(300) == []
    assert [frame["id"] for frame in bench.leaving(400)] == [4]
    assert [frame["id"] for frame in bench.leaving(700)] == [5] and not bench.calls.waiting


def test_what_was_not_used_is_saved_for_one_second_alone() -> None:
    bench = Bench(per_second=2)
    for _ in range(9):
        bench.ask()
    assert len(bench.leaving(60_000)) == 2


def test_a_clock_that_is_set_back_allows_nothing() -> None:
    bench = Bench(per_second=1)
    bench.ask()
    bench.ask()
    assert [len(bench.leaving(now)) for now in (5_000, 0, 500)] == [1, 0, 0]


def test_an_answer_is_given_to_whoever_asked_in_any_order() -> None:
    bench = Bench()
    bench.ask()
    bench.ask(kind=Placed)
    bench.leaving(0)
    stream = "00" * 32
    bench.answer(2, msgspec.json.encode({"stream": stream, "offset": 4}))
    bench.answer(1)
    assert isinstance(bench.results[0], Placed) and bench.results[0].offset == 4
    assert bench.results[1] is None, "of a request without a kind nobody reads the result"


def test_an_answer_that_nobody_waits_for_or_a_second_one_is_dropped() -> None:
    bench = Bench()
    bench.ask()
    bench.leaving(0)
    for ident in (1, 1, 7):
        bench.answer(ident)
    assert len(bench.results) == 1


def test_a_result_of_another_shape_is_not_this_protocol() -> None:
    bench = Bench()
    bench.ask(kind=Placed)
    bench.leaving(0)
    with pytest.raises(BadInput):
        bench.answer(1, b'{"stream":7}')


def test_what_repeating_does_not_help_is_told_once() -> None:
    bench = Bench()
    bench.ask()
    bench.leaving(0)
    bench.answer(1, problem=Refused(Reason.SLOT_TAKEN, "taken"))
    assert [problem.reason for problem in bench.refusals] == [Reason.SLOT_TAKEN]
    assert bench.leaving(LONGEST_RETRY_MS) == []


def test_what_may_succeed_later_is_asked_again_each_time_after_twice_as_long() -> None:
    bench = Bench()
    bench.ask("sessions")
    now, pauses = 0, []
    (first,) = bench.leaving(0)
    for _ in range(9):
        bench.answer(first["id"], problem=BUSY, now=now)
        begun = now
        while not (again := bench.leaving(now)):
            now += FIRST_RETRY_MS
        assert [(frame["method"], frame["params"]) for frame in again] == [("sessions", {})]
        first = again[0]
        pauses.append(now - begun)
    assert pauses[:4] == [250, 500, 1000, 2000] and pauses[-1] == LONGEST_RETRY_MS
    assert not bench.refusals


def test_the_coordinators_own_pause_is_kept_within_reason() -> None:
    for asked, waited in ((2_000, 2_000), (10**9, LONGEST_RETRY_MS)):
        bench = Bench()
        bench.ask()
        bench.leaving(0)
        bench.answer(1, problem=Refused(Reason.TOO_MANY_REQUESTS, "slow down", retry_after_ms=asked))
        assert bench.leaving(waited - 1) == [] and len(bench.leaving(waited)) == 1


def test_a_refusal_that_nobody_handles_is_written_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.calls.ask("announce", {})
    bench.leaving(0)
    with caplog.at_level(logging.WARNING):
        bench.answer(1, problem=Refused(Reason.NOT_ALLOWED, "not you"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and record.fields == {"method": "announce", "reason": "not_allowed"}  # type: ignore[attr-defined]

"""One conversation: every frame finds who it is for, and every end says what it means."""

import pytest

from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Close
from tests.support.coordinator import key_of
from tests.support.logs import Scribe
from tests.support.outer import Outer

STREAM = Id(b"\1" * 32)


@pytest.fixture
def outer() -> Outer:
    made = Outer()
    made.greet()
    return made


def goodbye(code: int, retry_after_ms: int = 0) -> bytes:
    said = {"code": code, "reason": "because", "retry_after_ms": retry_after_ms}
    return frames.notification("goodbye", said)


def test_records_and_presence_are_the_inner_halfs() -> None:
    made = Outer()
    made.greet()
    made.tell(frames.record_frame(STREAM, Scribe(Scribe.EPOCH).open()))
    made.tell(frames.notification("presence", {"stream": STREAM.hex(), "key": key_of("a").key.hex(), "online": True}))
    assert made.inner.told == ["authenticated", "record 1", "presence"]


def test_rights_that_grow_are_asked_for_anew_and_those_that_end_hold_up_nothing() -> None:
    made = Outer(key_of("a"), keygens=[STREAM], signings=[Id(b"\2" * 32)])
    made.greet()
    made.answer("authenticate", {})
    made.answer("sessions", {"sessions": []})
    made.answer("subscribe", {"top": 1, "recovered": False, "reason": "first_record_only"})
    for stream, whole in ((STREAM, True), (STREAM, False), (Id(b"\7" * 32), True)):
        made.tell(frames.hearing_frame(stream, whole))
    assert [each for each in made.inner.told if each.startswith("whole")] == ["whole True", "whole False"]
    assert made.streams("subscribe") == [STREAM, Id(b"\2" * 32), STREAM]


def test_unknown_notifications_and_stray_answers_are_ignored(outer: Outer) -> None:
    outer.tell(frames.notification("weather", {"sun": True}))
    outer.tell(frames.result(99, {}))
    assert outer.inner.told == ["authenticated"]


@pytest.mark.parametrize("frame", [b"nonsense", b"[]", b'{"jsonrpc":"2.0","method":"record","params":{}}'])
def test_a_coordinator_that_speaks_another_language_is_left(outer: Outer, frame: bytes) -> None:
    with pytest.raises(Ended, match="does not speak this protocol") as ended:
        outer.tell(frame)
    assert not ended.value.terminal


def test_another_version_is_given_up() -> None:
    with pytest.raises(Ended, match="does not speak this protocol") as ended:
        Outer().tell(Outer().hello().replace(b"keymeld.v1", b"keymeld.v9"))
    assert (ended.value.code, ended.value.terminal) == (Close.VERSION, True)


def test_a_second_hello_is_no_hello(outer: Outer) -> None:
    with pytest.raises(Ended, match="hello twice"):
        outer.greet()


def test_an_answer_that_cannot_be_read_ends_the_conversation() -> None:
    made = Outer(key_of("a"))
    made.greet()
    made.answer("authenticate", {})
    with pytest.raises(Ended, match="cannot be read"):
        made.answer("sessions", {"sessions": 5})


def test_what_the_coordinator_says_to_people_is_printable_and_short(outer: Outer) -> None:
    told: list[str] = []
    outer.talk.calls.ask("ping", {}, refused=lambda problem: told.append(problem.message))
    outer.send()
    outer.refuse("ping", Refused(Reason.NOT_ALLOWED, "\x1b[2J" + "x" * 10_000))
    assert "\x1b" not in told[0]
    assert len(told[0]) < 600


@pytest.mark.parametrize(("field", "kept"), [("rule.approval", True), ("signatures[0]", True), ("slot): ok (", False)])
def test_attack_55_what_the_coordinator_complains_of_reads_as_its_word(outer: Outer, field: str, kept: bool) -> None:
    told: list[str] = []
    outer.talk.calls.ask("ping", {}, refused=lambda problem: told.append(str(problem)))
    outer.send()
    outer.refuse("ping", Refused(Reason.NOT_ALLOWED, 'done"\nSafe to fund', field=field))
    where = f" ({field})" if kept else ""
    assert told == [f'not_allowed{where}: the coordinator says "done\\u{{22}} Safe to fund"']


def test_silence_is_answered_with_a_ping_at_the_pace_of_everything_else(outer: Outer) -> None:
    outer.wait(19_999)
    assert outer.asked == []
    outer.wait(1)
    assert outer.asked == ["ping"]
    outer.answer("ping", {"time": 0})
    outer.wait(20_000)
    assert outer.asked == ["ping", "ping"]
    with pytest.raises(Ended, match="does not answer"):
        outer.wait(10_000)


def test_it_stands_from_when_it_was_resumed() -> None:
    made = Outer(key_of("a"))
    made.greet()
    made.wait(500)
    assert made.talk.stood_ms(made.now) == 0
    made.answer("authenticate", {})
    made.answer("sessions", {"sessions": []})
    assert made.talk.stood_ms(made.now + 1234) == 1234


# Its end


def test_the_close_code_decides_and_goodbye_says_when_to_come_back(outer: Outer) -> None:
    outer.tell(goodbye(4100, 700))
    ended = outer.talk.closed(4100, "")
    assert (ended.code, ended.retry_after_ms, str(ended)) == (4100, 700, '"because" (4100)')


def test_a_goodbye_counts_where_the_close_frame_was_lost(outer: Outer) -> None:
    outer.tell(goodbye(4003))
    ended = outer.talk.closed(None)
    assert ended.terminal
    assert str(ended) == 'the coordinator closed the connection for good: "because" (4003)'


def test_a_coordinator_that_stops_is_told_in_words(outer: Outer) -> None:
    assert str(outer.talk.closed(4200, "draining")) == "the coordinator stops or restarts (4200)"


def test_a_lost_connection_has_no_code(outer: Outer) -> None:
    ended = outer.talk.closed(None)
    assert (ended.code, ended.retry_after_ms, str(ended)) == (None, 0, "connection lost")


def test_a_reason_is_printable(outer: Outer) -> None:
    assert "\x1b" not in str(outer.talk.closed(4100, "\x1b[2J"))

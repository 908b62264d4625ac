"""From hello to ready: what is asked in which order, and what holds it up."""

import msgspec
import pytest

from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.peer.resuming import Resuming, SessionList, SessionPage, proofs_of
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Epoch, Hash, Id, Salt, decode_sized
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import PeerSide
from keymeld_protocol.wire.records import Position
from tests.support.coordinator import key_of
from tests.support.outer import Outer

GROUP, OTHER, SIGNING = (Id(bytes([number]) * 32) for number in (1, 2, 3))
TOP = {"top": 4, "recovered": True}


def outer(**peer: object) -> Outer:
    """A peer with one key, two keygens and a signing, that was greeted and has proven itself."""
    made = Outer(key_of("a"), keygens=[GROUP, OTHER], signings=[SIGNING])
    for name, value in peer.items():
        setattr(made.inner, name, value)
    made.greet()
    made.answer("authenticate", {})
    return made


def test_the_keys_come_first_then_what_was_not_answered_then_the_sessions() -> None:
    made = outer()
    assert made.inner.told == ["authenticated"]
    assert made.asked == ["authenticate", "sessions"]
    assert made.talk.resuming.follows


def page(*numbers: int) -> dict[str, object]:
    """A page of sessions."""
    return {"sessions": [{"stream": f"{n:064x}", "kind": "keygen", "state": "open", "top": 1} for n in numbers]}


@pytest.mark.parametrize("pages", [[(1, 2), (3, 4), (5, 6)], [(1, 2), (1, 2)]], ids=["more and more", "the same"])
def test_attack_21_of_a_list_without_an_end_the_first_sessions_are_gone_on_with(pages: list[tuple[int, ...]]) -> None:
    """21: a coordinator has nobody ask, and remember, for ever."""
    made = Outer(key_of("a"), keygens=[GROUP], signings=[])
    made.inner.most_listed = 5
    made.talk.resuming = Resuming(made.talk.side, made.talk.calls, made.inner, page=2)
    made.greet()
    made.answer("authenticate", {})
    for each in pages:
        made.answer("sessions", page(*each))
    assert made.asked.count("sessions") == len(pages) and made.streams("subscribe") == [GROUP]
    assert "sessions refused: over_limit" in made.inner.told


def test_a_list_of_whole_pages_ends_with_an_empty_one() -> None:
    listed = SessionList()
    whole, empty = (msgspec.convert(each, SessionPage, dec_hook=decode_sized) for each in (page(1, 2), page()))
    assert listed.after == {} and listed.take(whole, 2) and listed.after == {"after": f"{2:064x}"}
    assert not listed.take(empty, 2) and len(listed.sessions()) == 2


def test_signings_wait_until_each_keygen_was_answered() -> None:
    made = outer()
    made.answer("sessions", {"sessions": []})
    assert made.streams("subscribe") == [GROUP, OTHER]
    made.answer("subscribe", TOP)
    assert made.streams("subscribe") == [GROUP, OTHER]
    made.answer("subscribe", TOP)
    assert made.streams("subscribe") == [GROUP, OTHER, SIGNING]
    assert not made.talk.ready
    made.answer("subscribe", TOP)
    assert made.talk.ready


def test_signings_wait_until_each_keygen_has_caught_up() -> None:
    made = outer(behind={OTHER})
    made.answer("sessions", {"sessions": []})
    for _ in range(2):
        made.answer("subscribe", TOP)
    assert SIGNING not in made.streams("subscribe")
    made.inner.behind.clear()
    made.talk.resuming.settle(OTHER)
    made.send()
    assert SIGNING in made.streams("subscribe")


def test_a_record_before_the_answer_does_not_make_a_keygen_caught_up() -> None:
    made = outer()
    made.answer("sessions", {"sessions": []})
    for stream in (GROUP, OTHER):
        made.talk.resuming.settle(stream)
    made.send()
    assert SIGNING not in made.streams("subscribe")


def test_who_announces_himself_is_ready_when_that_is_answered() -> None:
    made = outer(capacity=7)
    made.answer("sessions", {"sessions": []})
    for _ in range(2):
        made.answer("subscribe", TOP)
    assert made.asked[-2:] == ["subscribe", "announce"]
    made.answer("announce", {})
    assert made.talk.ready


def test_whoever_wants_a_fresh_head_gives_a_nonce_and_is_told_which_with_the_answer() -> None:
    made = outer(fresh=Salt(b"\7" * 32))
    made.answer("sessions", {"sessions": []})
    asked = [each.params.nonce for each in made.requests if each.method == "subscribe"]
    assert asked == [made.inner.fresh] * 2
    made.answer("subscribe", TOP)
    assert made.inner.nonces == [made.inner.fresh]


def test_a_stream_is_resumed_from_where_it_stood() -> None:
    position = Position(Epoch(bytes(16)), 3, Hash(bytes(32)))
    made = outer(positions={OTHER: position})
    made.answer("sessions", {"sessions": []})
    since = [request.params.since for request in made.requests if request.method == "subscribe"]
    assert since == [None, frames.Since(epoch=position.epoch, offset=3, hash=position.hash)]


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_STREAM, Reason.UNAVAILABLE])
def test_a_keygen_that_cannot_be_had_holds_up_nobody(reason: Reason) -> None:
    made = outer()
    made.answer("sessions", {"sessions": []})
    made.refuse("subscribe", Refused(reason, "no"))
    made.answer("subscribe", TOP)
    assert SIGNING in made.streams("subscribe")


def test_a_coordinator_that_is_busy_is_waited_for() -> None:
    made = outer()
    made.answer("sessions", {"sessions": []})
    made.refuse("subscribe", Refused(Reason.TOO_MANY_REQUESTS, "slowly"))
    made.answer("subscribe", TOP)
    assert SIGNING not in made.streams("subscribe")
    made.wait(250)
    made.answer("subscribe", TOP)
    assert SIGNING in made.streams("subscribe")


@pytest.mark.parametrize("method", ["authenticate", "sessions"])
def test_what_is_put_off_is_told_and_asked_again(method: str) -> None:
    made = Outer(key_of("a"))
    made.greet()
    if method == "sessions":
        made.answer("authenticate", {})
    made.refuse(method, Refused(Reason.UNAVAILABLE, "later"))
    assert made.inner.told[-1] == "put off: unavailable"
    made.wait(250)
    assert made.asked[-2:] == [method, method]


def test_a_coordinator_that_refuses_the_keys_ends_it() -> None:
    made = Outer(key_of("a"))
    made.greet()
    with pytest.raises(Ended, match="not resumed: not_allowed"):
        made.refuse("authenticate", Refused(Reason.NOT_ALLOWED, "not here"))


def test_long_lists_come_in_pages() -> None:
    made = outer()
    made.talk.resuming.page = 1000
    page = [{"stream": f"{n:064x}", "kind": "signing", "state": "open", "top": 1} for n in range(1000)]
    made.answer("sessions", {"sessions": page})
    assert made.requests[-1].params.after == Id.from_hex(f"{999:064x}")
    made.answer("sessions", {"sessions": [page[0] | {"stream": "ff" * 32}]})
    assert len(made.inner.listed) == 1001


def test_a_stream_is_subscribed_once_unless_it_is_asked_anew_or_was_let_go() -> None:
    made = outer()
    made.answer("sessions", {"sessions": []})
    made.talk.resuming.subscribe(GROUP)
    made.talk.resuming.subscribe(GROUP, anew=True)
    made.talk.resuming.unsubscribe(GROUP)
    made.talk.resuming.subscribe(GROUP)
    made.send()
    assert made.streams("subscribe") == [GROUP, OTHER, GROUP, GROUP]


def test_who_asks_anew_learns_of_the_answer_also_of_a_refusal() -> None:
    made, told = outer(), list[str]()
    made.talk.resuming.subscribe(GROUP, anew=True, then=lambda: told.append("then"))
    made.send()
    made.refuse("subscribe", Refused(Reason.UNKNOWN_STREAM, "no such stream"))
    assert (made.inner.told[-1], told) == ("not subscribed: unknown_stream", ["then"])


def test_as_many_keys_are_proven_at_a_time_as_a_frame_may_hold() -> None:
    side = PeerSide("unix")
    made = Outer()
    made.greet()
    side.greeting = made.talk.side.greeting
    keys = [key_of(str(number)) for number in range(frames.MAX_PROOFS + 1)]
    assert [len(params["proofs"]) for params in proofs_of(side, keys)] == [frames.MAX_PROOFS, 1]
    assert [params.get("token") for params in proofs_of(side, [], "a token")] == ["a token"]
    assert proofs_of(side, []) == []

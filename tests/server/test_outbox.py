"""What waits for one connection: bounded, in order, and no queue of records."""

import asyncio

import pytest

from keymeld_protocol.wire.records import Record
from keymeld_server import outbox as module
from keymeld_server.outbox import REQUESTS_UNDER_WAY, Outbox
from keymeld_server.session import Told
from tests.support.line import Line

pytestmark = pytest.mark.asyncio


def empty() -> Outbox:
    """An outbox of nobody."""
    line = Line()
    return Outbox(line.sessions, set(), line.app.hub.drop)


async def test_answers_leave_in_order() -> None:
    outbox = empty()
    for answer in (b"1", b"2"):
        outbox.begin()
        outbox.reply(answer)
    assert [await outbox.next(), await outbox.next()] == [b"1", b"2"]


async def test_no_further_request_is_read_while_too_many_are_under_way() -> None:
    outbox = empty()
    for _ in range(REQUESTS_UNDER_WAY):
        assert outbox.room() is None
        outbox.begin()
    room = outbox.room()
    assert room is not None
    outbox.reply(b"answer")
    assert await outbox.next() == b"answer"
    await room
    assert outbox.room() is None


async def test_whoever_waits_for_room_is_let_go_when_nothing_more_is_sent() -> None:
    outbox = empty()
    for _ in range(REQUESTS_UNDER_WAY):
        outbox.begin()
    room = outbox.room()
    assert room is not None
    outbox.close()
    await room
    outbox.begin()
    assert outbox.room() is None


async def test_a_notification_makes_no_room() -> None:
    outbox = empty()
    for _ in range(REQUESTS_UNDER_WAY):
        outbox.begin()
    outbox.notify(b"hello")
    await outbox.next()
    room = outbox.room()
    assert room is not None
    room.close()  # type: ignore[attr-defined]


async def test_of_a_keys_presence_only_the_latest_word_waits() -> None:
    line = Line()
    cast = await line.created()
    outbox = empty()
    for word in (b"online", b"offline"):
        outbox.tell_presence(cast.stream, line.app.key, word)
    assert await outbox.next() == b"offline"


async def test_presence_is_dropped_when_too_much_of_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRESENCE_WAITING", 1)
    line = Line()
    streams = [(await line.created(f"group {i}")).stream for i in range(2)]
    outbox = empty()
    for stream in streams:
        outbox.tell_presence(stream, line.app.key, b"online")
    assert await outbox.next() == b"online" and len(outbox._presence) == 0


async def test_long_histories_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    casts = [await line.created(f"group {i}", slots=4) for i in range(2)]
    for cast in casts:
        for slot in range(3):
            await line.joined(cast, slot)
        session = line.sessions.live(cast.stream)
        assert session is not None
        session.tail = type(session.tail)([session.tail[-1]])
    batches: list[list[int]] = []
    older = line.sessions.older

    async def two_at_a_time(stream: object, after: int) -> list[Told]:
        told = (await older(stream, after))[:2]  # type: ignore[arg-type]
        batches.append([each.record.offset for each in told])
        return told

    monkeypatch.setattr(line.sessions, "older", two_at_a_time)
    peer = line.peer()
    peer.prove(*(cast.creator for cast in casts))
    for cast in casts:
        await peer.give("subscribe", {"stream": cast.stream.hex()})
    await peer.take(), await peer.take()
    heard = [(await peer.take())["params"] for _ in range(8)]
    order = [(casts[0].stream.hex() == each["stream"], each["record"]["offset"]) for each in heard]
    assert order[:4] == [(True, 1), (True, 2), (False, 1), (False, 2)]
    assert sorted(order) == [(first, offset) for first in (False, True) for offset in (1, 2, 3, 4)]


async def test_a_reader_waits_without_spinning_until_something_is_said() -> None:
    line = Line()
    cast = await line.created()
    peer = line.peer()
    peer.prove(cast.creator)
    await peer.subscribe(cast.stream)
    assert await peer.offsets(1) == [1]
    waiting = asyncio.create_task(peer.take())
    await line.joined(cast, 0)
    assert (await waiting)["params"]["record"]["offset"] == 2


async def test_a_records_bytes_are_made_once_for_everybody() -> None:
    line = Line()
    cast = await line.created()
    record: Record = line.store.logs[cast.stream][0]
    told = Told(cast.stream, record)
    assert told.frame(set()) is told.frame({line.app.key})

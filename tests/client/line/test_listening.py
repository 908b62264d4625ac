"""listening.py: whoever waits is woken by what he waits for, and told why when it will never come."""

import asyncio
from collections.abc import Iterator

import pytest

from keymeld_client.errors import NotConnected, ReadOnly
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.machines.replay import Replay
from tests.client.paper import Reader, Tale


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody with a ticket who has heard nothing yet."""
    with Reader(tale).closing() as reader:
        yield reader


def never(heard: Replay) -> bool | None:
    """Waits for ever."""
    return None


async def turns() -> None:
    """Let everybody else have his turn, more than once."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_who_waits_for_a_state_is_given_what_he_looked_for(reader: Reader, tale: Tale) -> None:
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, lambda heard: heard.chain.offset == 3 or None))
    await turns()
    wires = tale.wires(tale.keygen)
    reader.hear(tale.keygen, wires[:2])
    await turns()
    assert not waiting.done()
    reader.hear(tale.keygen, wires[2:3])
    assert await waiting is True


@pytest.mark.asyncio
async def test_what_is_true_already_is_not_waited_for(reader: Reader, tale: Tale) -> None:
    reader.hear(tale.keygen)
    assert await reader.ledger.until(tale.keygen, lambda heard: heard.chain.offset) == reader.heard(tale.keygen)


@pytest.mark.asyncio
async def test_a_broken_log_ends_the_waiting_with_its_reason(reader: Reader, tale: Tale) -> None:
    reader.hear(tale.keygen)
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, never))
    await turns()
    reader.subscribed(tale.keygen, top=1, reason="fork")
    with pytest.raises(ReadOnly, match="this session is read-only"):
        await waiting


@pytest.mark.asyncio
async def test_what_was_heard_before_the_break_is_still_found(reader: Reader, tale: Tale) -> None:
    reader.hear(tale.keygen)
    reader.subscribed(tale.keygen, top=1, reason="fork")
    assert await reader.ledger.until(tale.keygen, lambda heard: heard.chain.offset) == reader.heard(tale.keygen)


@pytest.mark.asyncio
async def test_a_session_that_we_may_not_hear_is_not_waited_for(reader: Reader, tale: Tale) -> None:
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, never))
    await turns()
    reader.ledger.refused[tale.keygen] = Refused(Reason.UNKNOWN_STREAM, "no such stream here")
    reader.ledger.ring(tale.keygen)
    with pytest.raises(Refused, match="no such stream"):
        await waiting


@pytest.mark.asyncio
async def test_a_client_that_stops_leaves_nobody_waiting(reader: Reader, tale: Tale) -> None:
    ledger = reader.ledger
    reader.hear(tale.keygen)
    waiting = [
        asyncio.create_task(each)
        for each in (ledger.until(tale.keygen, never), ledger.until_all(lambda: False), ledger.changed())
    ]
    watched = asyncio.create_task(anext(ledger.watch(), "the end"))
    await turns()
    ledger.stop(NotConnected("the client was closed"))
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in told] == ["the client was closed"] * 3
    assert await watched == "the end"
    with pytest.raises(NotConnected):
        await ledger.changed()


@pytest.mark.asyncio
async def test_a_follower_is_given_every_record_once_and_in_order(reader: Reader, tale: Tale) -> None:
    wires = tale.wires(tale.keygen)
    reader.hear(tale.keygen, wires[:2])
    following = reader.ledger.follow(tale.keygen)
    assert [(await anext(following)).offset for _ in range(2)] == [1, 2]
    third = asyncio.ensure_future(anext(following))
    await turns()
    assert not third.done()
    reader.hear(tale.keygen, wires[2:])
    assert (await third).offset == 3


@pytest.mark.asyncio
async def test_a_watcher_is_given_what_is_heard_from_now_on_of_every_stream(reader: Reader, tale: Tale) -> None:
    reader.hear(tale.keygen)
    watching = reader.ledger.watch()
    first = asyncio.ensure_future(anext(watching))
    await turns()
    assert not first.done()
    reader.hear(tale.signing)
    seen = [await first, *[await anext(watching) for _ in tale.wires(tale.signing)[1:]]]
    assert [(stream, record.offset) for stream, record in seen] == [
        (tale.signing, offset) for offset in range(1, len(seen) + 1)
    ]


@pytest.mark.asyncio
async def test_a_look_at_everything_is_taken_whenever_anything_is_heard(reader: Reader, tale: Tale) -> None:
    waiting = asyncio.create_task(reader.ledger.until_all(lambda: reader.heard(tale.signing) > 0))
    reader.hear(tale.keygen)
    await turns()
    assert not waiting.done()
    reader.hear(tale.signing)
    await waiting

"""One conversation: answers find their calls, silence is noticed, and every end has a reason."""

import asyncio
import os
import ssl
from contextlib import AbstractAsyncContextManager
from socket import gaierror

import pytest

from keymeld_client.line.link import Link, _why, dial
from keymeld_protocol.errors import BadInput, Reason, Refused
from keymeld_protocol.keys.ticket import origin_of
from keymeld_protocol.peer import heartbeat
from keymeld_protocol.peer import talk as outer
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Placed
from tests.client.scripted import Talk, scripted
from tests.support.coordinator import key_of
from tests.support.inner import Noting

pytestmark = pytest.mark.asyncio
STREAM = Id(b"\5" * 32)


def dialled(url: str, inner: Noting | None = None) -> AbstractAsyncContextManager[Link]:
    """A conversation of a peer that has nothing to resume."""
    return dial(url, outer.Talk(origin_of(url), inner or Noting()))


async def waits(talk: Talk) -> None:
    await talk.hello()
    await talk.until_closed()


@pytest.mark.parametrize(("url", "origin"), [
    ("ws://host:8765", "ws://host:8765"), ("WSS://Host/", "wss://host"), ("wss://host:443", "wss://host"),
    ("ws://host:80", "ws://host"), ("wss://host:80", "wss://host:80"), ("ws://[::1]:8765", "ws://[::1]:8765"),
])  # fmt: skip
async def test_an_origin_has_one_spelling(url: str, origin: str) -> None:
    assert origin_of(url) == origin


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput):
        origin_of("https://host")


async def test_hello_is_heard_first() -> None:
    async with scripted(waits) as url, dialled(url) as link:
        assert link.hello.coordinator == key_of("coordinator").key


async def test_keys_are_proven_for_this_connection_and_origin() -> None:
    proven: list[XOnlyKey] = []

    async def script(talk: Talk) -> None:
        await talk.hello()
        request = await talk.next("authenticate")
        proven.extend(talk.side.authenticate(request.params))
        await talk.answer(request, {})
        await talk.until_closed()

    async with scripted(script) as url, dialled(url) as link:
        await link.prove([key_of("a"), key_of("b")])
    assert proven == [XOnlyKey(key_of(name).key) for name in "ab"]


async def test_many_keys_are_proven_in_several_frames() -> None:
    counts = []

    async def script(talk: Talk) -> None:
        await talk.hello()
        for _ in range(2):
            request = await talk.next("authenticate")
            counts.append(len(talk.side.authenticate(request.params)))
            await talk.answer(request, {})

    async with scripted(script) as url, dialled(url) as link:
        await link.prove([key_of(str(i)) for i in range(frames.MAX_PROOFS + 1)])
    assert counts == [frames.MAX_PROOFS, 1]


async def test_answers_find_their_calls_in_any_order() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        first, second = await talk.next(), await talk.next()
        await talk.answer(second, {"stream": STREAM.hex(), "offset": 2})
        await talk.answer(first, {"stream": STREAM.hex(), "offset": 1})
        await talk.until_closed()

    async with scripted(script) as url, dialled(url) as link:
        placed = await asyncio.gather(*(link.call("ping", {}, Placed) for _ in range(2)))
    assert [place.offset for place in placed] == [1, 2]


async def test_a_refusal_is_raised_with_its_reason() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.refuse(await talk.next(), Refused(Reason.SLOT_TAKEN, "slot 1 is taken", field="slot"))
        await talk.until_closed()

    async with scripted(script) as url, dialled(url) as link:
        with pytest.raises(Refused, match="slot 1 is taken") as refused:
            await link.call("ping", {}, Placed)
    assert (refused.value.reason, refused.value.field) == (Reason.SLOT_TAKEN, "slot")


async def test_an_answer_is_handled_before_the_frames_that_follow_it() -> None:
    inner = Noting()

    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.answer(await talk.next("subscribe"), {"top": 7, "recovered": False})
        presence = {"stream": STREAM.hex(), "key": key_of("a").key.hex(), "online": True}
        await talk.send(frames.notification("presence", presence))
        await talk.socket.close(4200, "seen")

    async with scripted(script) as url, dialled(url, inner) as link:
        await link.subscribe(STREAM)
        await link.ended
    assert inner.told == ["authenticated", "subscribed 7", "presence"]


async def test_unknown_notifications_and_members_are_ignored() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.send(frames.notification("weather", {"sun": True}))
        await talk.answer(await talk.next(), {"stream": STREAM.hex(), "offset": 1, "weather": "fine"})
        await talk.until_closed()

    async with scripted(script) as url, dialled(url) as link:
        assert (await link.call("ping", {}, Placed)).offset == 1


# Its end


async def test_silence_is_answered_with_a_ping() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello(heartbeat_ms=1)
        await talk.answer(await talk.next("ping"), {"time": 1})
        await talk.socket.close(4200, "seen")

    async with scripted(script) as url, dialled(url) as link:
        assert (await link.ended).code == 4200


async def test_a_coordinator_that_does_not_answer_a_ping_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(talk: Talk) -> None:
        await talk.hello(heartbeat_ms=1)
        await talk.until_closed()

    async with scripted(script) as url, dialled(url) as link:
        monkeypatch.setattr(heartbeat, "ANSWER_MS", 1)
        ended = await link.ended
    assert (ended.code, str(ended)) == (None, "the coordinator does not answer")


async def test_a_call_learns_that_the_conversation_has_ended() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.next()
        await talk.socket.close(4100, "too slow")

    async with scripted(script) as url, dialled(url) as link:
        with pytest.raises(Ended, match="too slow") as closed:
            await link.call("ping", {}, Placed)
        assert closed.value.code == 4100
        with pytest.raises(Ended):
            await link.call("ping", {}, Placed)


async def test_goodbye_says_when_to_come_back() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.send(frames.notification("goodbye", {"code": 4200, "reason": "draining", "retry_after_ms": 1500}))
        await talk.socket.close(4200)

    async with scripted(script) as url, dialled(url) as link:
        closed = await link.ended
    assert (closed.code, closed.retry_after_ms, str(closed)) == (4200, 1500, "the coordinator stops or restarts (4200)")


@pytest.mark.parametrize("frame", [b"nonsense", b"[]", b'{"jsonrpc":"2.0","method":"record","params":{"stream":"x"}}'])
async def test_a_coordinator_that_does_not_speak_the_protocol_is_left(frame: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.next()
        await talk.send(frame)
        await talk.until_closed()

    async with scripted(script) as url, dialled(url) as link:
        with pytest.raises(Ended, match="does not speak this protocol"):
            await link.call("ping", {}, Placed)


async def test_a_coordinator_of_another_version_is_left_for_good() -> None:
    async def script(talk: Talk) -> None:
        hello = {
            "challenge": "00" * 32, "versions": ["keymeld.v9"], "time": 1, "limits": {}, "heartbeat_ms": 1,
            "coordinator": "00" * 32, "epoch": "00" * 16,
        }  # fmt: skip
        await talk.send(frames.notification("hello", hello))
        await talk.until_closed()

    async with scripted(script) as url:
        with pytest.raises(Ended) as closed:
            async with dialled(url):
                pass
    assert closed.value.code == 4010


async def test_an_address_where_nobody_listens_is_named() -> None:
    with pytest.raises(Ended, match=r"ws://127\.0\.0\.1:1 cannot be reached: connection refused$"):
        async with dialled("ws://127.0.0.1:1"):
            pass


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_stranger_who_hangs_up_is_no_coordinator(scheme: str) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Ended, match="is no coordinator, or wss:// and ws://"):
            async with dialled(f"{scheme}://127.0.0.1:{port}"):
                pass


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("Multiple exceptions: [Errno 111] Connect ('::1', 1), [Errno 111] Connect ('127.0.0.1', 1)"),
         os.strerror(111).lower()),
        (OSError("Multiple exceptions: [Errno 111] one, [Errno 113] two"), "Multiple exceptions"),
        (TimeoutError(), "no answer within 10 s"),
        (gaierror(-2, "Name or service not known"), "its name is not known"),
        (ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] no"), "its certificate does not hold"),
    ],
)  # fmt: skip
async def test_what_went_wrong_is_told_without_numbers_where_they_add_nothing(error: Exception, told: str) -> None:
    assert _why(error).startswith(told)

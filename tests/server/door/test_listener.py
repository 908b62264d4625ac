"""Real sockets: what a peer is told first, what it is told when it misbehaves, and how a conversation ends."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Close
from keymeld_server.app import Coordinator
from keymeld_server.door import listener
from keymeld_server.door.connection_limits import Entrance
from tests.support.build import Cast, xonly
from tests.support.coordinator import key_of
from tests.support.peer import PATIENCE_S, SocketPeer, dial, dial_unix, enclave_at
from tests.support.serving import Ears, http_get, serving, until
from tests.support.stranger import knock

pytestmark = pytest.mark.asyncio


async def test_hello_says_who_speaks_and_what_the_limits_are(tmp_path: Path) -> None:
    async with serving(tmp_path, slots_max=7) as app, dial(app.url) as peer:
        hello = await peer.greeted
    assert (hello.coordinator, hello.epoch, hello.versions) == (app.key, app.store.epoch, ("keymeld.v1",))
    assert (hello.limits["slots_max"], hello.heartbeat_ms, len(hello.challenge)) == (7, 20_000, 32)


async def test_every_conversation_has_its_own_challenge(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as one, dial(app.url) as two:
        assert (await one.greeted).challenge != (await two.greeted).challenge


async def test_a_proof_is_bound_to_the_address_that_was_dialled(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url, origin="ws://elsewhere") as relayed, dial(app.url) as direct:
        with pytest.raises(WireError) as refused:
            await relayed.prove(key_of("alice"))
        assert refused.value.reason is Reason.BAD_SIGNATURE
        assert await direct.prove(key_of("alice"))


async def test_a_proof_for_the_unix_socket_does_not_hold_on_tcp(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url, origin="unix") as peer:
        with pytest.raises(WireError) as refused:
            await peer.prove(key_of("alice"))
        assert refused.value.reason is Reason.BAD_SIGNATURE


async def test_enclaves_dial_the_unix_socket_whatever_origins_are_configured(tmp_path: Path) -> None:
    async with serving(tmp_path, origins=("wss://example.org",)) as app:
        async with enclave_at(app.config.enclave_socket, key_of("vault")):
            assert app.enclaves.here == {xonly(key_of("vault"))}
        await until(lambda: not app.enclaves.here)


async def test_enclaves_may_dial_tcp_where_that_is_configured(tmp_path: Path) -> None:
    async with serving(tmp_path, enclave_tcp="127.0.0.1:0") as app, dial(f"ws://127.0.0.1:{app.enclave_port}") as vault:
        await vault.prove(key_of("vault"))
        assert await vault.call("announce", {"capacity": 1}) == {}


async def test_nobody_announces_himself_where_participants_dial(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as mallory:
        await mallory.prove(key_of("mallory"))
        with pytest.raises(WireError) as refused:
            await mallory.call("announce", {"capacity": 1})
        assert refused.value.reason is Reason.NOT_ALLOWED


async def test_only_this_user_may_dial_the_unix_socket(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        assert app.config.enclave_socket.stat().st_mode & 0o777 == 0o600
    assert not app.config.enclave_socket.exists()


# Browsers

ORIGINS = (
    "https://app.example",
    "http://localhost:3000",
    "https://evil.example",
    "chrome-extension://abcdef",
    "null",
    None,
)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


async def handshake(port: int, path: str, *headers: str) -> tuple[str, bytes]:
    """Dial as a browser does; the head of the answer, and the first two bytes of what follows."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = (
        f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Protocol: keymeld.v1", *headers,
    )  # fmt: skip
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    async with asyncio.timeout(PATIENCE_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        begin = await reader.readexactly(2)
    writer.close()
    return head, begin


@pytest.mark.parametrize("origin", ORIGINS)
async def test_a_browser_is_let_in_from_any_page_and_its_offer_of_compression_is_not_answered(
    tmp_path: Path, origin: str | None
) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    headers = ["Cookie: a=b", "User-Agent: a browser", offer] + ([] if origin is None else [f"Origin: {origin}"])
    async with serving(tmp_path) as app:
        head, begin = await handshake(app.port, "/", *headers)
    assert head.startswith("http/1.1 101") and "sec-websocket-protocol: keymeld.v1" in head
    assert "extensions" not in head
    assert begin[0] == 0x81, "a whole text frame, with the bit of compression not set"


@pytest.mark.parametrize("path", ["/", "/keymeld", "/a/b?c=d", "/healthz/", "/metrics?x", "//"])
async def test_a_socket_opens_at_every_path_that_answers_no_plain_request(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as app:
        head, _ = await handshake(app.port, path)
        assert head.startswith("http/1.1 101")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_no_socket_opens_where_plain_requests_are_answered(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as app:
        head, _ = await handshake(app.port, path)
        assert head.startswith("http/1.1 200")


# Bad frames

BAD = {
    "no JSON": ("{", "bad_json", "frame"),
    "a list": ("[]", "bad_field", "frame"),
    "binary": (b"{}", "bad_json", "frame"),
    "deep": ("[" * 100_000, "bad_field", "frame"),
    "no version": ('{"id":1,"method":"ping"}', "bad_field", "jsonrpc"),
    "another version": ('{"jsonrpc":"1.0","id":1,"method":"ping"}', "bad_field", "jsonrpc"),
    "no method": ('{"jsonrpc":"2.0","id":1}', "bad_field", "method"),
    "no id": ('{"jsonrpc":"2.0","method":"ping"}', "bad_field", "id"),
    "id of another type": ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', "bad_field", "id"),
    "unknown member": ('{"jsonrpc":"2.0","id":1,"method":"ping","x":1}', "bad_field", "x"),
    "unknown method": ('{"jsonrpc":"2.0","id":1,"method":"pong"}', "unknown_method", "method"),
    "params of another type": ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', "bad_field", "params"),
    "a missing parameter": ('{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{}}', "bad_field", "stream"),
    "upper case": (
        '{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"stream":"' + "AB" * 32 + '"}}', "bad_field", "stream",
    ),
}  # fmt: skip


@pytest.mark.parametrize("frame, reason, field", BAD.values(), ids=BAD.keys())
async def test_a_bad_frame_is_answered_and_the_next_good_one_works(
    tmp_path: Path, frame: str | bytes, reason: str, field: str | None
) -> None:
    async with serving(tmp_path) as app, dial(app.url) as peer:
        await peer.send(frame)
        answer = await peer.next_stray()
        assert answer.problem is not None
        assert (answer.problem.reason, answer.problem.field) == (reason, field)
        assert "time" in await peer.call("ping")


async def test_many_unreadable_frames_end_the_conversation(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as peer:
        for _ in range(16):
            await peer.send("{")
        assert await peer.closed() == Close.BAD_FRAME
        assert peer.goodbye is not None and peer.goodbye.code == Close.BAD_FRAME


@pytest.mark.parametrize("surplus", [1, 3_000_000])
async def test_a_frame_that_is_too_big_ends_the_conversation_with_a_goodbye(tmp_path: Path, surplus: int) -> None:
    async with serving(tmp_path) as app, dial(app.url) as peer:
        with suppress(ConnectionClosed):  # the end may come before the last byte has left
            await peer.send("x" * (app.config.frame_bytes + surplus))
        assert await peer.closed() == Close.TOO_BIG
        assert peer.goodbye is not None and peer.goodbye.code == Close.TOO_BIG


async def test_a_frame_of_the_greatest_size_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as peer:
        await peer.send("x" * app.config.frame_bytes)
        answer = await peer.next_stray()
        assert answer.problem is not None and answer.problem.reason is Reason.BAD_JSON


async def test_text_that_is_no_text_ends_the_conversation(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as peer:
        await peer.socket.send(b"\xff\xfe", text=True)
        assert await peer.closed() == Close.BAD_FRAME


async def test_a_peer_that_speaks_another_protocol_is_told_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url, protocol="keymeld.v9") as peer:
        assert await peer.closed() == Close.VERSION
        assert peer.goodbye is not None and peer.goodbye.code == Close.VERSION


# Limits


async def test_too_many_requests_are_refused_with_a_time_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, requests_per_second=1) as app, dial(app.url) as peer:
        answers = await asyncio.gather(*[await peer.ask("ping") for _ in range(3)], return_exceptions=True)
        refused = answers[2]
        assert isinstance(refused, WireError) and refused.reason is Reason.TOO_MANY_REQUESTS
        assert refused.limit == 1 and refused.retry_after_ms is not None and refused.retry_after_ms > 0


async def test_whoever_ignores_that_is_sent_away(tmp_path: Path) -> None:
    async with serving(tmp_path, requests_per_second=1) as app, dial(app.url) as peer:
        for _ in range(18):
            await peer.ask("ping")
        assert await peer.closed() == Close.TOO_MANY_REQUESTS
        assert peer.goodbye is not None and peer.goodbye.retry_after_ms > 0


@pytest.mark.parametrize("limit", ["connections_per_address", "connections_max"])
async def test_one_connection_too_many_is_sent_away(tmp_path: Path, limit: str) -> None:
    settings: dict[str, Any] = {limit: 1}
    async with serving(tmp_path, **settings) as app:
        async with dial(app.url) as first, dial(app.url) as second:
            await first.greeted
            assert await second.closed() == Close.TOO_MANY_CONNECTIONS
            assert second.goodbye is not None and second.side.greeting is None
        async with dial(app.url) as third:
            assert (await third.greeted).challenge


@pytest.mark.parametrize("trusted", [("127.0.0.0/8",), ()], ids=["a trusted proxy", "anybody"])
async def test_whom_a_trusted_proxy_names_is_counted_and_nobody_elses_word_is_taken(
    tmp_path: Path, trusted: tuple[str, ...]
) -> None:
    async with serving(tmp_path, connections_per_address=1, trusted_proxies=trusted) as app:
        named = [f"X-Forwarded-For: 203.0.113.9, 192.0.2.{number}" for number in (1, 1, 2)]
        held = [await knock(app.port, header) for header in named]
        served = app._people._limits._crowds[Entrance.SERVED].by_address
        assert served == ({"192.0.2.1": 1, "192.0.2.2": 1} if trusted else {"127.0.0.1": 1})
        for _, writer in held:
            writer.close()


async def test_unix_sockets_have_no_address_to_count(tmp_path: Path) -> None:
    async with serving(tmp_path, connections_per_address=1) as app:
        path = app.config.enclave_socket
        async with dial_unix(path) as one, dial_unix(path) as two:
            assert (await one.greeted).challenge != (await two.greeted).challenge


# Who does not read, who does not answer, who is gone


async def opened(peer: SocketPeer, app: Coordinator, name: str = "treasury", sealed: bytes = b"terms") -> Cast:
    """A keygen that this peer may hear."""
    cast = Cast(name, app.key, 1)
    await peer.say(cast.create(app.now(), sealed=sealed))
    await peer.prove(cast.creator)
    return cast


async def ask_for_much(peer: SocketPeer, app: Coordinator) -> Cast:
    """Ask for some megabytes, and do not read them; gives one of the keygens."""
    casts = [await opened(peer, app, f"group {i}", bytes(250_000)) for i in range(40)]
    peer.socket.transport.pause_reading()
    for cast in casts:
        await peer.ask("subscribe", {"stream": cast.stream.hex()})
    return casts[0]


def endings(app: Coordinator) -> set[int | None]:
    """How the coordinator is about to end the conversations that it has."""
    return {socket.ending for socket in app._people._sockets}


async def test_a_peer_that_does_not_read_is_sent_away(tmp_path: Path) -> None:
    ears = Ears()
    async with serving(tmp_path, ears, send_stall_ms=100) as app, dial(app.url, receive_bytes=4096) as peer:
        await ask_for_much(peer, app)
        await until(lambda: Close.SLOW in endings(app))
        peer.socket.transport.resume_reading()
        assert await peer.closed() == Close.SLOW
        assert peer.goodbye is not None and peer.goodbye.retry_after_ms > 0
        assert await ears.end() == Close.SLOW
        await until(lambda: app.hub.subscriptions == 0)


async def test_a_peer_that_never_reads_again_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "CLOSE_SECONDS", 0.05)
    ears = Ears()
    async with serving(tmp_path, ears, send_stall_ms=100) as app, dial(app.url, receive_bytes=4096) as peer:
        await ask_for_much(peer, app)
        assert await ears.end() == Close.SLOW
        await until(lambda: app.hub.subscriptions == 0)
        peer.socket.transport.abort()


async def test_a_peer_that_does_not_read_does_not_delay_the_others(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as quick, dial(app.url, receive_bytes=4096) as slow:
        cast = await ask_for_much(slow, app)
        await quick.prove(cast.creator)
        await until(lambda: any(socket.paused for socket in app._people._sockets))
        await quick.subscribe(cast.stream)
        assert (await quick.next_record(cast.stream)).offset == 1
        slow.socket.transport.abort()


async def test_a_peer_that_does_not_answer_a_ping_is_sent_away(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_ms=50, heartbeat_answer_ms=50) as app, dial(app.url) as peer:
        await peer.greeted
        peer.socket.transport.pause_reading()
        await until(lambda: Close.NO_HEARTBEAT in endings(app))
        peer.socket.transport.resume_reading()
        assert await peer.closed() == Close.NO_HEARTBEAT


async def test_a_peer_that_answers_pings_stays(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_ms=20, heartbeat_answer_ms=2_000) as app, dial(app.url) as peer:
        await peer.greeted
        pings = 0
        receive = peer.socket.protocol.recv_frame

        def counted(frame: Frame) -> None:
            nonlocal pings
            pings += frame.opcode is Opcode.PING
            receive(frame)

        peer.socket.protocol.recv_frame = counted  # type: ignore[method-assign]
        await until(lambda: pings >= 3)
        assert "time" in await peer.call("ping")


async def test_a_peer_that_is_suddenly_gone_leaves_nothing_behind(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as peer:
        cast = await opened(peer, app)
        await peer.subscribe(cast.stream)
        assert app.hub.subscriptions == 1
        peer.socket.transport.abort()
        await until(lambda: app.hub.subscriptions == 0)


async def test_a_statement_is_stored_although_its_speaker_has_gone(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        said = Cast("treasury", app.key, 1).create(app.now())
        async with dial(app.url) as peer:
            await peer.ask("submit", {"statement": frames.statement_json(said.wire)})
        await until(lambda: app.sessions.live(said.id) is not None)
        assert await app.store.find(said.id) == (said.id, 1)


# HTTP


async def test_health_and_readiness_are_told_on_the_same_port(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        assert await http_get(app.port, "/healthz") == (200, "alive\n")
        assert await http_get(app.port, "/readyz") == (200, "ready\n")


async def test_a_draining_coordinator_is_not_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        app._people.ready = False
        assert (await http_get(app.port, "/readyz"))[0] == 503


async def test_metrics_count_what_happens(tmp_path: Path) -> None:
    async with serving(tmp_path) as app, dial(app.url) as peer:
        await opened(peer, app)
        status, text = await http_get(app.port, "/metrics")
    assert status == 200
    assert 'keymeld_statements_total{kind="keygen.create",result="stored"} 1.0' in text
    assert 'keymeld_connections{side="participant"} 1.0' in text and "keymeld_records_total 1.0" in text


async def test_any_other_path_is_not_found(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        assert (await http_get(app.port, "/"))[0] == 404

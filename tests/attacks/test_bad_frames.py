"""Garbage below the messages: bytes that are no frames, frames that are no text, handshakes that are none.

raw socket ── a byte at a time, fragments, bad UTF-8, half a frame, another protocol, plain HTTP ──▶ coordinator
           ◀── an answer, or a close with its documented code; the next peer is served as if nothing had been ──┘
"""

import asyncio
import base64
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from keymeld_server.app import Coordinator
from tests.support.build import Cast
from tests.support.peer import dial
from tests.support.serving import serving

pytestmark = pytest.mark.asyncio

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
ASK = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
PATIENCE_S = 10


def frame(opcode: int, payload: bytes, *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """A WebSocket frame from a client, well made unless told otherwise."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    mask, length = masked << 7, len(payload)
    if length < 126:
        head += bytes([mask | length])
    elif length < 65536:
        head += bytes([mask | 126]) + struct.pack(">H", length)
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


@dataclass
class Raw:
    """A socket after the WebSocket handshake; it speaks in bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hear(self) -> tuple[int, bytes]:
        """The next frame of the coordinator: opcode and payload."""
        async with asyncio.timeout(PATIENCE_S):
            first, second = await self.reader.readexactly(2)
            length = second & 127
            if length >= 126:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
            return first & 15, await self.reader.readexactly(length)

    async def answer(self) -> bytes:
        """The next text, whatever else comes before it."""
        while True:
            opcode, payload = await self.hear()
            if opcode == TEXT and b'"hello"' not in payload:
                return payload

    async def close_code(self) -> int:
        """The code with which the coordinator ends; 0 if it ends without a word."""
        try:
            while True:
                opcode, payload = await self.hear()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0


@asynccontextmanager
async def raw(app: Coordinator, protocol: str = "keymeld.v1") -> AsyncIterator[Raw]:
    """A conversation without a library; the handshake is done."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        yield Raw(reader, writer)
    finally:
        writer.close()


async def still_serves(app: Coordinator) -> None:
    """The next peer opens a session as if nothing had been."""
    before = app.metrics.records._value.get()
    async with dial(app.url) as peer:
        await peer.say(Cast(os.urandom(4).hex(), app.key).create(app.now()))
    assert app.metrics.records._value.get() == before + 1


GARBAGE = {
    "invalid UTF-8": (frame(TEXT, b"\xff\xfe\xfd"), 4001),
    "half a character": (frame(TEXT, b'{"x":"\xc3"}'), 4001),
    "a surrogate": (frame(TEXT, b'"\xed\xa0\x80"'), 4001),
    "not masked": (frame(TEXT, ASK, masked=False), 4001),
    "reserved bits": (frame(TEXT, ASK, reserved=1), 4001),
    "compressed, though nobody agreed": (frame(TEXT, ASK, reserved=4), 4001),
    "an unknown opcode": (frame(3, ASK), 4001),
    "an unknown control opcode": (frame(11, b""), 4001),
    "a continuation of nothing": (frame(0, ASK), 4001),
    "a fragmented ping": (frame(PING, b"", fin=False), 4001),
    "a ping that is too long": (frame(PING, bytes(126)), 4001),
    "text within text": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 4001),
    "longer than allowed": (frame(TEXT, b" " * 65_537), 4009),
    "fragments longer than allowed": (frame(TEXT, b" " * 40_000, fin=False) + frame(0, b" " * 40_000), 4009),
    "a length of 2^63": (b"\x81\xff" + b"\xff" * 8 + bytes(4), 4009),
    "a length of 2^62": (b"\x81\xff" + b"\x3f" + b"\xff" * 7 + bytes(4), 4009),
    "no WebSocket at all": (b"GET / HTTP/1.1\r\n\r\n" * 3, 4001),
    "random bytes": (bytes(range(0x83, 0x100)), 4001),
}


@pytest.mark.parametrize(("sent", "code"), GARBAGE.values(), ids=GARBAGE)
async def test_bytes_that_are_no_frame_end_the_conversation_with_their_code(
    tmp_path: Path, sent: bytes, code: int
) -> None:
    async with serving(tmp_path, frame_bytes=65_536) as app:
        async with raw(app) as peer:
            peer.writer.write(sent)
            assert await peer.close_code() == code
        await still_serves(app)


GOOD = {
    "a byte at a time": [bytes([byte]) for byte in frame(TEXT, ASK)],
    "in fragments": [frame(TEXT, ASK[:7], fin=False), frame(0, b"", fin=False), frame(0, ASK[7:])],
    "fragments of one byte": [
        *(frame(TEXT if i == 0 else 0, ASK[i : i + 1], fin=i == len(ASK) - 1) for i in range(len(ASK)))
    ],
    "with pings and pongs between its fragments": [
        frame(TEXT, ASK[:7], fin=False), frame(PING, b"x"), frame(PONG, b"nobody asked"), frame(0, ASK[7:]),
    ],
    "after an empty text": [frame(TEXT, b""), frame(TEXT, ASK)],
    "after binary": [frame(BINARY, ASK), frame(TEXT, ASK)],
    "with white space": [frame(TEXT, b"  " + ASK + b"\n")],
}  # fmt: skip


@pytest.mark.parametrize("parts", GOOD.values(), ids=GOOD)
async def test_odd_but_good_frames_are_answered(tmp_path: Path, parts: list[bytes]) -> None:
    async with serving(tmp_path) as app, raw(app) as peer:
        for part in parts:
            peer.writer.write(part)
            await peer.writer.drain()
        while b'"time"' not in (said := await peer.answer()):
            assert b"bad_json" in said
    # what was unreadable was said to be so; what was good was answered


async def test_a_half_closed_peer_still_gets_the_answer_to_what_it_has_asked(tmp_path: Path) -> None:
    async with serving(tmp_path) as app:
        async with raw(app) as peer:
            peer.writer.write(frame(TEXT, ASK) + frame(CLOSE, struct.pack(">H", 1000)))
            peer.writer.write_eof()
            assert await peer.close_code() in (0, 1000)
        await still_serves(app)


@pytest.mark.parametrize("cut", range(0, 60, 7))
async def test_a_peer_that_is_gone_in_the_middle_of_a_frame_leaves_nothing_behind(tmp_path: Path, cut: int) -> None:
    async with serving(tmp_path) as app:
        async with raw(app) as peer:
            peer.writer.write(frame(TEXT, ASK + b" " * 30)[:cut])
            peer.writer.write_eof()
            await peer.close_code()
        await still_serves(app)
        assert app.hub.subscriptions == 0


@pytest.mark.parametrize("protocol", ["keymeld.v2", "chat", "KEYMELD.V1", "keymeld.v1x"])
async def test_a_peer_of_another_protocol_is_told_4010(tmp_path: Path, protocol: str) -> None:
    async with serving(tmp_path) as app:
        async with raw(app, protocol) as peer:
            assert await peer.close_code() == 4010
        await still_serves(app)


HANDSHAKES = {
    "another verb": b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "no key": b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "a bad key": b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
    "another version": (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ),
    "a header too long": b"GET / HTTP/1.1\r\nHost: " + b"x" * 20_000 + b"\r\n\r\n",
    "headers without end": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 500 + b"\r\n",
    "a body": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "bytes": bytes(range(256)),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "nothing": b"",
}


@pytest.mark.parametrize("sent", HANDSHAKES.values(), ids=HANDSHAKES)
async def test_a_handshake_that_is_none_is_refused_and_closed(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, handshake_ms=300) as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        try:
            writer.write(sent)
            if not sent:
                writer.write_eof()
            async with asyncio.timeout(PATIENCE_S):
                said = await reader.read()
            assert not said.startswith((b"HTTP/1.1 101", b"HTTP/1.1 2"))
        finally:
            writer.close()
        await still_serves(app)

"""Somebody who proves nothing and means no good, on bare sockets: what he sends without end, and never reads.

python -m tests.support.stranger PORT ATTACK CONNECTIONS        until it is ended
async with crowd(port, "pings", 10): …                          in this process
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from tests.support.vectors import ROOT

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, PING, PONG = 0x81, 0x89, 0x8A
BURST: Final = 64 * 1024
"""Bytes that are written at once."""


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """A WebSocket frame as clients send it, whole and masked."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = b"\xfe" + size.to_bytes(2, "big") if size < 65_536 else b"\xff" + size.to_bytes(8, "big")
    return bytes([opcode]) + length + bytes(4) + payload  # a mask of zeros changes nothing


def request(method: str, params: object, ident: int = 1) -> bytes:
    """A request of the protocol in one frame."""
    said = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
    return frame(TEXT, json.dumps(said, separators=(",", ":")).encode())


def bad_proofs() -> bytes:
    """Sixty-four proofs, none of which holds."""
    proofs = [{"key": os.urandom(32).hex(), "sig": "00" * 64, "signs": False} for _ in range(64)]
    return request("authenticate", {"proofs": proofs})


def big_statement() -> bytes:
    """A statement of 640 KiB that nobody has signed."""
    return request("submit", {"statement": {"payload": "x" * 640_000, "signatures": ["00" * 64], "blobs": []}})


def fragments() -> bytes:
    """A message in a thousand frames without a byte in them."""
    return bytes([0x01, 0x80]) + bytes(4) + (bytes([0x00, 0x80]) + bytes(4)) * 1000


ATTACKS: Final[dict[str, Callable[[], bytes]]] = {
    "pings": lambda: frame(PING),
    "long pings": lambda: frame(PING, b"p" * 125),
    "pongs": lambda: frame(PONG),
    "fragments": fragments,
    "requests": lambda: request("enclaves", {}),
    "bad proofs": bad_proofs,
    "big statements": big_statement,
    "metrics": lambda: b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "half a handshake": lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n",
    "silence": lambda: b"",
}
"""What is sent again and again; of the last three once on each connection, and then once more on another."""
DIALS: Final = frozenset({"metrics", "half a handshake", "silence"})


async def knock(port: int, *headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket of this protocol, of which nothing more is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    lines = (
        "GET / HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Protocol: keymeld.v1", *headers,
    )  # fmt: skip
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def attack(port: int, name: str) -> None:
    """Do it without end; whoever is thrown out comes back."""
    once = ATTACKS[name]()
    burst = once * max(1, BURST // max(1, len(once)))
    while True:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if name in DIALS:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(once)
                await reader.read(-1 if name == "metrics" else 1)
            else:
                _, writer = await knock(port)
                with suppress(ConnectionError):
                    while not writer.is_closing():
                        writer.write(burst)
                        await writer.drain()
            writer.close()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def crowd(port: int, name: str, connections: int) -> AsyncIterator[None]:
    """So many of them at once, in a process of their own, for the length of a block."""
    arguments = ("-m", "tests.support.stranger", str(port), name, str(connections))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield
    finally:
        process.kill()
        await process.wait()


async def main(port: int, name: str, connections: int) -> None:
    """Until somebody ends it."""
    async with asyncio.TaskGroup() as strangers:
        for _ in range(connections):
            strangers.create_task(attack(port, name))
        print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

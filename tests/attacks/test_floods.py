"""Attacks 8, 9 and 21 on real processes: paths, odd fields, floods; nothing is read, falls over or piles up.

stranger ── GET /../../etc/passwd · envelopes of odd lengths · garbage without end ──▶ keymeld-server, keymeld-enclave
         ◀── 4xx · custody.refuse · an error, then goodbye 4001, 4009, 4102, 4103 ──┘             the same process lives

Every flood has an end of its own.
"""

import asyncio
import re
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from examples.helpers.house import House, Process
from keymeld_client.errors import JoinRefused
from keymeld_client.said import joining
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import WireError
from keymeld_protocol.keys.envelope import EnvelopeContext, seal_envelope
from tests.support.peer import dial

from .stage import SELF, gather, house, people

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]

MIB = 1024 * 1024


async def asked(home: House, head: str, body: bytes = b"") -> bytes:
    """Everything that the HTTP port says to these lines, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.coordinator.port)
    try:
        writer.write(head.encode("latin-1") + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n" + body)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def memory(process: Process) -> int:
    """Bytes that a process holds in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024


async def still_works(home: House) -> None:
    """The same processes serve the next good peer."""
    async with people(home, "newcomer") as (newcomer,):
        await gather([newcomer], [SELF])


# 8: an unauthenticated path reads files ------------------------------------------------------------------------------

PATHS = (
    "/etc/passwd", "/../../../../../../etc/passwd", "//etc/passwd", "/..%2f..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd", "/..\\..\\etc\\passwd", "/keymeld.sqlite", "/keymeld-coordinator.key",
    "/metrics/../keymeld.sqlite", "/healthz%00.key",
    "/healthz?file=/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/etc/passwd", "*", "/" + "a" * 4000,
)  # fmt: skip


async def test_attack_8_no_path_of_the_http_port_reads_a_file() -> None:
    """8: an unauthenticated path reads files."""
    async with house() as home:
        key = (home.folder / "keymeld-coordinator.key").read_bytes().strip()
        for path in PATHS:
            answer = await asked(home, f"GET {path} HTTP/1.1")
            assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), (path, answer[:80])
            assert b"root:" not in answer and b"SQLite format" not in answer and key not in answer
        for verb in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS", "HEAD", "get", "\x00"):
            answer = await asked(home, f"{verb} /healthz HTTP/1.1", b"x" * 100)
            assert not answer.startswith(b"HTTP/1.1 2"), (verb, answer[:80])
        await still_works(home)


# 9: a short or odd field crashes a process ---------------------------------------------------------------------------


def odd_envelopes() -> Iterable[bytes]:
    """Envelopes of every length that matters, and well made ones with something odd inside."""
    yield from (b"\x01" * length for length in (1, 33, 34, 57, 58, 121, 137, 138, 139, 16 * 1024))
    yield b"\x02" + bytes(200)
    yield b"\x01\x02" + b"\xff" * 32 + bytes(200)
    yield b"\x01\x04" + bytes(32) + bytes(200)


def odd_policies() -> Iterable[bytes]:
    """What should be a policy in a well made envelope."""
    yield from (b"", b"{", b"[]", b"null", b'{"v":2}', b"\xff" * 9, b"[" * 5000, b'{"v":1,"rule":{"approval":"all"}}')


async def test_attack_9_odd_envelopes_are_refused_one_by_one_by_the_same_enclave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """9: a short or odd field crashes a process."""
    honest, odd, inside = seal_envelope, list(odd_envelopes()), list(odd_policies())
    total = len(odd) + len(inside)

    def seal(context: EnvelopeContext, signing: Secret, secret: bytes, policy: bytes) -> bytes:
        return honest(context, signing, secret, inside.pop() if inside else policy) if inside or not odd else odd.pop()

    async with house() as home, people(home, "alice") as (alice,):
        before = home.enclaves[0].pid
        keygen = await alice.client.create_keygen(1, network="regtest")
        await alice.client.open_ticket(keygen.tickets[0])
        monkeypatch.setattr(joining, "seal_envelope", seal)
        for _ in range(total):
            await keygen.join(rule=SELF, enclave=alice.enclave)
            with pytest.raises(JoinRefused, match=r"bad_envelope|unknown_policy|newer_version"):
                await keygen.joined()
        await keygen.join(rule=SELF, enclave=alice.enclave)
        await keygen.joined()
        assert home.enclaves[0].pid == before and not odd and not inside


# 21: unbounded work per unauthenticated request ----------------------------------------------------------------------

LIMITS: dict[str, Any] = {"requests_per_second": "50", "connections_per_address": "20", "frame_bytes": str(64 * 1024)}


FLOODS: dict[str, tuple[str | bytes, int]] = {
    "nested": ("[" * 60_000, 4102),
    "no json": ("no json" * 8_000, 4001),
    "binary": (bytes(60_000), 4001),
    "pings": ('{"jsonrpc":"2.0","id":1,"method":"ping"}', 4102),
    "unknown streams": ('{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"stream":"%s"}}' % ("ab" * 32), 4102),
    "long payloads": (
        '{"jsonrpc":"2.0","id":1,"method":"submit","params":{"statement":{"payload":"%s","signatures":[],"blobs":[]}}}'
        % ("x" * 60_000), 4102,
    ),
    "too long": ('{"jsonrpc":"2.0","id":1,"method":"ping","x":"%s"}' % ("y" * 70_000), 4009),
}  # fmt: skip
"""What a stranger sends without end, and the code with which that is ended."""


async def flood(home: House, name: str) -> tuple[str, int]:
    """Send one frame 400 times, or until the coordinator has had enough; gives the close code."""
    frame, _ = FLOODS[name]
    async with dial(home.url) as peer:
        with suppress(ConnectionClosed, AttributeError):  # the library may find its transport gone while it sends
            for _ in range(400):
                await peer.send(frame)
        return name, await peer.closed()


async def test_attack_21_every_flood_is_ended_with_its_code_and_leaves_no_memory_behind() -> None:
    """21: unbounded work per unauthenticated request."""
    before = 0
    async with house(**LIMITS) as home:
        for round_ in range(3):
            ended = await asyncio.gather(*(flood(home, name) for name in [*FLOODS, *FLOODS]))
            assert {name: {code} for name, (_, code) in FLOODS.items()} == {
                name: {code for other, code in ended if other == name} for name in FLOODS
            }
            before = memory(home.coordinator) if round_ == 0 else before
        assert memory(home.coordinator) - before < 16 * MIB
        await still_works(home)


async def test_attack_21_one_address_gets_so_many_connections_and_no_more() -> None:
    """21: unbounded work per unauthenticated request."""
    async with house(**LIMITS) as home, AsyncExitStack() as open_:
        for _ in range(20):
            await (await open_.enter_async_context(dial(home.url))).greeted
        for _ in range(50):
            async with dial(home.url) as surplus:
                assert await surplus.closed() == 4103


async def test_attack_21_whoever_proves_nothing_hears_no_more_than_a_first_record() -> None:
    """21: unbounded work per unauthenticated request."""
    async with house(**LIMITS) as home, people(home, "alice", "bob") as members:
        group = await gather(members, [SELF, SELF])
        async with dial(home.url) as stranger:
            answer = await stranger.subscribe(group)
            assert (answer["top"], answer["reason"]) == (1, "first_record_only")
            assert (await stranger.next_record(group)).offset == 1 and stranger.silent(group)
            with pytest.raises(WireError):
                await stranger.call("sessions")
            await stranger.call("ping")
            assert stranger.silent(group)

"""The courier: one conversation after another, the same bytes until they are answered; nobody sleeps here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection

from keymeld_client.errors import NotConnected
from keymeld_client.line.courier import Courier, EnclavePage
from keymeld_client.line.ledger import Ledger
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.errors import Reason, Refused, Unavailable, WireError
from keymeld_protocol.peer.waits import Backoff, Ended
from keymeld_protocol.values import Epoch
from keymeld_protocol.wire.frames import head_json
from keymeld_protocol.wire.records import sign_head
from keymeld_protocol.wire.statements import Statement
from tests.client.paper import GROUP_SECRET, Tale
from tests.client.scripted import Talk, scripted
from tests.support.logs import Scribe
from tests.support.machines import Keygen
from tests.support.world import NOON

pytestmark = pytest.mark.asyncio


class Naps:
    """Waits for nothing but its gate, and remembers how long it should have; its clock goes on by that."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.ms = 0
        self.asleep, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def __call__(self, seconds: float) -> None:
        """One nap."""
        self.taken.append(seconds)
        self.asleep.set()
        await self.gate.wait()
        self.ms += round(seconds * 1000)

    def now(self) -> int:
        """What its clock shows (ms)."""
        return self.ms


def note() -> Statement:
    return Scribe(Epoch(bytes(16))).opening


async def online(talk: Talk) -> None:
    """A coordinator that greets and listens."""
    await talk.hello()
    await talk.until_closed()


def closing(code: int) -> object:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.socket.close(code, "because")

    return script


@asynccontextmanager
async def courier(url: str, wallet: Wallet | None = None) -> AsyncIterator[tuple[Courier, Naps, asyncio.Task[None]]]:
    """A courier that runs for the length of a block."""
    naps = Naps()
    with wallet or Wallet.in_memory() as held:
        carrier = Courier(held, Ledger(held, url, lambda: NOON), backoff=Backoff(lambda: 1.0), sleep=naps, now=naps.now)
        task = asyncio.create_task(carrier.run())
        try:
            yield carrier, naps, task
        finally:
            carrier.stop(NotConnected("the test is over"))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_terminal_close_ends_it_with_its_reason() -> None:
    async with scripted(closing(4003)) as url, courier(url) as (_, naps, task):  # type: ignore[arg-type]
        with pytest.raises(NotConnected, match=r'good: "because" \(4003\)'):
            await task
    assert naps.taken == []


async def test_a_lost_connection_is_dialled_again_with_growing_waits() -> None:
    async def refuses(talk: Talk) -> None:
        await talk.socket.close(1011, "broken")

    async with scripted(refuses, refuses, refuses, online) as url, courier(url) as (carrier, naps, _):
        await carrier.online()
    assert naps.taken == [0.0, 0.5, 1.0]


async def test_a_draining_coordinator_is_dialled_again_at_once() -> None:
    async with scripted(closing(4200), online) as url, courier(url) as (carrier, naps, _):  # type: ignore[arg-type]
        while not naps.taken:
            await carrier.changed.wait()
        await carrier.online()
    assert naps.taken == [0.0]


async def test_a_socket_that_is_long_in_closing_is_no_conversation_that_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(talk: Talk) -> None:
        await talk.hello()
        await talk.socket.send("nonsense")
        await talk.until_closed()

    close = ClientConnection.close
    async with scripted(breaks, breaks, breaks, online) as url, courier(url) as (carrier, naps, _):

        async def slowly(socket: ClientConnection, code: int = 1000, reason: str = "") -> None:
            naps.ms += 1_500
            await close(socket, code, reason)

        monkeypatch.setattr(ClientConnection, "close", slowly)
        while len(naps.taken) < 3:
            await carrier.changed.wait()
        await carrier.online()
    assert naps.taken == [0.0, 0.5, 1.0]


async def test_a_coordinator_that_reads_nothing_counts_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    async with scripted(online, online) as url, courier(url) as (carrier, naps, _):
        naps.gate.clear()
        link = await carrier.online()
        monkeypatch.setattr(ClientConnection, "send", never)
        monkeypatch.setattr("keymeld_client.line.link.SEND_S", 0.0)
        with pytest.raises(Ended, match="reads nothing"):
            await link.call("ping", {}, dict)


async def test_the_status_tells_what_happens() -> None:
    async with scripted(closing(4100), online) as url, courier(url) as (carrier, naps, _):  # type: ignore[arg-type]
        naps.gate.clear()
        while not naps.taken:
            await carrier.changed.wait()
        assert str(carrier.status) == 'waiting: "because" (4100); trying again in 0.2 s'
        naps.gate.set()
        await carrier.online()
        assert str(carrier.status) == "online"
        carrier.stop(NotConnected("enough"))
        assert str(carrier.status) == "stopped: enough"


async def test_a_coordinator_that_puts_off_resuming_is_told_of() -> None:
    told: list[str] = []

    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.refuse(await talk.next("authenticate"), Unavailable(Reason.UNAVAILABLE, "busy"))
        await talk.answer(await talk.next("authenticate"), {})
        await talk.answer(await talk.next("sessions"), {"sessions": []})
        await talk.answer(await talk.next("subscribe"), {"top": 0, "recovered": False})
        await talk.until_closed()

    async with Held() as held, scripted(script) as url:
        slot_secrets = {1: bytearray(b"\1" * 32)}
        held.wallet.remember(KeygenEntry(Tale().keygen, url, bytearray(GROUP_SECRET), slot_secrets=slot_secrets))
        async with courier(url, held.wallet) as (carrier, naps, _):
            while carrier.status.state != "online":
                told.append(str(carrier.status))
                await carrier.changed.wait()
    assert told[-1] == 'connecting: the coordinator asks to wait: unavailable: the coordinator says "busy"'
    assert naps.taken == [0.25]


# What is said


async def test_a_statement_is_stored_before_it_is_submitted() -> None:
    seen: list[int] = []

    async with Held() as held:

        async def script(talk: Talk) -> None:
            await talk.hello()
            request = await talk.next("submit")
            seen.append(len(held.wallet.outbox()))
            await talk.answer(request, {"stream": "00" * 32, "offset": 1})
            await talk.until_closed()

        async with scripted(script) as url, courier(url, held.wallet) as (carrier, _, _):
            await carrier.say(note())
            assert held.wallet.outbox() == ()
    assert seen == [1]


class Held:
    """A wallet that a script can look into."""

    async def __aenter__(self) -> "Held":
        self.wallet = Wallet.in_memory()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.wallet.close()


async def test_the_same_bytes_are_submitted_until_they_are_answered() -> None:
    heard: list[str] = []

    async def hangs_up(talk: Talk) -> None:
        await talk.hello()
        heard.append((await talk.next("submit")).params.statement.payload)
        await talk.socket.close(4100)

    async def answers(talk: Talk) -> None:
        await talk.hello()
        request = await talk.next("submit")
        heard.append(request.params.statement.payload)
        await talk.answer(request, {"stream": "00" * 32, "offset": 7})
        await talk.until_closed()

    async with scripted(hangs_up, hangs_up, answers) as url, courier(url) as (carrier, _, _):
        said = note()
        assert (await carrier.say(said)).offset == 7
    assert heard == [said.text] * 3


async def test_a_refused_statement_is_not_submitted_again() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.refuse(await talk.next("submit"), Refused(Reason.ALREADY_SAID, "said"))
        await talk.until_closed()

    async with Held() as held, scripted(script) as url, courier(url, held.wallet) as (carrier, _, _):
        with pytest.raises(Refused, match="said"):
            await carrier.say(note())
        assert held.wallet.outbox() == ()


async def test_a_refused_join_was_never_in_a_log_and_the_wallet_knows() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.refuse(await talk.next("submit"), Refused(Reason.SLOT_TAKEN, "taken"))
        await talk.until_closed()

    keygen = Keygen(2)
    async with Held() as held, scripted(script) as url, courier(url, held.wallet) as (carrier, _, _):
        held.wallet.remember(KeygenEntry(keygen.stream, "ws://elsewhere", bytearray(32)))  # not resumed here
        said = keygen.join(1)
        with pytest.raises(Refused, match="taken"):
            await carrier.say(said)
        found = held.wallet.keygen(keygen.stream)
        assert found is not None and found.turned_away == {1: [said.id]}


async def test_an_overloaded_coordinator_is_asked_again_when_it_said() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.refuse(await talk.next("submit"), Unavailable(Reason.UNAVAILABLE, "later", retry_after_ms=700))
        await talk.answer(await talk.next("submit"), {"stream": "00" * 32, "offset": 1})
        await talk.until_closed()

    async with scripted(script) as url, courier(url) as (carrier, naps, _):
        await carrier.say(note())
    assert naps.taken == [0.7]


async def test_a_person_is_told_of_a_limit_at_once() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.refuse(await talk.next("submit"), Refused(Reason.OVER_LIMIT, "at most 3 open sessions"))
        await talk.until_closed()

    async with Held() as held, scripted(script) as url, courier(url, held.wallet) as (carrier, naps, _):
        with pytest.raises(Refused, match="at most 3 open sessions"):
            await carrier.say(note())
        assert (held.wallet.outbox(), naps.taken) == ((), [])


async def test_what_is_only_asked_is_not_repeated_behind_the_askers_back() -> None:
    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.refuse(await talk.next("enclaves"), Unavailable(Reason.UNAVAILABLE, "not now"))
        await talk.until_closed()

    async with scripted(script) as url, courier(url) as (carrier, naps, _):
        with pytest.raises(WireError, match="not now"):
            await carrier.ask("enclaves", {}, EnclavePage)
    assert naps.taken == []


async def test_what_was_refused_for_now_does_not_hold_up_what_is_said_after_it() -> None:
    heard: list[str] = []
    first, second = note(), note()

    async def script(talk: Talk) -> None:
        await talk.hello()
        put_off = await talk.next("submit")
        heard.append(put_off.params.statement.payload)
        await talk.refuse(put_off, Unavailable(Reason.UNAVAILABLE, "later", retry_after_ms=700))
        for offset in (1, 2):
            request = await talk.next("submit")
            heard.append(request.params.statement.payload)
            await talk.answer(request, {"stream": "00" * 32, "offset": offset})
        await talk.until_closed()

    async with scripted(script) as url, courier(url) as (carrier, naps, _):
        naps.gate.clear()
        saying = asyncio.create_task(carrier.say(first))
        await naps.asleep.wait()
        await carrier.say(second)
        naps.gate.set()
        await saying
    assert heard == [first.text, second.text, first.text]


async def test_what_an_earlier_process_said_is_submitted_by_the_next() -> None:
    said, heard = note(), asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.hello()
        while True:
            request = await talk.next("submit")
            assert request.params.statement.payload == said.text
            await talk.answer(request, {"stream": "00" * 32, "offset": 1})
            heard.set()

    async with Held() as held, scripted(script) as url:
        held.wallet.post(url, said)
        async with courier(url, held.wallet) as (carrier, _, _):
            await heard.wait()
            await carrier.say(said)
            assert held.wallet.outbox() == ()


async def test_what_was_answered_and_is_not_heard_is_said_again_by_the_next_process() -> None:
    """A coordinator that is restored before its record has come has lost it, and nobody else has heard it."""
    tale = Tale()
    *before, last = tale.world.logs[tale.keygen].records

    async def script(talk: Talk) -> None:
        await talk.hello()
        asked, sign = await talk.next("subscribe"), tale.world.coordinator.sign
        head = head_json(sign_head(tale.keygen, before[-1], sign, NOON, asked.params.nonce))
        await talk.answer(asked, {"top": len(before), "recovered": True, "head": head})
        await talk.answer(await talk.next("submit"), {"stream": tale.keygen.hex(), "offset": last.offset})
        await talk.until_closed()

    async with Held() as held, scripted(script) as url:
        slot_secrets = {1: bytearray(b"\1" * 32)}
        held.wallet.remember(KeygenEntry(tale.keygen, url, bytearray(GROUP_SECRET), slot_secrets=slot_secrets))
        for record in before:
            held.wallet.append(tale.keygen, record)
        async with courier(url, held.wallet) as (carrier, _, _):
            await carrier.say(last.statement)
            assert [each.statement.id for each in held.wallet.outbox()] == [last.statement.id]
            carrier.ledger.hear(tale.keygen, tale.wires(tale.keygen)[last.offset - 1])
            assert held.wallet.outbox() == ()


async def test_two_statements_in_a_row_are_two_submissions() -> None:
    heard: list[str] = []

    async def script(talk: Talk) -> None:
        await talk.hello()
        for offset in (1, 2):
            request = await talk.next("submit")
            heard.append(request.params.statement.payload)
            await talk.answer(request, {"stream": "00" * 32, "offset": offset})
        await talk.until_closed()

    first, second = note(), note()
    async with scripted(script) as url, courier(url) as (carrier, _, _):
        await carrier.say(first)
        await carrier.say(second)
    assert heard == [first.text, second.text]


async def test_a_speaker_learns_that_the_client_has_stopped() -> None:
    async with Held() as held, scripted(closing(4003)) as url, courier(url, held.wallet) as (carrier, _, task):  # type: ignore[arg-type]
        saying = asyncio.create_task(carrier.say(note()))
        await asyncio.gather(task, return_exceptions=True)
        carrier.stop(NotConnected("closed for good"))
        with pytest.raises(NotConnected, match="closed for good"):
            await saying
        assert len(held.wallet.outbox()) == 1


# Resuming


async def test_keygens_are_resumed_before_signings_each_from_where_it_stood() -> None:
    tale = Tale()
    asked: list[tuple[str, int | None]] = []

    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.answer(await talk.next("authenticate"), {})
        row = {"stream": tale.signing.hex(), "kind": "signing", "state": "completed", "top": 5}
        await talk.answer(await talk.next("sessions"), {"sessions": [row | {"keygen": tale.keygen.hex()}]})
        for _ in range(2):
            request = await talk.next("subscribe")
            since = request.params.since
            asked.append((request.params.stream.hex(), since.offset if since is not None else None))
            top = len(tale.wires(request.params.stream))
            await talk.answer(request, {"top": top, "recovered": since is not None})
        await talk.until_closed()

    async with Held() as held, scripted(script) as url:
        slot_secrets = {1: bytearray(b"\1" * 32)}
        held.wallet.remember(KeygenEntry(tale.keygen, url, bytearray(GROUP_SECRET), slot_secrets=slot_secrets))
        for record in tale.world.logs[tale.keygen].records[:3]:
            held.wallet.append(tale.keygen, record)
        async with courier(url, held.wallet) as (carrier, _, _):
            await carrier.online()
    assert asked == [(tale.keygen.hex(), 3), (tale.signing.hex(), None)]

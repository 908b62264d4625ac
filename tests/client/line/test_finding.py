"""finding.py: candidates are tried until one hears, on connections of their own, and what is heard is verified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from keymeld_client.errors import NotConnected
from keymeld_client.line.courier import Courier
from keymeld_client.line.finding import Candidate, hear_as_any
from keymeld_client.line.ledger import Ledger
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.errors import Reason, Refused, WireError
from keymeld_protocol.values import Epoch, Id, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.records import sign_head
from tests.client.paper import GROUP_SECRET, Tale
from tests.client.scripted import Script, Talk, scripted
from tests.support.coordinator import NOON, key_of

pytestmark = pytest.mark.asyncio

TAKEN = Refused(Reason.SLOT_TAKEN, "slot 1 is taken", field="stream")
UNKNOWN = Refused(Reason.UNKNOWN_STREAM, "no such stream", field="stream")
NAMES = ("one", "two", "three", "four", "five")


def candidates(*names: str) -> list[Candidate]:
    """Keys that may hear it, by name."""

    return [partial(key_of, name) for name in names]


class Tries:
    """A coordinator that lets a keygen be heard by one key, and notes which keys were proven on each connection."""

    def __init__(self, tale: Tale, hears: str, limit: int = 1000) -> None:
        """``limit`` is how many keys a connection may prove."""
        self.tale, self.limit = tale, limit
        self.hears = key_of(hears).key.hex()
        self.proven: list[list[str]] = []

    async def main(self, talk: Talk) -> None:
        """The wallet's own conversation: it hears no more than the first record."""
        await talk.hello()
        request = await talk.next("subscribe")
        await self.tell(talk, request, 1)
        await talk.until_closed()

    async def __call__(self, talk: Talk) -> None:
        """A conversation that looks for it."""
        key, epoch = XOnlyKey(key_of("coordinator").key), Epoch(bytes(16))
        limits = {"proofs_per_connection": self.limit}
        await talk.send(talk.side.hello(time=NOON, limits=limits, heartbeat_ms=60_000, coordinator=key, epoch=epoch))
        proven: list[str] = []
        self.proven.append(proven)
        while (request := await talk.next()).method == "authenticate":
            proven += [proof.key.hex() for proof in request.params.proofs]
            await talk.answer(request, {})
        if request.method == "sessions":
            await talk.answer(request, {"sessions": []})
            request = await talk.next("subscribe")
        await self.tell(talk, request, len(self.tale.wires(self.tale.keygen)) if self.hears in proven else 1)
        await talk.until_closed()

    async def tell(self, talk: Talk, request: object, top: int) -> None:
        """The answer to ``subscribe``, and the records."""
        stream = self.tale.keygen
        records = self.tale.world.logs[stream].records
        told: dict[str, object] = {"top": top, "recovered": False, "head": None, "present": []}
        if top > 1:
            sign = self.tale.world.coordinator.sign
            told["head"] = frames.head_json(sign_head(stream, records[top - 1], sign, NOON, request.params.nonce))  # type: ignore[attr-defined]
        else:
            told["reason"] = "first_record_only"
        await talk.answer(request, told)  # type: ignore[arg-type]
        for record in records[:top]:
            await talk.send(frames.record_frame(stream, record))


@asynccontextmanager
async def looking(tale: Tale, *scripts: Script) -> AsyncIterator[tuple[Courier, Ledger]]:
    """A wallet with a ticket that lets it hear nothing, online."""
    async with scripted(*scripts) as url:
        with Wallet.in_memory() as wallet:
            wallet.remember(KeygenEntry(tale.keygen, url, bytearray(GROUP_SECRET)))
            ledger = Ledger(wallet, url, lambda: NOON)
            carrier = Courier(wallet, ledger)
            task = asyncio.create_task(carrier.run())
            try:
                await carrier.online()
                yield carrier, ledger
            finally:
                carrier.stop(NotConnected("the test is over"))
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def heard(ledger: Ledger, keygen: Id) -> int:
    """How many records were verified."""
    replay = ledger.replay(keygen)
    return replay.chain.offset if replay is not None else 0


@pytest.mark.parametrize(("hears", "tried"), [("one", 1), ("two", 1), ("five", 3)])
async def test_candidates_are_tried_in_their_order_as_many_as_a_connection_takes(hears: str, tried: int) -> None:
    tale = Tale()
    tries = Tries(tale, hears, limit=2)
    async with looking(tale, tries.main, tries) as (carrier, ledger):
        assert tale.keygen in ledger.shut
        assert await hear_as_any(carrier, tale.keygen, candidates(*NAMES))
        assert heard(ledger, tale.keygen) == len(tale.wires(tale.keygen)) and tale.keygen not in ledger.shut
    groups = [NAMES[:2], NAMES[2:4], NAMES[4:]]
    assert tries.proven == [[key_of(name).key.hex() for name in group] for group in groups[:tried]]


async def test_where_none_hears_nothing_more_than_the_first_record_is_known() -> None:
    tale = Tale()
    tries = Tries(tale, "nobody", limit=2)
    async with looking(tale, tries.main, tries) as (carrier, ledger):
        assert not await hear_as_any(carrier, tale.keygen, candidates(*NAMES))
        assert heard(ledger, tale.keygen) == 1 and tale.keygen in ledger.shut
    assert len(tries.proven) == 3


async def test_without_a_candidate_the_first_record_is_heard_and_nothing_proven() -> None:
    tale = Tale()
    tries = Tries(tale, "nobody")
    async with looking(tale, tries.main, tries) as (carrier, _):
        assert not await hear_as_any(carrier, tale.keygen, [])
    assert tries.proven == [[]]


def refusing(problem: WireError) -> Callable[[Talk], object]:
    """A conversation in which the keygen is refused."""

    async def script(talk: Talk) -> None:
        await talk.hello()
        await talk.answer(await talk.next("authenticate"), {})
        await talk.answer(await talk.next("sessions"), {"sessions": []})
        await talk.refuse(await talk.next("subscribe"), problem)
        await talk.until_closed()

    return script


async def test_an_invitation_that_was_used_is_no_end() -> None:
    tale = Tale()
    tries = Tries(tale, "two")
    async with looking(tale, tries.main, refusing(TAKEN), tries) as (carrier, ledger):  # type: ignore[arg-type]
        assert not await hear_as_any(carrier, tale.keygen, candidates("one"))
        assert await hear_as_any(carrier, tale.keygen, candidates("two"))
        assert heard(ledger, tale.keygen) > 1


async def test_a_session_that_nobody_knows_is_told() -> None:
    tale = Tale()
    tries = Tries(tale, "one")
    async with looking(tale, tries.main, refusing(UNKNOWN)) as (carrier, _):  # type: ignore[arg-type]
        with pytest.raises(WireError, match="no such stream"):
            await hear_as_any(carrier, tale.keygen, candidates("one"))


async def test_a_conversation_that_is_lost_is_begun_again() -> None:
    async def lost(talk: Talk) -> None:
        await talk.hello()
        await talk.next("authenticate")
        await talk.socket.close(4200, "draining")

    tale = Tale()
    tries = Tries(tale, "one")
    async with looking(tale, tries.main, lost, tries) as (carrier, _):
        assert await hear_as_any(carrier, tale.keygen, candidates("one"))


async def test_a_coordinator_that_sends_him_away_for_good_ends_the_search() -> None:
    async def forbidden(talk: Talk) -> None:
        await talk.hello()
        await talk.socket.close(4003, "forbidden")

    tale = Tale()
    tries = Tries(tale, "one")
    async with looking(tale, tries.main, forbidden) as (carrier, _):
        with pytest.raises(NotConnected, match="for good"):
            await hear_as_any(carrier, tale.keygen, candidates("one"))

"""What every store promises, whichever database answers; a new one is added to `OPENERS` and must pass it all."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from keymeld_protocol.errors import Reason, Unavailable
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.payloads import KeygenLeave
from keymeld_protocol.wire.records import Chain, Record
from keymeld_server.store.port import Append, Conflict, EnclaveRow, SessionRow, Store, StoreFailed
from keymeld_server.store.sqlite.store import SqliteStore
from tests.support.build import Cast, say, xonly
from tests.support.coordinator import key_of
from tests.support.logs import NOON, Scribe, with_row

Opener: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
PLENTY = 1_000_000


class Sqlite:
    """Opens the same SQLite database each time."""

    def __init__(self, folder: Path) -> None:
        """Remember where it lies."""
        self.path = folder / "keymeld.sqlite"

    async def __aenter__(self) -> Store:
        """Open it."""
        self.store = await SqliteStore.open(self.path)
        return self.store

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.store.close()


OPENERS = {"sqlite": Sqlite}


@pytest.fixture(params=OPENERS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Open one and the same store, as often as asked."""
    return lambda: OPENERS[request.param](tmp_path)


async def outcome(waiting: Awaitable[None]) -> type[BaseException] | None:
    """The kind of error that something ends with, or None."""
    try:
        await waiting
    except Exception as error:
        return type(error)
    return None


# Appending and reading ------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_was_appended_is_read_back_equal(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        records = [scribe.open(), *scribe.notes(3)]
        await store.append(scribe.append(*records))
        assert await store.read(scribe.stream, 0, 100, PLENTY) == records


@pytest.mark.asyncio
async def test_what_is_read_verifies_as_a_chain(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.append(scribe.open(), *scribe.notes(2)))
        chain = Chain(scribe.stream)
        for record in await store.read(scribe.stream, 0, 100, PLENTY):
            chain.check(record)
            chain.append(record)
        assert chain.position == scribe.chain.position


@pytest.mark.asyncio
async def test_reading_begins_after_the_offset_and_stops_at_the_count(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.append(scribe.open(), *scribe.notes(5)))
        assert [r.offset for r in await store.read(scribe.stream, 2, 3, PLENTY)] == [3, 4, 5]
        assert await store.read(scribe.stream, 6, 3, PLENTY) == []


@pytest.mark.asyncio
async def test_reading_stops_before_the_bytes_are_passed(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.append(scribe.open(), *(scribe.note(bytes(3000)) for _ in range(5))))
        assert [r.offset for r in await store.read(scribe.stream, 1, 100, 10_000)] == [2, 3]


@pytest.mark.asyncio
async def test_a_record_that_is_bigger_than_the_limit_is_given_alone(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.append(scribe.open(), *(scribe.note(bytes(3000)) for _ in range(2))))
        assert [r.offset for r in await store.read(scribe.stream, 1, 100, 10)] == [2]


@pytest.mark.asyncio
async def test_an_unknown_stream_has_no_records_and_no_row(opened: Opener) -> None:
    async with opened() as store:
        assert await store.read(Id(bytes(32)), 0, 100, PLENTY) == []
        assert await store.session(Id(bytes(32))) is None


@pytest.mark.asyncio
async def test_a_statement_is_found_by_its_id(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        records = [scribe.open(), scribe.note()]
        await store.append(scribe.append(*records))
        assert await store.find(records[1].statement.id) == (scribe.stream, 2)
        assert await store.find(Id(bytes(32))) is None


@pytest.mark.asyncio
async def test_the_log_and_the_epoch_survive_a_restart(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        records = [scribe.open(), *scribe.notes(2)]
        await store.append(scribe.append(*records))
    async with opened() as again:
        assert again.epoch == scribe.epoch
        assert await again.read(scribe.stream, 0, 100, PLENTY) == records
        await again.append(scribe.append(scribe.note()))


# Conflicts ------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_append_that_expects_another_top_conflicts_and_stores_nothing(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.opened())
        scribe.note()  # written, never appended
        late = scribe.note()
        with pytest.raises(Conflict):
            await store.append(scribe.append(late))
        assert await store.find(late.statement.id) is None


@pytest.mark.asyncio
async def test_the_same_append_twice_conflicts_the_second_time(opened: Opener) -> None:
    async with opened() as store:
        append = Scribe(store.epoch).opened()
        await store.append(append)
        with pytest.raises(Conflict):
            await store.append(append)


@pytest.mark.asyncio
async def test_of_appends_made_at_once_only_the_conflicting_one_is_refused(opened: Opener) -> None:
    async with opened() as store:
        good, bad, other = (Scribe(store.epoch) for _ in range(3))
        bad.open()
        appends = [good.opened(), bad.append(bad.note()), other.opened(), good.append(good.note())]
        outcomes = await asyncio.gather(*(outcome(store.append(append)) for append in appends))
        assert outcomes == [None, Conflict, None, None]
        assert len(await store.read(good.stream, 0, 100, PLENTY)) == 2


@pytest.mark.asyncio
async def test_several_appends_in_one_call_are_stored_together_or_not_at_all(opened: Opener) -> None:
    async with opened() as store:
        one, two = Scribe(store.epoch), Scribe(store.epoch)
        two.open()
        with pytest.raises(Conflict):
            await store.append(one.opened(), two.append(two.note()))
        assert await store.session(one.stream) is None


@pytest.mark.asyncio
async def test_a_record_of_another_epoch_is_not_stored(opened: Opener) -> None:
    async with opened() as store:
        stranger = Scribe(type(store.epoch)(bytes(16)))
        with pytest.raises(StoreFailed):
            await store.append(stranger.opened())
        assert await store.session(stranger.stream) is None


@pytest.mark.asyncio
async def test_the_envelopes_of_joins_that_left_are_deleted_and_nothing_else(opened: Opener) -> None:
    async with opened() as store:
        cast = Cast("treasury", xonly(key_of("coordinator")), 2)
        create = cast.create(NOON)
        joins = [cast.join(slot, bytes(32), xonly(key_of("vault"))) for slot in range(2)]
        chain, records = Chain(create.id), list[Record]()
        for said in (create, *joins):
            records.append(chain.next(store.epoch, NOON, said))
            chain.append(records[-1])
        row = SessionRow(create.id, "keygen", "completed", 3, chain.hash)
        await store.append(Append(create.id, 0, tuple(records), row))
        said = say(cast.auth(0), KeygenLeave, create.id, chain.hash, slot=0)
        leave = chain.next(store.epoch, NOON, said)
        await store.append(Append(create.id, 3, (leave,), replace(row, top=4, hash=leave.hash), left=(2,)))
        kept = [records[0], records[1].without_blobs(("envelope",)), records[2], leave]
        assert await store.read(create.id, 0, 100, PLENTY) == kept


@pytest.mark.asyncio
async def test_store_errors_say_that_repeating_helps(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        scribe.open()
        with pytest.raises(Unavailable) as caught:
            await store.append(scribe.append(scribe.note()))
        assert caught.value.reason is Reason.UNAVAILABLE
        assert caught.value.reason.repeatable


def test_an_append_must_follow_what_it_expects() -> None:
    scribe = Scribe(Scribe.EPOCH)
    first, second = scribe.open(), scribe.note()
    row = SessionRow(scribe.stream, "wallet", "OPEN", 2, second.hash)
    Append(scribe.stream, 0, (first, second), row)
    with pytest.raises(ValueError):
        Append(scribe.stream, 0, (first, second), replace(row, hash=first.hash))
    for expected, records in ((0, ()), (1, (first, second)), (0, (second,)), (0, (first,))):
        with pytest.raises(ValueError):
            Append(scribe.stream, expected, records, row)


# Projections ----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_the_sessions_row_is_that_of_the_latest_append(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.opened())
        row = with_row(scribe.append(scribe.note()), state="CLOSED", deadline_ms=NOON, open=False)
        await store.append(row)
        assert await store.session(scribe.stream) == row.session


@pytest.mark.asyncio
async def test_a_signings_row_names_its_keygen(opened: Opener) -> None:
    async with opened() as store:
        scribe, keygen = Scribe(store.epoch), Id(bytes(32))
        await store.append(with_row(scribe.opened(), kind="signing", keygen=keygen))
        assert (await store.sessions([scribe.key]))[0].keygen == keygen


@pytest.mark.asyncio
async def test_sessions_are_those_of_any_of_the_keys_each_once_in_order_of_opening(opened: Opener) -> None:
    async with opened() as store:
        scribes = [Scribe(store.epoch) for _ in range(4)]
        both = frozenset({scribes[0].key, scribes[2].key})
        for scribe in scribes:
            await store.append(scribe.append(scribe.open(), hearers=both | {scribe.key}))
        streams = [row.stream for row in await store.sessions(both)]
        assert streams == [scribe.stream for scribe in scribes]
        assert [row.stream for row in await store.sessions([scribes[1].key])] == [scribes[1].stream]
        assert await store.sessions([]) == []


@pytest.mark.asyncio
async def test_sessions_come_in_pages(opened: Opener) -> None:
    async with opened() as store:
        reader = XOnlyKey(bytes(32))
        scribes = [Scribe(store.epoch) for _ in range(5)]
        for scribe in scribes:
            await store.append(scribe.append(scribe.open(), hearers=frozenset({reader})))
        first = await store.sessions([reader], limit=3)
        rest = await store.sessions([reader], after=first[-1].stream, limit=3)
        assert [row.stream for row in first + rest] == [scribe.stream for scribe in scribes]
        assert await store.sessions([reader], after=Id(bytes(32))) == []


@pytest.mark.asyncio
async def test_closed_sessions_are_left_out_when_open_ones_are_asked_for(opened: Opener) -> None:
    async with opened() as store:
        reader = frozenset({XOnlyKey(bytes(32))})
        alive, ended = Scribe(store.epoch), Scribe(store.epoch)
        await store.append(alive.append(alive.open(), hearers=reader))
        await store.append(with_row(ended.append(ended.open(), hearers=reader), open=False))
        assert [row.stream for row in await store.sessions(reader, open_only=True)] == [alive.stream]


@pytest.mark.asyncio
async def test_hearers_become_exactly_what_an_append_names(opened: Opener) -> None:
    async with opened() as store:
        scribe, invited, joined = Scribe(store.epoch), XOnlyKey(bytes(32)), XOnlyKey(bytes(31) + b"1")
        await store.append(scribe.append(scribe.open(), hearers=frozenset({scribe.key, invited})))
        await store.append(scribe.append(scribe.note(), hearers=frozenset({scribe.key, joined})))
        assert await store.sessions([invited]) == []
        assert len(await store.sessions([joined])) == len(await store.sessions([scribe.key])) == 1


@pytest.mark.asyncio
async def test_hearers_stay_where_an_append_names_none(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.append(scribe.opened())
        await store.append(scribe.append(scribe.note()))
        assert len(await store.sessions([scribe.key])) == 1


@pytest.mark.asyncio
async def test_deadlines_are_those_of_open_sessions_soonest_first(opened: Opener) -> None:
    async with opened() as store:
        late, soon, ended, endless = (Scribe(store.epoch) for _ in range(4))
        await store.append(with_row(late.opened(), deadline_ms=NOON + 2))
        await store.append(with_row(soon.opened(), deadline_ms=NOON + 1))
        await store.append(with_row(ended.opened(), deadline_ms=NOON, open=False))
        await store.append(endless.opened())
        assert await store.deadlines() == [(soon.stream, NOON + 1), (late.stream, NOON + 2)]


@pytest.mark.asyncio
async def test_an_announcement_keeps_what_a_later_one_leaves_out(opened: Opener) -> None:
    identity = XOnlyKey(bytes(32))
    async with opened() as store:
        await store.save_enclave(EnclaveRow(identity, NOON, '{"slots":10}', b"document", b"wrapped"))
        await store.save_enclave(EnclaveRow(identity, NOON + 1, '{"slots":9}'))
    async with opened() as again:
        assert await again.enclaves() == [EnclaveRow(identity, NOON + 1, '{"slots":9}', b"document", b"wrapped")]


# The end --------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_closing_commits_what_is_queued(opened: Opener) -> None:
    async with opened() as store:
        scribes = [Scribe(store.epoch) for _ in range(20)]
        waiting = [asyncio.ensure_future(store.append(scribe.opened())) for scribe in scribes]
        await asyncio.sleep(0)  # every append has been called
    await asyncio.gather(*waiting)
    async with opened() as again:
        assert None not in [await again.session(scribe.stream) for scribe in scribes]


@pytest.mark.asyncio
async def test_a_closed_store_refuses_and_may_be_closed_again(opened: Opener) -> None:
    async with opened() as store:
        scribe = Scribe(store.epoch)
        await store.close()
        assert await outcome(store.append(scribe.opened())) is StoreFailed
        with pytest.raises(StoreFailed):
            await store.read(scribe.stream, 0, 1, 1)

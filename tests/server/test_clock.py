"""Deadlines, when they have passed."""

import asyncio

import pytest

from keymeld_protocol.errors import Reason, Unavailable
from keymeld_protocol.values import Id
from keymeld_server.clock import RETRY_MS, Deadlines
from tests.support.build import HOUR
from tests.support.coordinator import NOON
from tests.support.line import Line, Time
from tests.support.serving import until

pytestmark = pytest.mark.asyncio

ONE, TWO = Id(bytes(31) + b"1"), Id(bytes(31) + b"2")


async def nothing(stream: Id) -> None:
    """Look, and find nothing."""


async def test_a_deadline_is_due_when_it_has_passed() -> None:
    time = Time()
    clock = Deadlines(time, nothing)
    clock.set(ONE, NOON + 10)
    assert clock.due() == []
    time.wait(10)
    assert clock.due() == [ONE] and clock.due() == []


async def test_the_soonest_comes_first() -> None:
    clock = Deadlines(Time(NOON + 10), nothing)
    clock.set(TWO, NOON + 2)
    clock.set(ONE, NOON + 1)
    assert clock.due() == [ONE, TWO]


async def test_a_later_deadline_replaces_an_earlier_one() -> None:
    clock = Deadlines(Time(NOON + 10), nothing)
    clock.set(ONE, NOON + 1)
    clock.set(ONE, NOON + 20)
    assert clock.due() == []


async def test_an_earlier_deadline_replaces_a_later_one() -> None:
    clock = Deadlines(Time(NOON + 10), nothing)
    clock.set(ONE, NOON + 20)
    clock.set(ONE, NOON + 1)
    assert clock.due() == [ONE]


async def test_a_session_without_a_deadline_is_never_due() -> None:
    clock = Deadlines(Time(NOON + 10), nothing)
    clock.set(ONE, NOON + 1)
    clock.set(ONE, None)
    assert clock.due() == []


async def test_replaced_deadlines_do_not_pile_up() -> None:
    clock = Deadlines(Time(), nothing)
    for ms in range(1_000):
        clock.set(ONE, NOON + 1 + ms)
    assert len(clock._heap) < 100


async def test_the_running_clock_looks_when_time_has_moved() -> None:
    time, seen = Time(), asyncio.Queue[Id]()
    clock = Deadlines(time, seen.put)
    running = asyncio.create_task(clock.run())
    clock.set(ONE, NOON + HOUR)
    time.wait(HOUR)
    clock.poke()
    assert await asyncio.wait_for(seen.get(), 10) == ONE
    running.cancel()


async def test_a_deadline_survives_a_failure_of_the_store() -> None:
    time, tries = Time(), asyncio.Queue[Id]()

    async def fail_once(stream: Id) -> None:
        tries.put_nowait(stream)
        if tries.qsize() == 1:
            raise Unavailable(Reason.UNAVAILABLE, "not now")

    clock = Deadlines(time, fail_once)
    clock.set(ONE, NOON)
    running = asyncio.create_task(clock.run())
    await until(lambda: tries.qsize() == 1)
    time.wait(RETRY_MS)
    clock.poke()
    await until(lambda: tries.qsize() == 2)
    running.cancel()


async def test_deadlines_that_passed_while_the_coordinator_was_down_become_notices() -> None:
    line = Line()
    casts = [await line.created(f"group {i}") for i in range(3)]
    line.time.wait(2 * HOUR)
    line = line.restart()
    for stream, deadline in await line.store.deadlines():
        line.app.clock.set(stream, deadline)
    running = asyncio.create_task(line.app.clock.run())
    await until(lambda: not any(line.store.rows[cast.stream].open for cast in casts))
    running.cancel()
    assert all(line.store.kinds(cast.stream)[-1] == "keygen.expired" for cast in casts)


async def test_a_grace_that_passes_without_its_enclave_is_not_looked_at_for_ever() -> None:
    line = Line()
    line.arrive()
    request = await line.requested(await line.completed())
    line.app.enclaves.go(next(iter(line.app.enclaves.here)))
    line.time.wait(3_000)
    assert line.app.clock.due() == [request.id]
    assert await line.look(request.id) == []
    assert line.app.clock.due() == [] and line.app.clock._at[request.id] > line.time()
    assert request.id in line.arrive()

"""status.py: how the line stands in words, and a bell that wakes whoever waits and nobody who comes later."""

import asyncio

import pytest

from keymeld_client.status import Bell, Status


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status("online"), "online"),
        (Status("stopped", "the client was closed"), "stopped: the client was closed"),
        (Status("waiting", "refused", 2.04), "waiting: refused; trying again in 2.0 s"),
        (Status("waiting", "refused", 0.049), "waiting: refused; trying again at once"),
        (Status("waiting", None, 0.05), "waiting; trying again in 0.1 s"),
    ],
)
def test_a_status_is_told_with_its_reason_and_its_wait(status: Status, told: str) -> None:
    assert str(status) == told


@pytest.mark.asyncio
async def test_one_ring_wakes_everybody_who_waits() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()
    await asyncio.gather(*waiting)


@pytest.mark.asyncio
async def test_whoever_comes_after_a_ring_waits_for_the_next() -> None:
    bell = Bell()
    bell.ring()
    early = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    bell.ring()
    late = asyncio.create_task(bell.wait())
    await early
    assert not late.done()
    bell.ring()
    await late

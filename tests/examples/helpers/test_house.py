"""examples/helpers/house.py: real processes that are started, killed and restarted, and never left behind."""

import os

import pytest

from examples.helpers.house import House, NotStarted, Process

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]


def lives(pid: int | None) -> bool:
    """Whether a process of ours still runs."""
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_house_opens_and_leaves_nothing_behind() -> None:
    async with House(enclaves=1) as house:
        pids = [process.pid for process in house.processes]
        assert all(map(lives, pids))
        assert house.url.startswith("ws://127.0.0.1:")
    assert not any(map(lives, pids))
    assert not house.folder.exists()


async def test_a_killed_coordinator_comes_back_at_the_same_address() -> None:
    async with House(enclaves=0) as house:
        url, pid = house.url, house.coordinator.pid
        assert await house.coordinator.kill() == -9
        assert not house.coordinator.running
        await house.coordinator.start()
        assert (house.url, house.coordinator.pid == pid) == (url, False)


async def test_a_killed_enclave_keeps_its_identity() -> None:
    async with House(enclaves=1) as house:
        identity = house.enclaves[0].identity
        await house.enclaves[0].kill()
        await house.start()
        assert house.enclaves[0].identity == identity


async def test_a_coordinator_that_is_told_to_stop_ends_well() -> None:
    async with House(enclaves=0) as house:
        assert await house.coordinator.stop() == 0


async def test_a_process_that_does_not_start_says_why() -> None:
    house = House(enclaves=1, settings={"grace_min_ms": "1"})
    with pytest.raises(NotStarted, match=r"(?s)ended with exit code 2.*grace_min_ms: must be .*, not 1"):
        async with house:
            pass
    assert not house.folder.exists()


async def test_a_module_that_is_not_there_is_named() -> None:
    process = Process("nobody", "keymeld_nowhere")
    with pytest.raises(NotStarted, match=r"(?s)nobody ended with exit code 1.*keymeld_nowhere"):
        await process.start()
    assert not process.running

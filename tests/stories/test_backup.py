"""A coordinator whose database was put back from a backup: what was heard before decides what is believed after.

backup ─┬─ nothing followed ────────▶ put back, new epoch ▶ verified again from record 1, and everything goes on
        └─ records followed, lost ──▶ put back, new epoch ▶ read-only for whoever had heard them (attack 37)
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keymeld_client.errors import ReadOnly
from tests.stories.phones import Phone
from tests.stories.stage import Scene, stage

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]


@asynccontextmanager
async def a_backed_up_keygen() -> AsyncIterator[tuple[Scene, Path]]:
    """A completed and confirmed keygen, everybody asleep, and a copy of the database as it stood then."""
    async with stage() as scene:
        await scene.play(until="alice_requests")
        await scene.house.coordinator.stop()
        backup = scene.house.folder / "backup.sqlite"
        shutil.copy(scene.house.coordinator.database, backup)
        await scene.return_of_the_coordinator()
        yield scene, backup


async def put_back(scene: Scene, backup: Path, *, new_epoch: bool = True) -> None:
    """What an operator does: stop the server, put the backup back, say so, start everything again."""
    database = scene.house.coordinator.database
    await asyncio.gather(*(process.stop() for process in scene.house.processes))
    for file in database.parent.glob(f"{database.name}-*"):
        file.unlink()
    shutil.copy(backup, database)
    if new_epoch:
        assert await begin_epoch(database) == 0
    await scene.house.start()


async def begin_epoch(database: Path) -> int:
    """``keymeld-server new-epoch``; gives the exit code."""
    command = [sys.executable, "-m", "keymeld_server", "new-epoch", "--database", str(database)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait()


def told(scene: Scene, phone: Phone) -> list[tuple[bool, str | None]]:
    """What a phone was told about the keygen's stream, each time it subscribed."""
    notes = [n for n in scene.notebook.resumed if n.who == phone.name and n.stream == scene.story.keygen]
    return [(note.recovered, note.reason) for note in notes]


async def test_a_backup_that_lacks_nothing_goes_on_in_a_new_epoch() -> None:
    async with a_backed_up_keygen() as (scene, backup):
        await put_back(scene, backup)
        await scene.play(since="alice_requests", until="bob_approves")
        bob = scene.phones[1]
        scene.notebook.resumed.clear()
        await scene.play(since="bob_approves")
        assert told(scene, bob) == [(False, "epoch")]
        await bob.wake()
        assert len({record.epoch for record in bob.keygen(scene.story.keygen).heard.records}) == 2


async def test_a_phone_that_had_heard_what_a_backup_lacks_says_nothing_more() -> None:
    """Attack 37: a new epoch without the old records."""
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        alice = scene.phones[0]
        await scene.sleep()
        await put_back(scene, backup)
        scene.notebook.resumed.clear()
        await alice.wake()
        assert told(scene, alice) == [(False, "fork")]
        keygen = alice.keygen(scene.story.keygen)
        with pytest.raises(ReadOnly, match="not the one verified here"):
            await keygen.request(messages=[bytes(32)])


async def test_a_lost_record_is_missed_also_when_others_have_taken_its_place() -> None:
    """Attack 37 again: the log has grown beyond what was lost."""
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        alice, bob = scene.phones[:2]
        await scene.sleep()
        await put_back(scene, backup)
        scene.notebook.hashes.clear()
        await bob.wake()
        for _ in range(2):
            await bob.keygen(scene.story.keygen).request(messages=[bytes(32)])
        scene.notebook.resumed.clear()
        scene.notebook.hashes.clear()
        await alice.wake()
        assert told(scene, alice) == [(False, "epoch")]
        with pytest.raises(ReadOnly, match="two hashes"):
            await alice.keygen(scene.story.keygen).request(messages=[bytes(32)])


async def test_a_backup_put_back_in_silence_is_noticed_too() -> None:
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        alice = scene.phones[0]
        await scene.sleep()
        await put_back(scene, backup, new_epoch=False)
        await alice.wake()
        assert alice.keygen(scene.story.keygen).read_only is not None


async def test_a_new_epoch_is_refused_while_a_server_has_the_database_open() -> None:
    async with stage() as scene:
        assert await begin_epoch(scene.house.coordinator.database) == 1

"""A coordinator whose database was put back from a backup: what was lost is said again, and everything is signed.

backup ─┬─ nothing followed ────────▶ put back, new epoch ▶ everybody resumes where he stood
        ├─ records followed, lost ──▶ put back, new epoch ▶ each says his own again, waits for others' (attack 60)
        └─ records followed, lost ──▶ put back in silence ▶ a fork, for whoever had heard them (attack 37)
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keymeld_client.errors import WaitsForLost
from keymeld_protocol.machines.signing import SigningPhase
from tests.client.house import note
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


async def put_back(scene: Scene, backup: Path, *, new_epoch: bool = True, enclaves: bool = True) -> None:
    """What an operator does: stop the server, put the backup back, say so, start everything again."""
    database, house = scene.house.coordinator.database, scene.house
    await asyncio.gather(*(process.stop() for process in (house.processes if enclaves else [house.coordinator])))
    for file in database.parent.glob(f"{database.name}-*"):
        file.unlink()
    shutil.copy(backup, database)
    if new_epoch:
        assert await begin_epoch(database) == 0
    scene.notebook.hashes.clear()
    scene.notebook.resumed.clear()
    await house.start()


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
        assert told(scene, bob) == [(True, None)]
        await bob.wake()
        keygen, signing = bob.keygen(scene.story.keygen), bob.client.signing(scene.story.signing)
        assert len({record.epoch for record in (*keygen.heard.records, *signing.heard.records)}) == 2


async def test_what_a_backup_lacks_is_said_again_and_everything_is_signed() -> None:
    """Attack 60: has an honest restore taken for a fork."""
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        alice, bob = scene.phones[:2]
        await note(alice.keygen(scene.story.keygen))
        await scene.house.enclaves[1].stop()  # so that Bob's yes is heard, and nothing signed, before all is lost
        await scene.play(since="bob_approves", until="the_enclaves_finish")
        signing = (await alice.wake()).signing(scene.story.signing)
        await alice.client.ledger.until(signing.id, lambda _: (signing.phase == SigningPhase.NONCES) or None)
        await scene.sleep()
        await put_back(scene, backup)

        await alice.wake()  # her request is in the log again, by itself; Bob's yes is his to say
        assert told(scene, alice) == [(False, "epoch")]
        signing = alice.client.signing(scene.story.signing)
        assert alice.keygen(scene.story.keygen).waiting is None and signing.read_only is None
        assert signing.waiting == "not broken, waiting for 1 statement that was lost: signing.approve of slot 1"
        with pytest.raises(WaitsForLost, match=r"signing\.approve of slot 1"):
            await signing.reject()

        await bob.wake()
        await scene.play(since="the_enclaves_finish")
        await alice.wake()
        assert alice.client.signing(scene.story.signing).waiting is None
        assert alice.keygen(scene.story.keygen).safety.safe


async def test_whoever_goes_on_without_what_was_lost_says_so() -> None:
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        alice = scene.phones[0]
        await scene.house.enclaves[1].stop()
        await scene.play(since="bob_approves", until="the_enclaves_finish")
        signing = (await alice.wake()).signing(scene.story.signing)
        await alice.client.ledger.until(signing.id, lambda _: (signing.phase == SigningPhase.NONCES) or None)
        await scene.sleep()
        await put_back(scene, backup)
        for _ in range(2):  # a wallet remembers it
            signing = (await alice.wake()).signing(scene.story.signing)
            signing.go_without_lost()
            assert signing.waiting is None
            await alice.sleep()
        await alice.wake()
        await alice.client.signing(scene.story.signing).reject()


async def test_others_records_in_the_place_of_what_was_lost_are_no_fork() -> None:
    """Attack 60 again: the log has grown beyond what was lost."""
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        alice, bob = scene.phones[:2]
        await note(alice.keygen(scene.story.keygen))
        await scene.sleep()
        await put_back(scene, backup)
        await bob.wake()
        for _ in range(2):
            await note(bob.keygen(scene.story.keygen))
        await alice.wake()
        assert told(scene, alice) == [(False, "epoch")]
        await alice.keygen(scene.story.keygen).request(messages=[bytes(32)])
        await scene.play(since="bob_approves")


async def test_a_running_enclave_hears_no_other_history_until_it_is_started_anew() -> None:
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        await note(scene.phones[0].keygen(scene.story.keygen))
        await scene.sleep()
        notes = [enclave.prints("history differs") for enclave in scene.house.enclaves]
        await put_back(scene, backup, enclaves=False)
        assert all("reason=epoch" in line for line in await asyncio.gather(*notes))
        await scene.phones[0].wake()
        await asyncio.gather(*(enclave.stop() for enclave in scene.house.enclaves))
        await scene.house.start()
        await scene.play(since="bob_approves")


async def test_a_backup_put_back_in_silence_is_a_fork() -> None:
    """Attack 37: history lost, and no new epoch."""
    async with a_backed_up_keygen() as (scene, backup):
        await scene.play(since="alice_requests", until="bob_approves")
        alice = scene.phones[0]
        await note(alice.keygen(scene.story.keygen))
        await scene.sleep()
        await put_back(scene, backup, new_epoch=False)
        await alice.wake()
        assert told(scene, alice) == [(False, "fork")]
        assert "not the one verified here" in (alice.keygen(scene.story.keygen).read_only or "")


async def test_a_new_epoch_is_refused_while_a_server_has_the_database_open() -> None:
    async with stage() as scene:
        assert await begin_epoch(scene.house.coordinator.database) == 1

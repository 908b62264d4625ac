"""go-on: a session goes on without what its coordinator has lost, when its owner says so."""

import asyncio
import json
import shutil
import sys

import pytest

from examples.helpers.house import House
from keymeld_client import Wallet, connect
from tests.client.house import note
from tests.client.terminal import Person


@pytest.mark.processes
@pytest.mark.asyncio
async def test_who_goes_on_without_what_was_lost_says_so_once() -> None:
    async with House(enclaves=1) as house:
        alice, bob = (Person(name, house) for name in ("alice", "bob"))
        made = await alice.asks("create", "--slots", "2", "--network", "regtest", "--server", house.url)
        session, tickets = made["session"][:8], [each["ticket"] for each in made["tickets"]]
        rule = ("--trust-enclave", house.enclaves[0].identity, "--approve", "none", "--yes")
        for person, ticket in zip((alice, bob), tickets, strict=True):
            await person.types("join", ticket, *rule)
        await alice.types("confirm", session)
        await bob.types("confirm", session)
        asked = alice.types("request", session, "--yes", "--message", "11" * 32)
        noted = _note(house, bob)  # whatever follows a note that was lost does not come back byte for byte
        await _lose(house, asked, noted, bob.types("leave", session, "--yes"), alice.types("sessions"))
        told = "not broken, waiting for 2 statements that were lost: keygen.leave of slot 1"
        assert told in await alice.types("sessions")
        assert told in await alice.types("request", session, "--yes", "--message", "00" * 32, code=1)
        (row, *_) = map(json.loads, (await alice.types("sessions", "--json")).splitlines())
        assert row["waiting"].startswith(told) and row["read_only"] is None
        assert "  keygen.leave of slot 1\n" in (await alice.hears("go-on", session, "--yes"))[1]
        assert "It waits for nothing." in await alice.types("go-on", session)
        assert (await alice.asks("address", session))["safe"] is False, "who has left says so again, and coins are lost"
        assert "slot 1 has left: the coordinator has lost that" in await alice.types("address", session)


async def _note(house: House, person: Person) -> None:
    """Say something in the one keygen of this person that nobody waits for."""
    with Wallet.open(house.folder / person.name) as wallet:
        async with connect(house.url, wallet) as client:
            await client.ready()
            await note(client.keygens()[0])


async def _lose(house: House, *said: object) -> None:
    """Whatever is said is lost with a backup that is put back."""
    database = house.coordinator.database
    await house.coordinator.stop()
    backup = house.folder / "backup.sqlite"
    shutil.copy(database, backup)
    await house.start()
    for words in said:
        await words  # type: ignore[misc]
    await asyncio.gather(*(process.stop() for process in house.processes))
    for file in database.parent.glob(f"{database.name}-*"):
        file.unlink()
    shutil.copy(backup, database)
    command = [sys.executable, "-m", "keymeld_server", "new-epoch", "--database", str(database)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    await house.start()

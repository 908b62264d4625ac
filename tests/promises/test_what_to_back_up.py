"""What people are told to back up, in README, guides and help: each sentence is here, and tried to be made false.

participants   the file identity and a ticket            stories/test_restored.py, attacks/test_lost_folders.py
back ends      identity and keygens/                     attacks/test_lost_folders.py
operators      database, coordinator's key, enclave's key file, tokens          below
"""

from __future__ import annotations

import asyncio
import shutil

import pytest
from click.testing import CliRunner

from examples.helpers.house import House, NotStarted
from keymeld_client.command.keymeld import main
from tests.client.terminal import Person
from tests.support.vectors import ROOT

SAID = {
    "README.md": ["Back up its file `identity`, and keep a ticket of each session", "`keymeld restore TICKET` finds"],
    "docs/integrate.md": ["back up its file `identity`", "With a copy of `keygens/` too, no ticket is needed"],
    "docs/operate.md": [
        "every session is gone",
        "the coordinator refuses to start beside it with a new key",
        "what was sealed to that enclave is gone; a copy of it is as secret as the file",
        "nothing is lost; make new ones",
    ],
    "server/README.md": ["both belong into a backup"],
    "protocol/README.md": ["an identity backed up, with a ticket of each session"],
}


@pytest.mark.parametrize(("page", "sentences"), SAID.items(), ids=list(SAID))
def test_what_is_tried_here_is_what_people_read(page: str, sentences: list[str]) -> None:
    text = " ".join((ROOT / page).read_text("utf-8").split())
    for sentence in sentences:
        assert sentence in text


def test_the_help_says_the_same() -> None:
    for command, sentence in (("identity", "Back the file `identity` up, and keep a ticket"), ("restore", "mode 0700")):
        told = " ".join(CliRunner().invoke(main, [command, "--help"]).output.split())
        assert sentence in told


async def treasury(alice: Person) -> tuple[str, str]:
    """A key of one slot; gives session and ticket."""
    made = await alice.asks("create", "--slots", "1", "--network", "regtest", "--server", alice.house.url)
    ticket = made["tickets"][0]["ticket"]
    await alice.types("join", ticket, "--yes", "--trust-enclave", alice.house.enclaves[0].identity)
    return made["session"], ticket


async def signs(alice: Person, session: str, message: str) -> int:
    """How many signatures come of a request."""
    asked = await alice.asks("request", session, "--message", message, "--yes")
    return len((await alice.asks("result", asked["signing"], "--wait"))["signatures"])


@pytest.mark.processes
@pytest.mark.asyncio
async def test_without_the_coordinators_key_the_log_is_not_continued_and_with_its_copy_it_is() -> None:
    async with House() as house:
        alice = Person("alice", house)
        session, _ = await treasury(alice)
        await house.coordinator.stop()
        (key,) = house.folder.glob("*coordinator*.key")
        key.rename(house.folder / "copy")
        with pytest.raises(NotStarted):
            await house.coordinator.start()
        key.unlink(missing_ok=True)
        (house.folder / "copy").rename(key)
        await comes_back(house)
        assert await signs(alice, session, "ab" * 32) == 1


async def comes_back(house: House) -> None:
    """The coordinator is started, and its enclaves have found it."""
    found = [enclave.prints("  connected") for enclave in house.enclaves]
    await house.coordinator.start()
    await asyncio.gather(*found)


@pytest.mark.processes
@pytest.mark.asyncio
async def test_without_an_enclaves_key_nothing_of_it_signs_and_with_its_copy_everything_does() -> None:
    async with House() as house:
        alice = Person("alice", house)
        session, _ = await treasury(alice)
        (enclave,) = house.enclaves
        await enclave.stop()
        copy = shutil.copy(enclave.key_file, house.folder / "copy")
        enclave.key_file.unlink()
        await enclave.start()
        asked = await alice.asks("request", session, "--message", "ab" * 32, "--yes")
        assert "not signed yet" in await alice.types("result", asked["signing"], code=1)
        await enclave.stop()
        shutil.move(copy, enclave.key_file)
        await enclave.start()
        assert len((await alice.asks("result", asked["signing"], "--wait"))["signatures"]) == 1


@pytest.mark.processes
@pytest.mark.asyncio
async def test_without_the_database_a_session_is_gone_until_its_members_say_it_again() -> None:
    async with House() as house:
        alice = Person("alice", house)
        session, ticket = await treasury(alice)
        for enclave in house.enclaves:
            await enclave.stop()
        await house.coordinator.stop()
        for path in house.folder.glob("keymeld.sqlite*"):
            path.unlink()
        await house.coordinator.start()
        bob = Person("bob", house)
        shutil.copytree(
            house.folder / "alice", house.folder / "bob", ignore=shutil.ignore_patterns("keygens", "streams")
        )
        assert "does not know this session" in await bob.types("restore", ticket, code=1)
        assert "missing: slot 0" in await alice.types("request", session, "--message", "ab" * 32, "--yes", code=1)

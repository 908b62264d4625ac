"""A wallet folder is lost, and its owner is back with a copy of his identity and a ticket, by typing.

two people, each behind his own yes ─▶ Bob's folder burns ─▶ identity, ticket ─▶ keymeld restore ─▶ the coins move
                                    ─▶ Alice's folder burns ─▶ she restores, and leaves for good

Every sentence that tells people what to back up is here, and what it promises is tried.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from examples.helpers.house import House
from examples.helpers.regtest import COIN, Regtest, transaction
from tests.client.terminal import Person


def burn(person: Person) -> None:
    """The folder is gone; a copy of the file `identity` lies in a new one, as `keymeld restore --help` says."""
    folder = person.house.folder / person.name
    identity = (folder / "identity").read_bytes()
    shutil.rmtree(folder)
    put_back(folder, identity)


def moved(path: Path) -> bytes:
    """What a file holds, which is gone then."""
    raw = path.read_bytes()
    path.unlink()
    return raw


def put_back(folder: Path, identity: bytes) -> None:
    """The copy of an identity, in a folder of its own."""
    folder.mkdir(mode=0o700)
    (folder / "identity").write_bytes(identity)
    (folder / "identity").chmod(0o600)


async def safe_treasury(alice: Person, bob: Person, *limits: str) -> tuple[str, list[str], bytes]:
    """Session, tickets and script of a key of two."""
    made = await alice.asks(
        "create", "--slots", "2", "--label", "treasury", "--network", "regtest", "--server", alice.house.url
    )
    session, tickets = made["session"], [each["ticket"] for each in made["tickets"]]
    for person, ticket in zip((alice, bob), tickets, strict=True):
        told = ("--trust-enclave", person.house.enclaves[0].identity, "--label", person.name, *limits)
        await person.types("join", ticket, "--yes", *told)
    address = await alice.asks("address", session)
    assert address["safe"]
    return session, tickets, bytes.fromhex(address["script"])


@pytest.mark.processes
@pytest.mark.asyncio
async def test_who_has_lost_the_folder_approves_again_and_the_coins_move() -> None:
    async with House(enclaves=1) as house:
        alice, bob = (Person(name, house) for name in ("alice", "bob"))
        session, tickets, script = await safe_treasury(alice, bob, "--max-fee", "20000sat")
        with Regtest() as chain:
            coin = chain.fund(script)
            burn(bob)
            unsigned = transaction([coin], [(COIN, script), (coin.amount - COIN - 500, script)])
            asked = await alice.asks("request", session, "--tx", unsigned.hex(), "--spent", "50btc", "--yes")
            told, notes = await bob.hears("restore", tickets[1])
            assert told.startswith(f'Found again: slot 1 of session {session[:12]} "treasury", completed.\n')
            assert "self: your key signs nothing that you have not approved" in told
            assert f"sealed to enclave {house.enclaves[0].identity}" in told
            assert "cannot be read back" in notes and "brought along" in notes and "keymeld sessions" in notes
            assert "your approval is missing" in await bob.types("sessions")
            await bob.types("approve", asked["signing"], "--yes")
            raw = await alice.types("result", asked["signing"], "--wait", "-q")
            assert chain.mine(bytes.fromhex(raw.strip()))
        await bob.types("request", session, "--tx", unsigned.hex(), "--spent", "50btc", "--yes")
        burn(alice)
        found = await alice.asks("restore", tickets[1])
        assert found == {"session": session, "slots": [0], "creator": True, "phase": "completed", "pushed_out": []}
        assert [each["ticket"] for each in (await alice.asks("tickets", session))["tickets"]] == tickets
        assert await alice.asks("leave", session, "--yes") == {"left": [0], "unwiped": []}
        assert "slot 0 left" in await bob.types("address", session)
        assert "Slot 0 (has left)" in await alice.types("restore", tickets[0])


@pytest.mark.processes
@pytest.mark.asyncio
async def test_join_finds_a_seat_again_and_seals_nothing_over_it() -> None:
    async with House(enclaves=1) as house:
        alice, bob, carol = (Person(name, house) for name in ("alice", "bob", "carol"))
        session, tickets, _ = await safe_treasury(alice, bob)
        burn(bob)
        told, notes = await bob.hears("join", tickets[1], "--yes", "--approve", "none")  # no enclave is trusted here
        assert told == f"You sit in slot 1 of session {session[:12]}.\n"
        assert "Found again: slot 1" in notes and "self: your key signs nothing" in notes
        assert "nothing is sealed now, and the key keeps its rule" in notes
        sessions = json.loads(await bob.types("sessions", "--json"))
        assert (sessions["mine"], sessions["holdouts"]) == ([1], [])
        await nobody_else_finds_anything(carol, tickets)


async def nobody_else_finds_anything(carol: Person, tickets: list[str]) -> None:
    """Without an identity there is nothing to restore; with another one the ticket finds nothing, and says so."""
    none = await carol.types("restore", tickets[1], code=1)
    assert "holds no wallet" in none and "put your copy of the file `identity` there" in none
    put_back(carol.house.folder / carol.name, b"07" * 32)
    told = await carol.types("restore", tickets[1], code=1)
    assert "slot 1 is taken, and not by this wallet's identity, which sits in no slot of that session" in told
    assert "put its `identity` back" in told
    assert await carol.types("sessions", "--json", "--server", carol.house.url) == ""
    made = await carol.asks("create", "--slots", "1", "--server", carol.house.url, "--network", "regtest")
    mallory = Person("mallory", carol.house)
    put_back(carol.house.folder / "mallory", b"08" * 32)
    told = await mallory.types("restore", made["tickets"][0]["ticket"], code=1)
    assert "found nothing: this wallet's identity has said no join in that session" in told
    assert "Is the file `identity` in the wallet's folder the right one?" in told


@pytest.mark.processes
@pytest.mark.asyncio
async def test_whoever_has_the_identity_is_its_owner_and_without_it_nobody_is() -> None:
    """What `keymeld identity` says, word by word: the file it names, a copy of it elsewhere, a folder without it."""
    async with House(enclaves=1) as house:
        alice, bob, thief = (Person(name, house) for name in ("alice", "bob", "thief"))
        session, tickets, _ = await safe_treasury(alice, bob)
        told = await bob.types("identity")
        path = Path(told.partition("secret in   ")[2].partition("  (back it up, with a ticket of each session")[0])
        put_back(house.folder / "thief", moved(path).upper())  # as somebody has typed it in
        assert "Found again: slot 1" in await thief.types("restore", tickets[0])
        signing = (await alice.asks("request", session, "--message", "cd" * 32, "--yes"))["signing"]
        await thief.types("approve", signing, "--yes")
        assert len((await alice.asks("result", signing, "--wait"))["signatures"]) == 1
        again = (await alice.asks("request", session, "--message", "ef" * 32, "--yes"))["signing"]
        assert "holds no wallet" in await bob.types("approve", again, "--yes", code=1)
        help_text = await bob.types("restore", "--help")
        for word in ("mode 0700", "mode 0600", "identity", "Not restored"):
            assert word in help_text

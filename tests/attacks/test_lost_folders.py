"""Attacks on somebody whose wallet folder is gone: his identity and any ticket of the session are enough (§8.5).

identity, ticket ─▶ an empty folder ─▶ the log shows his joins ─▶ he approves, rejects, asks and leaves as before

A real coordinator and a real enclave in this process; the folder is thrown away between two connections.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Client, JoinRefused, Keygen, SigningEnded
from keymeld_client.errors import ReadOnly, WalletError
from keymeld_client.line import finding
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.errors import Blamed, Reason, WireError
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.wire.payloads import KeygenJoin
from tests.client.house import NONE, SELF, House, gather, heard, house

MESSAGE = bytes(range(32))


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


def lose(home: House, name: str, *kept: str) -> None:
    """The folder is gone, but for what was backed up."""
    old, saved = home.folder / name, home.folder / f"{name}'s copy"
    saved.mkdir(mode=0o700)
    for each in ("identity", *kept):
        copy = shutil.copytree if (old / each).is_dir() else shutil.copy
        copy(old / each, saved / each)
    shutil.rmtree(old)
    saved.rename(old)


async def treasury(home: House, people: int = 2, *, open_tickets: bool = False) -> list[Ticket]:
    """Everybody's key is behind his own yes; gives a ticket for each, or the open one for each."""
    names = ["alice", "bob", "carol"][:people]
    tickets: list[Ticket] = []
    async with home.person("alice") as alice:
        opened = await alice.create_keygen(people, label="treasury", network="regtest", open_tickets=open_tickets)
        tickets = list(opened.tickets) * (people if open_tickets else 1)
        for name, ticket in zip(names, tickets, strict=True):
            if name == "alice":
                await opened.join(0, rule=SELF)
                await opened.joined()
                continue
            async with home.person(name) as person:
                await (await person.join(ticket, rule=SELF)).joined()
        await opened.safe()
    return tickets


def joins(keygen: Keygen) -> int:
    """How many joins the log of a keygen has."""
    return sum(isinstance(record.statement.payload, KeygenJoin) for record in keygen.heard.records)


async def is_whole(home: House, name: str, client: Client, keygen: Keygen) -> None:
    """The restored wallet approves what another member asks for, and asks itself; the next process too."""
    other = "alice" if name != "alice" else "bob"
    async with home.person(other) as asker:
        signing = await asker.keygen(keygen.id).request(messages=[MESSAGE])
        await (await heard(client, signing)).approve()
        (signature,) = await signing.signatures()
        assert verify(signature, MESSAGE, keygen.roster.output)


@pytest.mark.asyncio
@pytest.mark.parametrize("which", [1, 0], ids=["his own ticket", "another's ticket"])
async def test_attack_63_identity_and_any_ticket_are_enough(home: House, which: int) -> None:
    """63: loses somebody's wallet folder."""
    tickets = await treasury(home)
    lose(home, "bob")
    async with home.person("bob") as bob:
        assert bob.keygens() == ()
        keygen = await bob.restore(tickets[which].text())
        await keygen.confirm()
        assert (keygen.slots, keygen.unconfirmed(), joins(keygen)) == ((1,), (), 2)
        assert keygen.safety.safe and keygen.label == "treasury"
        await is_whole(home, "bob", bob, keygen)
    async with home.person("bob") as bob:
        (keygen,), (signing,) = bob.keygens(), bob.signings()
        assert keygen.slots == (1,) and len(await signing.signatures()) == 1
        assert await keygen.leave() == (1,)


@pytest.mark.asyncio
async def test_attack_63_an_open_ticket_is_enough(home: House) -> None:
    """63: loses somebody's wallet folder."""
    tickets = await treasury(home, 3, open_tickets=True)
    lose(home, "carol")
    async with home.person("carol") as carol:
        keygen = await carol.restore(tickets[0])
        assert keygen.slots == (2,) and joins(keygen) == 3
        signing = await keygen.request(messages=[MESSAGE])
        assert signing.holdouts() == (0, 1) and signing.mine


@pytest.mark.asyncio
async def test_attack_63_every_seat_is_found_by_the_ticket_of_one(home: House) -> None:
    """63: loses somebody's wallet folder."""
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(3, network="regtest")
        tickets = opened.tickets
        for slot, person in enumerate((bob, alice, bob)):
            await (await person.join(tickets[slot], rule=SELF)).joined()
        await opened.safe()
    lose(home, "bob")
    async with home.person("bob") as bob:
        assert (await bob.restore(tickets[2])).slots == (0, 2)
        async with home.person("alice") as alice:
            signing = await alice.keygen(opened.id).request(messages=[MESSAGE])
            await (await heard(bob, signing)).approve()
            assert len(await signing.signatures()) == 1


@pytest.mark.asyncio
async def test_attack_63_the_creator_is_the_creator_again(home: House) -> None:
    """63: loses somebody's wallet folder."""
    async with home.person("alice") as alice:
        opened = await alice.create_keygen(2, network="regtest")
        tickets = opened.tickets
        async with home.person("bob") as bob:
            await (await bob.join(tickets[1])).joined()
    lose(home, "alice")
    async with home.person("alice") as alice:
        keygen = await alice.restore(tickets[1])  # which she had given away
        assert (keygen.slots, keygen.opened, keygen.tickets) == ((), True, tickets)
        await keygen.release(1)
        await keygen.join(0)
        await keygen.joined()
        assert keygen.slots == (0,)
    async with home.person("alice") as alice:
        assert alice.keygen(keygen.id).tickets == tickets


@pytest.mark.asyncio
async def test_attack_63_what_waits_while_he_is_away_is_found_with_the_seat(home: House) -> None:
    """63: loses somebody's wallet folder."""
    tickets = await treasury(home)
    async with home.person("alice") as alice:
        signing = await alice.keygens()[0].request(messages=[MESSAGE])
    lose(home, "bob")
    async with home.person("bob") as bob:
        await bob.restore(tickets[1])
        (found,) = bob.signings()
        assert found.id == signing.id and found.awaits_me()
        await found.reject()
        with pytest.raises(SigningEnded, match="was rejected by slot 1"):
            await found.signatures()


@pytest.mark.asyncio
async def test_attack_63_nobody_joins_anew_over_his_own_seat(home: House) -> None:
    """63: loses somebody's wallet folder."""
    for open_tickets in (False, True):
        async with home.person("alice") as alice, home.person("bob") as bob:
            opened = await alice.create_keygen(3, network="regtest", open_tickets=open_tickets)
            ticket = opened.tickets[0]
            await (await bob.join(ticket, rule=SELF)).joined()
        lose(home, "bob")
        async with home.person("bob") as bob:
            with pytest.raises(WireError, match="this wallet sits in slot 0 already: nothing was sealed") as refused:
                await bob.join(ticket, rule=NONE)
            assert refused.value.reason is Reason.ALREADY_SAID
            keygen = bob.keygen(opened.id)
            assert keygen.slots == (0,) and joins(keygen) == 1
            if open_tickets:
                assert await keygen.join(1, rule=SELF) == 1, "another seat is taken where it is named"


@pytest.mark.asyncio
async def test_attack_63_another_identity_finds_nothing_and_is_told_so(home: House) -> None:
    """63: loses somebody's wallet folder."""
    tickets = await treasury(home)
    async with home.person("mallory") as mallory:
        for ticket in tickets:
            told = f"slot {ticket.slot} is taken, and not by this wallet's identity, which sits in no slot"
            for way in (mallory.restore(ticket), mallory.join(ticket)):
                with pytest.raises(WireError, match=told) as refused:
                    await way
                assert refused.value.reason is Reason.SLOT_TAKEN
        assert mallory.wallet.keygens() == (), "and nothing is remembered"
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        with pytest.raises(WalletError, match="found nothing: this wallet's identity has said no join"):
            await bob.restore(opened.tickets[1])
        assert bob.wallet.keygen(opened.id) is None


@pytest.mark.asyncio
async def test_attack_63_who_was_pushed_out_is_told_by_whom_and_not_that_he_has_a_seat(home: House) -> None:
    """63: loses somebody's wallet folder."""
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        ticket = opened.tickets[1]
        await (await bob.join(ticket)).joined()
        await opened.release(1)
    lose(home, "bob")
    async with home.person("bob") as bob:
        with pytest.raises(JoinRefused, match="slot 1: the creator released your join on 2"):
            await bob.restore(ticket)


@pytest.mark.asyncio
async def test_attack_63_a_ticket_that_lies_has_no_key_proven(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """63: loses somebody's wallet folder."""
    tickets = await treasury(home)
    lose(home, "bob")
    lie = Ticket.parse(tickets[0].text())
    object.__setattr__(lie, "group_secret", tickets[0].secret)
    proven: list[int] = []

    def noted(self: finding.Search, hello: object) -> list[object]:
        proven.append(len(self._candidates))
        return []

    monkeypatch.setattr(finding.Search, "keys", noted)
    async with home.person("bob") as bob:
        with pytest.raises(Blamed, match="foreign_group_secret"):
            await bob.restore(lie)
    assert set(proven) <= {0}


@pytest.mark.asyncio
@pytest.mark.parametrize("kept", [("keygens",), ("keygens", "streams"), ("keygens", "outbox.jsonl")], ids=str)
async def test_attack_63_a_copy_of_a_part_of_the_folder_is_whole_after_the_first_connection(
    home: House, kept: tuple[str, ...]
) -> None:
    """63: loses somebody's wallet folder."""
    async with home.person("alice") as alice, home.person("bob") as bob:
        keygens = await gather(alice, bob, rules=(SELF, SELF))
    lose(home, "bob", *kept)
    async with home.person("bob") as bob:
        (keygen,) = bob.keygens()
        assert keygen.id == keygens[0].id and keygen.slots == (1,)
        await is_whole(home, "bob", bob, keygen)


@pytest.mark.asyncio
async def test_attack_63_a_copy_from_before_the_join_finds_the_seat_by_itself(home: House) -> None:
    """63: loses somebody's wallet folder."""
    async with home.person("alice") as alice:
        opened = await alice.create_keygen(2, network="regtest")
        async with home.person("bob") as bob:
            await bob.open_ticket(opened.tickets[0])  # a ticket for a seat that another one took
        shutil.copytree(home.folder / "bob", home.folder / "bob before")
        await opened.join(0, rule=SELF)
        async with home.person("bob") as bob:
            await (await bob.join(opened.tickets[1], rule=SELF)).joined()
        await opened.safe()
    shutil.rmtree(home.folder / "bob")
    (home.folder / "bob before").rename(home.folder / "bob")
    async with home.person("bob") as bob:
        (keygen,) = bob.keygens()
        assert keygen.slots == (1,) and keygen.safety.safe
        await is_whole(home, "bob", bob, keygen)


@pytest.mark.asyncio
async def test_attack_63_as_many_candidates_are_proven_as_a_connection_takes(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """63: loses somebody's wallet folder."""
    tickets = await treasury(home, 3)
    lose(home, "carol")
    assert home.app is not None
    taken: list[int] = []
    keys = finding.Search.keys

    def few(self: finding.Search, hello: object) -> object:
        hello.limits["proofs_per_connection"] = 1  # type: ignore[attr-defined]
        found = keys(self, hello)  # type: ignore[arg-type]
        taken.append(len(found))
        return found

    monkeypatch.setattr(finding.Search, "keys", few)
    async with home.person("carol") as carol:
        assert (await carol.restore(tickets[0])).slots == (2,)
    assert max(taken) == 1 and len(taken) >= 4


@pytest.mark.asyncio
async def test_attack_63_a_log_that_was_told_otherwise_stays_read_only(home: House) -> None:
    """63: loses somebody's wallet folder."""
    tickets = await treasury(home)
    async with home.person("bob") as bob:
        keygen = bob.keygens()[0]
        evidence = {"fork": True, "why": "two histories"}
        bob.wallet.accuse(keygen.id, evidence)
    lose(home, "bob", "keygens", "streams", "evidence")
    async with home.person("bob") as bob:
        with pytest.raises(ReadOnly, match="two histories"):
            await bob.join(tickets[1])

"""Seats that change hands, by typing: who was pushed out reads it wherever he looks, and may say that it was meant."""

import json

import pytest

from examples.helpers.house import House
from tests.client.terminal import Person


@pytest.mark.processes
@pytest.mark.asyncio
async def test_who_was_pushed_out_of_a_slot_reads_it_everywhere_until_he_does_without() -> None:
    async with House(enclaves=1) as house:
        alice, carol = (Person(name, house) for name in ("alice", "carol"))
        session = await _pushed_out(alice, carol)
        released, there = "slot 1: the creator released your join on 2", "somebody else sits there now (released)"
        for told in (await alice.types("address", session), await alice.types("sessions")):
            assert released in told and there in told and "safe to fund: " not in told.replace("NOT safe to fund: ", "")
        refused = await alice.types("confirm", session, code=1)
        assert released in refused and "--without SLOT" in refused
        assert released in await alice.types("address", session, "-q", code=1)
        shown = await alice.asks("address", session)
        assert (shown["safe"], shown["pushed_out"]) == (False, [1])
        assert "not pushed out of slot 2" in await alice.types("confirm", session, "--without", "2", code=2)
        meant = await alice.types("confirm", session, "--without", "1")
        assert "The address is safe to fund: slots 0 and 1 confirmed by their participants" in meant
        assert "NOTE: slot 1 was filled anew" in meant
        assert "NOTE: slot 1 was filled anew" in await alice.types("address", session)
        (row,) = map(json.loads, (await alice.types("sessions", "--json")).splitlines())
        assert row["pushed_out"] == [] and len(row["named"]) == 1 and row["mine"] == [0]


async def _pushed_out(alice: Person, carol: Person) -> str:
    """Carol opens a keygen of three, frees the second slot in which Alice sits, and sits down there herself."""
    made = await carol.asks("create", "--slots", "3", "--network", "regtest", "--server", carol.house.url)
    session, tickets = made["session"][:8], [each["ticket"] for each in made["tickets"]]
    rule = ("--trust-enclave", carol.house.enclaves[0].identity, "--approve", "none", "--yes")
    for ticket in tickets[:2]:
        await alice.types("join", ticket, *rule)
    await carol.types("release", session, "1")
    assert "! slot 1: the creator released your join" in await alice.types("sessions")
    for ticket in tickets[1:]:
        await carol.types("join", ticket, *rule)
    return str(session)

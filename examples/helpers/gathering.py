"""What several stories begin with: people who make a group, each key sealed to an enclave of the house."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from examples.helpers.house import House
from examples.helpers.people import Person
from keymeld_client.keygens import Keygen
from keymeld_client.said.choosing import NOTHING, Allow
from keymeld_protocol.wire.shapes import Rule

NONE: Final = Rule(approval="none")
SELF: Final = Rule(approval="self")


def people_of(house: House, names: Sequence[str], rule: Rule = NONE) -> list[Person]:
    """People by name, all under one rule; they take the enclaves of the house in turn."""
    enclaves = [house.enclaves[i % len(house.enclaves)].identity for i in range(len(names))]
    pairs = zip(names, enclaves, strict=True)
    return [Person(name, house.folder / name, house.url, rule, enclave) for name, enclave in pairs]


async def gather(
    people: Sequence[Person], subsets: tuple[tuple[int, ...], ...] = (), allow: Sequence[Allow] = ()
) -> Keygen:
    """The first opens a keygen, everybody joins and confirms; gives the keygen as the first sees it."""
    first = people[0]
    opened = await (await first.wake()).create_keygen(len(people), label="group", network="regtest", subsets=subsets)
    tickets = [ticket.text() for ticket in opened.tickets]
    for slot, (person, ticket) in enumerate(zip(people, tickets, strict=True)):
        its = allow[slot] if allow else NOTHING
        client = await person.wake()
        joined = await client.join(ticket, rule=person.rule, enclave=person.enclave, label=person.name, allow=its)
        await joined.joined()
    for person in people:
        keygen = person.keygen(opened.id)
        await keygen.completed()
        await keygen.confirm()
    keygen = first.keygen(opened.id)
    await keygen.safe()
    return keygen


async def gone(people: Sequence[Person]) -> None:
    """Everybody puts the phone away."""
    for person in people:
        await person.sleep()

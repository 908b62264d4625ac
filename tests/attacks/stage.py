"""Real processes for an attack, and people with real wallets who take part.

async with house() as home, people(home, "alice", "bob") as (alice, bob):        coordinator, enclaves, wallets
    keygen = await gather([alice, bob], rules)                                   sealed, completed, confirmed
    statements(home)                                                             what lies in the coordinator's file
    await until_served(home, alice)                                              the enclave has handled all before
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

from examples.helpers.house import House
from examples.helpers.people import Person
from keymeld_protocol.values import Id
from keymeld_protocol.wire import payloads
from keymeld_protocol.wire.payloads import Note
from keymeld_protocol.wire.shapes import Payload, Rule
from tests.support.vectors import ROOT

NONE, SELF = Rule(approval="none"), Rule(approval="self")
MESSAGE = b"what nobody but members may read"
assert len(MESSAGE) == 32


@asynccontextmanager
async def house(
    enclaves: int = 1, *, hostile: str | None = None, sockets: Mapping[int, Path] | None = None, **settings: str
) -> AsyncIterator[House]:
    """A coordinator and its enclaves; a ``hostile`` one runs with that part of its honesty taken out.

    ``sockets``: what an enclave dials instead of the coordinator's own socket.
    """
    home = House(enclaves, settings)
    for number, path in (sockets or {}).items():
        home.enclaves[number].socket = path
    if hostile is not None:
        home.coordinator._module = "tests.attacks.hostile_server"
        home.coordinator.environment |= {"KEYMELD_HOSTILE": hostile, "PYTHONPATH": str(ROOT)}
    async with home:
        yield home


@asynccontextmanager
async def people(home: House, *names: str, url: str | None = None) -> AsyncIterator[tuple[Person, ...]]:
    """Somebody for each name, awake; each trusts and uses one of the enclaves, in turn."""
    async with AsyncExitStack() as awake:
        found = []
        for number, name in enumerate(names):
            enclave = home.enclaves[number % len(home.enclaves)]
            person = Person(name, home.folder / name, url or home.url, SELF, enclave.identity)
            awake.push_async_callback(person.sleep)
            await person.wake()
            found.append(person)
        yield tuple(found)


async def gather(members: Sequence[Person], rules: Sequence[Rule], label: str = "treasury") -> Id:
    """A keygen that the first creates, all join and all have confirmed."""
    keygen = await members[0].client.create_keygen(len(members), label=label, network="regtest")
    for member, rule, ticket in zip(members, rules, keygen.tickets, strict=True):
        joined = await member.client.join(ticket, rule=rule, enclave=member.enclave, label=member.name)
        await joined.joined()
    for member in members:
        await member.keygen(keygen.id).safe()
    return keygen.id


async def until_served(member: Person) -> None:
    """The member's enclave accepts a fresh join: it has handled everything that it was sent before."""
    await gather([member], [SELF], "later")


def statements(home: House) -> list[Payload | Note]:
    """Every payload in the coordinator's file, in the order of the log."""
    with closing(sqlite3.connect(f"file:{home.coordinator.database}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT payload FROM records ORDER BY rowid").fetchall()
    return [payloads.parse(row[0]) for row in rows]


def kinds(home: House) -> list[str]:
    """Their kinds."""
    return [said.kind for said in statements(home)]

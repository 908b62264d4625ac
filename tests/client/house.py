"""A house for stories: the real coordinator and real enclave minds in this process, over real loopback sockets.

async with house(tmp_path) as home:
    vault = await home.enclave("vault")
    async with home.person("alice") as alice: …             a client with a wallet of its own
    await home.restart()                                    the coordinator goes away and comes back on its log
    await home.back_up(); …; await home.put_back()          what was said in between is lost, and an epoch begins
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from keymeld_client import Client, Keygen, Rule, Signing, Trust, Wallet, connect
from keymeld_enclave.agent import Agent
from keymeld_enclave.clock import now_ms
from keymeld_enclave.config import Address
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_enclave.link import EnclaveLink
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.peer.waits import Backoff
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.payloads import Note
from keymeld_protocol.wire.statements import make
from keymeld_server.app import Coordinator, running
from keymeld_server.config import ServerConfig
from keymeld_server.store.sqlite.schema import begin_epoch
from tests.support.coordinator import secret_of

NONE, SELF = Rule(approval="none"), Rule(approval="self")


class Vault:
    """An enclave in this process, with its own link to the coordinator."""

    def __init__(self, name: str, path: Path) -> None:
        """The name decides the identity; ``path`` is the coordinator's enclave socket."""
        self.name = name
        with Secret(secret_of(name)) as secret:
            self.agent = Agent(EnclaveIdentity(Secret(secret.buffer)), now_ms)
        self.ready = asyncio.Event()
        self._link = EnclaveLink(self.agent, Address(path=str(path)), self.ready.set, random=lambda: 0.0)
        self.task = asyncio.create_task(self._link.run())

    @property
    def key(self) -> XOnlyKey:
        """Its identity."""
        return self.agent.identity.key


class House:
    """A running coordinator, its enclaves and the people who dial it."""

    def __init__(self, folder: Path) -> None:
        """Everything is kept below ``folder``."""
        self.folder = folder
        self.app: Coordinator | None = None
        self.port = 0
        self.vaults: list[Vault] = []
        self._open = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where people dial."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def trust(self) -> Trust:
        """Every enclave of this house is believed."""
        return Trust(frozenset(vault.key for vault in self.vaults))

    async def start(self) -> None:
        """The coordinator comes up, on its log and its port."""
        config = ServerConfig(
            listen_port=self.port,
            database=self.folder / "log.sqlite",
            enclave_socket=self.folder / "vault.sock",
            requests_per_second=10_000,
        )
        self.app = await self._open.enter_async_context(running(config))
        self.port = self.app.port

    async def stop(self) -> None:
        """The coordinator drains and goes away; enclaves and people lose their connections."""
        await self._open.aclose()

    async def restart(self) -> None:
        """Away and back; enclaves and people dial again by themselves."""
        for vault in self.vaults:
            vault.ready.clear()
        await self.stop()
        await self.start()

    async def back_up(self) -> None:
        """The operator copies the log as it stands; what is said after it can be lost by `put_back`."""
        await self.restart()
        shutil.copy(self.folder / "log.sqlite", self.folder / "backup.sqlite")
        await self._vaults_are_back()

    async def put_back(self) -> None:
        """The log is put back as it was backed up, and begins a new epoch; the enclaves are started anew."""
        for vault in self.vaults:
            vault.task.cancel()
        await asyncio.gather(*(vault.task for vault in self.vaults), return_exceptions=True)
        await self.stop()
        for file in self.folder.glob("log.sqlite-*"):
            file.unlink()
        shutil.copy(self.folder / "backup.sqlite", self.folder / "log.sqlite")
        begin_epoch(self.folder / "log.sqlite")
        await self.start()
        self.vaults = [Vault(vault.name, self.folder / "vault.sock") for vault in self.vaults]
        await self._vaults_are_back()

    async def _vaults_are_back(self) -> None:
        for vault in self.vaults:
            await vault.ready.wait()

    async def close(self) -> None:
        """Everybody goes home."""
        for vault in self.vaults:
            vault.task.cancel()
        await asyncio.gather(*(vault.task for vault in self.vaults), return_exceptions=True)
        await self.stop()

    async def enclave(self, name: str) -> Vault:
        """An enclave comes up and announces itself."""
        vault = Vault(name, self.folder / "vault.sock")
        self.vaults.append(vault)
        await vault.ready.wait()
        return vault

    def person(self, name: str, **options: Any) -> _Person:
        """A client whose wallet is a folder of this house; ``async with`` opens and closes both."""
        return _Person(self, self.folder / name, options)


class _Person:
    def __init__(self, house: House, folder: Path, options: dict[str, Any]) -> None:
        self.house, self.folder, self.options = house, folder, options
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Client:
        wallet = self._open.enter_context(Wallet.open(self.folder))
        options: dict[str, Any] = {"trust": self.house.trust, "backoff": Backoff(lambda: 0.0)} | self.options
        client = await self._open.enter_async_context(connect(self.house.url, wallet, **options))
        await client.ready()
        return client

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A house for the length of a block."""
    home = House(folder)
    await home.start()
    try:
        yield home
    finally:
        await home.close()


async def gather(*people: Client, rules: tuple[Rule, ...] = (NONE, SELF, NONE), confirmed: bool = True) -> list[Keygen]:
    """The first opens a keygen for all; everybody joins, and waits until it is safe, and all have ``confirmed`` it."""
    opened = await people[0].create_keygen(len(people), label="treasury", network="regtest")
    tickets = [ticket.text() for ticket in opened.tickets]
    keygens = [
        await person.join(ticket, rule=rule) for person, ticket, rule in zip(people, tickets, rules, strict=False)
    ]
    for keygen in keygens:
        await keygen.safe()
    for keygen in keygens if confirmed else ():
        await keygen.client.ledger.until(keygen.id, _confirmed_by_all)
    return keygens


def _confirmed_by_all(heard: Replay) -> bool | None:
    state = heard.as_keygen
    seats = state.seats if state is not None else ()
    return all(seat is not None and seat.confirmed == "participant" for seat in seats) or None


async def note(keygen: Keygen) -> None:
    """Say something in its stream that nobody waits for when it was lost."""
    client, heard = keygen.client, keygen.heard
    with client.wallet.identity.auth(keygen.id, keygen.slots[0]) as auth:
        said = Note(kind="note.hello", v=1, by=XOnlyKey(auth.key), stream=keygen.id, after=heard.chain.hash)
        statement = make(said, auth.sign)
    await client.say(statement)
    await client.ledger.until(keygen.id, lambda log: statement.id in log.chain.ids or None)


async def heard(client: Client, signing: Signing) -> Signing:
    """The same signing, once ``client`` has heard of it."""
    await client.ledger.until(signing.id, lambda _: True)
    return client.signing(signing.id)

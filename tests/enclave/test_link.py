"""link.py: a real agent on real sockets, at a real coordinator that comes, goes and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from keymeld_enclave import link
from keymeld_enclave.agent import Agent
from keymeld_enclave.clock import now_ms
from keymeld_enclave.config import Address
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_enclave.link import EnclaveLink
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_server.app import running
from keymeld_server.config import ServerConfig
from tests.support.remote import Remote, remote
from tests.support.world import MESSAGE, NONE, Member, secret_of

PATIENCE_S = 20.0


class Vault:
    """An enclave's link, and how often it has come."""

    def __init__(self, address: Address, name: str = "vault") -> None:
        self.agent = Agent(EnclaveIdentity(Secret(secret_of(name))), now_ms)
        self.came = asyncio.Semaphore(0)
        self.link = EnclaveLink(self.agent, address, self.came.release, random=lambda: 0.0)

    @property
    def key(self) -> XOnlyKey:
        return self.agent.identity.key

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.came.acquire()


@asynccontextmanager
async def linked(address: Address, name: str = "vault") -> AsyncIterator[Vault]:
    """An enclave that stays connected for the length of a block."""
    vault = Vault(address, name)
    task = asyncio.create_task(vault.link.run())
    try:
        yield vault
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def config(folder: Path) -> ServerConfig:
    return ServerConfig(database=folder / "log.sqlite", listen_port=0, enclave_socket=folder / "e.sock")


def unix(folder: Path) -> Address:
    return Address(path=str(folder / "e.sock"))


async def gather(house: Remote, *vaults: Vault) -> tuple[Id, list[Member]]:
    """A keygen of one slot for each vault; everybody hears until all have confirmed."""
    members = [house.member(f"member {slot}") for slot in range(len(vaults))]
    first = members[0]
    invitation = first.create(len(vaults))
    creator = first.identity.creator(house.salt_of(invitation.keygen))
    await house.prove(creator)
    await house.flush()
    await house.until(invitation.keygen, "keygen.create")
    for slot, (member, vault) in enumerate(zip(members, vaults, strict=True)):
        member.join(invitation, slot, vault.key, NONE)
        await house.prove(member.auth(invitation.keygen, slot))
    await house.flush()
    for _ in {vault.key for vault in vaults}:
        await house.until(invitation.keygen, "keygen.confirm")
    return invitation.keygen, members


async def sign(house: Remote, group: Id, members: list[Member]) -> None:
    signing = members[0].request(group, MESSAGE)
    await house.flush()
    await house.until(signing, "signing.contribute", "signatures")
    assert all(member.signatures(signing) for member in members)


@pytest.mark.asyncio
async def test_an_enclave_takes_keys_and_signs_over_a_unix_socket(tmp_path: Path) -> None:
    async with running(config(tmp_path)) as app, linked(unix(tmp_path)) as vault, remote(app.url) as house:
        await vault.ready()
        group, members = await gather(house, vault, vault, vault)
        for _ in range(3):
            await sign(house, group, members[:1])


@pytest.mark.asyncio
async def test_two_enclaves_sign_together(tmp_path: Path) -> None:
    async with (
        running(config(tmp_path)) as app,
        remote(app.url) as house,
        linked(unix(tmp_path)) as vault,
        linked(unix(tmp_path), "keep") as keep,
    ):
        await vault.ready()
        await keep.ready()
        group, members = await gather(house, vault, keep, vault)
        await sign(house, group, members)


@pytest.mark.asyncio
async def test_an_enclave_may_dial_over_tcp(tmp_path: Path) -> None:
    settings = replace(config(tmp_path), enclave_tcp="127.0.0.1:0")
    async with running(settings) as app, linked(Address(url=f"ws://127.0.0.1:{app.enclave_port}")) as vault:
        await vault.ready()
        assert vault.agent.identity.key in app.enclaves.here


@pytest.mark.asyncio
async def test_an_enclave_comes_back_to_a_coordinator_that_was_restarted(tmp_path: Path) -> None:
    async with linked(unix(tmp_path)) as vault:
        async with running(config(tmp_path)) as app, remote(app.url) as house:
            await vault.ready()
            group, members = await gather(house, vault, vault)
        async with running(config(tmp_path)) as app, remote(app.url) as again:
            await vault.ready()
            for member in members:
                member.coordinator = again
                again.peers[member.name] = member
                await again.prove(member.auth(group))
            await sign(again, group, members)


@pytest.mark.asyncio
async def test_a_new_process_with_the_same_identity_serves_the_same_keys(tmp_path: Path) -> None:
    async with running(config(tmp_path)) as app, remote(app.url) as house:
        async with linked(unix(tmp_path)) as vault:
            await vault.ready()
            group, members = await gather(house, vault, vault)
        signing = members[0].request(group, MESSAGE)
        await house.flush()
        async with linked(unix(tmp_path)) as vault:
            await vault.ready()
            await house.until(signing, "signing.contribute", "signatures")
        assert members[1].signatures(signing)


@asynccontextmanager
async def closing_with(folder: Path, *codes: int) -> AsyncIterator[list[int]]:
    """A coordinator that closes each connection with the next of these codes; gives those it has used."""
    used: list[int] = []

    async def close(socket: ServerConnection) -> None:
        used.append(codes[min(len(used), len(codes) - 1)])
        await socket.close(used[-1])

    async with unix_serve(close, str(folder / "e.sock"), compression=None):
        yield used


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [4001, 4003, 4010])
async def test_a_terminal_code_ends_the_link(tmp_path: Path, code: int) -> None:
    async with closing_with(tmp_path, code) as used:
        with pytest.raises(Ended, match=str(code)) as ended:
            await Vault(unix(tmp_path)).link.run()
    assert ended.value.terminal
    assert used == [code]


@pytest.mark.asyncio
async def test_after_any_other_code_it_dials_again(tmp_path: Path) -> None:
    async with closing_with(tmp_path, 4100, 4200, 1011, 1000, 4003) as used:
        with pytest.raises(Ended):
            await Vault(unix(tmp_path)).link.run()
    assert used == [4100, 4200, 1011, 1000, 4003]


@pytest.mark.asyncio
async def test_a_coordinator_that_reads_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "SEND_S", 0)
    never, said = asyncio.Event(), asyncio.Event()
    said.set()
    socket = SimpleNamespace(send=lambda *_, **__: never.wait())
    talk = SimpleNamespace(take=lambda _: [b"{}"])
    with pytest.raises(TimeoutError):
        await link._write(cast(Any, socket), cast(Any, talk), asyncio.Lock(), said)


@pytest.mark.asyncio
async def test_a_signal_to_end_that_comes_as_a_connection_ends_is_not_lost(tmp_path: Path) -> None:
    class Losing(EnclaveLink):
        """Told to end while its connection ends: what is raised is the loss, and the cancellation is forgotten."""

        async def _once(self) -> tuple[Ended, int]:
            task = asyncio.current_task()
            assert task is not None
            self.stop(task)
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            return Ended("", 4200), 0

    vault = Vault(unix(tmp_path))
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.create_task(Losing(vault.agent, unix(tmp_path)).run())

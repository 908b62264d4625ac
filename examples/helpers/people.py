"""People with phones: each has a wallet on disk, and a connection while the phone is awake."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from keymeld_client.client import Client, connect
from keymeld_client.keygens import Keygen
from keymeld_client.signings import Signing
from keymeld_client.wallet.trust import Trust
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.shapes import Rule


class Person:
    """Somebody who takes part; ``rule`` guards the key, ``enclave`` is whom it is sealed to and nobody else."""

    def __init__(self, name: str, folder: Path, url: str, rule: Rule, enclave: str) -> None:
        """``enclave`` is an identity (hex) that this person has read where the enclave runs; ``url`` is dialled."""
        self.name, self.folder, self.url, self.rule = name, folder, url, rule
        self.enclave = XOnlyKey.from_hex(enclave)
        self._awake: AsyncExitStack | None = None
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The open connection.

        Raises:
            RuntimeError: the phone sleeps.
        """
        if self._client is None:
            raise RuntimeError(f"{self.name} is asleep")
        return self._client

    def keygen(self, ident: Id) -> Keygen:
        """A keygen as this person sees it."""
        return self.client.keygen(ident)

    def signing(self, ident: Id) -> Signing:
        """A signing as this person sees it."""
        return self.client.signing(ident)

    async def hears(self, ident: Id) -> Signing:
        """A signing that somebody else asked for, as soon as its request has reached this phone."""
        signing = self.signing(ident)
        async for _ in signing:
            break
        return signing

    async def wake(self) -> Client:
        """Open the wallet, dial, and verify everything that was said meanwhile; an awake phone stays as it is."""
        if self._client is None:
            self._awake = AsyncExitStack()
            wallet = self._awake.enter_context(Wallet.open(self.folder))
            trust = Trust(frozenset({self.enclave}))
            self._client = await self._awake.enter_async_context(connect(self.url, wallet, trust))
            await self._client.ready()
        return self._client

    async def sleep(self) -> None:
        """Put the phone away: no connection, no key in memory; it may sleep already."""
        awake, self._awake, self._client = self._awake, None, None
        if awake is not None:
            await awake.aclose()

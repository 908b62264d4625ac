"""What every command stands on: its wallet, its coordinator, its trust; names abbreviated; a connected client.

    keymeld [options] COMMAND ──▶ App ──▶ wallet (one process at a time) ──▶ connect ──▶ caught up ──▶ the command

A question to a person is asked between two connections, never during one: whoever thinks for an hour loses nothing,
and what is approved is named by its id, which binds every byte of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from keymeld_protocol.printable import still_printable
from keymeld_protocol.values import Id, XOnlyKey

from ..clock import now_ms
from ..errors import NotConnected

if TYPE_CHECKING:
    from ..client import Client
    from ..keygens import Keygen
    from ..signings import Signing
    from ..status import Status
    from ..wallet.entries import KeygenEntry
    from ..wallet.trust import Trust
    from ..wallet.wallet import Wallet
    from .screen import Screen

DEFAULT_SERVER: Final = "ws://127.0.0.1:8765"
SHORT: Final = 12
"""Hex digits under which sessions and signings are listed."""

_DIGITS: Final = re.compile(r"[0-9a-f]+", re.ASCII | re.IGNORECASE)
T = TypeVar("T")


def data_folder() -> Path:
    """Where this platform keeps a person's data.

    Raises:
        click.UsageError: whoever runs this has no home.
    """
    try:
        if sys.platform == "darwin":
            return Path("~/Library/Application Support/keymeld").expanduser()
        return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "keymeld"
    except RuntimeError:
        raise click.UsageError("there is no home folder: name the wallet's folder, --wallet DIR") from None


@dataclass
class App:
    """What the options say, and the screen; ``go_on`` is what to type after an interruption."""

    named: Path | None = None
    server: str | None = None
    trusted: tuple[XOnlyKey, ...] = ()
    as_json: bool = False
    quiet: bool = False
    patience_ms: int = 10_000
    token: str | None = field(default=None, repr=False)
    now: Callable[[], int] = now_ms
    go_on: str = ""

    @property
    def folder(self) -> Path:
        """The wallet's: the one that was named, or the platform's."""
        return data_folder() if self.named is None else self.named

    @property
    def screen(self) -> Screen:
        """Where to write to."""
        from .screen import Screen

        return Screen(as_json=self.as_json, quiet=self.quiet)

    @property
    def chatter(self) -> Screen:
        """Where to tell what goes on meanwhile: on standard error, and to people only."""
        from .screen import Screen

        return Screen(as_json=self.as_json, quiet=self.quiet, aside=True)

    @contextmanager
    def wallet(self, *, create: bool = False) -> Iterator[Wallet]:
        """Open the wallet; only commands that begin something make one.

        Raises:
            WalletError: in use, damaged, or not there.
        """
        from ..wallet.wallet import Wallet

        with Wallet.open(self.folder, create=create) as wallet:
            yield wallet

    def trust(self, wallet: Wallet) -> Trust:
        """The enclaves believed: those the wallet remembers, and those named on the command line."""
        from ..wallet.trust import Trust

        return Trust.load(wallet).also(self.trusted)

    @asynccontextmanager
    async def online(self, wallet: Wallet, url: str) -> AsyncIterator[Client]:
        """A client that has caught up with the coordinator at ``url``.

        Raises:
            NotConnected: not within the patience that was asked for.
        """
        import asyncio

        from ..client import connect

        async with connect(url, wallet, self.trust(wallet), token=self.token, now=self.now) as client:
            self._tell_doubts(client)
            told = asyncio.create_task(self._tell_trouble(client))
            try:
                async with asyncio.timeout(self.patience_ms / 1000):
                    await client.ready()
            except TimeoutError:
                why = client.status.error or f"{url} says nothing"
                raise NotConnected(f"{why} (tried for {self.patience_ms / 1000:g} s)") from None
            finally:
                told.cancel()
            self._tell_problems(client)
            yield client

    @asynccontextmanager
    async def offline(self, wallet: Wallet, url: str) -> AsyncIterator[Client]:
        """A client that tells what the wallet has stored, whether or not there is a connection."""
        from ..client import connect

        async with connect(url, wallet, self.trust(wallet), auto_confirm=False, now=self.now) as client:
            self._tell_doubts(client)
            yield client

    def _tell_doubts(self, client: Client) -> None:
        """Say which files are damaged, and which of our own checkpoints were not believed (§4.6)."""
        for why in [*client.wallet.damaged.values(), *client.ledger.checkpoints.doubts.values()]:
            self.screen.note(why, style="yellow")

    def _tell_problems(self, client: Client) -> None:
        """Say what went wrong beside what this command is about: words of before that were refused, an endless list."""
        from .failures import text_of

        for problem in client.problems:
            self.screen.note(still_printable(text_of(problem)), style="yellow")

    async def _tell_trouble(self, client: Client) -> None:
        """Say, once, why there is no connection yet."""
        async for status in client.statuses():
            if status.state == "waiting":
                self.screen.note(trouble(status), style="yellow")
                return

    # Names ------------------------------------------------------------------------------------------------------

    def entry(self, wallet: Wallet, name: str) -> KeygenEntry:
        """The session whose name begins with ``name``.

        Raises:
            click.UsageError: there is none, or more than one.
        """
        from keymeld_protocol.keys.ticket import origin_of

        entries = [entry for entry in wallet.keygens() if entry.id.hex().startswith(name.lower())]
        exactly_one("session", name, [entry.id for entry in entries])
        if self.server is not None and origin_of(self.server) != entries[0].url:
            raise click.UsageError(f"this session lives at {entries[0].url}, not at {self.server}")
        return entries[0]

    def urls(self, wallet: Wallet) -> list[str]:
        """The coordinators of this wallet's sessions, or the one that was named."""
        from keymeld_protocol.keys.ticket import origin_of

        if self.server is not None:
            return [origin_of(self.server)]
        return list(dict.fromkeys(entry.url for entry in wallet.keygens())) or [DEFAULT_SERVER]

    # Running ----------------------------------------------------------------------------------------------------

    def with_keygen(self, wallet: Wallet, name: str, do: Callable[[Keygen], Awaitable[T]]) -> T:
        """Connect to where a session lives, and do something with it."""
        import asyncio

        entry = self.entry(wallet, name)
        self.go_on = self.go_on or f"keymeld watch {entry.id.hex()[:SHORT]}"

        async def run() -> T:
            async with self.online(wallet, entry.url) as client:
                return await do(client.keygen(entry.id))

        return asyncio.run(run())

    def with_signing(self, wallet: Wallet, name: str, do: Callable[[Signing], Awaitable[T]]) -> T:
        """Find a signing at the coordinators of this wallet, and do something with it.

        Raises:
            click.UsageError: there is none with such a name, or more than one.
        """
        import asyncio

        async def run() -> T:
            away: list[NotConnected] = []
            for url in self.urls(wallet):
                try:
                    async with self.online(wallet, url) as client:
                        if (found := self.signing(client, name)) is not None:
                            return await do(found)
                except NotConnected as error:
                    away.append(error)
            if away:
                raise away[0]
            raise unknown("signing", name)

        return asyncio.run(run())

    def signing(self, client: Client, name: str) -> Signing | None:
        """The client's signing whose name begins with ``name``, if there is one.

        Raises:
            click.UsageError: there are several.
        """
        found = [signing for signing in client.signings() if name and signing.id.hex().startswith(name.lower())]
        if not found:
            return None
        exactly_one("signing", name, [signing.id for signing in found])
        self.go_on = self.go_on or f"keymeld watch {found[0].id.hex()[:SHORT]}"
        return found[0]


def trouble(status: Status) -> str:
    """A status in words; what is quoted in it is the coordinator's."""
    return still_printable(f"… {status}")


def unknown(kind: str, name: str) -> click.UsageError:
    """The complaint about a name that nothing has; a label is none, for members choose theirs freely."""
    told = f"no {kind} of this wallet begins with {still_printable(name)!r}"
    digits = "" if _DIGITS.fullmatch(name) else ": names are hex digits, not labels"
    return click.UsageError(f"{told}{digits}; `keymeld sessions` lists them")


def exactly_one(kind: str, name: str, found: list[Id]) -> Id:
    """The one that was found.

    Raises:
        click.UsageError: there is none, or more than one.
    """
    if not name or not found:
        raise unknown(kind, name)
    if len(found) > 1:
        several = ", ".join(ident.hex()[:SHORT] for ident in found)
        raise click.UsageError(f"several {kind}s begin with {name!r}: {several}; type more of it")
    return found[0]

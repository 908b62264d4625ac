"""The commands that watch, keep and check: watch, export, verify, trust, identity."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from keymeld_protocol.errors import BadInput, KeymeldError
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.printable import still_printable
from keymeld_protocol.values import Id, XOnlyKey

from ..errors import NotConnected, WalletError
from ..shown.log import export_log, verify_log
from ..shown.results import require_all
from ..signings import Signing
from ..wallet.trust import Trust
from ..wallet.wallet import Wallet
from .app import SHORT, App, exactly_one, unknown
from .failures import OK, UNVERIFIED
from .screen import Line
from .typed.arguments import KEY
from .verbs import Verb, Verbs
from .watching import Watch, Watched

if TYPE_CHECKING:
    from ..client import Client


@click.command(
    cls=Verb,
    examples="""
    keymeld watch              every session of this wallet, until Ctrl-C
    keymeld watch 3f9a01       one session with its signings, or one signing until it has ended
    keymeld watch --json       one object per record
    """,
)
@click.argument("session", required=False)
@click.pass_obj
def watch(app: App, session: str | None) -> None:
    """Tell a SESSION live, or a signing, or all of them.

    From the first record on.  Every record is verified before it is told; whoever is still missing is named; lost
    connections are resumed.
    """
    app.go_on = f"keymeld watch {session}" if session else "keymeld watch"
    with app.wallet() as wallet:
        entries = [e for e in wallet.keygens() if session and e.id.hex().startswith(session.lower())]
        urls = [app.entry(wallet, session).url] if session and entries else app.urls(wallet)

        async def run(url: str) -> bool:
            async with app.online(wallet, url) as client:
                handles = _chosen(app, client, session, entries[0].id if entries else None)
                if handles:
                    await _watch(app, client, handles)
                return bool(handles)

        async def run_all() -> bool:
            return any(await asyncio.gather(*(run(url) for url in urls)))

        if not asyncio.run(run_all()):
            raise unknown("session or signing", session) if session else click.UsageError("this wallet has no sessions")


def _chosen(app: App, client: Client, name: str | None, keygen: Id | None) -> list[Watched]:
    """What to follow of one client's sessions."""
    if name is None:
        return [*client.keygens()]
    if keygen is not None:
        return [client.keygen(keygen)]
    found = app.signing(client, name)
    return [found] if found is not None else []


async def _watch(app: App, client: Client, handles: list[Watched]) -> None:
    """Follow until all have ended; a signing that ended badly, or a log that does not hold, is raised."""
    told = Watch(client, app.screen)
    async with told.shown():
        for handle in handles:
            told.follow(handle)
        await told.until_ended()
    if told.broken:
        raise told.broken[0]
    for handle in handles:
        if isinstance(handle, Signing):
            require_all(await handle.results())


@click.command(cls=Verb, examples="keymeld export 3f9a01 treasury.log\nkeymeld export 77ab12 - | keymeld verify -")
@click.argument("stream")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True))
@click.pass_obj
def export(app: App, stream: str, file: Any) -> None:
    """Write the log of a session or signing (STREAM) to FILE.

    `keymeld verify` checks it anywhere.  It holds no secrets: what members sealed stays sealed.  Without a connection
    it is the log as it was heard last.
    """

    async def catch_up(url: str) -> None:
        try:
            async with app.online(wallet, url):
                pass
        except NotConnected as error:
            app.screen.note(f"{still_printable(str(error))}; what was heard before is written", style="yellow")

    with app.wallet() as wallet:
        for url in app.urls(wallet):
            asyncio.run(catch_up(url))
        found = [s for s in wallet.streams() if stream and s.hex().startswith(stream.lower())]
        ident = exactly_one("session or signing", stream, found)
        lines = export_log(wallet, ident)
    for line in lines:
        file.write(f"{line}\n")
    app.screen.note(f"{len(lines)} lines of {ident.hex()[:SHORT]}; check them with: keymeld verify {file.name}")


@click.command(cls=Verb, examples="keymeld verify treasury.log\nkeymeld verify treasury.log --ticket keymeld:…")
@click.argument("log", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--ticket", help="A ticket of the session: opens and checks what members sealed, too.")
@click.pass_obj
def verify(app: App, log: str, ticket: str | None) -> None:
    """Check an exported LOG without any server.

    Signatures, hashes and steps; with a ticket also cards, address, requests and results.  Exit code 4 if anything
    does not hold.
    """
    try:
        secret = Ticket.parse(ticket) if ticket is not None else None
        with click.open_file(log, encoding="utf-8") as file:
            report = verify_log(file, secret, now=app.now)
    except BadInput as error:
        raise click.BadParameter(error.message.removeprefix("ticket: "), param_hint="'--ticket'") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{log} is no exported log: it is not text") from None
    except OSError as error:
        raise click.UsageError(f"{log} cannot be read: {error.strerror}") from None
    except KeymeldError as error:
        app.screen.complain(f"{log} is no exported log: {error}", code=UNVERIFIED)
        raise click.exceptions.Exit(UNVERIFIED) from None
    app.screen.result(
        [Text(line, _STYLES.get(line.split("  ")[0], "")) for line in report.lines()],
        {"ok": report.ok, "address": report.address, "signatures": [s.hex() for s in report.signatures],
         "findings": [{"verdict": f.verdict, "text": f.text} for f in report.findings]},
    )  # fmt: skip
    raise click.exceptions.Exit(OK if report.ok else UNVERIFIED)


_STYLES = {"holds": "green", "FAILED": "bold red", "not checked": "yellow", "proves": "bold yellow"}


# trust, identity ------------------------------------------------------------------------------------------------


@click.group(cls=Verbs, params=[], epilog="")
def trust() -> None:
    """Name the enclaves that this wallet seals keys to."""


@trust.command("list", cls=Verb, examples="keymeld trust list")
@click.pass_obj
def list_(app: App) -> None:
    """List the enclaves that are remembered."""
    with app.wallet() as wallet:
        keys = sorted(key.hex() for key in Trust.load(wallet).enclaves)
    app.screen.result(keys or ["none: keys are sealed to nobody"], {"enclaves": keys})


@trust.command(cls=Verb, examples="keymeld trust add 3f9a01…   (keymeld-enclave identity prints it)")
@click.argument("keys", nargs=-1, required=True, type=KEY, metavar="KEY...")
@click.pass_obj
def add(app: App, keys: tuple[XOnlyKey, ...]) -> None:
    """Remember enclaves by the KEY that you read there.

    `keymeld-enclave identity` prints it, where the enclave runs.
    """
    with app.wallet(create=True) as wallet:
        Trust.load(wallet).also(keys).save(wallet)
    _told(app, keys, "Trusted from now on")


@trust.command(cls=Verb, examples="keymeld trust remove 3f9a01…")
@click.argument("keys", nargs=-1, required=True, type=KEY, metavar="KEY...")
@click.pass_obj
def remove(app: App, keys: tuple[XOnlyKey, ...]) -> None:
    """Forget enclaves; what is sealed to them stays sealed.

    Nothing more is sealed to them from now on.
    """
    with app.wallet() as wallet:
        known = Trust.load(wallet).enclaves
        if missing := [key.hex() for key in keys if key not in known]:
            raise WalletError(f"{missing[0]} is not among the trusted enclaves")
        Trust(known - frozenset(keys)).save(wallet)
    _told(app, keys, "No longer trusted")


def _told(app: App, keys: tuple[XOnlyKey, ...], what: str) -> None:
    hexes = [key.hex() for key in keys]
    app.screen.result([f"{what}: {key}" for key in hexes], {"enclaves": hexes})


@click.command(cls=Verb, examples="keymeld identity")
@click.pass_obj
def identity(app: App) -> None:
    """Show which wallet this is, and where its secret lies.

    Back the file `identity` up, and keep a ticket of each session: with both, `keymeld restore` finds your seats again.
    Whoever has the identity is you; without it nobody approves, rejects or leaves for you.
    """
    with app.wallet() as wallet:
        lines, data = _identity(wallet)
    app.screen.result(lines, data)


def _identity(wallet: Wallet) -> tuple[list[Line], dict[str, Any]]:
    with wallet.identity.wallet() as signer:
        key = signer.key.hex()
    path = Path(os.path.abspath(wallet.folder)) / "identity"
    sessions = len(wallet.keygens())
    lines: list[Line] = [
        f"wallet key  {key}",
        f"sessions    {sessions}",
        f"secret in   {path}  (back it up, with a ticket of each session; show it to nobody)",
    ]
    return lines, {"wallet": key, "folder": str(path.parent), "sessions": sessions}

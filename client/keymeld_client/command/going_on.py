"""The command for a session whose coordinator was restored from a backup: go-on."""

from __future__ import annotations

import click
from rich.text import Text

from keymeld_protocol.printable import still_printable
from keymeld_protocol.values import Id

from ..keygens import Keygen
from ..signings import Signing
from .app import SHORT, App
from .screen import Line
from .verbs import Verb


@click.command("go-on", cls=Verb, examples="keymeld go-on 3f9a01\nkeymeld go-on 77ab12 --yes")
@click.argument("session")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def go_on(app: App, session: str, yes: bool) -> None:
    """Go on with a SESSION without what was lost.

    A coordinator that was restored from a backup lacks what was said after it. Every member's client says its own words
    again, and the session waits for those that are missing: for people who are away, or whose word the coordinator
    withholds. Whoever goes on without them does so for himself; a no among them has to be said again.

    Every one of them is shown, and you go on without those alone: what is lost meanwhile is waited for.
    """
    shown: dict[Id, str] = {}

    async def look(found: Keygen | Signing) -> list[Line]:
        shown.update(found.missing)
        if not shown or found.waiting is None:
            return []
        told = (f"  {still_printable(each)}" for each in shown.values())
        return [Text(f"{found.id.hex()[:SHORT]} is {still_printable(found.waiting)}", "bold"), *told]

    async def act(found: Keygen | Signing) -> list[str]:
        return [record.statement.payload.kind for record in found.go_without_lost(shown)]

    with app.wallet() as wallet:
        keygens = [entry for entry in wallet.keygens() if session and entry.id.hex().startswith(session.lower())]
        lines = app.with_keygen(wallet, session, look) if keygens else app.with_signing(wallet, session, look)
        if not lines:
            app.screen.result(["It waits for nothing."], {"without": []})
            return
        if not app.screen.ask(lines, "Go on without them?", yes):
            raise click.exceptions.Exit(1)
        gone = app.with_keygen(wallet, session, act) if keygens else app.with_signing(wallet, session, act)
    app.screen.result([f"You go on without {len(gone)} of them."], {"without": gone})

"""The commands of whoever opens a keygen: create, tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import click
from rich.text import Text

from keymeld_protocol.ticket import Ticket
from keymeld_protocol.values import Id

from ..keygens import Keygen
from .app import DEFAULT_SERVER, SHORT, App
from .arguments import LABEL, SPAN, SUBSET
from .qr import terminal_qr
from .screen import Line
from .verbs import Verb

NETWORKS = ("bitcoin", "testnet", "signet", "regtest")


# create, tickets ------------------------------------------------------------------------------------------------


@click.command(
    cls=Verb,
    examples="""
    keymeld create --slots 3 --label treasury
    keymeld create --slots 2 --network regtest --expires 2h --qr
    keymeld create --slots 3 --subset 0,1 --subset 0,2 --subset 1,2     also two-of-three spends
    """,
)
@click.option("--slots", type=click.IntRange(1, 1000), required=True, help="How many people share the key.")
@click.option("--label", type=LABEL, default="", help="A name for it; members see it, the coordinator does not.")
@click.option("--network", type=click.Choice(NETWORKS), default="bitcoin", show_default=True, help="For addresses.")
@click.option("--subset", "subsets", type=SUBSET, multiple=True, help="Slots that have a key of their own beside it.")
@click.option("--open", "open_tickets", is_flag=True, help="One ticket for any free slot, instead of one for each.")
@click.option("--expires", type=SPAN, default="7d", show_default=True, help="How long people may join.")
@click.option("--qr", is_flag=True, help="Draw each ticket as a QR code too.")
@click.pass_obj
def create(app: App, /, qr: bool, **proposal: Any) -> None:
    """Open a keygen and print a ticket for each slot.

    A ticket is a secret: it lets its holder join, and read the session.  Use one yourself (keymeld join) and hand out
    the others over channels that you trust.  With --quiet only the tickets are printed, one a line.
    """
    proposal["expires_in_ms"] = proposal.pop("expires")
    with app.wallet(create=True) as wallet:

        async def run() -> tuple[Id, tuple[Ticket, ...]]:
            async with app.online(wallet, app.server or DEFAULT_SERVER) as client:
                keygen = await client.create_keygen(**proposal)
                return keygen.id, keygen.tickets

        session, made = asyncio.run(run())
    name = session.hex()[:SHORT]
    app.screen.note(f"Opened session {name}. Each ticket is a secret; use one yourself with `keymeld join`.")
    _print_tickets(app, session, made, qr)


@click.command(cls=Verb, examples="keymeld tickets 3f9a01 --qr")
@click.argument("session")
@click.option("--qr", is_flag=True, help="Draw each ticket as a QR code too.")
@click.pass_obj
def tickets(app: App, session: str, qr: bool) -> None:
    """Print the tickets of a SESSION that you created once more."""
    with app.wallet() as wallet:
        ident = app.entry(wallet, session).id

        async def look(keygen: Keygen) -> tuple[Ticket, ...]:
            return keygen.tickets

        made = app.with_keygen(wallet, session, look)
    _print_tickets(app, ident, made, qr)


def _print_tickets(app: App, session: Id, made: tuple[Ticket, ...], qr: bool) -> None:
    """Tickets as text, and as pictures if asked for."""

    def lines() -> Iterator[Line]:
        for ticket in made:
            if not app.quiet:
                yield Text("any free slot" if ticket.slot is None else f"slot {ticket.slot}", "bold")
            yield ticket.text()
            if qr:
                yield terminal_qr(ticket.text())

    told = [{"slot": ticket.slot, "ticket": ticket.text()} for ticket in made]
    app.screen.result(lines(), {"session": session.hex(), "tickets": told})

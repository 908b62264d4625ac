"""The commands of whoever opens a keygen: create, tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.text import Text

from keymeld_protocol.bitcoin.tweaks import is_opaque
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.plaintext.contents import Terms, TermsTweak
from keymeld_protocol.values import Hash, Id

from ..keygens import Keygen
from .app import DEFAULT_SERVER, SHORT, App
from .qr import terminal_qr
from .screen import Line
from .typed import short_forms, tweaking
from .typed.arguments import LABEL, LEAF, ROOT, SPAN, SUBSET, TREE
from .typed.tweaking import GivenLeaf
from .verbs import Verb

NETWORKS = ("bitcoin", "testnet", "signet", "regtest")


# create, tickets ------------------------------------------------------------------------------------------------


@click.command(
    cls=Verb,
    examples="""
    keymeld create --slots 3 --label treasury
    keymeld create --slots 2 --network regtest --expires 2h --qr
    keymeld create --slots 3 --subset 0,1 --subset 0,2 --subset 1,2     also two-of-three spends
    keymeld create --slots 3 --leaf 20ab…ac --leaf 20cd…ac              two scripts that can spend beside the key
    """,
)
@click.option("--slots", type=click.IntRange(1, 1000), required=True, help="How many people share the key.")
@click.option("--label", type=LABEL, default="", help="A name for it; members see it, the coordinator does not.")
@click.option("--network", type=click.Choice(NETWORKS), default="bitcoin", show_default=True, help="For addresses.")
@click.option(
    "--subset",
    "subsets",
    type=SUBSET,
    multiple=True,
    help="Slots that have a key of their own beside it; the first one named is subset 0.",
)
@click.option("--tweak", type=click.Choice(["bip86", "none"]), help="No scripts: bip86 (the default), or the bare key.")
@click.option(
    "--leaf",
    "leaves",
    type=LEAF,
    multiple=True,
    help="A script that can spend beside the key, in hex; several, without depths, make a balanced tree.",
)
@click.option("--tree", "file", type=TREE, help="The same from a file, one leaf a line, depth first.")
@click.option("--root", type=ROOT, help="A tree's root that nobody can look into; who joins has to accept that.")
@click.option("--open", "open_tickets", is_flag=True, help="One ticket for any free slot, instead of one for each.")
@click.option("--expires", type=SPAN, default="7d", show_default=True, help="How long people may join.")
@click.option("--qr", is_flag=True, help="Draw each ticket as a QR code too.")
@click.option("--yes", is_flag=True, help="Do not ask about scripts.")
@click.pass_obj
def create(app: App, /, qr: bool, yes: bool, tweak: TermsTweak | None, leaves: Sequence[GivenLeaf],
           file: Sequence[GivenLeaf] | None, root: Hash | None, **proposal: Any) -> None:  # fmt: skip
    """Open a keygen and print a ticket for each slot.

    A ticket is a secret: it lets its holder join, and read the session.  Use one yourself (keymeld join) and hand out
    the others over channels that you trust.  With --quiet only the tickets are printed, one a line.

    Scripts are shown and asked about first: every address of this key commits to them, those of subsets too.
    """
    proposal["expires_in_ms"] = proposal.pop("expires")
    proposal |= _tweak(tweak, leaves, file, root)
    lines = _scripts_told(proposal)
    if lines and not app.screen.ask(lines, "Open a session with this?", yes):
        raise click.exceptions.Exit(1)
    with app.wallet(create=True) as wallet:

        async def run() -> tuple[Id, tuple[Ticket, ...]]:
            async with app.online(wallet, app.server or DEFAULT_SERVER) as client:
                keygen = await client.create_keygen(**proposal)
                return keygen.id, keygen.tickets

        session, made = asyncio.run(run())
    name = session.hex()[:SHORT]
    app.screen.note(f"Opened session {name}. Each ticket is a secret; use one yourself with `keymeld join`.")
    app.screen.note("Keep a ticket: with your identity it finds your seat again (keymeld restore).", style="dim")
    _print_tickets(app, session, made, qr)


def _tweak(
    tweak: TermsTweak | None, leaves: Sequence[GivenLeaf], file: Sequence[GivenLeaf] | None, root: Hash | None
) -> dict[str, Any]:
    """What the terms say about scripts.

    Raises:
        click.UsageError: more than one of the options, or leaves of no tree.
    """
    if sum((tweak is not None, bool(leaves), file is not None, root is not None)) > 1:
        raise click.UsageError("--tweak, --leaf, --tree and --root exclude one another")
    if root is not None:
        return {"tweak": "root", "root": root}
    if leaves or file is not None:
        try:
            return {"tweak": "tree", "tree": tweaking.tree(leaves or file or ())}
        except ValueError as error:
            raise click.UsageError(f"{'--leaf' if leaves else '--tree'}: {error}") from None
    return {"tweak": tweak or "bip86"}


def _scripts_told(proposal: dict[str, Any]) -> list[Line]:
    """What else than the key can spend, in words; nothing if it is the key alone."""
    said = {name: proposal[name] for name in ("label", "network", "tweak", "tree", "root") if name in proposal}
    terms = Terms(v=1, **said)
    lines: list[Line] = [f"Script  {line}" for line in short_forms.scripts(terms)]
    if is_opaque(terms):
        warning = "OPAQUE: nobody can see what the root hides; members join only with --accept-opaque-tweak"
        lines.append(Text(warning, "bold red"))
    return lines


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

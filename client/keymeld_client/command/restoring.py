"""The command of whoever has lost the wallet's folder: restore.

    identity, ticket ──▶ the log shows the own joins ──▶ the seats, their public rules, and what cannot be read back

Nothing is sealed, nothing is said, and no enclave has to be there.
"""

from __future__ import annotations

import asyncio
from typing import Any

import click
from rich.text import Text

from keymeld_protocol.foreign import quoted
from keymeld_protocol.keys.ticket import Ticket, origin_of
from keymeld_protocol.wording import slots_told

from ..keygens import Keygen
from .app import SHORT, App
from .screen import Line, table
from .typed import short_forms, times
from .typed.arguments import TICKET
from .verbs import Verb

NOT_BACK = (
    "Limits that were sealed with a key (who asks, whom it pays, how much) cannot be read back: the enclave has them.",
    "A key that you brought along is not here: it lies with you, and in the enclave. Seal it to no other one.",
    "A join that the coordinator hides cannot be known here: compare the roster digits with the other members.",
)
"""What a wallet that was restored lacks, for people (§8.5)."""


@click.command(
    cls=Verb,
    examples="""
    keymeld restore keymeld:keymeld.example#AQ…        with the file identity in the wallet's folder
    keymeld restore - < ticket.txt                     the ticket stays out of the shell's history
    """,
)
@click.argument("ticket", type=TICKET)
@click.pass_obj
def restore(app: App, ticket: Ticket) -> None:
    """Find your seats again, with your identity and a TICKET.

    For a wallet whose folder was lost.  Make the folder anew (mode 0700), put your copy of the file `identity` into it
    (mode 0600), and give any ticket of the session: your own, another one, or an open one.  The seats follow from the
    identity and the log; from then on you approve, reject, ask and leave as before.  Nothing is joined or sealed.

    Not restored: the enclaves that you trust (keymeld trust add), limits sealed with a key, and keys brought along.
    """
    if app.server is not None and app.server != origin_of(ticket.url):
        raise click.UsageError(f"this ticket is for {origin_of(ticket.url)}, not for {app.server}: leave --server out")

    async def run() -> tuple[list[Line], dict[str, Any]]:
        async with app.online(wallet, ticket.url) as client:
            keygen = await client.restore(ticket)
            return found(keygen), _data(keygen)

    with app.wallet() as wallet:
        lines, data = asyncio.run(run())
    app.screen.result(lines, data)
    for line in NOT_BACK:
        app.screen.note(line, style="yellow")
    app.screen.note("What waits for you: keymeld sessions", style="dim")


def found(keygen: Keygen) -> list[Line]:
    """What is this wallet's in a keygen, with the public rules of its keys, in words."""
    label, own = quoted(keygen.label) if keygen.label else "(no label)", keygen.slots
    where = f"{slots_told(own)} of session" if own else "as its creator, in no slot: session"
    lines: list[Line] = [f"Found again: {where} {keygen.id.hex()[:SHORT]} {label}, {keygen.state.phase}."]
    for slot in own:
        seat = keygen.state.seats[slot]
        if seat is not None:
            join = seat.join
            held = f"sealed to enclave {join.enclave.hex()}" if join.enclave else "on the device that made it"
            rows = [("Key", held), ("Rule", short_forms.rule_explained(join.rule))]
            rows += [("Time", line) for line in times.explained(join.rule)]
            lines += [f"Slot {slot}{' (has left)' if slot in keygen.state.left else ''}", *table(rows, ("bold",))]
    lines += [Text(f"! {each}", "bold red") for each in keygen.pushed_out]
    return lines


def _data(keygen: Keygen) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "session": keygen.id.hex(), "slots": list(keygen.slots), "creator": keygen.opened,
        "phase": keygen.state.phase.value, "pushed_out": [each.slot for each in keygen.pushed_out],
    }  # fmt: skip

"""The commands that look after a keygen: sessions, confirm, release, leave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from keymeld_protocol.foreign import quoted
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.member.roster import Safety
from keymeld_protocol.printable import still_printable
from keymeld_protocol.wording import counted, listed, slots_told

from ..errors import NotConnected
from ..keygens import Keygen
from ..signings import Signing
from .app import SHORT, App
from .failures import UNREACHABLE
from .screen import Line
from .verbs import Verb
from .watching import Watch

if TYPE_CHECKING:
    from ..client import Client


@click.command(cls=Verb, examples="keymeld sessions\nkeymeld sessions --json")
@click.pass_obj
def sessions(app: App) -> None:
    """List this wallet's sessions and signings, and who is missing.

    Without a connection it tells what was heard last, and exits with 3.
    """
    code = 0
    with app.wallet() as wallet:
        for url in app.urls(wallet):

            async def run(url: str = url) -> bool:
                try:
                    async with app.online(wallet, url) as client:
                        _list(app, client)
                        return True
                except NotConnected as error:
                    app.screen.complain(f"{error}; what follows was heard before", code=UNREACHABLE)
                async with app.offline(wallet, url) as client:
                    _list(app, client)
                    return False

            code = code if asyncio.run(run()) else UNREACHABLE
    raise click.exceptions.Exit(code)


def _list(app: App, client: Client) -> None:
    """One line for each session, and below it one for each signing."""
    watch = Watch(client, app.screen)
    if not client.keygens():
        app.screen.note("No sessions yet: `keymeld create` opens one, `keymeld join` takes part in one.")
    for keygen in client.keygens():
        label, phase = _label(keygen), keygen.state.phase
        trouble = _trouble(keygen)
        own = listed(keygen.slots) if keygen.slots else "none"
        left = f", left: {listed(tuple(keygen.state.left))}" if keygen.state.left else ""
        head = Text.assemble(
            (keygen.id.hex()[:SHORT], "bold cyan"), f"  {label}  {phase}, ",
            f"{counted(len(keygen.state.seats), 'slot')}, yours: {own}{left}",
            (_after(watch.missing(keygen)), "yellow"), (trouble, "bold red"),
        )  # fmt: skip
        told = [Text(f"  ! {each}", "bold red") for each in keygen.pushed_out]
        told += [Text(f"  NOTE: {each}", "yellow") for each in keygen.named]
        app.screen.result([head, *told], _keygen_data(keygen))
        for signing in keygen.signings():
            mark = "  ← your approval is missing" if signing.awaits_me() else ""
            line = Text.assemble(
                "  ", (signing.id.hex()[:SHORT], "cyan"), f"  signing, {signing.phase}",
                (_after(watch.missing(signing)), "yellow"), (mark, "bold"), (_trouble(signing), "bold red"),
            )  # fmt: skip
            app.screen.result([line], _signing_data(keygen, signing))


def _trouble(handle: Keygen | Signing) -> str:
    """Why nothing is said there: for good, or until what a restored coordinator has lost is back."""
    if handle.read_only:
        return f"  READ-ONLY: {still_printable(handle.read_only)}"
    return f"  {still_printable(handle.waiting)}" if handle.waiting else ""


def _after(text: str) -> str:
    """The next column of a line, if there is anything in it."""
    return f"  {text}" if text else ""


def _label(keygen: Keygen) -> str:
    return quoted(keygen.label) if keygen.label else "(no label)"


def _keygen_data(keygen: Keygen) -> dict[str, Any]:
    state = keygen.state
    return {
        "session": keygen.id.hex(),
        "kind": "keygen",
        "label": keygen.label,
        "phase": state.phase.value,
        "slots": len(state.seats),
        "mine": list(keygen.slots),
        "holdouts": list(state.holdouts()),
        "unconfirmed": list(state.unconfirmed()),
        "left": sorted(state.left),
        "read_only": keygen.read_only,
        "waiting": keygen.waiting,
        "head_age_ms": keygen.head_age_ms,
        "pushed_out": [each.slot for each in keygen.pushed_out],
        "named": list(keygen.named),
    }


def _signing_data(keygen: Keygen, signing: Any) -> dict[str, Any]:
    return {
        "session": signing.id.hex(),
        "kind": "signing",
        "keygen": keygen.id.hex(),
        "phase": signing.phase.value,
        "holdouts": list(signing.holdouts()),
        "awaits_me": signing.awaits_me(),
        "read_only": signing.read_only,
        "waiting": signing.waiting,
        "head_age_ms": signing.head_age_ms,
    }


@click.command(cls=Verb, examples="keymeld confirm 3f9a01\nkeymeld confirm 3f9a01 --without 2")
@click.argument("session")
@click.option(
    "--without",
    type=click.IntRange(0, 999),
    multiple=True,
    metavar="SLOT",
    help="You were pushed out of this slot, and that was meant. May be given more than once.",
)
@click.pass_obj
def confirm(app: App, session: str, without: Sequence[int]) -> None:
    """Verify the roster of a complete SESSION and say so.

    Every command does it by itself when it hears of a complete session; this one waits for it and tells the result.
    None does while somebody else sits in a slot that you had joined: who released it, when and with which code is told.
    """

    async def act(keygen: Keygen) -> Safety:
        await keygen.confirm(without)
        return keygen.safety

    with app.wallet() as wallet:
        safety = app.with_keygen(wallet, session, act)
    lines: list[Line] = [f"You have confirmed the roster. The address is {safety}."]
    lines += [Text(f"NOTE: {each}", "yellow") for each in safety.named]
    app.screen.result(lines, {"confirmed": True, "safe": safety.safe, "named": list(safety.named)})


@click.command(cls=Verb, examples="keymeld release 3f9a01 2")
@click.argument("session")
@click.argument("slot", type=click.IntRange(0, 999))
@click.pass_obj
def release(app: App, session: str, slot: int) -> None:
    """Free a SLOT of a SESSION that you created.

    While people still join: a squatter's, or one whose enclave is dead.  Its ticket works again; whoever sat there
    has to join anew, and who had joined before is told that the slot was filled anew.
    """

    async def act(keygen: Keygen) -> str:
        await keygen.release(slot)
        return keygen.state.phase

    with app.wallet() as wallet:
        phase = app.with_keygen(wallet, session, act)
    still = " and the keygen collects joins" if phase == KeygenPhase.COLLECTING else ""
    app.screen.result([f"Slot {slot} is free again{still}."], {"released": slot})


@click.command(cls=Verb, examples="keymeld leave 3f9a01\nkeymeld leave 3f9a01 --slot 2 --yes")
@click.argument("session")
@click.option("--slot", type=click.IntRange(0, 999), help="Only this one of your slots.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def leave(app: App, session: str, slot: int | None, yes: bool) -> None:
    """Take your key out of a SESSION, for good.

    Its envelope is deleted, its enclave wipes the key, and nothing that needs your slot is signed any more, whether it
    is asked for already or later.  The other members stay.  Nobody can undo it.
    """

    async def look(keygen: Keygen) -> list[Line]:
        own = [s for s in keygen.slots if slot in (None, s)]
        name = f"{keygen.id.hex()[:SHORT]}  {_label(keygen)}"
        lines: list[Line] = [f"Leave with {slots_told(tuple(own))}: {name}"] if own else []
        return [*lines, Text("Whatever only these keys can spend is lost: move those coins first.", "bold red")]

    async def act(keygen: Keygen) -> tuple[tuple[int, ...], tuple[int, ...]]:
        left = await keygen.leave(slot)
        with suppress(TimeoutError):
            async with asyncio.timeout(app.patience_ms / 1000):
                await keygen.wiped()
        return left, tuple(s for s in left if s in keygen.state.unwiped())

    with app.wallet() as wallet:
        if not app.screen.ask(app.with_keygen(wallet, session, look), "Leave?", yes):
            raise click.exceptions.Exit(1)
        left, unwiped = app.with_keygen(wallet, session, act)
    app.screen.result([f"You have left: {slots_told(left)}."], {"left": list(left), "unwiped": list(unwiped)})
    if unwiped:
        app.screen.note("Its enclave is away: it wipes the key as soon as it hears of this.", style="yellow")

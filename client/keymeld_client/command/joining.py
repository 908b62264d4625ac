"""The command of whoever takes part: join.

    ticket ──▶ hear the keygen, choose an enclave ──▶ all of it in words ──▶ yes? ──▶ seal, say, wait for the enclave

No key is made before the answer is yes.  Whoever sits in the slot already is told so, and nothing is done.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click
from msgspec import structs
from rich.text import Text

from keymeld_protocol.curve.secp256k1 import Secret, pubkey_of
from keymeld_protocol.foreign import quoted
from keymeld_protocol.keys.ticket import Ticket, origin_of
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.shapes import CustodyKind, Rule
from keymeld_protocol.wording import listed

from ..errors import KeygenEnded
from ..keygens import Keygen
from ..said.choosing import Choice, check_choice, policy_of, warnings, without_you
from ..said.strangers import strangers
from ..shown.telling import moment
from ..wallet.wallet import Wallet
from .app import SHORT, App
from .opened import names_of
from .restoring import NOT_BACK, found
from .screen import Line, table
from .typed import short_forms, times
from .typed.arguments import DELAY, KEY, LABEL, SECRET, TICKET, TYPED_RULE, WHEN
from .typed.limits import Limits, told, with_limits
from .verbs import Verb
from .watching import Watch

if TYPE_CHECKING:
    from ..client import Client


@dataclass(frozen=True)
class Typed:
    """What the command line says; ``limits`` get their meaning from the keygen, and only then belong to ``choice``."""

    ticket: Ticket
    slot: int | None
    choice: Choice
    limits: Limits


@dataclass(frozen=True)
class Offer:
    """What a person is asked before the key is sealed; ``seated``: this wallet sits in ``slot`` already.

    It may have forgotten that: then the ``lines`` tell what was ``restored``.
    """

    session: Id
    slot: int | None
    seated: bool
    choice: Choice
    lines: tuple[Line, ...]
    restored: bool = False


@click.command(
    cls=Verb,
    examples="""
    keymeld join keymeld:keymeld.example#AQ… --trust-enclave 3f9a…      your approval is needed for each signature
    keymeld join keymeld:… --approve 2of3 --label Alice                 two of slots 0, 1, 2 approve
    keymeld join keymeld:… --approve none --delay 24h                   a day to say no
    keymeld join - < ticket.txt                                         the ticket stays out of the shell's history
    keymeld join keymeld:… --allow bc1…:0.5btc --max-fee 20000sat       pays this address only, and up to this much
    keymeld join keymeld:… --key key.hex                                a key that you have already, from a file
    """,
)
@click.argument("ticket")
@click.option(
    "--custody",
    type=click.Choice(["sealed", "device"]),
    default="sealed",
    show_default=True,
    help="sealed: an enclave signs for you. device: only this device could (signing there comes later).",
)
@click.option(
    "--approve",
    "rule",
    type=TYPED_RULE,
    default="self",
    show_default=True,
    help="Whose yes your key waits for: none, self, 2of3, or 2of3:0,2,4.",
)
@click.option("--delay", type=DELAY, help="Your key signs so long after its enclave heard the request (at most 6d).")
@click.option("--not-before", type=WHEN, help="Your key signs nothing before this time, in UTC.")
@click.option("--not-after", type=WHEN, help="Your key signs nothing after this time, in UTC, for good.")
@click.option("--enclave", type=KEY, help="Seal to this one of the enclaves you trust.")
@click.option("--slot", type=click.IntRange(0, 999), help="With an open ticket: this slot.")
@click.option("--label", type=LABEL, default="", help="Your name; members see it, the coordinator does not.")
@with_limits
@click.option("--key", metavar="FILE", help="Bring this key: a file (mode 0600) of 64 hex digits, or - to read them.")
@click.option("--seal-again", "again", is_flag=True, help="Bring a key although this wallet has sealed it before.")
@click.option("--accept-strangers", is_flag=True, help="With an open ticket: whoever joins may be who approves.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def join(app: App, ticket: str, custody: CustodyKind, rule: Rule, delay: int | None, not_before: int | None,
         not_after: int | None, enclave: XOnlyKey | None, slot: int | None, label: str, limits: Limits,
         key: str | None, again: bool, accept_strangers: bool, yes: bool) -> None:  # fmt: skip
    """Take part with a TICKET: make a key and seal it.

    TICKET is a text, a link, or - to read it from standard input.

    A fresh key is made here and sealed, with its rule, to an enclave that you trust.  The rule cannot be tightened or
    taken back later, so it is shown in words first.  With --key it is yours that is sealed: the wallet keeps no copy,
    and whoever has one signs without any rule.

    Where you sit in that slot already, nothing is sealed: a wallet that was restored finds its seats again.
    """
    if key == ticket == "-":
        raise click.UsageError("standard input is either the TICKET or the --key")
    read, brought = _ticket(ticket), _brought(key)
    if app.server is not None and app.server != origin_of(read.url):
        raise click.UsageError(f"this ticket is for {origin_of(read.url)}, not for {app.server}: leave --server out")
    timed = _timed(rule, delay, not_before, not_after, app.now())
    lent = brought.buffer if brought is not None else None
    choice = Choice(custody, timed, enclave, label, key=lent, again=again, strangers=accept_strangers)
    typed = Typed(read, read.slot if slot is None else slot, choice, limits)
    with app.wallet(create=True) as wallet:
        offer = asyncio.run(_look(app, wallet, typed))
        if not offer.seated and not app.screen.ask(
            offer.lines, "Seal your key under this rule?" if offer.choice.enclave else "Join?", yes
        ):
            raise click.exceptions.Exit(1)
        app.go_on = f"keymeld watch {offer.session.hex()[:SHORT]}"
        taken = offer.slot if offer.seated else asyncio.run(_act(app, wallet, read, offer))
    name = offer.session.hex()[:SHORT]
    app.screen.result([f"You sit in slot {taken} of session {name}."], {"session": offer.session.hex(), "slot": taken})
    for line in (*offer.lines, *NOT_BACK) if offer.restored else ():
        app.screen.note(line)
    if offer.seated:
        app.screen.note("It was so before: nothing is sealed now, and the key keeps its rule.", style="yellow")
    app.screen.note(f"This device may go offline. Later: keymeld address {name}, keymeld watch {name}", style="dim")


async def _look(app: App, wallet: Wallet, typed: Typed) -> Offer:
    """Hear the keygen that the ticket is for, and choose an enclave.

    Raises:
        BadInput: an option names an address of another network, or a slot or subset that is not there.
    """
    known = wallet.keygen(typed.ticket.keygen_id)
    async with app.online(wallet, typed.ticket.url) as client:
        keygen, choice = await client.open_ticket(typed.ticket), typed.choice
        if mine := _seats(keygen, typed.slot):
            restored = known is None
            return Offer(keygen.id, mine[0], True, choice, tuple(found(keygen) if restored else ()), restored)
        if keygen.state.phase == KeygenPhase.EXPIRED:
            raise KeygenEnded("the time to join is over")
        enclave = await client.choose_enclave(choice.enclave) if choice.custody == "sealed" else None
        allow = typed.limits.allow(keygen.state, keygen.terms)
        return _offer(client, keygen, typed.slot, replace(choice, enclave=enclave, allow=allow))


def _seats(keygen: Keygen, slot: int | None) -> list[int]:
    """``slot``, if it is an own seat whose enclave holds its key; of an open ticket, which names none, all of them."""
    waiting = keygen.state.holdouts()
    return [own for own in keygen.slots if slot is None or (own == slot and own not in waiting)]


async def _act(app: App, wallet: Wallet, ticket: Ticket, offer: Offer) -> int:
    """Join, and tell what happens until the enclave holds the key; gives the slot."""
    async with app.online(wallet, ticket.url) as client:
        keygen = client.keygen(offer.session)
        watch, since = Watch(client, app.chatter), keygen.heard.chain.offset
        taken = await keygen.join(offer.slot, offer.choice)
        async with watch.shown():
            watch.follow(keygen, since)
            await keygen.joined(taken)
            await watch.until_told(keygen)
        return taken


def _offer(client: Client, keygen: Keygen, slot: int | None, choice: Choice) -> Offer:
    """What would be sealed, in words.

    Raises:
        BadInput: an option contradicts another, or the keygen.
        Refused: the choice would be unsafe.
    """
    state, terms, enclave = keygen.state, keygen.terms, choice.enclave
    subsets = state.create.subsets
    place = next((i for i, seat in enumerate(state.seats) if seat is None), None) if slot is None else slot
    if place is not None:
        check_choice(state, terms, place, choice, keygen.slots)
    names = names_of(client, keygen.id)
    taken = [names.slot(i) for i, seat in enumerate(state.seats) if seat is not None]
    brought = () if choice.key is None else (pubkey_of(choice.key),)
    until = moment(state.create.expires_at)
    rows = [
        ("Session", f"{keygen.id.hex()[:SHORT]}  {quoted(terms.label) if terms.label else '(no label)'}"),
        ("Network", terms.network),
        ("Slots", f"{len(state.seats)}; taken: {', '.join(taken) or 'none'}; joining until {until}"),
        ("Slot", "the first free one" if slot is None else str(slot)),
        *(("Yours", f"{key.hex()}: whoever has a copy of this key signs without any rule") for key in brought),
        ("Key", f"sealed to enclave {enclave.hex()}" if enclave else "stays on this device, which cannot sign yet"),
        ("Rule", short_forms.rule_explained(choice.rule)),
        *(("Time", line) for line in times.explained(choice.rule)),
        *(("Also", line) for line in told(choice.allow, terms, subsets)),
        *(("Script", line) for line in short_forms.scripts(terms)),
    ]
    if subsets:
        rows.append(
            ("Subsets", f"slots {' · '.join(map(listed, subsets))} also have keys of their own, under the same rule")
        )
    lines: list[Line] = [*table(rows, ("bold",))]
    lines += [Text(f"Beware: {line}.", "bold red") for line in warnings(choice.rule, choice.allow)]
    if place is not None and (found := strangers(state, place, choice.custody, policy_of(choice), keygen.slots)):
        lines.append(Text(f"Beware: {without_you(found)}.", "bold red"))
    if enclave is not None:
        lines.append("All of this is sealed with the key: it cannot be tightened or taken back afterwards.")
    return Offer(keygen.id, slot, False, choice, tuple(lines))


def _timed(rule: Rule, delay: int | None, not_before: int | None, not_after: int | None, now: int) -> Rule:
    """The rule with its times, none of which has passed at ``now`` (ms).

    Raises:
        click.UsageError: they contradict each other.
    """
    timed = structs.replace(rule, delay_ms=delay, not_before=not_before, not_after=not_after)
    if not_before is not None and not_after is not None and not_before > not_after:
        raise click.UsageError("--not-before must not lie after --not-after")
    if not_after is not None and not_after <= now:
        raise click.UsageError(f"--not-after {moment(not_after)} has passed: your key would never sign")
    return timed


def _brought(key: str | None) -> Secret | None:
    """Read the key that a person brings, if there is one: after the ticket, which says more about what is wrong.

    Raises:
        click.BadParameter: it cannot be read, or is none; repeats nothing of it.
    """
    try:
        return None if key is None else SECRET(key)
    except click.BadParameter as error:
        raise click.BadParameter(error.message, param_hint="'--key'") from None


def _ticket(text: str) -> Ticket:
    """Read a ticket: only once it is known that the key is not read from there too.

    Raises:
        click.BadParameter: it is damaged; says how, and repeats nothing of it.
    """
    try:
        return TICKET(text)  # type: ignore[no-any-return]
    except click.BadParameter as error:
        raise click.BadParameter(error.message, param_hint="'TICKET'") from None

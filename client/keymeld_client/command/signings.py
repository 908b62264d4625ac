"""The commands that judge a request: show, approve, reject, cancel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

import click
from rich.text import Text

from keymeld_protocol.errors import KeymeldError, Reason, Refused
from keymeld_protocol.machines.signing import ENDS
from keymeld_protocol.member.plan import Impossible, Plan, Planned
from keymeld_protocol.plaintext import contents
from keymeld_protocol.printable import still_printable

from ..shown.telling import age_told, moment
from ..signings import Signing
from .app import SHORT, App
from .opened import names_of
from .screen import Line, warned, warns
from .typed.arguments import SPAN
from .verbs import Verb
from .watching import Watch

SigningTold: TypeAlias = tuple[list[Line], dict[str, Any]]


@click.command(cls=Verb, examples="keymeld show 77ab12\nkeymeld show 77ab12 --json")
@click.argument("signing")
@click.pass_obj
def show(app: App, signing: str) -> None:
    """Show what a SIGNING would sign, and who has approved it.

    Amounts, addresses, change and fee come from the very bytes that are signed; this wallet computed them.
    """

    async def look(found: Signing) -> SigningTold:
        return tell_signing(app, found)

    with app.wallet() as wallet:
        lines, data = app.with_signing(wallet, signing, look)
    app.screen.result(lines, data)


def tell_signing(app: App, signing: Signing) -> SigningTold:
    """A signing for people and for scripts.

    Raises:
        Blamed: its body does not hold: nobody should approve it.
    """
    state, names = signing.state, names_of(signing.client, signing.keygen.id)
    missing = Watch(signing.client, app.screen).missing(signing)
    summary = signing.summary()
    lines: list[Line] = [Text(f"Signing {signing.id.hex()}", "bold"), *warned(summary)]
    lines.append(f"Approved by {names.all(_approved(signing))}")
    if state.consent.rejected:
        lines.append(f"Rejected by {names.all(tuple(sorted(state.consent.rejected)))}")
    ending, judgement = signing.ending, signing.judgement()
    over = f"The signing is {state.phase}." if ending is None else f"{_sentence(str(ending))}."
    lines.append(Text(missing or over, "yellow" if missing else "bold red" if state.may_be_signed else ""))
    if ending is None:
        lines += [Text(f"{_sentence(line)}.", "bold red") for line in judgement]
    if signing.state.open and (old := age_told(signing.head_age_ms)):
        lines.append(Text(f"{_sentence(old)}.", "yellow"))
    if signing.read_only:
        lines.append(Text(f"READ-ONLY: {still_printable(signing.read_only)}", "bold red"))
    elif signing.waiting:
        lines.append(Text(f"{_sentence(signing.waiting)}.", "bold red"))
    return lines, _data(signing, summary)


def _approved(signing: Signing) -> tuple[int, ...]:
    """The slots whose yes stands, or stood."""
    consent = signing.state.consent
    return tuple(sorted(set(consent.approvals) - set(consent.rejected)))


def _data(signing: Signing, summary: Sequence[str]) -> dict[str, Any]:
    """A signing for scripts."""
    state, ending, judged = signing.state, signing.ending, signing.judged()
    return {
        "signing": signing.id.hex(),
        "keygen": signing.keygen.id.hex(),
        "phase": state.phase.value,
        "code": state.code,
        "why": ending.detail if ending else "",
        "refused": list(judged.refusal.slots) if judged.refusal else [],
        "at_fault": list(judged.at_fault),
        "judgement": signing.judgement(),
        "warnings": [line.strip() for line in summary if warns(line)],
        "memo": signing.plan.body.memo,
        "items": _items_told(signing.plan),
        "transactions": [
            {"txid": spend.txid, "unsigned": spend.unsigned.hex(), "fee": spend.fee} for spend in signing.plan.spends
        ],
        "requester": state.consent.requester,
        "approved": list(_approved(signing)),
        "rejected": sorted(state.consent.rejected),
        "holdouts": list(state.holdouts()),
        "awaits_me": signing.awaits_me(),
        "expires_at": state.request.expires_at,
        "ripe_at": state.ripe_at(),
        "head_age_ms": signing.head_age_ms,
    }


def _sentence(text: str) -> str:
    """A safe text that begins like a sentence."""
    safe = still_printable(text)
    return safe[:1].upper() + safe[1:]


def _items_told(plan: Plan) -> list[dict[str, Any]]:
    """Every item for scripts: as it was sealed, with its slots; what nobody can sign has an ``error``."""
    asked: list[dict[str, Any]] = json.loads(contents.encode(plan.body))["items"]
    return [each | _item_told(item) for each, item in zip(asked, plan.items, strict=True)]


def _item_told(item: Planned) -> dict[str, Any]:
    if isinstance(item, Impossible):
        return {"slots": list(item.slots), "error": item.code, "why": item.why}
    return {"slots": list(item.slots), "message": item.message.hex(), "opaque": item.opaque, "ecdsa": item.ecdsa}


@click.command(cls=Verb, examples="keymeld approve 77ab12\nkeymeld approve 77ab12 --until 2h --yes")
@click.argument("signing")
@click.option("--until", type=SPAN, metavar="DURATION", help="Say yes for this long only; else until the request ends.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def approve(app: App, signing: str, until: int | None, yes: bool) -> None:
    """Say yes to a SIGNING, after it was shown.

    A coordinator can hold back a later no from an enclave: a short --until bounds that.
    """
    _decide(app, signing, "Approve", yes, lambda found: found.approve(until))


@click.command(cls=Verb, examples="keymeld reject 77ab12")
@click.argument("signing")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def reject(app: App, signing: str, yes: bool) -> None:
    """Say no to a SIGNING, for good.

    An earlier yes is withdrawn; an enclave heeds it as soon as it hears it.
    """
    _decide(app, signing, "Reject", yes, lambda found: found.reject())


@click.command(cls=Verb, examples="keymeld cancel 77ab12")
@click.argument("signing")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def cancel(app: App, signing: str, yes: bool) -> None:
    """Take back a SIGNING that you asked for, until anyone signs."""
    _decide(app, signing, "Cancel", yes, lambda found: found.cancel())


def _decide(app: App, name: str, verb: str, yes: bool, say: Any) -> None:
    """Show a signing, ask, and say the word about exactly that one."""

    async def look(found: Signing) -> tuple[str, list[Line], SigningTold | None]:
        if not found.state.open:
            ended = found.ending or f"the signing is {found.phase}"
            raise _Over(f"{ended}; nothing can be said about it any more")
        try:
            lines, data = tell_signing(app, found)
        except KeymeldError as error:
            if verb == "Approve":
                raise
            return found.id.hex(), [Text(f"It cannot be shown: {still_printable(str(error))}", "bold red")], None
        said = _said_before(found, verb)
        return found.id.hex(), lines, ([f"{said}; {_end(app, found)}"], data | {"said": verb.lower()}) if said else None

    async def act(found: Signing) -> tuple[dict[str, Any], str]:
        await say(found)
        return {"signing": found.id.hex(), "said": verb.lower(), "phase": found.phase.value}, _end(app, found)

    with app.wallet() as wallet:
        ident, lines, said = app.with_signing(wallet, name, look)
        if said is not None:
            return app.screen.result(*said)
        if not app.screen.ask(lines, f"{verb} this?", yes):
            raise click.exceptions.Exit(1)
        data, end = app.with_signing(wallet, ident, act)
    app.screen.result([f"{_PAST[verb]} signing {ident[:SHORT]}; {end}"], data)
    if data["phase"] not in ENDS:
        app.screen.note(f"This device may go offline. keymeld watch {ident[:SHORT]} shows how it goes on.", style="dim")


_PAST = {"Approve": "You approved", "Reject": "You rejected", "Cancel": "You took back"}


def _said_before(found: Signing, verb: str) -> str:
    """What this wallet has said about a signing, if that is what it is about to say; "" if not.

    Raises:
        Refused: it cannot say it.
        _Over: it has said no, and that is for good.
    """
    own, consent = found.keygen.slots, found.state.consent
    if verb == "Cancel":
        if not found.mine:
            raise Refused(Reason.NOT_ALLOWED, "only who asked for it takes a request back; your no is: keymeld reject")
        return ""
    left = [slot for slot in own if slot not in consent.rejected]
    if own and not left:
        if verb == "Approve":
            raise _Over("you have rejected this signing, for good")
        return f"You have rejected signing {found.id.hex()[:SHORT]} already"
    if verb == "Approve" and left and all(consent.counts(slot, found.client.now()) for slot in left):
        until = moment(min(consent.approvals[slot] for slot in left))
        return f"You have approved signing {found.id.hex()[:SHORT]} already, until {until}"
    return ""


def _end(app: App, found: Signing) -> str:
    """How a sentence about a signing ends: who is missing, or where it stands."""
    return Watch(found.client, app.chatter).missing(found) or f"the signing is {found.phase}"


class _Over(KeymeldError):
    """The signing has ended."""

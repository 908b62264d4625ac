"""The commands that use a key together: request, show, approve, reject, cancel, result."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import click
from rich.text import Text

from keymeld_protocol.body import Body, SignEcdsa, SignMessage
from keymeld_protocol.ecdsa import der as to_der
from keymeld_protocol.errors import KeymeldError, Reason, Refused
from keymeld_protocol.plan import Impossible, Planned, plan
from keymeld_protocol.printable import printable
from keymeld_protocol.psbt import Signed
from keymeld_protocol.roster import Roster
from keymeld_protocol.signing import ENDS
from keymeld_protocol.values import Message

from ..asking import Unsigned, make_body
from ..keygens import Keygen
from ..ledger import now_ms
from ..results import ItemError, ItemResult
from ..signings import Signing
from ..telling import BLIND, moment, told_kind
from . import words
from .app import SHORT, App
from .arguments import MEMO, MESSAGE, PSBT, SPAN, SPENT, TRANSACTION
from .reading import names_of
from .screen import Line
from .verbs import Verb
from .watching import Watch

Told = tuple[list[Line], dict[str, Any]]


# request --------------------------------------------------------------------------------------------------------


@click.command(
    cls=Verb,
    examples="""
    keymeld request 3f9a01 --tx unsigned.hex --spent 5000000000              one input, paid to the group's address
    keymeld request 3f9a01 --tx 0200… --spent 0.5btc --spent 20000:5120ab…   two inputs, in their order
    keymeld request 3f9a01 --psbt spend.psbt                                 every input that the group can sign
    keymeld request 3f9a01 --message HEX --memo 'login'                      32 bytes that nobody can see through
    keymeld request 3f9a01 --ecdsa HEX                                       the same, with ECDSA, by a single key
    """,
)
@click.argument("session")
@click.option(
    "--tx",
    "transactions",
    type=TRANSACTION,
    multiple=True,
    help="An unsigned transaction; each input that spends the group's script is signed.",
)
@click.option(
    "--spent",
    type=SPENT,
    multiple=True,
    help="What an input spends, in the order of the inputs: satoshi (or 0.5btc), and its scriptPubKey "
    "unless it is the group's own.",
)
@click.option(
    "--psbt",
    "psbts",
    type=PSBT,
    multiple=True,
    help="A PSBT; each input that the group or one of its subsets can sign is signed (- reads it, with --yes).",
)
@click.option("--message", "messages", type=MESSAGE, multiple=True, help="32 bytes to sign blindly.")
@click.option(
    "--ecdsa", type=MESSAGE, multiple=True, help="32 bytes to sign blindly with ECDSA; a key of one slot can."
)
@click.option("--subset", type=click.IntRange(0, 199), help="Sign with this subset's key.")
@click.option("--memo", type=MEMO, default="", help="Why; members see it, the coordinator does not.")
@click.option(
    "--expires",
    type=SPAN,
    help="How long approvals may take (at most 7d).  [default: 24h, and so much longer as delays take]",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def request(app: App, session: str, transactions: Sequence[bytes], spent: Sequence[tuple[int, bytes | None]],
            psbts: Sequence[bytes], messages: Sequence[Message], ecdsa: Sequence[Message], subset: int | None,
            memo: str, expires: int | None, yes: bool) -> None:  # fmt: skip
    """Ask the members of a SESSION for signatures.

    What would be signed is computed and shown here first.  A request is also your own approval.  With --quiet only the
    name of the signing is printed.
    """
    if not (transactions or psbts or messages or ecdsa):
        raise click.UsageError("nothing to sign: give --psbt, --tx with its --spent, --message or --ecdsa")

    async def look(keygen: Keygen) -> tuple[Body, list[Line]]:
        pairs = _pair(transactions, spent, keygen.roster.script(subset))
        body = make_body(keygen.roster, pairs, messages, memo, subset, psbts, ecdsa)
        return body, _preview(body, keygen.roster)

    async def act(keygen: Keygen) -> tuple[str, str]:
        signing = await keygen.request(body=body, expires_in_ms=expires)
        return signing.id.hex(), Watch(keygen.client, app.chatter).missing(signing)

    with app.wallet() as wallet:
        body, lines = app.with_keygen(wallet, session, look)
        if not app.screen.ask(lines, "Ask for these signatures?", yes):
            raise click.exceptions.Exit(1)
        ident, missing = app.with_keygen(wallet, session, act)
    app.screen.result([ident if app.quiet else f"Requested: signing {ident[:SHORT]}"], {"signing": ident})
    app.screen.note(missing, style="yellow")
    app.screen.note(f"Next: keymeld watch {ident[:SHORT]}, then keymeld result {ident[:SHORT]}", style="dim")


def _pair(transactions: Sequence[bytes], spent: Sequence[tuple[int, bytes | None]], own: bytes) -> list[Unsigned]:
    """Give each transaction as many of the spent outputs as it has inputs, in order.

    Raises:
        click.UsageError: there are more or fewer.
    """
    outputs = [(amount, own if script is None else script) for amount, script in spent]
    counts = [words.inputs_of(raw) for raw in transactions]
    if sum(counts) != len(outputs):
        raise click.UsageError(f"--spent: {sum(counts)} are needed, one for each input; {len(outputs)} were given")
    pairs: list[Unsigned] = []
    for raw, count in zip(transactions, counts, strict=True):
        pairs.append((raw, outputs[:count]))
        del outputs[:count]
    return pairs


def _preview(body: Body, roster: Roster) -> list[Line]:
    """What would be signed, in words, from exactly what would be sealed."""
    made = plan(body, roster)
    lines: list[Line] = []
    for spend in made.spends:
        lines += [f"Transaction {spend.txid}"]
        lines += [f"  {line}" for line in roster.summary(spend, made.payers).lines()]
    for asked in body.items:
        if isinstance(asked, (SignMessage, SignEcdsa)):
            lines += [f"Message{told_kind(asked)} {asked.message.hex()}", Text(f"  {BLIND}", "bold red")]
    return lines


# show, approve, reject, cancel ----------------------------------------------------------------------------------


@click.command(cls=Verb, examples="keymeld show 77ab12\nkeymeld show 77ab12 --json")
@click.argument("signing")
@click.pass_obj
def show(app: App, signing: str) -> None:
    """Show what a SIGNING would sign, and who has approved it.

    Amounts, addresses, change and fee come from the very bytes that are signed; this wallet computed them.
    """

    async def look(found: Signing) -> Told:
        return tell_signing(app, found)

    with app.wallet() as wallet:
        lines, data = app.with_signing(wallet, signing, look)
    app.screen.result(lines, data)


def tell_signing(app: App, signing: Signing) -> Told:
    """A signing for people and for scripts.

    Raises:
        Blamed: its body does not hold: nobody should approve it.
    """
    state, names = signing.state, names_of(signing.client, signing.keygen.id)
    approved = tuple(sorted(set(state.consent.approvals) - set(state.consent.rejected)))
    missing = Watch(signing.client, app.screen).missing(signing)
    lines: list[Line] = [Text(f"Signing {signing.id.hex()}", "bold"), *signing.summary()]
    lines.append(f"Approved by {names.all(approved)}")
    if state.consent.rejected:
        lines.append(f"Rejected by {names.all(tuple(sorted(state.consent.rejected)))}")
    lines.append(Text(missing or f"The signing is {state.phase}.", "yellow" if missing else ""))
    if signing.read_only:
        lines.append(Text(f"READ-ONLY: {printable(signing.read_only)}", "bold red"))
    if state.may_be_signed:
        lines.append(Text("It may be signed all the same: treat its coins as spent.", "bold red"))
    return lines, {
        "signing": signing.id.hex(),
        "keygen": signing.keygen.id.hex(),
        "phase": state.phase.value,
        "memo": signing.plan.body.memo,
        "items": [_item_told(item) for item in signing.plan.items],
        "transactions": [
            {"txid": spend.txid, "unsigned": spend.unsigned.hex(), "fee": spend.fee} for spend in signing.plan.spends
        ],
        "requester": state.consent.requester,
        "approved": list(approved),
        "rejected": sorted(state.consent.rejected),
        "holdouts": list(state.holdouts()),
        "awaits_me": signing.awaits_me(),
        "expires_at": state.request.expires_at,
        "ripe_at": state.ripe_at(),
    }


def _item_told(item: Planned) -> dict[str, Any]:
    """One item for scripts; one that nobody can sign has an ``error`` instead of a message."""
    if isinstance(item, Impossible):
        return {"slots": list(item.slots), "error": item.code, "why": printable(item.why)}
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
    """Take back a SIGNING that you requested, before it begins."""
    _decide(app, signing, "Cancel", yes, lambda found: found.cancel())


def _decide(app: App, name: str, verb: str, yes: bool, say: Any) -> None:
    """Show a signing, ask, and say the word about exactly that one."""

    async def look(found: Signing) -> tuple[str, list[Line], Told | None]:
        if not found.state.open:
            raise _Over(f"the signing has ended ({found.phase}); nothing can be said about it any more")
        try:
            lines, data = tell_signing(app, found)
        except KeymeldError as error:
            if verb == "Approve":
                raise
            return found.id.hex(), [Text(f"It cannot be shown: {printable(str(error))}", "bold red")], None
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
    if verb == "Approve" and left and all(consent.counts(slot, now_ms()) for slot in left):
        until = moment(min(consent.approvals[slot] for slot in left))
        return f"You have approved signing {found.id.hex()[:SHORT]} already, until {until}"
    return ""


def _end(app: App, found: Signing) -> str:
    """How a sentence about a signing ends: who is missing, or where it stands."""
    return Watch(found.client, app.chatter).missing(found) or f"the signing is {found.phase}"


# result ---------------------------------------------------------------------------------------------------------


@click.command(
    cls=Verb,
    examples="""
    keymeld result 77ab12
    keymeld result 77ab12 --wait --quiet > signed.hex
    keymeld result 77ab12 --psbt spend.psbt --quiet > signed.psbt   what was asked for, with the signatures in it
    """,
)
@click.argument("signing")
@click.option("--psbt", "psbts", type=PSBT, multiple=True, help="Put the signatures into this PSBT; print base64.")
@click.option("--wait", is_flag=True, help="Wait for it, with live progress, instead of failing.")
@click.pass_obj
def result(app: App, signing: str, wait: bool, psbts: Sequence[bytes]) -> None:
    """Print the signatures and transactions of a SIGNING.

    The transactions are ready for the network; every signature was verified here. One by ECDSA is printed in DER too,
    which scripts take.
    With --quiet only the transactions are printed, or the signatures where there is no transaction; with --psbt only
    the PSBTs, in the order of the request, all else in them as it was.
    """

    async def look(found: Signing) -> Told:
        watch = Watch(found.client, app.chatter)
        if found.state.open and not wait:
            why = watch.missing(found) or f"the signing is {found.phase}"
            raise _NotYet(f"not signed yet, {why}; --wait waits for it")
        async with watch.shown():
            if found.state.open:
                watch.follow(found)
            results = await found.results()
            failed = [i for i, result in enumerate(results) if isinstance(result, ItemError)]
            open_items = [i for i, result in enumerate(results) if isinstance(result, tuple)]
            transactions = () if failed or open_items else await found.transactions()
            filled = await found.psbts(psbts) if psbts or not (failed or open_items) else ()
            await watch.until_told(found)
        hexes = [_hex_of(result) for result in results]
        raws = [raw.hex() for raw in transactions]
        data: dict[str, Any] = {"signing": found.id.hex(), "signatures": hexes, "failed": failed, "transactions": raws}
        ders = {i: to_der(r) for i, r in enumerate(results) if isinstance(r, bytes) and found.plan.item(i).ecdsa}
        data |= {"der": [ders[i].hex() if i in ders else None for i in range(len(hexes))]} | _psbt_data(filled)
        if psbts:
            return _numbered("psbt", data["psbts"], app.quiet), data
        if app.quiet:
            return _numbered("", raws or hexes, True), data
        heads = [_head_of(result) for result in results]
        lines: list[Line] = [f"{head} {i}  {text}" for i, (head, text) in enumerate(zip(heads, hexes, strict=True))]
        lines += [f"in DER    {i}  {encoded.hex()}" for i, encoded in ders.items()]
        return lines + _numbered("transaction", raws, False), data

    with app.wallet() as wallet:
        lines, data = app.with_signing(wallet, signing, look)
    app.screen.result(lines, data)


def _hex_of(result: ItemResult) -> str:
    """What came of an item: its signature, its pre-signatures with their points, or why it failed."""
    if isinstance(result, ItemError):
        return result.code
    if isinstance(result, tuple):
        return " ".join(f"{each.presignature.hex()} for {each.point.hex()}" for each in result)
    return result.hex()


def _head_of(result: ItemResult) -> str:
    if isinstance(result, ItemError):
        return "FAILED   "
    return "pre-signature" if isinstance(result, tuple) else "signature"


def _psbt_data(filled: Sequence[Signed]) -> dict[str, list[Any]]:
    """The PSBTs in base64, and which of the transactions have everybody's signatures."""
    return {
        "psbts": [b64encode(each.psbt).decode() for each in filled],
        "complete": [each.final is not None for each in filled],
    }


def _numbered(name: str, texts: Sequence[str], bare: bool) -> list[Line]:
    """One line for each text, behind its name and number unless ``bare``."""
    return [text if bare else f"{name} {i}  {text}" for i, text in enumerate(texts)]


class _NotYet(KeymeldError):
    """There is no result yet."""


class _Over(KeymeldError):
    """The signing has ended."""

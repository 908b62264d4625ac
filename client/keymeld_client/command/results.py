"""The command that takes what was signed: result."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from rich.text import Text

from keymeld_protocol.curve.ecdsa import der as to_der
from keymeld_protocol.curve.secp256k1 import Bytes, Secret
from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.member.plan import Item
from keymeld_protocol.printable import still_printable
from keymeld_protocol.values import Signature
from keymeld_protocol.wording import slots_told

from ..shown.presigned import Presigned
from ..shown.results import ItemError, ItemResult, completed, require_all
from ..signings import Signing
from .app import App
from .screen import Line
from .typed.arguments import PSBT, SECRET
from .verbs import Verb
from .watching import Watch

if TYPE_CHECKING:
    from keymeld_protocol.bitcoin.psbt import Signed

ResultTold: TypeAlias = tuple[list[Line], dict[str, Any], tuple[ItemResult, ...]]


@click.command(
    cls=Verb,
    examples="""
    keymeld result 77ab12
    keymeld result 77ab12 --wait --quiet > signed.hex
    keymeld result 77ab12 --psbt spend.psbt --quiet > signed.psbt   what was asked for, with the signatures in it
    keymeld result 77ab12 --secret swap.secret                      with what completes its pre-signatures
    """,
)
@click.argument("signing")
@click.option("--psbt", "psbts", type=PSBT, multiple=True, help="Put the signatures into this PSBT; print base64.")
@click.option("--secret", "secrets", type=SECRET, multiple=True,
              help="A file with a secret that completes pre-signatures: 64 hex digits (- reads it).")  # fmt: skip
@click.option("--wait", is_flag=True, help="Wait for it, with live progress, instead of failing.")
@click.pass_obj
def result(app: App, signing: str, wait: bool, psbts: Sequence[bytes], secrets: Sequence[Secret]) -> None:
    """Print the signatures and transactions of a SIGNING.

    The transactions are ready for the network; every signature was verified here. One by ECDSA is printed in DER too,
    which scripts take. An item may fail alone: it is told why, and the exit code is 1.
    With --quiet only the transactions are printed, or the signatures where there is no transaction; with --psbt only
    the PSBTs, in the order of the request, all else in them as it was.

    Of what was asked with --adaptor the pre-signatures are printed, and the points whose secrets complete them; with
    --secret what it completes.  Publishing that tells the secret to whoever holds the pre-signature.
    """

    async def look(found: Signing) -> ResultTold:
        watch = Watch(found.client, app.chatter)
        if found.state.open and not wait:
            why = watch.missing(found) or f"the signing is {found.phase}"
            raise _NotYet(f"not signed yet, {why}; --wait waits for it")
        async with watch.shown():
            if found.state.open:
                watch.follow(found)
            took = await _take(found, psbts, [secret.buffer for secret in secrets])
            await watch.until_told(found)
        if psbts:
            return _numbered("psbt", took.data["psbts"], app.quiet), took.data, took.made
        return took.bare() if app.quiet else took.lines(), took.data, took.made

    try:
        with app.wallet() as wallet:
            lines, data, made = app.with_signing(wallet, signing, look)
    finally:
        for secret in secrets:
            secret.wipe()
    app.screen.result(lines, data)
    if psbts and not all(data["complete"]):
        app.screen.note("A PSBT is not complete: without --psbt you are told what came of each item.", style="yellow")
    require_all(made)


@dataclass(frozen=True)
class _Took:
    """What came of a signing: ``made`` by the signers, ``done`` with the secrets; an incomplete transaction is None."""

    signing: Signing
    made: tuple[ItemResult, ...]
    done: tuple[ItemResult, ...]
    psbts: tuple[Signed, ...]
    transactions: tuple[bytes | None, ...]

    @property
    def data(self) -> dict[str, Any]:
        """For scripts: with everything that `keymeld adaptor` asks for."""
        return {
            "signing": self.signing.id.hex(),
            "signatures": [each.hex() if isinstance(each, Signature) else None for each in self.done],
            "der": [None if encoded is None else encoded.hex() for encoded in self.ders],
            "failed": [_failed(i, each) for i, each in enumerate(self.done) if isinstance(each, ItemError)],
            "presignatures": [_presigned(i, one) for i, each in enumerate(self.made) for one in _several(each)],
            "transactions": [None if raw is None else raw.hex() for raw in self.transactions],
            "psbts": [b64encode(each.psbt).decode() for each in self.psbts],
            "complete": [each.final is not None for each in self.psbts],
        }

    @property
    def ders(self) -> list[bytes | None]:
        """The ECDSA signatures as scripts take them, by item."""
        planned = zip(self.done, self.signing.plan.items, strict=True)
        return [
            to_der(each) if isinstance(each, Signature) and isinstance(item, Item) and item.ecdsa else None
            for each, item in planned
        ]

    def bare(self) -> list[Line]:
        """The transactions alone; without any, or where an item failed, what came of each item."""
        failed = any(isinstance(each, ItemError) for each in self.done)
        ready: list[Line] = [] if failed else [raw.hex() for raw in self.transactions if raw is not None]
        return ready or [text for each in self.done for text in _hexes(each)]

    def lines(self) -> list[Line]:
        """All of it, and what a pre-signature waits for."""
        raws = ["is not complete" if raw is None else raw.hex() for raw in self.transactions]
        items = [line for i, each in enumerate(self.done) for line in _lines(i, each)]
        items += [f"in DER    {i}  {encoded.hex()}" for i, encoded in enumerate(self.ders) if encoded is not None]
        return items + _numbered("transaction", raws, False)


async def _take(signing: Signing, psbts: Sequence[bytes], secrets: Sequence[Bytes]) -> _Took:
    """The results, completed as far as the secrets go.

    Raises:
        click.UsageError: secrets were given, and complete nothing.
    """
    made = await signing.results()
    done = tuple(completed(each, secrets) for each in made)
    if secrets and done == made:
        raise click.UsageError(f"--secret: completes nothing here; {_still_missing(made, secrets)}")
    filled = await signing.psbts(psbts, secrets)
    transactions: tuple[bytes | None, ...] = tuple(each.final for each in filled)
    if all(isinstance(each, Signature) for each in done):
        raws = await signing.transactions(secrets)
        transactions = tuple(each.final or raw for each, raw in zip(filled, raws, strict=True))
    return _Took(signing, made, done, filled, transactions)


def _still_missing(made: Sequence[ItemResult], secrets: Sequence[Bytes]) -> str:
    """Which secrets the first item that some of ``secrets`` fit waits for; or how to find out."""
    for each in (one for result in made for one in _several(result)):
        if len(missing := each.missing(secrets)) < len(each.points):
            return f"an item needs the secret of {' and '.join(point.hex() for point in missing)} too"
    return "without it the points are shown that wait for theirs"


def _several(result: ItemResult) -> tuple[Presigned, ...]:
    """The pre-signatures of an item, if that is what it has."""
    return result if isinstance(result, tuple) else ()


def _hexes(result: ItemResult) -> list[str]:
    """What came of an item, in hex: its signature, or its pre-signatures; of a failure the code."""
    if isinstance(result, ItemError):
        return [result.code]
    return [result.hex()] if isinstance(result, Signature) else [each.presignature.hex() for each in result]


def _lines(item: int, result: ItemResult) -> list[Line]:
    """What came of an item, and below a pre-signature whose secrets complete it."""
    if isinstance(result, ItemError):
        return [
            Text(
                f"FAILED    {item}  {result.code}, {slots_told(result.slots)}: {still_printable(result.why)}",
                "bold red",
            )
        ]
    if not isinstance(result, tuple):
        return [f"signature {item}  {result.hex()}"]
    found: list[Line] = []
    for each in result:
        points = " and ".join(point.hex() for point in each.points)
        found.append(f"pre-signature {item}  {each.presignature.hex()}")
        found.append(Text(f"  waits for the secret{'s' * (len(each.points) > 1)} of {points}", "yellow"))
    return found


def _failed(item: int, error: ItemError) -> dict[str, Any]:
    """An item that was not signed, for scripts."""
    return {"item": item, "code": error.code, "slots": list(error.slots), "why": error.why}


def _presigned(item: int, each: Presigned) -> dict[str, Any]:
    """A pre-signature of an item for scripts; ``point`` is what it is locked to, several points together."""
    return {
        "item": item,
        "presignature": each.presignature.hex(),
        "points": [point.hex() for point in each.points],
        "point": each.point.hex(),
        "message": each.message.hex(),
        "key": each.output.hex(),
    }


def _numbered(name: str, texts: Sequence[str], bare: bool) -> list[Line]:
    """One line for each text, behind its name and number unless ``bare``."""
    return [text if bare else f"{name} {i}  {text}" for i, text in enumerate(texts)]


class _NotYet(KeymeldError):
    """There is no result yet."""

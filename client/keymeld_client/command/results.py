"""The command that takes what was signed: result."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, TypeAlias

import click

from keymeld_protocol.ecdsa import der as to_der
from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.psbt import Signed

from ..results import ItemError, ItemResult
from ..signings import Signing
from .app import App
from .arguments import PSBT
from .screen import Line
from .verbs import Verb
from .watching import Watch

Told: TypeAlias = tuple[list[Line], dict[str, Any]]


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
            whole = all(isinstance(result, bytes) for result in results)
            transactions = await found.transactions() if whole else ()
            filled = await found.psbts(psbts) if psbts or whole else ()
            await watch.until_told(found)
        hexes = [_hex_of(result) for result in results]
        raws = [(each.final or raw).hex() for each, raw in zip(filled, transactions, strict=True)]
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

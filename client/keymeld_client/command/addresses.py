"""The command that shows where to send coins: address, of the group, of a subset, of their children.

roster ─▶ key list ─┬─▶ address, descriptor
                    └─▶ xpub (BIP-328) ─▶ children 0/n (receive), 1/n (change)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import click
from rich.text import Text

from keymeld_protocol.bitcoin.children import path_told
from keymeld_protocol.bitcoin.transaction import taproot_address, taproot_script
from keymeld_protocol.errors import BadInput, Reason, Refused
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.wording import slots_told

from ..errors import PushedOut
from ..keygens import Keygen
from ..shown.telling import age_told
from .app import App
from .opened import names_of
from .screen import Line
from .typed import short_forms
from .typed.arguments import PATHS
from .verbs import Verb

Path: TypeAlias = tuple[int, ...]
_ALONE: Final = "slot {} signs alone only if its participant said so in joining (--alone), which nobody else can see"


@click.command(
    cls=Verb,
    examples="""
    keymeld address 3f9a01
    keymeld address 3f9a01 --child 0/0-9            the first ten receive addresses; change is 1/0, 1/1 …
    keymeld address 3f9a01 --descriptor -q          for a watch-only wallet: tr(musig(…))
    keymeld address 3f9a01 --xpub --descriptor -q   the same for all children: tr(xpub…/<0;1>/*)
    """,
)
@click.argument("session")
@click.option("--subset", type=click.IntRange(0, 199), help="The address of a subset instead: 0 is the first.")
@click.option("--child", "children", type=PATHS, default=(), help="Addresses of children (BIP-328): 0/5, or 0/0-9.")
@click.option("--descriptor", is_flag=True, help="For watch-only wallets, with its checksum (BIP-380, 390).")
@click.option("--xpub", is_flag=True, help="The xpub of all children; with --descriptor, what follows them all.")
@click.pass_obj
def address(app: App, session: str, subset: int | None, children: Sequence[Path], descriptor: bool,
            xpub: bool) -> None:  # fmt: skip
    """Show the address of a SESSION, and whether it is safe to fund.

    It is the taproot address of the aggregate key, computed here, safe once every slot has confirmed the same
    roster; yours does so by this, unless you were pushed out of a slot.  Compare the roster digits with the others,
    by telephone: they stand for the whole roster.  With --quiet only the address (or what was asked for instead) is
    printed, and only if it is safe.
    """
    if children and xpub:
        raise click.UsageError("--xpub is that of all children: leave --child out")

    async def look(keygen: Keygen) -> tuple[list[Line], dict[str, Any]]:
        if keygen.read_only is None:
            with suppress(PushedOut):  # which is told beside the address
                await keygen.confirm()
        safety = keygen.safety_of(subset)
        if app.quiet and not safety.safe:
            raise Refused(Reason.WRONG_STATE, str(safety))
        asked = _asked(keygen.roster, subset, children, descriptor, xpub, app.quiet)
        return asked if app.quiet else asked + _told(keygen, subset), _data(keygen, subset, children)

    with app.wallet() as wallet:
        lines, data = app.with_keygen(wallet, session, look)
    app.screen.result(lines, data)


def _asked(
    roster: Roster, subset: int | None, children: Sequence[Path], descriptor: bool, xpub: bool, bare: bool
) -> list[Line]:
    """What was asked for, a line each; children with their paths unless ``bare``.

    Raises:
        BadInput: no such subset, or a descriptor that cannot be written.
    """
    if xpub:
        return [Text(roster.child_descriptor(None, subset) if descriptor else roster.xpub(subset), "bold")]
    if not children:
        return [Text(roster.descriptor(subset) if descriptor else roster.address(subset), "bold")]
    found = [_child(roster, path, subset) for path in children]
    texts = [child["descriptor" if descriptor else "address"] for child in found]
    heads = ["" if bare else f"{child['path']}  " for child in found]
    return [Text.assemble(head, (text, "bold")) for head, text in zip(heads, texts, strict=True)]


def _child(roster: Roster, path: Path, subset: int | None) -> dict[str, str]:
    """One child for scripts."""
    output = roster.child(path, subset).output
    return {
        "path": path_told(path),
        "address": taproot_address(output, roster.terms.network),
        "script": taproot_script(output).hex(),
        "descriptor": roster.child_descriptor(path, subset),
    }


def _told(keygen: Keygen, subset: int | None) -> list[Line]:
    """Whether coins are safe there, and how to find out whether it is the right one."""
    roster, safety = keygen.roster, keygen.safety_of(subset)
    slots = roster.slots_of(subset)
    names = names_of(keygen.client, keygen.id)
    members = [names.slot(slot) for slot in range(len(roster.cards))]
    lines: list[Line] = [
        Text(str(safety), "green" if safety.safe else "bold red"),
        *(Text(f"NOTE: {each}", "yellow") for each in safety.named),
        *([Text(f"ALONE: {_ALONE.format(*slots)}", "bold red")] if len(slots) == 1 < len(roster.cards) else []),
        *([Text(f"OPAQUE: {short_forms.scripts(roster.terms)[0]}", "bold red")] if roster.opaque else []),
        f"roster digits {keygen.roster_digits}: compare them with the others, by telephone",
        *([f"subset {subset}: {slots_told(slots)}"] if subset is not None else []),
        f"network {roster.terms.network}; members {', '.join(members)}",
    ]
    if old := age_told(keygen.head_age_ms):
        lines.append(Text(old, "yellow"))
    return lines


def _data(keygen: Keygen, subset: int | None, children: Sequence[Path]) -> dict[str, Any]:
    """All of it for scripts; what no descriptor can say is null."""
    roster, safety = keygen.roster, keygen.safety_of(subset)
    try:
        every = roster.child_descriptor(None, subset)
    except BadInput:
        every = None
    return {
        "session": keygen.id.hex(),
        "address": roster.address(subset),
        "script": roster.script(subset).hex(),
        "descriptor": roster.descriptor(subset),
        "xpub": roster.xpub(subset),
        "child_descriptor": every,
        "children": [_child(roster, path, subset) for path in children],
        "opaque": roster.opaque,
        "safe": safety.safe,
        "safety": str(safety),
        "named": list(safety.named),
        "pushed_out": [each.slot for each in keygen.pushed_out],
        "roster": roster.hash.hex(),
        "roster_digits": keygen.roster_digits,
        "network": roster.terms.network,
        "head_age_ms": keygen.head_age_ms,
    }

"""The command that asks for signatures: request."""

from __future__ import annotations

from collections.abc import Sequence

import click

from keymeld_protocol.bitcoin.tweaks import Steps
from keymeld_protocol.plaintext.body import Adaptor
from keymeld_protocol.values import Message

from ..keygens import Keygen
from ..said.asking import Unsigned
from ..said.drafting import Draft
from .app import SHORT, App
from .screen import warned
from .typed import encoded
from .typed.arguments import ADAPTOR, MEMO, MESSAGE, PATH, PSBT, SPAN, SPENT, STEPS, TRANSACTION
from .typed.tweaking import together
from .verbs import Verb
from .watching import Watch


@click.command(
    cls=Verb,
    examples="""
    keymeld request 3f9a01 --tx unsigned.hex --spent 5000000000              one input, paid to the group's address
    keymeld request 3f9a01 --tx 0200… --spent 0.5btc --spent 20000:5120ab…   two inputs, in their order
    keymeld request 3f9a01 --psbt spend.psbt                                 every input that the group can sign
    keymeld request 3f9a01 --child 0/25 --tx 0200… --spent 0.5btc            one input, paid to that child's address
    keymeld request 3f9a01 --psbt claim.psbt --adaptor 02ab…                 pre-signatures, for whoever has the secret
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
    help="An unsigned transaction; each input that is ours is signed.",
)
@click.option(
    "--spent",
    type=SPENT,
    multiple=True,
    help="What an input spends, in the order of the inputs: satoshi (or 0.5btc), and its scriptPubKey "
    "unless it is that of the key that signs.",
)
@click.option(
    "--psbt",
    "psbts",
    type=PSBT,
    multiple=True,
    help="A PSBT; each input that is ours is signed (- reads it, with --yes).",
)
@click.option("--message", "messages", type=MESSAGE, multiple=True, help="32 bytes to sign blindly.")
@click.option(
    "--ecdsa", type=MESSAGE, multiple=True, help="32 bytes to sign blindly with ECDSA; a key of one slot can."
)
@click.option("--subset", type=click.IntRange(0, 199), help="Sign with this subset's key: 0 is the first.")
@click.option("--child", type=PATH, help="Sign with this child of the key (BIP-328), such as 0/25, and with no other.")
@click.option(
    "--tweak",
    "steps",
    type=STEPS,
    multiple=True,
    help="Sign with the key so tweaked, instead of as the session's terms say: none, terms, bip86, plain:HEX, "
    "xonly:HEX, root:HEX; several in their order, after --child.",
)
@click.option(
    "--adaptor",
    type=ADAPTOR,
    help="Make no signatures but pre-signatures, which the secret of this point completes; and:POINT,POINT: all the "
    "secrets; or:POINT,POINT: any of them. See keymeld adaptor.",
)
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
            child: tuple[int, ...] | None, steps: Sequence[Steps], adaptor: Adaptor | None, memo: str,
            expires: int | None, yes: bool) -> None:  # fmt: skip
    """Ask the members of a SESSION for signatures.

    What would be signed is computed and shown here first.  A request is also your own approval.  With --quiet only the
    name of the signing is printed.

    Every input that spends from this group, from one of its subsets, or from one of their first 20 receive (0/n) and
    change (1/n) addresses is signed; for those further on a PSBT says where they are.
    """
    if not (transactions or psbts or messages or ecdsa):
        raise click.UsageError("nothing to sign: give --psbt, --tx with its --spent, --message or --ecdsa")
    try:
        tweaks = together(child, steps)
    except ValueError as error:
        raise click.UsageError(f"--tweak: {error}") from None

    async def look(keygen: Keygen) -> Draft:
        pairs = _pair(transactions, spent, keygen.roster.script(subset, tweaks))
        return keygen.draft(
            transactions=pairs, psbts=psbts, messages=messages, ecdsa=ecdsa, memo=memo, subset=subset, tweaks=tweaks,
            adaptor=adaptor, expires_in_ms=expires,
        )  # fmt: skip

    async def act(keygen: Keygen) -> tuple[str, str]:
        signing = await keygen.say(draft)
        missing = Watch(keygen.client, app.chatter).missing(signing)
        return signing.id.hex(), missing or f"the signing is {signing.phase}"

    with app.wallet() as wallet:
        draft = app.with_keygen(wallet, session, look)
        if not app.screen.ask(warned(draft.lines), "Ask for these signatures?", yes):
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
    counts = [encoded.inputs_of(raw) for raw in transactions]
    if sum(counts) != len(outputs):
        raise click.UsageError(f"--spent: {sum(counts)} are needed, one for each input; {len(outputs)} were given")
    pairs: list[Unsigned] = []
    for raw, count in zip(transactions, counts, strict=True):
        pairs.append((raw, outputs[:count]))
        del outputs[:count]
    return pairs

"""What a key may be used for, as it is typed and as it is shown before it is sealed.

    --allow bc1…:0.5btc --allow bc1… --max-amount 0.1btc --max-fee 20000sat
    --requester 0,2 --subset-only 0,1 --no-blind --alone transactions --accept-opaque-tweak

Addresses and subsets get their meaning from the keygen: its network, and the subsets that it declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import click

from keymeld_protocol.bitcoin.summary import amount_text
from keymeld_protocol.bitcoin.transaction import address_of, script_of
from keymeld_protocol.errors import BadInput, bad_field
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.member.own_scripts import GAP
from keymeld_protocol.plaintext.contents import Network, Terms
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript
from keymeld_protocol.wording import listed, slots_told

from ...said.choosing import Allow
from . import short_forms
from .short_form import ShortForm


def _payee(text: str) -> tuple[str, int | None]:
    """Read ``ADDRESS`` or ``ADDRESS:AMOUNT``.

    Raises:
        ValueError: there is no address, or the amount cannot be read.
    """
    address, found, most = text.partition(":")
    if not address or (found and not most):
        raise ValueError("use ADDRESS, or ADDRESS:AMOUNT such as bc1…:0.5btc")
    return address, short_forms.amount(most) if found else None


def _subset_only(text: str) -> tuple[int, ...]:
    """Read the slots of a subset, or ``none``.

    Raises:
        ValueError: neither.
    """
    return () if text == "none" else short_forms.subset(text)


_AMOUNT: Final = ShortForm("AMOUNT", short_forms.amount)
_OPTIONS: Final = (
    click.option(
        "--alone",
        type=click.Choice(["transactions", "blind"]),
        help="Your key may also sign for a subset of you alone: transactions only, or blind messages too.",
    ),
    click.option(
        "--accept-opaque-tweak", is_flag=True, help="Sign with tweaks although nobody can see what they hide."
    ),
    click.option(
        "--requester", type=ShortForm("SLOTS", short_forms.subset), help="Only what these slots ask for, such as 0,2."
    ),
    click.option(
        "--subset-only",
        type=ShortForm("SLOTS", _subset_only),
        multiple=True,
        help="Beside the whole group only this subset's key, such as 0,2; several times for several, or none.",
    ),
    click.option("--no-blind", is_flag=True, help="No messages of which nobody can see what they are."),
    click.option(
        "--allow",
        "payees",
        type=ShortForm("ADDRESS[:AMOUNT]", _payee),
        multiple=True,
        help="Pay to this address, at most AMOUNT in one request; several times for several, and to no other.",
    ),
    click.option(
        "--max-amount", type=_AMOUNT, help="At most this may leave in one request, fees included: satoshi, or 0.1btc."
    ),
    click.option("--max-fee", type=_AMOUNT, help="At most this may go to miners in one request."),
)


@dataclass(frozen=True)
class Limits:
    """What the options say."""

    alone: str | None
    accept_opaque_tweak: bool
    requester: tuple[int, ...] | None
    subset_only: Sequence[tuple[int, ...]]
    no_blind: bool
    payees: Sequence[tuple[str, int | None]]
    max_amount: int | None
    max_fee: int | None

    def allow(self, state: KeygenState, terms: Terms) -> Allow:
        """What they mean in this keygen.

        Raises:
            BadInput: an address is none of the terms' network, or a slot or subset is not there.
        """
        if self.requester is not None and self.requester[-1] >= len(state.seats):
            raise bad_field("--requester", f"this keygen has slots 0…{len(state.seats) - 1}")
        subsets = {_index(state.create.subsets, slots) for slots in self.subset_only if slots}
        return Allow(
            alone=self.alone is not None,
            alone_blind=self.alone == "blind",
            opaque_tweak=self.accept_opaque_tweak,
            requesters=self.requester,
            subsets=tuple(sorted(subsets)) if self.subset_only else None,
            no_blind=self.no_blind,
            outputs=tuple(_output(*payee, terms.network) for payee in self.payees) or None,
            max_amount=self.max_amount,
            max_fee=self.max_fee,
        )


def with_limits(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all these options, as one argument ``limits``."""

    @wraps(command)
    def limited(*args: Any, **given: Any) -> None:
        own = {name: given.pop(name) for name in Limits.__dataclass_fields__}
        command(*args, limits=Limits(**own), **given)

    for option in reversed(_OPTIONS):
        limited = option(limited)
    return limited


def _index(subsets: Sequence[tuple[int, ...]], slots: tuple[int, ...]) -> int:
    """The place of a subset.

    Raises:
        BadInput: the keygen declares no such subset.
    """
    if slots not in subsets:
        known = " · ".join(",".join(map(str, subset)) for subset in subsets) or "none"
        raise bad_field("--subset-only", f"this keygen has no subset of {slots_told(slots)}; it has {known}")
    return subsets.index(slots)


def _output(address: str, most: int | None, network: Network) -> AllowedOutput:
    """An address that may be paid.

    Raises:
        BadInput: it is no address of this network.
    """
    try:
        return AllowedOutput(script=AllowedScript(script_of(address, network)), most=most)
    except BadInput as error:
        raise bad_field("--allow", f"{address} {error.message.partition(' ')[2]}") from None


def told(allow: Allow, terms: Terms, subsets: Sequence[tuple[int, ...]]) -> Iterator[str]:
    """Everything that is allowed beyond the rule's default, and what is not, a line each."""
    if allow.alone:
        kind = "transactions and BLIND messages" if allow.alone_blind else "transactions, no blind messages"
        yield f"a subset of this slot alone may sign with this key: {kind}"
    if allow.opaque_tweak:
        yield "tweaks are accepted although nobody can see what they hide"
    if allow.requesters is not None:
        yield f"only {slots_told(allow.requesters)} may ask for signatures"
    if allow.subsets is not None:
        served = " · ".join(listed(subsets[index]) for index in allow.subsets)
        yield f"the whole group's key, and of the subsets only {served}" if served else "the whole group's key only"
    if allow.no_blind:
        yield "no blind messages: transactions only, which everybody can read"
    yield from _payments_told(allow, terms)


def _payments_told(allow: Allow, terms: Terms) -> Iterator[str]:
    """The transaction rules, and what they forbid beside."""
    for output in allow.outputs or ():
        most = "" if output.most is None else f", at most {amount_text(output.most)} in one request"
        yield f"may pay {address_of(output.script, terms.network)}{most}"
    if allow.outputs is not None:
        yield "may pay nobody else"
    if allow.max_amount is not None:
        yield f"at most {amount_text(allow.max_amount)} may leave in one request, fees included"
    if allow.max_fee is not None:
        yield f"at most {amount_text(allow.max_fee)} may go to miners in one request"
    if (allow.outputs, allow.max_amount, allow.max_fee) != (None, None, None):
        yield f"no blind messages, and no coins but those of the addresses and their first {GAP} children"

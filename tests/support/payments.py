"""Payments to be signed, as a request's body carries them: coins by what they are worth and whose they are.

transaction = payment([(100_000, roster.script())], [(60_000, SHOP), (39_000, roster.script())])
made = plan(spend(transaction), roster)               each input an item of the whole group
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from examples.helpers.regtest import Coin
from examples.helpers.regtest import transaction as unsigned
from keymeld_protocol.plaintext.body import (
    Asked,
    Body,
    RawTransaction,
    SignInput,
    SignMessage,
    Spent,
    Step,
    Transaction,
)
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import Message

from .coordinator import secret_of

Amounts = Sequence[tuple[int, bytes]]

SHOP, MALLORY = (b"\x51\x20" + bytes([number]) * 32 for number in (7, 9))
"""Scripts of other people's."""

_fresh = count()


def payment(coins: Amounts, outputs: Amounts) -> Transaction:
    """A transaction that spends fresh coins of these amounts and scripts."""
    spent = [Coin(secret_of(f"coin {next(_fresh)}"), 0, amount, script) for amount, script in coins]
    raw = RawTransaction(unsigned(spent, list(outputs)))
    return Transaction(unsigned=raw, spent=tuple(Spent(amount=c.amount, script=Script(c.script)) for c in spent))


def every_input(transactions: Iterable[Transaction], subset: int | None = None) -> tuple[SignInput, ...]:
    """An item for each input."""
    return tuple(
        SignInput(transaction=t, input=i, subset=subset)
        for t, transaction in enumerate(transactions)
        for i in range(len(transaction.spent))
    )


def spend(*transactions: Transaction, items: Sequence[Asked] = (), subset: int | None = None) -> Body:
    """A body that asks for ``items``, or for every input of the transactions."""
    return Body(v=1, transactions=transactions, items=tuple(items) or every_input(transactions, subset), memo="")


def blind(word: str = "blind", subset: int | None = None, tweaks: tuple[Step, ...] | None = None) -> SignMessage:
    """A message of which nobody can see what it is."""
    return SignMessage(message=Message(secret_of(word)), subset=subset, tweaks=tweaks)

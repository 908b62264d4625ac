"""What is asked for: of transactions, PSBTs and messages the body that names every item, with its key.

transactions, PSBTs ─▶ whose each input is (`spending.py`) ─┐
messages ───────────────────────────────────────────────────┴─▶ Body ─▶ drafted (`drafting.py`)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias, TypedDict

from msgspec.structs import replace

from keymeld_protocol.bitcoin.tweaks import Steps
from keymeld_protocol.errors import bad_field
from keymeld_protocol.member.own_scripts import GAP
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import (
    Adaptor,
    Asked,
    Body,
    RawTransaction,
    SignEcdsa,
    SignInput,
    SignMessage,
    Spent,
    Transaction,
)
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import Message

from .spending import Key, Keys

Unsigned: TypeAlias = tuple[bytes, Sequence[tuple[int, bytes]]]
"""An unsigned transaction, and for each of its inputs what it spends: satoshi and scriptPubKey."""


class Asking(TypedDict, total=False):
    """What may be asked for, in keywords; `make_body` says what each means."""

    transactions: Sequence[Unsigned]
    messages: Sequence[bytes]
    memo: str
    subset: int | None
    psbts: Sequence[bytes]
    ecdsa: Sequence[bytes]
    tweaks: Steps | None
    adaptor: Adaptor | None


def make_body(
    roster: Roster, transactions: Sequence[Unsigned] = (), messages: Sequence[bytes] = (), memo: str = "",
    subset: int | None = None, psbts: Sequence[bytes] = (), ecdsa: Sequence[bytes] = (), tweaks: Steps | None = None,
    adaptor: Adaptor | None = None,
) -> Body:  # fmt: skip
    """Ask for every input that we can sign, and for every blind message; PSBTs are raw or base64.

    An input may spend the script of the group, of any subset, or of a child of theirs (`OwnScripts`); ``subset`` asks
    for that subset's alone, and ``tweaks`` for exactly the key that they lead to. Messages are signed by the key of
    ``subset`` and ``tweaks``; ``ecdsa`` are messages too, for a key list of one. With an ``adaptor`` pre-signatures are
    asked for, each item's for the same points.

    Raises:
        BadInput: there is nothing to sign, a transaction spends nothing of ours, a message is not 32 bytes or asks
            several slots (or a tweaked key, or an adaptor) for ECDSA, a tweak cannot be applied, or a PSBT cannot be
            reduced to a transaction and what it spends.
    """
    from keymeld_protocol.bitcoin.psbt import Psbt

    keys = Keys(roster, subset, tweaks)
    items: list[Asked] = []
    for index, (_, spent) in enumerate(transactions):
        found = [keys.find(script) for _, script in spent]
        items += _inputs(found, index, f"transactions[{index}]")
    reduced = [Psbt(raw, f"psbts[{index}]") for index, raw in enumerate(psbts)]
    for index, psbt in enumerate(reduced):
        items += _inputs(keys.of(psbt), len(transactions) + index, f"psbts[{index}]")
    items += [SignMessage(message=each, subset=subset, tweaks=tweaks) for each in _messages("messages", messages)]
    items = [replace(item, adaptor=adaptor) for item in items]
    if ecdsa and adaptor is not None:
        raise bad_field("adaptor", "ECDSA signatures have no adaptor points")
    items += _ecdsa(ecdsa, roster, subset, tweaks)
    if not items:
        raise bad_field("items", "there is nothing to sign")
    pairs = [*transactions, *((psbt.spend.unsigned, psbt.spend.inputs) for psbt in reduced)]
    return Body(v=1, transactions=tuple(make_transaction(*pair) for pair in pairs), items=tuple(items), memo=memo)


def _inputs(found: Sequence[Key | None], transaction: int, field: str) -> list[SignInput]:
    """One item for each input whose key was found.

    Raises:
        BadInput: there is none.
    """
    keys = [(index, key) for index, key in enumerate(found) if key is not None]
    if not keys:
        named = f"a child after the first {GAP} has to be named"
        raise bad_field(field, f"spends nothing of this group, or of the key that was asked for; {named}")
    return [SignInput(transaction=transaction, input=i, subset=key[0], tweaks=key[1]) for i, key in keys]


def _messages(field: str, given: Sequence[bytes]) -> Iterator[Message]:
    """Messages of 32 bytes.

    Raises:
        BadInput: one has another length.
    """
    for index, message in enumerate(given):
        if len(message) != Message.size:
            raise bad_field(f"{field}[{index}]", f"must be {Message.size} bytes, not {len(message)}")
        yield Message(message)


def _ecdsa(given: Sequence[bytes], roster: Roster, subset: int | None, tweaks: Steps | None) -> list[SignEcdsa]:
    """One item for each message that a single key signs with ECDSA.

    Raises:
        BadInput: the key list is longer, the key is to be tweaked, or a message is not 32 bytes.
    """
    if given and (count := len(roster.slots_of(subset))) > 1:
        raise bad_field("ecdsa", f"only a key of one slot signs ECDSA; this one has {count}")
    if given and tweaks:
        raise bad_field("ecdsa", "is signed with the key as it is; no tweak, no child")
    return [SignEcdsa(message=message, subset=subset) for message in _messages("ecdsa", given)]


def make_transaction(raw: bytes, spent: Sequence[tuple[int, bytes]]) -> Transaction:
    """An unsigned transaction, and for each of its inputs what it spends."""
    outputs = tuple(Spent(amount=amount, script=Script(script)) for amount, script in spent)
    return Transaction(unsigned=RawTransaction(raw), spent=outputs)

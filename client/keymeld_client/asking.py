"""What is said to ask for signatures: the body, its items, and the request that names it.

    transactions, messages, memo ─▶ Body ─▶ plan (every message and key computed here) ─▶ sealed ─▶ signing.request

No socket and no waiting here: values in, a signed statement out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from keymeld_protocol import contents
from keymeld_protocol.contents import Body, RawTransaction, Script, SignInput, SignMessage, Spent, Transaction
from keymeld_protocol.errors import Reason, Refused, bad_field
from keymeld_protocol.payloads import SigningRequest
from keymeld_protocol.plan import needed_slots, plan, require_possible
from keymeld_protocol.replay import Replay
from keymeld_protocol.roster import Roster
from keymeld_protocol.schnorr import SigningKey
from keymeld_protocol.sealing import GroupKey
from keymeld_protocol.statements import Statement, make
from keymeld_protocol.values import Message, XOnlyKey, digest

Unsigned: TypeAlias = tuple[bytes, Sequence[tuple[int, bytes]]]
"""An unsigned transaction, and for each of its inputs what it spends: satoshi and scriptPubKey."""


def make_body(
    roster: Roster, transactions: Sequence[Unsigned], messages: Sequence[bytes], memo: str, subset: int | None
) -> Body:
    """Ask for every input that spends the script of the group (or of ``subset``), and for every blind message.

    Raises:
        BadInput: there is nothing to sign, a transaction spends nothing of ours, or a message is not 32 bytes.
    """
    own = roster.script(subset)
    items: list[contents.Item] = []
    for index, (_, spent) in enumerate(transactions):
        inputs = [i for i, (_, script) in enumerate(spent) if script == own]
        if not inputs:
            raise bad_field(f"transactions[{index}]", "spends nothing of this group")
        items += [SignInput(transaction=index, input=i, subset=subset) for i in inputs]
    for index, message in enumerate(messages):
        if len(message) != Message.size:
            raise bad_field(f"messages[{index}]", f"must be {Message.size} bytes, not {len(message)}")
        items.append(SignMessage(message=Message(message), subset=subset))
    if not items:
        raise bad_field("items", "there is nothing to sign")
    return Body(v=1, transactions=tuple(map(_transaction, transactions)), items=tuple(items), memo=memo)


def _transaction(unsigned: Unsigned) -> Transaction:
    raw, spent = unsigned
    outputs = tuple(Spent(amount=amount, script=Script(script)) for amount, script in spent)
    return Transaction(unsigned=RawTransaction(raw), spent=outputs)


def requester(roster: Roster, body: Body, slots: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """The slot of ours that asks, and all slots that the body needs.

    Raises:
        BadInput: an item names what is not there, or spends a foreign script.
        Blamed: nothing of it can be signed, by anybody.
        Refused: none of our slots takes part in what is asked.
    """
    made = plan(body, roster)
    require_possible(made)
    needed = needed_slots(made)
    own = [slot for slot in slots if slot in needed]
    if not own:
        raise Refused(Reason.NOT_ALLOWED, "only a member whose slot is needed can ask for these signatures", field="by")
    return own[0], needed


def make_request(
    heard: Replay, roster: Roster, group: GroupKey, by: SigningKey, body: Body, needed: tuple[int, ...],
    *, expires_at: int, grace_ms: int,
) -> Statement:  # fmt: skip
    """Seal the body and say ``signing.request`` as ``by``.

    Raises:
        BadInput: a field breaks its rule.
    """
    key = XOnlyKey(by.key)
    sealed = group.seal("signing.request", "body", roster.keygen, key, contents.encode(body))
    said = SigningRequest(
        v=1,
        by=key,
        keygen=roster.keygen,
        after=heard.chain.hash,
        roster=roster.hash,
        slots=needed,
        items=len(body.items),
        grace_ms=grace_ms,
        expires_at=expires_at,
        body=digest(sealed),
    )
    return make(said, by.sign, blobs=[sealed])

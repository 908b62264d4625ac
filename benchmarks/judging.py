"""The costly request: what one enclave's judgement of it takes, in processor time and in memory, without any socket.

    200 slots with a policy each · 200 subsets of 199 · 550 small transactions in 560 KiB: planned, then judged

The roster is worked out once for a keygen and is not counted; own scripts are, since only a request needs them.
"""

from __future__ import annotations

from time import process_time
from typing import Final

from msgspec import structs

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.curve.schnorr import tagged_hash
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.member.plan import plan
from keymeld_protocol.member.policies import judged
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import Body, RawTransaction, SignInput, Spent, Transaction
from keymeld_protocol.plaintext.contents import Card, Script, Terms
from keymeld_protocol.plaintext.policy import Policy
from keymeld_protocol.values import Hash, Id, PlainKey, Salt, Signature
from keymeld_protocol.wire.shapes import Rule

SLOTS: Final = 200
TRANSACTIONS: Final = 550
OUTPUTS: Final = 8
COIN: Final = 10_000


def roster(slots: int = SLOTS) -> Roster:
    """So many keys, and for each the subset of all others."""
    cards = tuple(
        Card(v=1, pubkey=PlainKey(Secret.generate().point), label="", possession=Signature(bytes(64)))
        for _ in range(slots)
    )
    subsets = tuple(tuple(slot for slot in range(slots) if slot != out) for out in range(slots))
    terms = Terms(v=1, label="", network="regtest", tweak="bip86")
    return Roster(Id(bytes(32)), Hash(bytes(32)), terms, cards, subsets)


def policies(slots: int = SLOTS) -> dict[int, Policy]:
    """A policy for each slot that is like no other, and allows the request."""
    common, most = Policy(v=1, salt=Salt(bytes(32)), rule=Rule(approval="none")), TRANSACTIONS * COIN
    return {slot: structs.replace(common, max_amount=most + slot, max_fee=most) for slot in range(slots)}


def body(group: Roster, transactions: int = TRANSACTIONS) -> Body:
    """Payments of one coin of the group each, to strangers of whom each is another one."""
    made = tuple(_payment(group.script(), number) for number in range(transactions))
    return Body(
        v=1, transactions=made, items=tuple(SignInput(transaction=i, input=0) for i in range(len(made))), memo=""
    )


def _payment(script: bytes, number: int) -> Transaction:
    strangers = (tagged_hash("stranger", bytes([output]) + number.to_bytes(4, "big")) for output in range(OUTPUTS))
    outputs = [(COIN // OUTPUTS - 10, b"\x51\x20" + stranger) for stranger in strangers]
    raw = transaction([Coin((number + 1).to_bytes(32, "big"), 0, COIN, script)], outputs)
    return Transaction(unsigned=RawTransaction(raw), spent=(Spent(amount=COIN, script=Script(script)),))


def rows() -> list[str]:
    """How long it takes to read, to plan and to judge the request, the first time and once more."""
    group, allowed = roster(), policies()
    raw = contents.encode(body(group))
    told = [f"{SLOTS} slots, policies and subsets, {TRANSACTIONS} transactions, {len(raw) / 1024:.0f} KiB"]
    for time in ("the first of a keygen", "one more"):
        began = process_time()
        asked = contents.parse(Body, raw)
        parsed = process_time()
        made = plan(asked, group)
        planned = process_time()
        judged(made, 0, allowed, group)
        done = process_time()
        steps = f"read {1000 * (parsed - began):.0f}, planned {1000 * (planned - parsed):.0f}"
        told.append(f"  {time:>22}: {steps}, judged {1000 * (done - planned):.0f} ms of processor time")
    return told


if __name__ == "__main__":
    print(*rows(), sep="\n")

"""policies.json: own scripts, and what policies on content answer to requests."""

from __future__ import annotations

from typing import Any

from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.errors import Blamed
from keymeld_protocol.member import content_policy
from keymeld_protocol.member.item_policy import forbids
from keymeld_protocol.member.plan import plan
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import Asked, Body, RawTransaction, SignInput, SignMessage, Spent, Transaction
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.plaintext.policy import AllowedOutput, AllowedScript, Policy
from keymeld_protocol.values import Message, Salt
from keymeld_protocol.wire.shapes import Rule

from .cast import commented, key_of, secret_of
from .story import tell

SHOP, STRANGER = (taproot_script(key_of(name).point[1:]) for name in ("a shop", "a stranger"))
PLACES: list[tuple[int | None, tuple[int, ...] | None]] = [
    (None, None), (None, (0, 0)), (None, (1, 19)), (0, None), (0, (1, 0)),
]  # fmt: skip
LIST = (AllowedOutput(script=AllowedScript(SHOP), most=60_000),)


def policies_json() -> Any:
    """What whoever holds a key answers before he signs."""
    return commented(
        "The group of roster.json: slots 0, 1, 2 and the subset (0, 1). A request is judged by the policy of one slot: "
        "'refused' is the code with which all of it is refused; else 'items' has null (signed) or a code for each.",
        own=[_own(*place) for place in PLACES], requests=[_judged(*case) for case in _cases()],
    )  # fmt: skip


def _own(subset: int | None, path: tuple[int, ...] | None) -> dict[str, Any]:
    found = tell().roster.own.find(ours(subset, path))
    assert found is not None
    place = (
        f"{'all slots' if subset is None else f'subset {subset}'}, {'no child' if path is None else f'child {path}'}"
    )
    return commented(place, subset=subset, path=path, slots=sorted(found.slots), script=ours(subset, path))


def ours(subset: int | None = None, path: tuple[int, ...] | None = None) -> bytes:
    """A script of the group's."""
    return taproot_script(tell().roster.keyagg(subset, None if path is None else child_steps(path)).output)


def pay(*outputs: tuple[int, bytes], coins: int = 1, script: bytes | None = None) -> Transaction:
    """A payment from coins of 100,000 sat."""
    spends = b"".join(secret_of(f"coin {number}") + bytes(5) + b"\xff" * 4 for number in range(coins))
    made = b"".join(amount.to_bytes(8, "little") + bytes([len(to)]) + to for amount, to in outputs)
    raw = bytes.fromhex("02000000") + bytes([coins]) + spends + bytes([len(outputs)]) + made + bytes(4)
    spent = Spent(amount=100_000, script=Script(script or ours()))
    return Transaction(unsigned=RawTransaction(raw), spent=(spent,) * coins)


def _cases() -> list[tuple[str, dict[str, Any], list[Transaction], list[Asked]]]:
    """Comment, the policy's fields, transactions, items."""
    back, blind = ours(None, (1, 0)), SignMessage(message=Message(secret_of("blind")))
    honest, first = pay((50_000, SHOP), (49_000, back)), SignInput(transaction=0, input=0)
    pair = pay((99_000, ours(0)))
    full: dict[str, Any] = {"requesters": (0, 2), "outputs": LIST, "max_amount": 51_000, "max_fee": 1_000}
    far = SignInput(transaction=0, input=0, tweaks=child_steps((0, 20)))
    return [
        ("within every limit", full, [honest], [first]),
        ("another requester", full | {"requesters": (1, 2)}, [honest], [first]),
        ("a satoshi too much", full | {"max_amount": 50_999}, [honest], [first]),
        ("a satoshi too much in fees", full | {"max_fee": 999}, [honest], [first]),
        ("another payee", {"outputs": LIST}, [pay((50_000, STRANGER), (49_000, back))], [first]),
        ("twice the same coin: both count", {"outputs": LIST}, [honest, honest],
         [first, SignInput(transaction=1, input=0)]),
        ("change beyond the gap is paid out", {"max_amount": 2_000}, [pay((99_000, ours(None, (1, 20))))], [first]),
        ("change to a subset is paid out", {"max_amount": 2_000}, [pair], [first]),
        ("an own input that is not signed", {"max_fee": 10**6}, [pay((199_000, SHOP), coins=2)], [first]),
        ("a blind message under a limit fails alone", {"max_fee": 1_000}, [honest], [first, blind]),
        ("a blind message without a limit", {"requesters": (0,)}, [], [blind]),
        ("no blind messages", {"no_blind": True}, [], [blind]),
        ("a child beyond the gap under a limit", {"max_fee": 10**6},
         [pay((99_000, SHOP), script=ours(None, (0, 20)))], [far]),
        ("the same without a limit", {}, [pay((99_000, SHOP), script=ours(None, (0, 20)))], [far]),
        ("a subset that is not served", {"subsets": ()}, [pay((99_000, SHOP), script=ours(0))],
         [SignInput(transaction=0, input=0, subset=0), blind]),
    ]  # fmt: skip


def _judged(why: str, fields: dict[str, Any], transactions: list[Transaction], items: list[Asked]) -> dict[str, Any]:
    """A request of slot 0, and the answer of slot 0's policy."""
    roster = tell().roster
    policy = Policy(v=1, salt=Salt(bytes(32)), rule=Rule(approval="none"), **fields)
    body = Body(v=1, transactions=tuple(transactions), items=tuple(items), memo="")
    made, refused = plan(body, roster), None
    try:
        content_policy.judge(policy, 0, 0, content_policy.Payments(made, roster))
    except Blamed as error:
        refused = error.code
    codes = [forbids(policy, made.item(index), roster) for index in range(len(items))]
    return commented(
        why, policy=contents.encode(policy).decode(), slot=0, requester=0, body=contents.encode(body).decode(),
        refused=refused, items=None if refused else [None if code is None else code.code for code in codes],
    )  # fmt: skip

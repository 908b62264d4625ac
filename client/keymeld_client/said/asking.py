"""What is said to ask for signatures: the body, its items, and the request that names it.

    transactions, PSBTs, messages ─▶ Body ─▶ plan (every message and key computed here) ─▶ sealed ─▶ signing.request

No socket and no waiting here: values in, a signed statement out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from keymeld_protocol.bitcoin.psbt import Psbt
from keymeld_protocol.bitcoin.tweaks import Steps
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import Reason, Refused, bad_field
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.own_scripts import GAP
from keymeld_protocol.member.plan import Plan, needed_slots, plan, require_possible
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext import contents
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
from keymeld_protocol.values import Message, XOnlyKey, digest
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.shapes import REQUEST_LIFE_MS, Rule
from keymeld_protocol.wire.statements import Statement, make
from keymeld_protocol.wording import slots_told

from ..shown.telling import moment
from .spending import Key, Keys

DAY_MS: Final = 24 * 3600 * 1000
Unsigned: TypeAlias = tuple[bytes, Sequence[tuple[int, bytes]]]
"""An unsigned transaction, and for each of its inputs what it spends: satoshi and scriptPubKey."""


def make_body(
    roster: Roster, transactions: Sequence[Unsigned], messages: Sequence[bytes], memo: str, subset: int | None,
    psbts: Sequence[bytes] = (), ecdsa: Sequence[bytes] = (), tweaks: Steps | None = None,
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


def requester(roster: Roster, body: Body, slots: Sequence[int]) -> tuple[int, Plan]:
    """The slot of ours that asks, and the plan of what it asks for.

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
    return next((slot for slot in own if all(slot in item.slots for item in made.items)), own[0]), made


def require_one_judgement(rules: Mapping[int, Rule], made: Plan, asks: int) -> None:
    """Refuse a request that the coordinator, who sees its slots, would judge otherwise than enclaves do, list by list.

    A yes counts for an item only if its slot is in the item's key list: one of somebody else could open an attempt that
    every enclave refuses (§7.4).

    Raises:
        Refused: ``asks`` is not in every key list; or a quorum has other voters in one list than in all together.
    """
    together = frozenset(needed_slots(made))
    for slots in {item.slots for item in made.items}:
        told = slots_told(slots)
        if asks not in slots:
            why = f"slot {asks} asks, but the key of {told} is not his: one of those has to ask, in another request"
            raise Refused(Reason.NOT_ALLOWED, why, field="items")
        for slot in slots:
            voters = frozenset(rules[slot].of or ())
            if voters & together != voters & frozenset(slots):
                why = f"the rule of slot {slot} counts a yes only from {told}: ask for that in a request of its own"
                raise Refused(Reason.NOT_ALLOWED, why, field="items")


def life_of(rules: Mapping[int, Rule], wanted: int | None, now: int) -> int:
    """How long (ms) a request lives: ``wanted``, else a day longer than the rules of its slots wait, and 7 at most.

    Raises:
        Refused: it would end before a slot's delay is over, or its window opens; or a window closes before that.
    """
    waits = {slot: max(0, rule.delay_ms or 0, (rule.not_before or 0) - now) for slot, rule in rules.items()}
    last = max(waits, key=lambda slot: waits[slot])
    life = min(waits[last] + DAY_MS, REQUEST_LIFE_MS) if wanted is None else wanted
    if life <= waits[last]:
        ends = f"the request would end at {moment(now + life)}"
        why = f"slot {last} signs nothing before {moment(now + waits[last])}, and {ends}"
        raise Refused(Reason.EXPIRED, why, field="expires_at")
    for slot, rule in rules.items():
        if rule.not_after is not None and now + waits[last] > rule.not_after:
            after = f"nothing is signed before {moment(now + waits[last])}" if waits[last] else "that has passed"
            why = f"slot {slot} signs nothing after {moment(rule.not_after)}, for good, and {after}"
            raise Refused(Reason.NOT_ALLOWED, why, field="not_after")
    return life


def make_request(
    heard: Replay, roster: Roster, group: GroupKey, by: Keypair, made: Plan,
    *, expires_at: int, grace_ms: int,
) -> Statement:  # fmt: skip
    """Seal what was planned and say ``signing.request`` as ``by``.

    Raises:
        BadInput: a field breaks its rule.
    """
    key = XOnlyKey(by.key)
    sealed = group.seal("signing.request", "body", roster.keygen, key, contents.encode(made.body))
    said = SigningRequest(
        v=1,
        by=key,
        keygen=roster.keygen,
        after=heard.chain.hash,
        roster=roster.hash,
        slots=needed_slots(made),
        items=len(made.items),
        grace_ms=grace_ms,
        expires_at=expires_at,
        body=digest(sealed),
    )
    return make(said, by.sign, blobs=[sealed])

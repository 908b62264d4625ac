"""May this key sign this item?  Answered from raw bytes, by somebody who shares no code with plan or policy.

    keys, subsets, script root ─▶ own scripts: KeyAgg, BIP-32 and TapTweak, written out once more
    the body's JSON ────────────▶ transactions, byte by byte; BIP-341's hash of type DEFAULT
    the policy's JSON ──────────▶ for each item a reason why this slot's key must not sign it, or None

Slow and plain on purpose: everything is computed anew for every item, and amounts are added up in loops.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from coincurve import PublicKey

from .naive import tagged

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
CHAIN_CODE = bytes.fromhex("868087ca02a6f974c4598924c36b57762d32cb45717167e300622c7167e38965")
"""BIP-328's."""


@cache
def aggregate(keys: tuple[bytes, ...]) -> bytes:
    """BIP-327's KeyAgg of the sorted keys; one key is itself."""
    keys = tuple(sorted(keys))
    if len(keys) == 1:
        return keys[0]
    ring = tagged("KeyAgg list", b"".join(keys))
    second = next(key for key in keys if key != keys[0])
    factors = [
        1 if k == second else int.from_bytes(tagged("KeyAgg coefficient", ring + k), "big") % ORDER for k in keys
    ]
    return combined([PublicKey(k).multiply(f.to_bytes(32, "big")) for k, f in zip(keys, factors, strict=True)])


def combined(points: list[PublicKey]) -> bytes:
    """The sum of points."""
    return bytes(PublicKey.combine_keys(points).format())


def even(point: bytes) -> bytes:
    """The point of the same x whose y is even."""
    return b"\x02" + point[1:]


def plus(point: bytes, scalar: bytes) -> bytes:
    """The point, and ``scalar``·G added."""
    return bytes(PublicKey(point).add(scalar).format())


def child(point: bytes, path: Sequence[int]) -> bytes:
    """BIP-32's public child of a key under BIP-328's chain code."""
    chain = CHAIN_CODE
    for index in path:
        both = hmac.new(chain, point + index.to_bytes(4, "big"), "sha512").digest()
        point, chain = plus(point, both[:32]), both[32:]
    return point


def taproot(point: bytes, root: bytes) -> bytes:
    """BIP-341's output key of an internal key and a script root."""
    return plus(even(point), tagged("TapTweak", point[1:] + root))


@dataclass(frozen=True)
class Group:
    """The signing keys by slot, the declared subsets, and the script root of the terms (empty: BIP-86)."""

    keys: tuple[bytes, ...]
    subsets: tuple[tuple[int, ...], ...]
    root: bytes

    def slots(self, item: dict[str, Any]) -> tuple[int, ...]:
        """The key list of an item."""
        return self.subsets[item["subset"]] if "subset" in item else tuple(range(len(self.keys)))

    def script(self, item: dict[str, Any]) -> bytes:
        """What an item can spend."""
        point = aggregate(tuple(self.keys[slot] for slot in self.slots(item)))
        for step in item.get("tweaks", [{"tweak": "terms"}]):
            match step["tweak"]:
                case "terms":
                    point = taproot(point, self.root)
                case "bip86":
                    point = taproot(point, b"")
                case "root":
                    point = taproot(point, bytes.fromhex(step["root"]))
                case "child":
                    point = child(point, step["path"])
                case "plain":
                    point = plus(point, bytes.fromhex(step["scalar"]))
                case "xonly":
                    point = plus(even(point), bytes.fromhex(step["scalar"]))
        return b"\x51\x20" + point[1:]


@cache
def own(group: Group, slots: tuple[int, ...]) -> frozenset[bytes]:
    """The scripts of a key list: its address, and children 0…19 of branches 0 and 1."""
    point = aggregate(tuple(group.keys[slot] for slot in slots))
    points = [point, *(child(point, (branch, index)) for branch in (0, 1) for index in range(20))]
    return frozenset(b"\x51\x20" + taproot(each, group.root)[1:] for each in points)


def number(raw: bytes, at: int) -> tuple[int, int]:
    """Bitcoin's compact integer, and where it ends."""
    size = {0xFD: 2, 0xFE: 4, 0xFF: 8}.get(raw[at], 0)
    return (int.from_bytes(raw[at + 1 : at + 1 + size], "little"), at + 1 + size) if size else (raw[at], at + 1)


class Transaction:
    """An unsigned transaction, taken apart; ``spent`` and ``outputs`` are (amount, script)."""

    def __init__(self, said: dict[str, Any]) -> None:
        raw = bytes.fromhex(said["unsigned"])
        self.version, self.lock = raw[:4], raw[-4:]
        self.spent = [(coin["amount"], bytes.fromhex(coin["script"])) for coin in said["spent"]]
        self.outpoints, self.sequences, self.outputs = list[bytes](), list[bytes](), list[tuple[int, bytes]]()
        count, at = number(raw, 4)
        for _ in range(count):
            self.outpoints.append(raw[at : at + 36])
            assert raw[at + 36] == 0, "a scriptSig in an unsigned transaction"
            self.sequences.append(raw[at + 37 : at + 41])
            at += 41
        count, at = number(raw, at)
        for _ in range(count):
            size, begin = number(raw, at + 8)
            self.outputs.append((int.from_bytes(raw[at : at + 8], "little"), raw[begin : begin + size]))
            at = begin + size
        assert at == len(raw) - 4 and len(self.spent) == len(self.outpoints)

    def sighash(self, index: int) -> bytes:
        """BIP-341: key path, type DEFAULT, no annex."""
        parts = (
            b"".join(self.outpoints),
            b"".join(amount.to_bytes(8, "little") for amount, _ in self.spent),
            b"".join(sized(script) for _, script in self.spent),
            b"".join(self.sequences),
            b"".join(amount.to_bytes(8, "little") + sized(script) for amount, script in self.outputs),
        )
        hashes = b"".join(sha256(part).digest() for part in parts)
        return tagged("TapSighash", b"\0\0" + self.version + self.lock + hashes + b"\0" + index.to_bytes(4, "little"))


def sized(script: bytes) -> bytes:
    """A script after its length."""
    assert len(script) < 0xFD
    return bytes([len(script)]) + script


@dataclass(frozen=True)
class Question:
    """Whether the key of ``slot``, sealed under ``policy``, may sign what ``requester`` asks for in ``body``."""

    policy: dict[str, Any]
    slot: int
    requester: int
    body: dict[str, Any]
    group: Group

    @property
    def limited(self) -> bool:
        """Whether the policy has a rule about transactions."""
        return any(rule in self.policy for rule in ("outputs", "max_amount", "max_fee"))

    def why_not(self, index: int) -> str | None:
        """Why it must not sign this item; the first reason."""
        item = self.body["items"][index]
        return next(self._against(item), None) or next(self._against_all(), None)

    def _against(self, item: dict[str, Any]) -> Iterator[str]:
        """What the policy holds against one item."""
        slots, blind = self.group.slots(item), item["sign"] != "input"
        if not blind and self.group.script(item) != self._coin(item)[1]:
            yield "nobody can sign it: its script is another"
        if len(slots) == 1 < len(self.group.keys) and not self.policy.get("alone"):
            yield "alone"
        if len(slots) == 1 < len(self.group.keys) and blind and not self.policy.get("alone_blind"):
            yield "alone and blind"
        if slots not in self._served():
            yield "another subset"
        if blind and (self.limited or self.policy.get("no_blind")):
            yield "blind"
        hidden = any(step["tweak"] in ("plain", "xonly", "root") for step in item.get("tweaks", ()))
        if hidden and not self.policy.get("accept_opaque_tweak"):
            yield "an opaque tweak"
        if self.limited and not blind and self._coin(item)[1] not in own(self.group, slots):
            yield "a coin that is none of this key list's addresses"

    def _against_all(self) -> Iterator[str]:
        """What the policy holds against the whole request."""
        if self.requester not in self.policy.get("requesters", [self.requester]):
            yield "the requester"
        if not self.limited:
            return
        spent = fee = 0
        paid: dict[bytes, int] = {}
        for number, transaction in enumerate(map(Transaction, self.body["transactions"])):
            if not self._signs(number):
                continue
            mine = [slots for slots in self._lists() if self.slot in slots]
            coins = [(i, *coin, [s for s in mine if coin[1] in own(self.group, s)])
                     for i, coin in enumerate(transaction.spent)]  # fmt: skip
            payers = [lists[0] for *_, lists in coins if lists]
            if any(lists and not self._is_signed(number, i) for i, _, _, lists in coins):
                yield "an own input that is not signed here"
            change = 0
            for amount, script in transaction.outputs:
                homes = [s for s in mine if s in self._served() and script in own(self.group, s)]
                if any(all(set(payer) <= set(home) for payer in payers) for home in homes):
                    change += amount
                else:
                    paid[script] = paid.get(script, 0) + amount
            spent += max(0, sum(amount for _, amount, _, lists in coins if lists) - change)
            fee += sum(amount for amount, _ in transaction.spent) - sum(amount for amount, _ in transaction.outputs)
        yield from self._against_sums(spent, fee, paid)

    def _against_sums(self, spent: int, fee: int, paid: dict[bytes, int]) -> Iterator[str]:
        """What the policy holds against what the request spends, costs and pays."""
        if spent > self.policy.get("max_amount", spent):
            yield "the amount"
        if fee > self.policy.get("max_fee", fee):
            yield "the fee"
        if "outputs" not in self.policy:
            return
        allowed = {bytes.fromhex(output["script"]): output for output in self.policy["outputs"]}
        for script, amount in paid.items():
            if script not in allowed or amount > allowed[script].get("most", amount):
                yield "an output"

    def _lists(self) -> list[tuple[int, ...]]:
        """Every key list, the whole group first."""
        return [tuple(range(len(self.group.keys))), *self.group.subsets]

    def _served(self) -> list[tuple[int, ...]]:
        """The key lists that the policy has the key sign for."""
        every = self._lists()
        named = [self.group.subsets[i] for i in self.policy["subsets"]] if "subsets" in self.policy else every
        return [every[0], *named]

    def _coin(self, item: dict[str, Any]) -> tuple[int, bytes]:
        """What an item's input spends."""
        amount, script = Transaction(self.body["transactions"][item["transaction"]]).spent[item["input"]]
        return amount, script

    def _is_signed(self, transaction: int, index: int) -> bool:
        """Whether some item can sign this input."""
        named = [i for i in self.body["items"] if (i.get("transaction"), i.get("input")) == (transaction, index)]
        return any(self.group.script(item) == self._coin(item)[1] for item in named)

    def _signs(self, transaction: int) -> bool:
        """Whether this slot's key signs an input of a transaction."""
        named = [item for item in self.body["items"] if item.get("transaction") == transaction]
        return any(self.slot in self.group.slots(item) and not any(self._against(item)) for item in named)

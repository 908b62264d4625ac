"""May this enclave sign?  Answered from the raw log, by somebody who shares no code with the machines or the policy.

    keygen's records  ─▶ who sits where, sealed to whom          (json, a loop, nothing else)
    signing's records ─▶ who asked, who said yes until when, who said no, which enclave heard it when
    rules as the test sealed them, key lists as the test opened them ─▶ a reason why not, or None

Slow and plain on purpose: it is read once, and then every signature of every test is held against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from coincurve import PublicKeyXOnly

from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement


def tagged(tag: str, message: bytes) -> bytes:
    """BIP-340's tagged hash."""
    prefix = sha256(tag.encode()).digest()
    return sha256(prefix + prefix + message).digest()


def is_signed(statement: Statement) -> bool:
    """Whether the first signature is that of ``by`` over the statement's id."""
    ident = tagged("keymeld/statement/v1", statement.text.encode())
    by = bytes.fromhex(json.loads(statement.text)["by"])
    return bool(PublicKeyXOnly(by).verify(bytes(statement.signatures[0]), ident))


def is_chained(previous: bytes, record: Record) -> bool:
    """Whether the record's hash follows from ``previous`` and from what the record says of itself."""
    place = record.offset.to_bytes(8, "big") + record.at.to_bytes(8, "big")
    ident = tagged("keymeld/statement/v1", record.statement.text.encode())
    return record.hash == tagged("keymeld/record/v1", previous + record.epoch + place + ident)


def is_signature(signature: bytes, message: bytes, key: bytes) -> bool:
    """BIP-340, by libsecp256k1 alone."""
    return bool(PublicKeyXOnly(key).verify(signature, message))


@dataclass
class Seats:
    """Who sits where once every slot was accepted."""

    slots: int = 0
    join: dict[int, str] = field(default_factory=dict)
    auth: dict[int, str] = field(default_factory=dict)
    enclave: dict[int, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    left: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, keygen: Iterable[Record]) -> Seats:
        """Read a keygen's log."""
        seats = cls()
        for record in keygen:
            seats.take(json.loads(record.statement.text), record.statement.id.hex())
        return seats

    def take(self, said: Mapping[str, Any], ident: str) -> None:
        """One statement."""
        if said["kind"] == "keygen.create":
            self.slots = len(said["slots"])
        elif said["kind"] == "keygen.join":
            slot = said["slot"]
            self.join[slot], self.auth[slot], self.enclave[slot] = ident, said["by"], said["enclave"]
        elif said["kind"] == "custody.accept" and self.join.get(said["slot"]) == said["join"]:
            self.accepted.add(said["join"])
        elif said["kind"] == "keygen.leave" and self.auth.get(said["slot"]) == said["by"]:
            self.left.add(said["slot"])
        elif said["kind"] in ("custody.refuse", "keygen.release") and self.join.get(said["slot"]) == said["join"]:
            for table in (self.join, self.auth, self.enclave):
                del table[said["slot"]]

    @property
    def complete(self) -> bool:
        """Whether every slot's join was accepted by its enclave."""
        return len(self.join) == self.slots and set(self.join.values()) <= self.accepted

    def slot_of(self, by: str) -> int | None:
        """The slot that speaks with this key (hex)."""
        return next((slot for slot, key in self.auth.items() if key == by), None)


@dataclass
class Votes:
    """What members said about one request."""

    requester: int | None
    expires_at: int
    until: dict[int, int] = field(default_factory=dict)
    rejected: set[int] = field(default_factory=set)
    heard: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, signing: Sequence[Record], seats: Seats) -> Votes:
        """Read a signing's log."""
        request = json.loads(signing[0].statement.text)
        assert request["kind"] == "signing.request"
        votes = cls(seats.slot_of(request["by"]), request["expires_at"])
        if votes.requester is not None:
            votes.until[votes.requester] = votes.expires_at
        for record in signing[1:]:
            said = json.loads(record.statement.text)
            slot = seats.slot_of(said["by"])
            if slot is not None and said["kind"] == "signing.approve":
                votes.until[slot] = min(said.get("until") or votes.expires_at, votes.expires_at)
            elif slot is not None and said["kind"] == "signing.reject":
                votes.rejected.add(slot)
            elif said["kind"] == "signing.heard":
                votes.heard.setdefault(said["by"], said["at"])
        return votes

    def yes(self, slot: int, now: int) -> bool:
        """Whether this slot says yes at ``now`` (ms)."""
        return slot not in self.rejected and self.until.get(slot, 0) > now


def why_not(
    enclave: str, keygen: Sequence[Record], signing: Sequence[Record], rules: Mapping[str, Rule],
    key_lists: Iterable[tuple[int, ...]], now: int,
) -> str | None:  # fmt: skip
    """Why ``enclave`` (hex) must not sign at its time ``now`` (ms), or None; ``rules`` are what was sealed, by join."""
    seats = Seats.of(keygen)
    if not seats.complete:
        return "the keygen is not complete"
    if not all(is_signed(record.statement) for record in (*keygen, *signing)):
        return "the log holds what nobody signed"
    votes = Votes.of(signing, seats)
    if votes.requester is None:
        return "the requester is no member"
    if votes.expires_at <= now:
        return "the request has expired"
    for key_list in key_lists:
        for slot in key_list:
            if slot in seats.left:
                return f"slot {slot} has left"
            if seats.enclave[slot] != enclave:
                continue
            rule = rules[seats.join[slot]]
            if why := rule_broken(rule, slot, key_list, votes, now) or _delay(
                rule, slot, votes, votes.heard.get(enclave), now
            ):
                return f"slot {slot}: {why}"
    return None


def rule_broken(rule: Rule, slot: int, key_list: tuple[int, ...], votes: Votes, now: int) -> str | None:
    """Why the rule of one slot is not met for one item."""
    if votes.requester not in key_list or votes.requester in votes.rejected:
        return "the requester's key does not sign this item, or he took it back"
    if rule.not_before is not None and now < rule.not_before:
        return "too early"
    if rule.not_after is not None and now > rule.not_after:
        return "too late"
    if rule.approval == "self" and not votes.yes(slot, now):
        return "its participant has not approved"
    if rule.approval == "quorum":
        assert rule.of is not None and rule.threshold is not None
        if sum(voter in key_list and votes.yes(voter, now) for voter in rule.of) < rule.threshold:
            return "the quorum is not reached"
    return None


def _delay(rule: Rule, slot: int, votes: Votes, heard: int | None, now: int) -> str | None:
    """Why a delay stands in the way, which began when this enclave says that it ``heard`` the request (ms)."""
    if rule.delay_ms is None:
        return None
    if heard is None or now < heard + rule.delay_ms:
        return "its delay is not over"
    return "its participant has said no in time" if rule.approval == "none" and slot in votes.rejected else None

"""Statements for tests of the coordinator: signed and canonical, with ciphertexts that nobody could open.

    cast = Cast("treasury", coordinator, slots=2)          names decide all keys
    create = cast.create(now)                              opens the stream ``cast.stream``
    join = cast.join(0, after, enclave)                    sealed to that enclave; device custody without one
    cast.accept(0, join, after, vault); cast.confirm(0, after, roster)
    request = cast.request(after, roster, now); say(key, SigningApprove, request.id, after)

The coordinator cannot tell them from real ones, because it opens nothing.  Real ones are made by people.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.values import Hash, Id, Salt, XOnlyKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import (
    CustodyAccept,
    KeygenConfirm,
    KeygenCreate,
    KeygenJoin,
    SigningContribute,
    SigningRequest,
)
from keymeld_protocol.wire.shapes import Rule, Said
from keymeld_protocol.wire.statements import Statement

from .coordinator import key_of, secret_of

HOUR = 3_600_000
NONE = Rule(approval="none")
SELF = Rule(approval="self")


def xonly(key: Keypair) -> XOnlyKey:
    """The public half."""
    return XOnlyKey(key.key)


def say(key: Keypair, kind: type[Said], stream: Id, after: bytes, *blobs: bytes, **fields: Any) -> Statement:
    """``key`` says ``kind`` in ``stream``."""
    payload = kind(v=1, by=xonly(key), stream=stream, after=Hash(after), **fields)
    return statements.make(payload, key.sign, blobs=blobs)


@dataclass
class Cast:
    """The people of one keygen."""

    name: str
    coordinator: XOnlyKey
    slots: int = 2
    stream: Id = field(default_factory=lambda: Id(bytes(32)))

    @property
    def creator(self) -> Keypair:
        """Who creates it."""
        return key_of(f"{self.name} creator")

    def invite(self, slot: int) -> Keypair:
        """The invite key of a slot."""
        return key_of(f"{self.name} invite {slot}")

    def auth(self, slot: int) -> Keypair:
        """The auth key of the participant in a slot."""
        return key_of(f"{self.name} auth {slot}")

    def create(self, now: int, **fields: Any) -> Statement:
        """The statement that opens the keygen; the cast remembers its stream."""
        terms = fields.pop("sealed", b"sealed terms")
        said: dict[str, Any] = {
            "suite": "musig2/1", "coordinator": self.coordinator, "salt": Salt(secret_of(f"{self.name} salt")),
            "group": Hash(secret_of("group")), "open": False, "subsets": (), "expires_at": now + HOUR,
            "slots": tuple(xonly(self.invite(i)) for i in range(self.slots)), "terms": digest(terms),
        }  # fmt: skip
        payload = KeygenCreate(v=1, by=xonly(self.creator), **(said | fields))
        made = statements.make(payload, self.creator.sign, blobs=[terms])
        self.stream = made.id
        return made

    def join(
        self, slot: int, after: bytes, enclave: XOnlyKey | None = None, rule: Rule = NONE, **fields: Any
    ) -> Statement:
        """A participant takes a slot."""
        blobs = [b"sealed card"] + ([b"envelope of slot %d" % slot] if enclave is not None else [])
        said: dict[str, Any] = {
            "slot": slot, "invite": xonly(self.invite(slot)), "rule": rule, "enclave": enclave,
            "custody": "device" if enclave is None else "sealed", "policy": Hash(secret_of("policy")),
            "card": digest(blobs[0]), "envelope": None if enclave is None else digest(blobs[1]),
        }  # fmt: skip
        auth = self.auth(slot)
        payload = KeygenJoin(v=1, by=xonly(auth), stream=self.stream, after=Hash(after), **(said | fields))
        return statements.make(payload, auth.sign, self.invite(slot).sign, blobs=blobs)

    def accept(self, slot: int, join: Statement, after: bytes, enclave: Keypair) -> Statement:
        """An enclave accepts a join."""
        return say(enclave, CustodyAccept, self.stream, after, slot=slot, join=join.id)

    def confirm(self, slot: int, after: bytes, roster: Hash) -> Statement:
        """A participant confirms the roster."""
        return say(self.auth(slot), KeygenConfirm, self.stream, after, roster=roster)

    def request(self, after: bytes, roster: Hash, now: int, slot: int = 0, **fields: Any) -> Statement:
        """The participant in ``slot`` asks for one signature of everybody."""
        body = fields.pop("sealed", b"sealed body")
        said: dict[str, Any] = {
            "keygen": self.stream, "after": Hash(after), "roster": roster, "slots": tuple(range(self.slots)),
            "items": 1, "grace_ms": 3_000, "expires_at": now + HOUR, "body": digest(body),
        }  # fmt: skip
        auth = self.auth(slot)
        return statements.make(SigningRequest(v=1, by=xonly(auth), **(said | fields)), auth.sign, blobs=[body])


def contribute(
    enclave: Keypair, stream: Id, after: bytes, *, slots: tuple[int, ...], attempt: int = 1, **fields: Any
) -> Statement:
    """An enclave contributes; ``signatures`` by default, as one that signs alone."""
    values = b"sealed values"
    said = {"attempt": attempt, "slots": slots, "step": "signatures", "values": digest(values)} | fields
    return say(enclave, SigningContribute, stream, after, values, **said)

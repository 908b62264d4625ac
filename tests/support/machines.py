"""A machine on the bench: one stream, driven statement by statement, without a coordinator and without sealing.

    keygen = Keygen(3)                            created; slots 0 and 1 go to the vault, slot 2 to the tower
    keygen.hear(keygen.join(0))                   appended to its chain, and the state moves
    refused(keygen, keygen.join(0), Reason.SLOT_TAKEN, "slot")      and nothing has changed
    signing = Signing(completed(3))               a request by the participant of slot 0
    signing.hear(signing.approve(1)); signing.steps((TOWER, "nonces"), (VAULT, "both"))

Methods named like kinds make a statement that the right speaker would say now; ``hear`` says it.  Blobs are opaque
here: the machines never open them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.machines import keygen, signing, streams
from keymeld_protocol.machines.keygen import KeygenPhase, KeygenState
from keymeld_protocol.machines.signing import SigningState
from keymeld_protocol.values import Epoch, Hash, Id, XOnlyKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import (
    AttemptOpened,
    CustodyAccept,
    CustodyRefuse,
    CustodyWiped,
    KeygenConfirm,
    KeygenExpired,
    KeygenJoin,
    KeygenLeave,
    KeygenRelease,
    Note,
    SigningApprove,
    SigningCancel,
    SigningContribute,
    SigningExpired,
    SigningHeard,
    SigningRefuse,
    SigningReject,
    SigningRetry,
)
from keymeld_protocol.wire.records import Chain, Record
from keymeld_protocol.wire.shapes import Rule, Said
from keymeld_protocol.wire.statements import Statement

from .build import HOUR, NONE, Cast, say, xonly
from .coordinator import NOON, key_of, secret_of

EPOCH = Epoch(bytes(16))
COORDINATOR, VAULT, TOWER, STRANGER = (key_of(name) for name in ("coordinator", "vault", "tower", "stranger"))
GRACE = 3_000


class Stream:
    """A chain, a state and a clock; the coordinator's part of a stream in a few lines."""

    def __init__(self, opening: Statement, keygen: KeygenState | None = None, now: int = NOON) -> None:
        self.now, self.epoch = now, EPOCH
        self.chain = Chain(opening.id)
        self.records: list[Record] = []
        self.heard: Any = None
        self._keygen = keygen
        self.hear(opening)

    @property
    def stream(self) -> Id:
        """The stream's name."""
        return self.chain.stream

    def hear(self, *said: Statement, at: int | None = None) -> Any:
        """Append each statement and move; gives the state.

        Raises:
            WireError: the machine refuses; nothing has changed.
        """
        for statement in said:
            record = self.chain.next(self.epoch, self.now if at is None else at, statement)
            self.heard = streams.step(self.heard, record, self._keygen)
            self.chain.append(record)
            self.records.append(record)
        return self.heard

    def said(self, who: Keypair, kind: type[Said], *blobs: bytes, **fields: Any) -> Statement:
        """``who`` says ``kind`` after the latest record."""
        return say(who, kind, self.stream, self.chain.hash, *blobs, **fields)

    def note(self, who: Keypair, word: str = "hello") -> Statement:
        """A note, which may be said at any time and moves nothing."""
        said = Note(kind=f"note.{word}", v=1, by=xonly(who), stream=self.stream, after=self.chain.hash)
        return statements.make(said, who.sign)


class Keygen(Stream):
    """A keygen of ``slots``; Alice, Bob and Carol are the participants of slots 0, 1 and 2."""

    def __init__(self, slots: int = 3, name: str = "group", **fields: Any) -> None:
        self.cast = Cast(name, xonly(COORDINATOR), slots)
        super().__init__(self.cast.create(NOON, **fields))

    @property
    def state(self) -> KeygenState:
        """As the log tells it."""
        assert isinstance(self.heard, KeygenState)
        return self.heard

    def home(self, slot: int) -> Keypair:
        """The enclave to which a slot is sealed: the tower for slot 2, the vault for all others."""
        return TOWER if slot == 2 else VAULT

    def join(self, slot: int, rule: Rule = NONE, enclave: Keypair | None = None, **fields: Any) -> Statement:
        """A sealed join."""
        return self.cast.join(slot, self.chain.hash, xonly(enclave or self.home(slot)), rule, **fields)

    def join_by(self, name: str, slot: int, enclave: Keypair | None = None, **fields: Any) -> Statement:
        """A sealed join by somebody else who has the slot's ticket."""
        auth, invite = key_of(name), self.cast.invite(slot)
        honest = self.join(slot, enclave=enclave).payload
        said = {f: getattr(honest, f) for f in honest.__struct_fields__} | {"by": xonly(auth)} | fields
        blobs = (b"sealed card", b"envelope of slot %d" % slot)
        return statements.make(KeygenJoin(**said), auth.sign, invite.sign, blobs=blobs)

    def device(self, slot: int) -> Statement:
        """A join whose key stays on its device."""
        return self.cast.join(slot, self.chain.hash)

    def accept(self, slot: int, by: Keypair | None = None, join: Id | None = None) -> Statement:
        """The slot's enclave accepts."""
        return self.said(by or self.home(slot), CustodyAccept, slot=slot, join=join or self._join(slot))

    def refuse(self, slot: int, by: Keypair | None = None, join: Id | None = None) -> Statement:
        """The slot's enclave refuses."""
        return self.said(by or self.home(slot), CustodyRefuse, slot=slot, join=join or self._join(slot), code="bad")

    def leave(self, slot: int, by: Keypair | None = None) -> Statement:
        """The slot's participant leaves."""
        return self.said(by or self.auth(slot), KeygenLeave, slot=slot)

    def wiped(self, slot: int, by: Keypair | None = None) -> Statement:
        """The slot's enclave has wiped its key."""
        return self.said(by or self.home(slot), CustodyWiped, slot=slot)

    def release(self, slot: int, by: Keypair | None = None, join: Id | None = None) -> Statement:
        """The creator frees the slot."""
        who = by or self.cast.creator
        return self.said(who, KeygenRelease, slot=slot, join=join or self._join(slot), code="squatter")

    def confirm(self, who: Keypair, roster: Hash | None = None) -> Statement:
        """Somebody confirms the roster."""
        return self.said(who, KeygenConfirm, roster=roster or self.state.roster or Hash(bytes(32)))

    def expired(self, by: Keypair = COORDINATOR) -> Statement:
        """The notice of the deadline."""
        return self.said(by, KeygenExpired)

    def auth(self, slot: int) -> Keypair:
        """Who speaks for a slot."""
        return self.cast.auth(slot)

    def fill(self, *slots: int, rule: Rule = NONE) -> Keygen:
        """Join and accept each slot."""
        for slot in slots:
            self.hear(self.join(slot, rule))
            self.hear(self.accept(slot))
        return self

    def _join(self, slot: int) -> Id:
        seat = self.state.seats[slot] if slot < len(self.state.seats) else None
        return seat.id if seat is not None else Id(secret_of("no join"))


def completed(slots: int = 3, *rules: Rule, **fields: Any) -> Keygen:
    """A keygen whose slots are all filled and accepted; ``rules`` by slot, else none."""
    keygen = Keygen(slots, **fields)
    for slot in range(slots):
        keygen.fill(slot, rule=rules[slot] if slot < len(rules) else NONE)
    return keygen


class Signing(Stream):
    """A signing that the participant of slot ``by`` asks for."""

    def __init__(self, keygen: Keygen, by: int = 0, **fields: Any) -> None:
        self.keygen = keygen
        roster = keygen.state.roster or Hash(bytes(32))
        super().__init__(keygen.cast.request(keygen.chain.hash, roster, NOON, by, **fields), keygen.state)

    @property
    def state(self) -> SigningState:
        """As the log tells it."""
        assert isinstance(self.heard, SigningState)
        return self.heard

    def approve(self, slot: int, **fields: Any) -> Statement:
        """A member says yes."""
        return self.said(self.keygen.auth(slot), SigningApprove, **fields)

    def reject(self, slot: int) -> Statement:
        """A member says no."""
        return self.said(self.keygen.auth(slot), SigningReject)

    def cancel(self, slot: int = 0) -> Statement:
        """The requester takes it back."""
        return self.said(self.keygen.auth(slot), SigningCancel)

    def hears(self, who: Keypair, at: int = NOON) -> Statement:
        """An enclave with a delay has verified the request, at its own time ``at`` (ms)."""
        return self.said(who, SigningHeard, at=at)

    def opening(self, by: Keypair = COORDINATOR, **fields: Any) -> Statement:
        """``attempt.opened``, as the log allows it now."""
        signers = signing.signers_of(self.state)
        last = signers[0].key if len(signers) > 1 else None
        said = {"attempt": self.state.attempt + 1, "signers": signers, "last": last} | fields
        return self.said(by, AttemptOpened, **said)

    def open(self) -> Signing:
        """Open the next attempt, if the log allows one; the first is open from the record that met the last rule."""
        if signing.may_open(self.state, self.now):
            self.hear(self.opening())
        return self

    def contribute(self, who: Keypair, step: str, **fields: Any) -> Statement:
        """A signer takes a step over the nonces that the log holds."""
        values = b"values of " + who.key
        answers = step in ("psigs", "both") or (step == "signatures" and len(self.state.signers) > 1)
        over = signing.nonces_hash(self.state) if answers else None
        slots = next((s.slots for s in self.state.signers if s.key == who.key), (0,))
        said = {"attempt": max(1, self.state.attempt), "slots": slots, "step": step, "over": over} | fields
        return self.said(who, SigningContribute, values, values=digest(values), **said)

    def steps(self, *steps: tuple[Keypair, str]) -> Signing:
        """Take several steps."""
        for who, step in steps:
            self.hear(self.contribute(who, step))
        return self

    def retry(self, who: Keypair, attempt: int | None = None) -> Statement:
        """A signer's nonces are gone."""
        return self.said(who, SigningRetry, attempt=attempt or max(1, self.state.attempt))

    def refuse(self, who: Keypair, *slots: int, attempt: int | None = None) -> Statement:
        """An enclave will not sign."""
        now = self.state.attempt if attempt is None else attempt
        return self.said(who, SigningRefuse, attempt=now, slots=slots or (0,), code="rule_not_met")

    def expired(self, by: Keypair = COORDINATOR) -> Statement:
        """The notice of the deadline."""
        return self.said(by, SigningExpired)


def refused(stream: Stream, said: Statement, reason: Reason, field: str | None = None, at: int | None = None) -> str:
    """``said`` is refused for ``reason``, naming ``field``, and nothing has changed; gives the message."""
    before, offset, top = stream.heard, stream.chain.offset, stream.chain.hash
    with pytest.raises(WireError) as caught:
        stream.hear(said, at=at)
    assert (caught.value.reason, caught.value.field) == (reason, field), caught.value
    assert stream.heard is before and (stream.chain.offset, stream.chain.hash) == (offset, top)
    return caught.value.message


def lead_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, joining ends a keygen, where no entry leads."""

    def lost(state: KeygenState, said: KeygenJoin, record: Record) -> KeygenState:
        return replace(state, phase=KeygenPhase.EXPIRED)

    entry = (KeygenPhase.COLLECTING, KeygenJoin)
    monkeypatch.setitem(keygen.TRANSITIONS, entry, replace(keygen.TRANSITIONS[entry], handler=lost))


def key_list(*keys: Keypair) -> frozenset[XOnlyKey]:
    """The x-only keys of these."""
    return frozenset(xonly(key) for key in keys)


__all__ = [
    "COORDINATOR", "EPOCH", "GRACE", "HOUR", "NONE", "NOON", "STRANGER", "TOWER", "VAULT", "Keygen", "Signing",
    "Stream", "completed", "key_list", "key_of", "lead_astray", "refused", "secret_of", "xonly",
]  # fmt: skip

"""A whole small session, told without sockets: the straight line in thirty lines, and real enclaves at its end.

    Teller.submit ─▶ record ─▶ Replay.hear ─▶ every enclave ─▶ what it owes is submitted
                               └─▶ the notices that the log calls for

Alice creates and joins (rule none), Bob (self) and Alice seal to enclave one, Carol (2 of 3) to enclave two.  The first
signing needs Alice and Bob, so one enclave signs alone; the second needs all three, so two enclaves sign together.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any

from keymeld_enclave.agent import Agent
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.derivation import prove_possession
from keymeld_protocol.keys.envelope import EnvelopeContext, seal_envelope
from keymeld_protocol.keys.sealing import NO_SESSION, GroupKey
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.streams import machine_of
from keymeld_protocol.member.roster import Roster, read_roster
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.body import Body, RawTransaction, SignInput, SignMessage, Spent, Transaction
from keymeld_protocol.plaintext.contents import Card, Terms
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.values import Hash, Id, Message, PlainKey, Salt, XOnlyKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import (
    KeygenConfirm,
    KeygenCreate,
    KeygenJoin,
    SigningApprove,
    SigningRequest,
)
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement

from . import cast
from .chance import Chance

RULES = (
    Rule(approval="none"),
    Rule(approval="self"),
    Rule(approval="quorum", threshold=2, of=(0, 1, 2)),
)
AT_ENCLAVE = ("enclave one", "enclave one", "enclave two")
LABELS = ("Alice’s laptop", "Bob", "Carol ☎")


class Teller:
    """A coordinator in memory; a second passes with each record."""

    def __init__(self) -> None:
        """Begin at noon, with both enclaves connected."""
        self.now = cast.NOON
        self.streams: dict[Id, Replay] = {}
        identities = [EnclaveIdentity(Secret(cast.secret_of(name))) for name in cast.ENCLAVES]
        self.agents = [Agent(identity, lambda: self.now) for identity in identities]
        self._queue: deque[Statement] = deque()

    def submit(self, said: Statement) -> Id:
        """Put ``said`` and all that follows from it into the log; gives the stream's name."""
        stream: Id = getattr(said.payload, "stream", said.id)
        self._queue.append(said)
        while self._queue:
            self._take(self._queue.popleft())
        return stream

    def _take(self, said: Statement) -> None:
        replay = self._replay(said)
        record = replay.chain.next(cast.EPOCH, self.now, said)
        replay.hear(record)
        self.now += 1000
        for agent in self.agents:
            self._queue.extend(agent.hear(replay.stream, seen_by(agent.identity.key, record)))
        self._say_due(replay)

    def _replay(self, said: Statement) -> Replay:
        if isinstance(said.payload, SigningRequest):
            return self.streams.setdefault(said.id, Replay(said.id, self.streams[said.payload.keygen]))
        return self.streams.setdefault(getattr(said.payload, "stream", said.id), Replay(said.id))

    def _say_due(self, replay: Replay) -> None:
        here = frozenset(agent.identity.key for agent in self.agents)
        due = machine_of(replay.state).due(replay.state, self.now, here, 0) if replay.state is not None else None
        if due is not None:
            self._take(self._notice(replay, due.kind, **due.fields))

    def _notice(self, replay: Replay, kind: Any, **fields: Any) -> Statement:
        by = XOnlyKey(cast.COORDINATOR.key)
        payload = kind(v=1, by=by, stream=replay.stream, after=replay.chain.hash, **fields)
        return statements.make(payload, cast.COORDINATOR.sign)


def seen_by(key: XOnlyKey, record: Record) -> Record:
    """The record as ``key`` gets it: an envelope goes to its enclave only."""
    said = record.statement.payload
    foreign = isinstance(said, KeygenJoin) and said.enclave is not None and said.enclave != key
    return record.without_blobs(("envelope",)) if foreign else record


# What the people say --------------------------------------------------------------------------------------------


def create() -> Statement:
    """Alice opens a keygen of three, with one subset: herself and Bob."""
    creator = cast.identity_of("alice").creator(cast.SALT)
    by, group = XOnlyKey(creator.key), GroupKey(cast.GROUP_SECRET, cast.SALT)
    terms = contents.encode(Terms(v=1, label="Treasury", network="regtest", tweak="bip86"))
    sealed = group.seal("keygen.create", "terms", NO_SESSION, by, terms)
    payload = KeygenCreate(
        v=1, by=by, suite="musig2/1", coordinator=XOnlyKey(cast.COORDINATOR.key), salt=cast.SALT,
        group=group.commitment, open=False, slots=tuple(XOnlyKey(cast.invite_of(i).key) for i in range(3)),
        subsets=((0, 1),), expires_at=cast.NOON + cast.DAY, terms=digest(sealed),
    )  # fmt: skip
    return statements.make(payload, creator.sign, blobs=[sealed])


def policy_of(slot: int) -> bytes:
    """The policy that the person in ``slot`` seals with the key."""
    return contents.encode(Policy(v=1, salt=Salt(cast.secret_of(f"policy salt {slot}")), rule=RULES[slot]))


def join(slot: int, keygen: Replay) -> Statement:
    """The person in ``slot`` joins, sealed to an enclave."""
    stream, group = keygen.stream, GroupKey(cast.GROUP_SECRET, cast.SALT)
    auth, enclave = cast.auth_of(slot, stream), cast.xonly_of(AT_ENCLAVE[slot])
    by, policy = XOnlyKey(auth.key), policy_of(slot)
    committed = policy_commitment(policy)
    secret = cast.identity_of(cast.PEOPLE[slot]).signing(stream, slot, committed)
    proof = prove_possession(secret, stream, slot, by)
    card = contents.encode(Card(v=1, pubkey=PlainKey(secret.point), label=LABELS[slot], possession=proof))
    sealed = group.seal("keygen.join", "card", stream, by, card)
    context = EnvelopeContext(keygen_id=stream, slot=slot, policy=committed, auth=by, enclave=enclave)
    envelope = seal_envelope(context, secret, cast.GROUP_SECRET, policy)
    invite = cast.invite_of(slot)
    payload = KeygenJoin(
        v=1, by=by, stream=stream, after=keygen.chain.hash, slot=slot, invite=XOnlyKey(invite.key),
        custody="sealed", rule=RULES[slot], policy=committed, enclave=enclave,
        card=digest(sealed), envelope=digest(envelope),
    )  # fmt: skip
    return statements.make(payload, auth.sign, invite.sign, blobs=[sealed, envelope])


def said(slot: int, heard: Replay, kind: Any, keygen_id: Id, **fields: Any) -> Statement:
    """A statement without blobs by the person in ``slot``."""
    auth = cast.auth_of(slot, keygen_id)
    payload = kind(v=1, by=XOnlyKey(auth.key), stream=heard.stream, after=heard.chain.hash, **fields)
    return statements.make(payload, auth.sign)


def request(
    slot: int, keygen: Replay, body: Body, slots: tuple[int, ...], at: int, after: Hash | None = None
) -> Statement:
    """The person in ``slot`` asks at ``at`` (ms) for what ``body`` says; it expires a day later."""
    auth, state = cast.auth_of(slot, keygen.stream), keygen.state
    assert isinstance(state, KeygenState) and state.roster is not None
    by, group = XOnlyKey(auth.key), GroupKey(cast.GROUP_SECRET, cast.SALT)
    sealed = group.seal("signing.request", "body", keygen.stream, by, contents.encode(body))
    payload = SigningRequest(
        v=1, by=by, keygen=keygen.stream, after=after or keygen.chain.hash, roster=state.roster, slots=slots,
        items=len(body.items), grace_ms=3000, expires_at=at + cast.DAY, body=digest(sealed),
    )  # fmt: skip
    return statements.make(payload, auth.sign, blobs=[sealed])


def payment(roster: Roster) -> Transaction:
    """One input of 1 BTC at the group's address: 0.4 BTC to a stranger, the rest back, 1,000 sat to the miner."""
    outputs = ((40_000_000, b"\x00\x14" + cast.secret_of("payee")[:20]), (59_999_000, roster.script()))
    made = b"".join(amount.to_bytes(8, "little") + bytes([len(script)]) + script for amount, script in outputs)
    spends = cast.secret_of("funding txid") + bytes(4) + b"\x00" + bytes.fromhex("fdffffff")
    unsigned = bytes.fromhex("02000000") + b"\x01" + spends + bytes([len(outputs)]) + made + bytes(4)
    spent = Spent(amount=100_000_000, script=contents.Script(roster.script()))
    return Transaction(unsigned=RawTransaction(unsigned), spent=(spent,))


def bodies(roster: Roster) -> tuple[Body, Body]:
    """What is asked for: a message by Alice and Bob; then a payment by all, and a message by Alice and Bob again."""
    hello = SignMessage(message=Message(cast.secret_of("message one")), subset=0)
    again = SignMessage(message=Message(cast.secret_of("message two")), subset=0)
    first = Body(v=1, transactions=(), items=(hello,), memo="")
    items = (SignInput(transaction=0, input=0), again)
    return first, Body(v=1, transactions=(payment(roster),), items=items, memo="rent – “March” \\ €")


@dataclass(frozen=True)
class Story:
    """What was told: the keygen and both signings as verified, and the roster."""

    keygen: Replay
    alone: Replay
    together: Replay
    roster: Roster


@cache
def tell() -> Story:
    """The whole story, once for each process; every run tells the same bytes."""
    with Chance("story"):
        teller = Teller()
        keygen = teller.streams[teller.submit(create())]
        for slot in (0, 2, 1):
            teller.submit(join(slot, keygen))
        state = keygen.state
        assert isinstance(state, KeygenState)
        for slot in range(3):
            teller.submit(said(slot, keygen, KeygenConfirm, keygen.stream, roster=state.roster))
        roster = read_roster(keygen, GroupKey(cast.GROUP_SECRET, cast.SALT))
        first, second = bodies(roster)
        alone = teller.streams[teller.submit(request(0, keygen, first, (0, 1), teller.now))]
        teller.submit(said(1, alone, SigningApprove, keygen.stream))
        together = teller.streams[teller.submit(request(0, keygen, second, (0, 1, 2), teller.now))]
        teller.submit(said(1, together, SigningApprove, keygen.stream, until=teller.now + 3_600_000))
        return Story(keygen, alone, together, roster)

"""Participants, built on the protocol package alone: what they hear they verify, what they show they computed.

invitation = alice.create(3)              a keygen for three slots; the invitation stands for its tickets
bob.join(invitation, 1, vault.key, SELF)  a sealed key, a card, an envelope
draft = bob.draft(invitation, 1, …)       the same, to be spoilt before ``draft.statement()``
bob.confirm(group); alice.request(group, MESSAGE); bob.approve(signing); bob.signatures(signing)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BrokenLog
from keymeld_protocol.keys.derivation import Identity, prove_possession, slot_secret
from keymeld_protocol.keys.envelope import EnvelopeContext, seal_envelope
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.hearing import Hearing
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.member import plan
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.places import Result
from keymeld_protocol.member.roster import Roster, read_roster
from keymeld_protocol.plaintext import contents, contributions
from keymeld_protocol.plaintext.body import Asked, Body, SignMessage, Transaction, places_of
from keymeld_protocol.plaintext.contents import Card, Terms
from keymeld_protocol.plaintext.contributions import Entry
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.values import Id, Message, PlainKey, Salt, XOnlyKey, digest
from keymeld_protocol.wire import frames, statements
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import (
    KeygenConfirm,
    KeygenCreate,
    KeygenJoin,
    SigningApprove,
    SigningCancel,
    SigningContribute,
    SigningReject,
    SigningRequest,
)
from keymeld_protocol.wire.shapes import Rule, Said
from keymeld_protocol.wire.statements import Statement

from .coordinator import Coordinator, Peer, secret_of

HOUR = 3_600_000
GRACE = 3_000


@dataclass(frozen=True)
class Invitation:
    """What the tickets of one keygen carry: its name, the group secret S and the open secret."""

    keygen: Id
    group_secret: bytes
    open_secret: bytes

    def invite(self, slot: int) -> Keypair:
        """The invite key of a slot."""
        with slot_secret(self.open_secret, slot) as secret:
            return Keypair(secret)


@dataclass
class JoinDraft:
    """Everything that goes into a join, honest at first: change what you like, then take the ``statement``."""

    auth: Keypair
    invite: Keypair
    after: bytes
    context: EnvelopeContext
    rule: Rule
    sealed_rule: Rule
    signing: Secret
    card_key: Secret
    group_secret: bytes
    card_group: GroupKey
    salt: Salt
    policy: bytes | None = None
    envelope: bytes | None = None
    card: bytes | None = None
    label: str = ""
    allow: dict[str, Any] = field(default_factory=dict)

    def statement(self, **fields: Any) -> Statement:
        """The join; ``fields`` replace those of the payload."""
        policy = self.policy
        if policy is None:
            policy = contents.encode(Policy(v=1, salt=self.salt, rule=self.sealed_rule, **self.allow))
        place = replace(self.context, policy=policy_commitment(policy))
        envelope = self.envelope or seal_envelope(place, self.signing, self.group_secret, policy)
        card = self.card or self._card(place)
        said: dict[str, Any] = {
            "stream": place.keygen_id, "after": self.after, "slot": place.slot, "invite": XOnlyKey(self.invite.key),
            "custody": "sealed", "rule": self.rule, "policy": place.policy, "enclave": place.enclave,
            "card": digest(card), "envelope": digest(envelope),
        }  # fmt: skip
        payload = KeygenJoin(v=1, by=XOnlyKey(self.auth.key), **(said | fields))
        return statements.make(payload, self.auth.sign, self.invite.sign, blobs=[card, envelope])

    def _card(self, place: EnvelopeContext) -> bytes:
        auth, pubkey = XOnlyKey(self.auth.key), PlainKey(self.card_key.point)
        proof = prove_possession(self.card_key, place.keygen_id, place.slot, auth)
        plain = contents.encode(Card(v=1, pubkey=pubkey, label=self.label, possession=proof))
        return self.card_group.seal("keygen.join", "card", place.keygen_id, auth, plain)


class Member(Peer):
    """A participant who may hold any number of slots in any number of keygens."""

    def __init__(self, coordinator: Coordinator, name: str) -> None:
        super().__init__(coordinator, name)
        self.identity = Identity(secret_of(name))
        self.hearing = Hearing(coordinator.key)
        self.groups: dict[Id, GroupKey] = {}
        self.slots: dict[Id, list[int]] = {}
        self._keys: set[XOnlyKey] = set()
        self._count = 0
        self._joins = 0

    # Hearing

    @property
    def keys(self) -> frozenset[XOnlyKey]:
        """The creator, invite and auth keys that this member has used."""
        return frozenset(self._keys)

    def hear(self, stream: Id, wire: WireRecord) -> None:
        """Verify a record; a log that breaks is remembered in ``troubles``."""
        try:
            self.hearing.hear(stream, frames.record_of(wire))
        except BrokenLog as error:
            self.troubles.append(str(error))

    def resume(self, stream: Id, top: int) -> int:
        """From where this member stands."""
        self.hearing.subscribed(stream, top)
        return self.heard(stream).chain.offset

    def heard(self, stream: Id) -> Replay:
        """A stream as this member has verified it."""
        return self.hearing.streams[stream]

    def keygen(self, stream: Id) -> KeygenState:
        """A keygen as verified."""
        state = self.heard(stream).state
        assert isinstance(state, KeygenState)
        return state

    def signing(self, stream: Id) -> SigningState:
        """A signing as verified."""
        state = self.heard(stream).state
        assert isinstance(state, SigningState)
        return state

    def roster(self, keygen: Id) -> Roster:
        """The roster, every card verified."""
        return read_roster(self.heard(keygen), self.groups[keygen])

    # Keygen

    def create(self, slots: int, *, subsets: Sequence[tuple[int, ...]] = (), life: int = HOUR,
               terms: Terms | None = None) -> Invitation:  # fmt: skip
        """Open a keygen that collects joins for ``life`` ms."""
        self._count += 1
        salt, secret, tickets = (secret_of(f"{self.name} {word} {self._count}") for word in ("salt", "S", "tickets"))
        creator, group = self.identity.creator(Salt(salt)), GroupKey(secret, Salt(salt))
        by = XOnlyKey(creator.key)
        plain = contents.encode(terms or Terms(v=1, label=self.name, network="regtest", tweak="bip86"))
        sealed = group.seal("keygen.create", "terms", Id(bytes(32)), by, plain)
        invitation = Invitation(Id(bytes(32)), secret, tickets)
        payload = KeygenCreate(
            v=1, by=by, suite="musig2/1", coordinator=self.coordinator.key, salt=Salt(salt),
            group=group.commitment, open=True, slots=tuple(XOnlyKey(invitation.invite(i).key) for i in range(slots)),
            subsets=tuple(subsets), expires_at=self.coordinator.now + life, terms=digest(sealed),
        )  # fmt: skip
        statement = statements.make(payload, creator.sign, blobs=[sealed])
        self._keys.add(by)
        self.groups[statement.id] = group
        self.coordinator.submit(statement, self)
        return Invitation(statement.id, secret, tickets)

    def accept(self, invitation: Invitation, slot: int) -> None:
        """Take a ticket: fetch the first record, which is open to whoever knows the name, and know S."""
        log = self.coordinator.log(invitation.keygen, self)
        assert log is not None
        replay = self.hearing.replay(invitation.keygen)
        if replay.state is None:
            self.hear(invitation.keygen, self.coordinator.wire(log.records[0], self))
            self.sent.setdefault(invitation.keygen, 1)
        create = self.keygen(invitation.keygen).create
        self.groups[invitation.keygen] = GroupKey.open_group(invitation.group_secret, create.salt, create.group)
        self._keys.update({XOnlyKey(invitation.invite(slot).key), XOnlyKey(self.auth(invitation.keygen, slot).key)})

    def auth(self, keygen: Id, slot: int | None = None) -> Keypair:
        """The key with which this member speaks for a slot (the first of its own by default)."""
        return self.identity.auth(keygen, self.slots[keygen][0] if slot is None else slot)

    def signing_key(self, keygen: Id, slot: int) -> Secret:
        """The key that this member sealed when it joined ``slot``, as it follows from the policy in the log."""
        return self.identity.signing(keygen, slot, self.coordinator.state(keygen).seats[slot].join.policy)

    def draft(self, invitation: Invitation, slot: int, enclave: XOnlyKey, rule: Rule, **allow: Any) -> JoinDraft:
        """An honest join, not yet said; ``allow`` are further fields of the policy."""
        self.accept(invitation, slot)
        self._joins += 1
        auth, salt = self.auth(invitation.keygen, slot), Salt(secret_of(f"policy {self.name} {self._joins}"))
        policy = policy_commitment(contents.encode(Policy(v=1, salt=salt, rule=rule, **allow)))
        signing = self.identity.signing(invitation.keygen, slot, policy)
        context = EnvelopeContext(
            keygen_id=invitation.keygen, slot=slot, policy=policy, auth=XOnlyKey(auth.key), enclave=enclave
        )
        return JoinDraft(
            auth, invitation.invite(slot), self.heard(invitation.keygen).chain.hash, context, rule, rule, signing,
            signing, invitation.group_secret, self.groups[invitation.keygen], salt, label=self.name, allow=allow,
        )  # fmt: skip

    def join(self, invitation: Invitation, slot: int, enclave: XOnlyKey, rule: Rule, **allow: Any) -> Statement:
        """Fill a slot with a key sealed to ``enclave``; ``allow`` are further fields of the policy."""
        statement = self.draft(invitation, slot, enclave, rule, **allow).statement()
        self.submit(statement)
        self.slots.setdefault(invitation.keygen, []).append(slot)
        return statement

    def confirm(self, keygen: Id, slot: int | None = None) -> Statement:
        """Verify the roster and say so."""
        return self.say(keygen, KeygenConfirm, self.auth(keygen, slot), roster=self.roster(keygen).hash)

    # Signing

    def requesting(
        self, keygen: Id, *items: bytes | Asked, transactions: tuple[Transaction, ...] = (), subset: int | None = None,
        life: int = HOUR, memo: str = "", **fields: Any,
    ) -> Statement:  # fmt: skip
        """A request for ``items`` (32 bytes are a message for ``subset``), not yet said; ``fields`` replace its own."""
        asked = tuple(SignMessage(message=Message(i), subset=subset) if isinstance(i, bytes) else i for i in items)
        body = Body(v=1, transactions=transactions, items=asked, memo=memo)
        roster, auth, group = self.roster(keygen), self.auth(keygen), self.groups[keygen]
        by = XOnlyKey(auth.key)
        sealed = group.seal("signing.request", "body", keygen, by, contents.encode(body))
        said: dict[str, Any] = {
            "keygen": keygen, "after": self.heard(keygen).chain.hash, "roster": roster.hash,
            "slots": plan.needed_slots(plan.plan(body, roster)), "items": len(asked), "grace_ms": GRACE,
            "expires_at": self.coordinator.now + life, "body": digest(sealed),
        }  # fmt: skip
        return statements.make(SigningRequest(v=1, by=by, **(said | fields)), auth.sign, blobs=[sealed])

    def request(self, keygen: Id, *items: bytes | Asked, **options: Any) -> Id:
        """Ask for signatures; gives the signing's name."""
        return self.submit(self.requesting(keygen, *items, **options)).id

    def approve(self, signing: Id, **fields: Any) -> Statement:
        """Say yes."""
        return self.say(signing, SigningApprove, **fields)

    def reject(self, signing: Id) -> Statement:
        """Say no."""
        return self.say(signing, SigningReject)

    def cancel(self, signing: Id) -> Statement:
        """Take one's own request back."""
        return self.say(signing, SigningCancel)

    def saying(self, stream: Id, kind: type[Said], auth: Keypair | None = None, **fields: Any) -> Statement:
        """A statement after the latest record that this member has verified, not yet said."""
        if auth is None:
            state = self.heard(stream).state
            auth = self.auth(state.keygen.stream if isinstance(state, SigningState) else stream)
        payload = kind(v=1, by=XOnlyKey(auth.key), stream=stream, after=self.heard(stream).chain.hash, **fields)
        return statements.make(payload, auth.sign)

    def say(self, stream: Id, kind: type[Said], auth: Keypair | None = None, **fields: Any) -> Statement:
        """Say it."""
        return self.submit(self.saying(stream, kind, auth, **fields))

    def submit(self, statement: Statement) -> Statement:
        """Hand a statement to the coordinator."""
        self.coordinator.submit(statement, self)
        return statement

    # Results, computed here

    def signatures(self, signing: Id) -> tuple[Result, ...]:
        """The signatures of the latest attempt, aggregated and verified from the log.

        Raises:
            Blamed: something is missing or does not hold.
        """
        heard, state = self.heard(signing), self.signing(signing)
        roster, group = self.roster(state.request.keygen), self.groups[state.request.keygen]
        items = plan.plan_of(state, heard.records[0].statement, roster, group).items
        attempt = Attempt.of(state, items, roster)
        for record in heard.records:
            said = record.statement.payload
            if isinstance(said, SigningContribute) and said.attempt == state.attempt:
                entries = self._opened(record.statement, "values", len(attempt.places), group)
                attempt.hear(said.by, entries, finished=said.step == "signatures")
        return attempt.results()

    def told(self, signing: Id) -> tuple[Entry, ...]:
        """What the contribution that completed it says, believed by nobody."""
        state = self.signing(signing)
        record = self.heard(signing).records[state.contributions[-1].offset - 1]
        group = self.groups[state.request.keygen]
        body = plan.read_body(self.heard(signing).records[0].statement, group)
        return self._opened(record.statement, "values", sum(map(places_of, body.items)), group)

    def _opened(self, statement: Statement, field: str, places: int, group: GroupKey) -> tuple[Entry, ...]:
        sealed = statement.blob(field)
        assert sealed is not None
        return contributions.decode(group.open_in(statement.payload, field, sealed), places)

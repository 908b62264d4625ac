"""Custody: envelopes opened, checked, held and wiped.  The only place where other people's keys are ever open.

    keygen.join ▶ envelope opens for this session, slot, policy and auth key
                ▶ S gives the group commitment ▶ the terms open and parse
                ▶ the sealed policy is the public one, and committed to
                ▶ the card opens, proves its key, and it is this key ▶ held          … else refused with a code

Nobody replays an envelope elsewhere, loosens its policy or swaps its key (§11.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import NEWER, BadInput, Blamed, InvalidCrypto, code_for
from keymeld_protocol.keys.envelope import EnvelopeContext, OpenedEnvelope, is_newer, open_envelope
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.keygen import KeygenState, Seat
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.holder import NotHeld
from keymeld_protocol.member.roster import read_card, read_terms
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.values import Id
from keymeld_protocol.wire.records import Record

from .keymanagement import EnclaveIdentity


class Unacceptable(NotHeld):
    """What this enclave will not hold; ``code`` is said in ``custody.refuse``, ``message`` in its sealed detail."""


@dataclass(frozen=True, eq=False)
class Held:
    """One slot's key and the policy under which it may be used; ``size``: what the policy takes (bytes), about."""

    join: Id
    secret: Secret
    policy: Policy
    size: int


class Custody:
    """What this enclave holds of one keygen: the group key and, for each of its slots, a key and its policy.

    It is the `KeyHolder` of the enclave's signers: a key and the policy that it enforces come out of one envelope.
    """

    def __init__(self, heard: Replay, identity: EnclaveIdentity) -> None:
        self.heard = heard
        self.key = identity.key
        self.group: GroupKey | None = None
        self.terms: Terms | None = None
        self._terms_size = 0
        self._identity = identity
        self._held: dict[int, Held] = {}
        self._wiped = False

    @property
    def state(self) -> KeygenState:
        """The keygen as verified so far.

        Raises:
            Unacceptable: nothing of it has been heard.
        """
        state = self.heard.as_keygen
        if state is None:
            raise Unacceptable("unknown_session", "this keygen has not been heard")
        return state

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that are sealed to this enclave, rising, also those that have left.

        Raises:
            Unacceptable: as `state`.
        """
        return self.state.slots_at(self.key)

    @property
    def held(self) -> tuple[int, ...]:
        """The slots whose keys are held now."""
        return tuple(self._held)

    @property
    def size(self) -> int:
        """Bytes of the terms and the policies that are held, about."""
        return self._terms_size + sum(held.size for held in self._held.values())

    def secret(self, slot: int) -> Secret:
        """The key that was sealed for ``slot``.

        Raises:
            Unacceptable: as `take`.
        """
        return self.take(slot).secret

    def policy(self, slot: int) -> Policy:
        """What its owner sealed with it: asked by the contributor before any nonce of this slot.

        Raises:
            Unacceptable: as `take`.
        """
        return self.take(slot).policy

    def let_go(self, heard: Replay, record: Record, blob: str) -> None:
        """Nobody fills our memory with envelopes, with requests that wait, or with what signers say."""
        heard.let_go(record.statement.id, blob)

    def take(self, slot: int) -> Held:
        """Open and check the envelope of ``slot``, once for each join; a superseded join's key is wiped.

        Raises:
            Unacceptable: the envelope, its policy or the card does not hold, or is not for us.
        """
        if self._wiped:
            raise Unacceptable("wiped", "the keys of this keygen were wiped")
        if slot in self.state.left:
            raise Unacceptable("left", f"the participant of slot {slot} has left")
        seat = self.state.seats[slot]
        if seat is None or seat.join.enclave != self.key:
            raise Unacceptable("not_ours", f"slot {slot} is not sealed to this enclave")
        held = self._held.get(slot)
        if held is not None and held.join == seat.id:
            return held
        self.drop(slot)
        self._held[slot] = self._opened(slot, seat)
        return self._held[slot]

    def take_all(self) -> GroupKey:
        """Hold every slot that is sealed to us and has not left; gives the group key that came with them.

        Raises:
            Unacceptable: as `take`, or no slot is ours, or all of ours have left.
        """
        for slot in self.slots:
            if slot not in self.state.left:
                self.take(slot)
        if self.group is None:
            if self.slots:
                raise Unacceptable("left", "every slot that was sealed to this enclave has left")
            raise Unacceptable("not_ours", "no slot of this keygen is sealed to this enclave")
        return self.group

    def drop_superseded(self) -> None:
        """Wipe the keys of joins that fill their slot no longer: released, or replaced."""
        for slot, held in list(self._held.items()):
            seat = self.state.seats[slot]
            if seat is None or seat.id != held.join:
                self.drop(slot)

    def leave(self, slot: int) -> None:
        """Wipe the key of a slot that left, and let go of its envelope; after the last one of the group key, too."""
        self.drop(slot)
        seat = self.state.seats[slot]
        if seat is not None:
            self.heard.let_go(seat.id, "envelope")
        if self.group is not None and set(self.slots) <= set(self.state.left):
            self.group.wipe()
            self.group = None

    def _opened(self, slot: int, seat: Seat) -> Held:
        """Open, then check each thing that §11.2 names, in its order; what is refused is wiped."""
        join = seat.join
        sealed = self.heard.record_of(seat.id).statement.blob("envelope")
        if sealed is None:
            raise Unacceptable("missing_envelope", "the coordinator did not deliver the envelope")
        try:
            envelope = open_envelope(self._identity.secret, EnvelopeContext.of_join(join), sealed)
        except InvalidCrypto as error:
            raise Unacceptable(NEWER if is_newer(sealed) else "bad_envelope", str(error)) from None
        try:
            self.group = self._group(envelope.group_secret)
            self._read_terms(self.group)
            return Held(seat.id, envelope.signing, self._checked(slot, seat, envelope, self.group), 4 * len(sealed))
        except Unacceptable:
            envelope.wipe()
            raise

    def _checked(self, slot: int, seat: Seat, envelope: OpenedEnvelope, group: GroupKey) -> Policy:
        """The policy of an envelope whose policy and key are those of the join (§11.2)."""
        policy = self._policy(envelope.policy, seat)
        try:
            card = read_card(self.heard, group, slot)
        except Blamed as error:
            raise Unacceptable(error.code, error.message) from None
        if card.pubkey != envelope.signing.point:
            raise Unacceptable("foreign_key", "the sealed key is not the one on the card")
        return policy

    def _group(self, group_secret: bytearray) -> GroupKey:
        """The group key, which must give the commitment of this session."""
        create = self.state.create
        try:
            return GroupKey.open_group(group_secret, create.salt, create.group)
        except InvalidCrypto as error:
            raise Unacceptable("foreign_group_secret", str(error)) from None

    def _read_terms(self, group: GroupKey) -> None:
        """Read the terms once, and let go of their bytes: nobody fills our memory with what is none."""
        if self.terms is not None:
            return
        create = self.heard.record_of(self.heard.stream).statement
        size = len(create.blob("terms") or b"")
        try:
            self.terms, self._terms_size = read_terms(self.heard, group), size
        except Blamed as error:
            raise Unacceptable(error.code, error.message) from None
        self.heard.let_go(self.heard.stream, "terms")

    def _policy(self, raw: bytes, seat: Seat) -> Policy:
        """The sealed policy: committed to in the join, equal to its public rule, and naming only what is there."""
        state = self.state
        try:
            policy = contents.parse(Policy, raw)
            policy.check_place(seat.join.slot, len(state.seats), state.create.subsets)
        except BadInput as error:
            raise Unacceptable(code_for(error, "unknown_policy"), str(error)) from None
        if policy_commitment(raw) != seat.join.policy:
            raise Unacceptable("foreign_policy", "the sealed policy is not the one that the join commits to")
        if policy.rule != seat.join.rule:
            raise Unacceptable("foreign_rule", "the sealed rule is not the public one")
        return policy

    def drop(self, slot: int) -> None:
        """Wipe what is held of ``slot``."""
        held = self._held.pop(slot, None)
        if held is not None:
            held.secret.wipe()

    def wipe(self) -> None:
        """Wipe everything, for good: nothing is opened again."""
        self._wiped = True
        for slot in list(self._held):
            self.drop(slot)
        if self.group is not None:
            self.group.wipe()
            self.group = None

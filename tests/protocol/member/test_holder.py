"""holder.py: whoever holds keys signs by the same contributor; here a phone of dictionaries, that opens no envelope."""

from __future__ import annotations

from typing import Any

import pytest

from keymeld_protocol.curve import adaptor
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.hearing import Hearing
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningPhase, SigningState
from keymeld_protocol.member.contributing import Contributor
from keymeld_protocol.member.holder import NotHeld
from keymeld_protocol.member.roster import read_roster
from keymeld_protocol.member.signer import MemberSigner
from keymeld_protocol.member.speaker import Speaker
from keymeld_protocol.plaintext.body import Adaptor, SignMessage
from keymeld_protocol.plaintext.policy import Policy
from keymeld_protocol.values import Id, Message, PlainKey, Salt, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import CustodyAccept, KeygenJoin, SigningContribute
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement
from tests.support.coordinator import Coordinator, Peer, key_of, secret_of
from tests.support.party import Party
from tests.support.world import MESSAGE, NONE

ALONE, LAST, FIRST = ("phone", "phone", "phone"), ("phone", "vault", "phone"), ("vault", "phone", "vault")
"""Who holds the key of each slot: whoever has most of them goes last."""

LOCKS = [secret_of(word) for word in ("first lock", "second lock")]
POINTS = tuple(PlainKey(Secret(lock).point) for lock in LOCKS)
TO_LOCK = SignMessage(message=Message(MESSAGE), adaptor=Adaptor(mode="or", points=POINTS))


class Keyring:
    """What a phone holds of one keygen: secrets and policies, by slot."""

    def __init__(self, key: XOnlyKey, group: GroupKey) -> None:
        self.key = key
        self.group: GroupKey | None = group
        self.secrets: dict[int, Secret] = {}
        self.policies: dict[int, Policy] = {}

    @property
    def slots(self) -> tuple[int, ...]:
        """Those that it has a policy for."""
        return tuple(self.policies)

    def secret(self, slot: int) -> Secret:
        """Lend it, if it is there."""
        if slot not in self.secrets:
            raise NotHeld("not_ours", f"the key of slot {slot} is not on this phone")
        return self.secrets[slot]

    def policy(self, slot: int) -> Policy:
        """As it was set."""
        return self.policies[slot]

    def let_go(self, heard: Replay, record: Record, blob: str) -> None:
        """Nothing: a phone shows what it has heard."""


class Phone(Peer):
    """Speaks for the slots on its keyring; it takes every join for granted."""

    signs = True

    def __init__(self, coordinator: Coordinator, name: str) -> None:
        super().__init__(coordinator, name)
        keypair = key_of(name)
        self.key = XOnlyKey(keypair.key)
        self.speaker = Speaker(self.key, keypair.sign)
        self.hearing = Hearing(coordinator.key)
        self.said: list[Statement] = []
        self.signings: dict[Id, Contributor] = {}
        self.ring: Keyring
        self._began: dict[Id, int] = {}

    @property
    def keys(self) -> frozenset[XOnlyKey]:
        """The one that it speaks with."""
        return frozenset({self.key})

    def steps(self) -> list[str]:
        """The steps that it has contributed, in order."""
        return [said.payload.step for said in self.said if isinstance(said.payload, SigningContribute)]

    def hear(self, stream: Id, wire: WireRecord) -> None:
        """Verify a record, and say what is owed."""
        for replay, record in self.hearing.hear(stream, frames.record_of(wire)):
            join = record.statement.payload
            if isinstance(join, KeygenJoin) and join.enclave == self.key:
                self._say(self.speaker.say(replay, CustodyAccept, slot=join.slot, join=record.statement.id))
            if isinstance(replay.state, SigningState) and replay.state.open:
                self._say(*self._contributor(replay, record).owed(self.coordinator.now))

    def _say(self, *statements: Statement) -> None:
        for statement in statements:
            self.said.append(statement)
            self.coordinator.submit(statement, self)

    def _contributor(self, replay: Replay, record: Record) -> Contributor:
        """Whoever serves this signing, told of every record."""
        if replay.stream in self.signings:
            self.signings[replay.stream].note(record)
            return self.signings[replay.stream]
        assert replay.keygen is not None and self.ring.group is not None
        signer = MemberSigner(self.ring, read_roster(replay.keygen, self.ring.group))
        made = Contributor(self.speaker, replay, signer, began=self._began.get(replay.stream, 0))
        for each in replay.records:
            made.note(each)
        self.signings[replay.stream] = made
        return made

    def forget(self) -> None:
        """Lose every nonce, as in a crash."""
        self._began = {stream: made.heard.chain.offset for stream, made in self.signings.items()}
        self.signings.clear()


class Mixed(Party):
    """Alice, Bob and Carol, their keys on a phone or in a vault; ``allow``: further fields of the phone's policies."""

    def __init__(self, holders: tuple[str, ...], **allow: Any) -> None:
        super().__init__("vault")
        self.phone = Phone(self.world, "phone")
        invitation = self.alice.create(len(holders))
        self.group = invitation.keygen
        self.phone.ring = Keyring(self.phone.key, self.alice.groups[self.group])
        keys = {"phone": self.phone.key, "vault": self.vaults[0].key}
        for slot, (member, holder) in enumerate(zip(self.members, holders, strict=True)):
            member.join(invitation, slot, keys[holder], NONE)
            if holder == "phone":
                self.phone.ring.secrets[slot] = member.signing_key(self.group, slot)
                self.phone.ring.policies[slot] = Policy(v=1, salt=Salt(bytes(32)), rule=NONE, **allow)
        self.world.run()

    def asked(self, item: bytes | SignMessage = MESSAGE) -> Id:
        """Alice asks, and everybody does what he owes."""
        signing = self.alice.request(self.group, item)
        self.world.run()
        return signing


@pytest.mark.parametrize(
    ("holders", "steps"), [(ALONE, ["signatures"]), (LAST, ["both"]), (FIRST, ["nonces", "signatures"])]
)
def test_a_phone_signs_alone_or_with_an_enclave_whoever_goes_last(holders: tuple[str, ...], steps: list[str]) -> None:
    party = Mixed(holders)
    signing = party.asked()
    assert party.signed(signing) and party.undisturbed() and not party.phone.troubles
    assert party.phone.steps() == steps


@pytest.mark.parametrize("holders", [ALONE, LAST, FIRST])
def test_its_pre_signatures_are_completed_by_whoever_knows_the_secret_of_a_point(holders: tuple[str, ...]) -> None:
    party = Mixed(holders)
    (made,) = party.bob.signatures(party.asked(TO_LOCK))
    output = party.bob.roster(party.group).output
    assert isinstance(made, tuple) and len(made) == len(LOCKS)
    for presignature, lock in zip(made, LOCKS, strict=True):
        assert verify(adaptor.adapt(presignature, lock), MESSAGE, output)


def test_a_phone_that_has_lost_its_nonces_asks_for_another_attempt() -> None:
    party = Mixed(FIRST)
    signing = party.alice.request(party.group, MESSAGE)
    while not party.phone.steps():
        for peer in party.world.peers.values():
            peer.step()
    party.phone.forget()
    party.world.run()
    assert party.signed(signing) and party.world.state(signing).attempt == 2
    assert [said.payload.kind for said in party.phone.said].count("signing.retry") == 1


@pytest.mark.parametrize("holders", [ALONE, LAST, FIRST])
def test_what_its_policy_forbids_is_refused_before_any_nonce(holders: tuple[str, ...]) -> None:
    party = Mixed(holders, no_blind=True)
    signing = party.asked()
    assert (party.phase(signing), party.code(signing)) == (SigningPhase.FAILED, "blind_not_allowed")
    assert not party.phone.steps()


def test_a_key_that_is_not_there_is_refused_in_words_for_the_members_only() -> None:
    party = Mixed(FIRST)
    del party.phone.ring.secrets[1]
    assert party.code(party.asked()) == "not_ours"
    refusal = party.phone.said[-1]
    sealed = refusal.blob("detail")
    assert sealed is not None
    told = party.bob.groups[party.group].open_in(refusal.payload, "detail", sealed)
    assert b"not on this phone" in told


def test_whether_what_was_read_is_kept_is_its_holders_choice() -> None:
    party = Mixed(LAST)
    vault = party.vaults[0].agent.hearing
    signing = party.alice.request(party.group, MESSAGE)
    while not (party.phone.signings and vault.streams.get(signing)):
        for peer in party.world.peers.values():
            peer.step()
    kept = [
        streams[signing].records[0].statement.blob("body") for streams in (party.phone.hearing.streams, vault.streams)
    ]
    assert kept[0] is not None and kept[1] is None

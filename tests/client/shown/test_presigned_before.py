"""presigned_before.py: an earlier signing may have left a pre-signature with somebody, unless it is here."""

from __future__ import annotations

import pytest

from keymeld_client.shown.presigned_before import may_hide
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.signing_state import SigningPhase, SigningState
from keymeld_protocol.member.plan import Plan, plan, plan_of
from keymeld_protocol.plaintext.body import Adaptor, Body, SignMessage
from keymeld_protocol.plaintext.contributions import Failed
from keymeld_protocol.values import Message, PlainKey
from keymeld_protocol.wire.payloads import SigningContribute
from tests.attacks.mischief import Puppet
from tests.support.coordinator import secret_of
from tests.support.world import NONE, Member, World

POINT, OTHER = (PlainKey(Secret(secret_of(word)).point) for word in ("lock", "another lock"))
SWAP = "swap"


class Swap:
    """Alice and Bob at one enclave each; Alice asked for a message locked to ``POINT``."""

    def __init__(self) -> None:
        """Bob's enclave falls silent when it is told so."""
        self.world = World()
        self.tower = Puppet(self.world, "tower")
        self.alice: Member = self.world.member("alice")
        bob = self.world.member("bob")
        self.keygen = self.world.gather([self.alice, bob], at=[self.world.enclave("vault"), self.tower], rule=NONE)
        self.signing = self.alice.request(self.keygen, locked(POINT))

    def run(self) -> Swap:
        """To its end."""
        self.world.run()
        return self

    def until_psigs(self) -> Swap:
        """Until one enclave has said its part and the other keeps its own back."""
        while not self.state.psig_sent:
            for peer in self.world.peers.values():
                peer.step()
        self.tower.mute = True
        self.world.run()
        assert self.state.phase != SigningPhase.COMPLETED
        return self

    @property
    def state(self) -> SigningState:
        """Where the coordinator has it."""
        state = self.world.state(self.signing)
        assert isinstance(state, SigningState)
        return state

    @property
    def plan(self) -> Plan:
        """What was asked."""
        heard, roster = self.alice.heard(self.signing), self.alice.roster(self.keygen)
        return plan_of(self.alice.signing(self.signing), heard.records[0].statement, roster, self.group)

    @property
    def group(self) -> GroupKey:
        """What opens it."""
        return self.alice.groups[self.keygen]

    def hides(self, *items: SignMessage) -> bool:
        """Whether Alice is warned of it when this is asked for."""
        roster = self.alice.roster(self.keygen)
        asked = plan(Body(v=1, transactions=(), items=items, memo=""), roster)
        return may_hide(self.alice.heard(self.signing), self.plan, asked, roster, self.group)


def locked(point: PlainKey | None, message: str = SWAP) -> SignMessage:
    """A message, locked to a point unless that is None."""
    adaptor = None if point is None else Adaptor(mode="single", points=(point,))
    return SignMessage(message=Message(secret_of(message)), adaptor=adaptor)


def test_one_whose_psigs_were_sent_and_that_never_ended_may_hide_one() -> None:
    assert Swap().until_psigs().hides(locked(POINT))


def test_one_that_was_taken_back_while_a_psig_was_owed_may_hide_one() -> None:
    """An enclave may have said it, and a coordinator kept it from the log until the cancel was in it."""
    swap = Swap()
    while not swap.state.contributions:
        for peer in swap.world.peers.values():
            if not swap.state.contributions:
                peer.step()
    swap.alice.cancel(swap.signing)
    swap.run()
    assert swap.state.phase == SigningPhase.CANCELLED and not swap.state.psig_sent
    assert swap.hides(locked(POINT))


def test_one_in_which_nobody_has_signed_hides_nothing() -> None:
    swap = Swap()
    while swap.alice.step():
        pass
    assert not swap.state.psig_sent and not swap.hides(locked(POINT))


def test_one_that_is_completed_and_read_here_hides_nothing() -> None:
    assert not Swap().run().hides(locked(POINT))


def test_one_that_is_completed_and_cannot_be_read_here_may_hide_one() -> None:
    swap = Swap().run()
    heard = swap.alice.heard(swap.signing)
    for index, record in enumerate(heard.records):
        if isinstance(said := record.statement.payload, SigningContribute):
            heard.records[index] = record.without_blobs(said.BLOBS)
    assert swap.hides(locked(POINT))


def test_one_that_has_failed_by_the_word_of_who_finished_it_may_hide_one(monkeypatch: pytest.MonkeyPatch) -> None:
    swap = Swap()
    for enclave in swap.world.enclaves:
        monkeypatch.setattr(
            enclave.agent._groups[swap.keygen].signer(), "signatures", lambda *_: (Failed("opaque_tweak"),)
        )
    swap.run()
    assert swap.state.phase == SigningPhase.COMPLETED
    assert swap.hides(locked(POINT)), "everything is here, and shows that it need not have failed"
    heard = swap.alice.heard(swap.signing)
    for index, record in enumerate(heard.records[:-1]):
        if isinstance(said := record.statement.payload, SigningContribute):
            heard.records[index] = record.without_blobs(said.BLOBS)
    assert swap.hides(locked(POINT)), "nothing is here, and its own word shows nothing"


def test_the_same_locked_to_another_point_is_warned_of() -> None:
    """Whoever completes the earlier one gives away nothing of what opens the later."""
    assert Swap().until_psigs().hides(locked(OTHER))


@pytest.mark.parametrize("asked", [locked(POINT, "another"), locked(None)], ids=["another message", "not locked"])
def test_what_has_nothing_in_common_with_it_is_not_warned_of(asked: SignMessage) -> None:
    assert not Swap().until_psigs().hides(asked)

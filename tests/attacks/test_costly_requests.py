"""Requests that take long: whose turn comes first, and what becomes of those for whom there is no room.

Mallory ── ten requests of many kilobytes ──▶ enclave ◀── one small request ── Alice        Alice is served first
"""

from __future__ import annotations

from keymeld_enclave.turns import Turns
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.plaintext.body import SignInput
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import SigningContribute
from tests.support.desk import Desk
from tests.support.payments import payment
from tests.support.world import MESSAGE, NONE, Member, World

OUTPUTS = 200


class Two:
    """Alice and Mallory, each with a group of her own, at one enclave that talks in frames."""

    def __init__(self) -> None:
        self.world = World()
        self.desk = Desk(self.world, "vault")
        self.desk.run()
        self.alice, self.mallory = self.world.member("alice"), self.world.member("mallory")
        self.groups = {member: self.gather(member) for member in (self.alice, self.mallory)}

    def gather(self, member: Member) -> Id:
        invitation = member.create(1)
        member.join(invitation, 0, self.desk.key, NONE)
        self.desk.run()
        return invitation.keygen

    def costly(self) -> Id:
        """Mallory asks for a payment of many outputs."""
        script = self.mallory.roster(self.groups[self.mallory]).script()
        paid = payment([(100_000, script)], [(10, b"\x51\x20" + bytes([n]) * 32) for n in range(OUTPUTS)])
        return self.mallory.request(self.groups[self.mallory], SignInput(transaction=0, input=0), transactions=(paid,))

    def deliver(self) -> None:
        """Records reach the enclave, and have no turn yet."""
        self.desk.waits = True
        while self.desk.inbox:
            self.desk.step()

    def contributed(self) -> list[Id]:
        """The signings to which the enclave has contributed, in the order in which it has."""
        said = (statement.payload for statement in self.desk.outbox.unanswered())
        return [payload.stream for payload in said if isinstance(payload, SigningContribute)]


def test_attack_62_a_small_request_is_served_before_ten_costly_ones_that_came_earlier() -> None:
    """62: a stranger's group asks for much; another group's signing does not notice."""
    two = Two()
    costly = [two.costly() for _ in range(10)]
    small = two.alice.request(two.groups[two.alice], MESSAGE)
    two.deliver()
    two.desk.work()
    assert two.contributed() == [small, *costly], "and what costs much has its turn, in its order"


def test_attack_62_who_has_used_much_waits_for_who_has_not() -> None:
    """62: what a group has used counts against it, also where each of its requests is small."""
    two = Two()
    turns: Turns[object] = two.desk.talk._turns  # type: ignore[assignment]
    turns.charge(two.groups[two.mallory], 10_000, two.world.now)
    theirs = two.mallory.request(two.groups[two.mallory], MESSAGE)
    ours = [two.alice.request(two.groups[two.alice], bytes([n]) * 32) for n in range(5)]
    two.deliver()
    two.desk.work()
    assert two.contributed() == [*ours, theirs]


def test_attack_61_records_for_which_there_is_no_room_are_heard_again_later() -> None:
    """61: a stranger sends more than may wait; he is heard later, and nobody else notices."""
    two = Two()
    two.desk.talk._turns._most = 100_000
    costly = [two.costly() for _ in range(10)]
    small = two.alice.request(two.groups[two.alice], MESSAGE)
    two.deliver()
    assert two.desk.talk._behind and two.desk.talk._turns._size <= 100_000
    two.desk.waits = False
    two.desk.work()
    two.desk.run()
    assert "subscribe" in two.desk.asked
    phases = [two.world.state(signing).phase for signing in (small, *costly)]
    assert phases == [SigningPhase.COMPLETED] * 11 and not two.desk.talk._behind

"""agent.py before a hostile coordinator: what was altered, left out, invented or forked is not believed."""

from collections.abc import Callable, Iterable

import msgspec
import pytest

from keymeld_protocol.values import Id
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.shapes import Signer
from tests.support.machines import Keygen, lead_astray
from tests.support.party import Party, party_of_one, party_of_two
from tests.support.world import (
    MESSAGE,
    MINUTE,
    NONE,
    SELF,
    Enclave,
    Peer,
)

OTHER = b"another thirty-two bytes to sign"


@pytest.fixture
def one() -> Party:
    return party_of_one()


@pytest.fixture
def two() -> Party:
    return party_of_two()


def test_an_attempt_before_the_rules_are_met_is_not_believed_and_nothing_is_signed() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    party.world.attempt(signing)
    party.world.run()
    assert "signing.contribute" not in party.vaults[0].kinds()
    assert "before the rules were met" in party.vaults[0].concerns[0]


def test_the_rule_that_was_sealed_counts_even_if_the_log_were_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 26: a coordinator, and even a hearer, without the check; the enclave's own evaluation remains."""
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    monkeypatch.setattr("keymeld_protocol.machines.signing.may_open", lambda *_: True)
    party.world.attempt(signing)
    party.world.run()
    assert "signing.contribute" not in party.vaults[0].kinds()
    assert party.code(signing) == "rule_not_met"


Lie = Callable[[WireRecord], Iterable[WireRecord]]
LIES: dict[str, Lie] = {
    "left out": lambda wire: [],
    "with another time": lambda wire: [msgspec.structs.replace(wire, at=wire.at + 1)],
    "with another hash": lambda wire: [msgspec.structs.replace(wire, hash=type(wire.hash)(bytes(32)))],
    "at another place": lambda wire: [msgspec.structs.replace(wire, offset=wire.offset + 1)],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_log_with_a_record_that_was_tampered_with_is_served_no_longer(lie: str) -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    vault = party.vaults[0]

    def tamper(peer: Peer, stream: Id, wire: WireRecord) -> Iterable[WireRecord]:
        return LIES[lie](wire) if peer is vault and '"signing.approve"' in wire.statement.payload else [wire]

    party.world.tamper = tamper
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    party.bob.approve(signing)
    party.carol.reject(signing)
    party.world.run()
    assert "signing.contribute" not in vault.kinds()
    assert len(vault.concerns) == 1


def test_a_record_that_comes_twice_changes_nothing(one: Party) -> None:
    one.world.tamper = lambda peer, stream, wire: [wire, wire]
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.signed(signing)
    assert one.vaults[0].kinds() == ["signing.contribute"]


def test_a_record_with_a_forged_signature_is_no_record(one: Party) -> None:
    def tamper(peer: Peer, stream: Id, wire: WireRecord) -> list[WireRecord]:
        forged = msgspec.structs.replace(wire.statement, signatures=("00" * 64,))
        return [msgspec.structs.replace(wire, statement=forged)] if '"signing.request"' in forged.payload else [wire]

    one.world.tamper = tamper
    one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.vaults[0].said == []
    assert "bad_signature" in one.vaults[0].troubles[0]


def test_a_request_in_another_history_of_the_keygen_is_a_fork(one: Party) -> None:
    one.world.fork(one.group, one.bob)
    one.bob.confirm(one.group)
    one.world.run()
    request = one.bob.requesting(one.group, MESSAGE)
    one.world.force(request)
    one.world.run()
    assert one.vaults[0].said == []
    assert "another history" in one.vaults[0].concerns[0]


def test_a_signing_that_waits_for_its_keygen_and_breaks_leaves_the_keygen_alone(one: Party) -> None:
    vault = one.vaults[0]
    vault.crash()
    one.world.fork(one.group, one.bob)
    one.bob.confirm(one.group)
    one.world.run()
    one.world.force(one.bob.requesting(one.group, MESSAGE))
    vault.come_back()
    vault.inbox = type(vault.inbox)(sorted(vault.inbox, key=lambda sent: sent[0] == one.group))
    one.world.run()
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.signed(signing)


def test_an_attempt_that_names_another_signer_is_not_believed(two: Party) -> None:
    two.vaults[1].leave()
    signing = two.alice.request(two.group, MESSAGE)
    two.world.run()
    alone = (Signer(key=two.vaults[0].key, slots=(0, 1, 2)),)
    two.world.attempt(signing, signers=alone, last=None)
    two.world.run()
    assert two.vaults[0].said == []
    assert "not the enclaves and slots" in two.vaults[0].concerns[0]


def test_a_finished_session_that_is_told_again_from_the_middle_is_ignored(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    said = len(one.vaults[0].said)
    for record in one.world.logs[signing].records[1:]:
        one.vaults[0].hear(signing, one.world.wire(record, one.vaults[0]))
    assert not one.vaults[0].outbox
    assert len(one.vaults[0].said) == said


def test_history_is_not_answered(one: Party) -> None:
    one.alice.request(one.group, MESSAGE)
    one.world.run()
    one.vaults[0].said.clear()
    one.vaults[0].restart()
    one.world.run()
    one.world.wait(MINUTE)
    assert one.vaults[0].said == []


def test_a_wiped_agent_signs_nothing_more(one: Party) -> None:
    one.vaults[0].agent.wipe()
    one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.vaults[0].said == []
    told = one.vaults[0].concerns
    assert "is refused" in told[0] and "served no longer" in told[-1]


def test_an_agents_parts_print_no_secret(one: Party) -> None:
    one.alice.request(one.group, MESSAGE)
    one.vaults[0].step()
    agent: Enclave = one.vaults[0]
    identity = agent.agent.identity.secret.buffer.hex()
    shown = repr([agent.agent, agent.agent.identity, agent.agent._groups, agent.agent._contributors])
    assert identity[:8] not in shown


def test_an_agent_that_cannot_follow_serves_the_stream_no_longer_and_accuses_nobody(
    monkeypatch: pytest.MonkeyPatch, one: Party
) -> None:
    vault, stream = one.vaults[0], Keygen(2)
    vault.agent.hear(stream.stream, stream.records[0])
    stream.hear(stream.join(0))
    lead_astray(monkeypatch)
    assert vault.agent.hear(stream.stream, stream.records[1]) == []
    assert "served no longer" in vault.concerns[-1] and not any("believed" in told for told in vault.concerns)
    assert vault.agent.hear(stream.stream, stream.records[1]) == []

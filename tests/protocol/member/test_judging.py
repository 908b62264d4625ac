"""judging.py: a request that waits costs its verdict; its plan is made again when an attempt needs it."""

from __future__ import annotations

import pytest

from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.member.judging import Ruling
from keymeld_protocol.member.plans import Plans
from keymeld_protocol.wire.payloads import SigningRequest
from tests.support.party import Party
from tests.support.world import MESSAGE, NONE, SECOND, SELF


def waiting(*enclaves: str) -> Party:
    """A group whose requests wait for Bob, at enclaves that keep no plan at all."""
    party = Party(*enclaves)
    for vault in party.vaults:
        vault.agent._plans = Plans(0)
    party.gather(NONE, SELF, NONE, at=(0, len(enclaves) - 1, 0))
    return party


def test_attack_61_a_request_that_waits_keeps_neither_body_nor_plan() -> None:
    """61: requests that nobody approves cost an enclave little."""
    party = waiting("vault")
    signing = party.alice.request(party.group, *[bytes([n]) * 32 for n in range(20)])
    party.world.run()
    agent = party.vaults[0].agent
    assert len(agent._plans) == 0 and agent._contributors[signing]._judging._found == Ruling(20, {})
    assert agent.hearing.streams[signing].records[0].statement.blob("body") is None
    assert agent.hearing.streams[signing].size < 1_000


@pytest.mark.parametrize("enclaves", [("vault",), ("vault", "keep")])
def test_a_plan_that_was_let_go_is_made_again_from_the_body_that_is_told_again(enclaves: tuple[str, ...]) -> None:
    party = waiting(*enclaves)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.phase(signing) is SigningPhase.APPROVING
    party.bob.approve(signing)
    party.world.run()
    assert party.signed(signing) and party.undisturbed()


def test_a_set_that_was_completed_meanwhile_is_confirmed_from_what_is_told_again() -> None:
    party = waiting("vault", "keep")
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    party.bob.approve(signing)
    party.world.run()
    party.world.wait(2 * SECOND)
    assert party.phase(signing) is SigningPhase.COMPLETED


def test_a_body_that_the_coordinator_has_no_more_ends_the_signing_with_a_code() -> None:
    party = waiting("vault")
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    log = party.world.logs[signing]
    assert isinstance(log.records[0].statement.payload, SigningRequest)
    log.records[0] = log.records[0].without_blobs(("body",))
    party.bob.approve(signing)
    party.world.run()
    assert (party.phase(signing), party.code(signing)) == (SigningPhase.FAILED, "missing_blob")


def test_another_request_is_not_taken_for_the_one_that_was_heard() -> None:
    party = waiting("vault")
    signing, other = (party.alice.request(party.group, message) for message in (MESSAGE, bytes(32)))
    party.world.run()
    agent = party.vaults[0].agent
    replay = agent.hearing.streams[signing]
    assert not replay.restore(agent.hearing.streams[other].records[0])
    assert replay.restore(replay.records[0])

"""Attacks 20 and 51: what fails is told, by name, to whoever waits; and what is killed half-way says nothing twice.

enclave refuses, member rejects, time passes, enclave or coordinator dies ──▶ requester: code, slots, words      no hang
"""

import asyncio
from pathlib import Path

import pytest

from keymeld_client.errors import JoinRefused, NotConnected, SigningEnded
from keymeld_client.said import joining
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningState

from .relay import relay
from .stage import MESSAGE, NONE, SELF, gather, house, people, statements

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


# 20: a failure hangs instead of being told ---------------------------------------------------------------------------


async def test_attack_20_a_refused_envelope_is_told_to_who_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """20: a failure hangs instead of being told."""
    async with house() as home, people(home, "alice") as (alice,):
        monkeypatch.setattr(joining, "seal_envelope", lambda *_: b"\x01" + bytes(200))
        keygen = await alice.client.create_keygen(1, network="regtest")
        joined = await alice.client.join(keygen.tickets[0], rule=SELF, enclave=alice.enclave)
        with pytest.raises(JoinRefused, match="bad_envelope"):
            await joined.joined()
        monkeypatch.undo()
        await joined.join(enclave=alice.enclave)
        await joined.joined()


async def test_attack_20_a_reject_a_deadline_and_a_dead_enclave_are_told_to_who_requested() -> None:
    """20: a failure hangs instead of being told."""
    async with house() as home, people(home, "alice", "bob") as (alice, bob):
        group = await gather([alice, bob], [NONE, SELF])
        signing = await alice.keygen(group).request(messages=[MESSAGE])
        await bob.client.ledger.until(signing.id, lambda _: True)
        await bob.signing(signing.id).reject()
        with pytest.raises(SigningEnded, match="rejected"):
            await signing.signatures()
        late = await alice.keygen(group).request(messages=[MESSAGE], expires_in_ms=300)
        with pytest.raises(SigningEnded, match="expired"):
            await late.signatures()
        await home.enclaves[0].kill()
        dead = await bob.keygen(group).request(messages=[MESSAGE], expires_in_ms=300)
        with pytest.raises(SigningEnded, match="expired"):
            await dead.signatures()


async def test_attack_20_a_dead_coordinator_is_told_and_nothing_that_was_said_is_lost() -> None:
    """20: a failure hangs instead of being told."""
    async with house() as home, people(home, "alice") as (alice,):
        group = await gather([alice], [SELF])
        await home.coordinator.kill()
        async for status in alice.client.statuses():
            if status.state == "waiting":
                assert status.error
                break
        asking = asyncio.create_task(alice.keygen(group).request(messages=[MESSAGE]))
        await home.start()
        assert len(await (await asking).signatures()) == 1
        await home.coordinator.kill()
        waiting = asyncio.create_task(alice.keygen(group).request(messages=[MESSAGE]))
        await asyncio.sleep(0)
        await alice.sleep()
        with pytest.raises(NotConnected):
            await waiting


# 51: an enclave restarts during an attempt: no second contribution ---------------------------------------------------


def _has_contributions(heard: Replay) -> bool | None:
    """Whether some signer has contributed; None: not yet."""
    return bool(isinstance(heard.state, SigningState) and heard.state.contributions) or None


async def test_attack_51_an_enclave_that_is_killed_during_an_attempt_contributes_no_second_time(tmp_path: Path) -> None:
    """51: an enclave restarts during an attempt: no second contribution.

    The last enclave hears of the attempt only after the first one has said its nonces, was killed and came back.
    """
    own, relayed = tmp_path / "enclaves.sock", tmp_path / "relay.sock"
    async with (
        relay(relayed, own) as between,
        house(2, sockets={0: relayed, 1: own}, enclave_socket=str(own)) as home,
        people(home, "alice", "bob", "carol") as trio,
    ):
        alice, victim = trio[0], home.enclaves[1]
        group = await gather(trio, [NONE, NONE, NONE])
        between.hold("attempt.opened")
        signing = await alice.keygen(group).request(messages=[MESSAGE], grace_ms=60_000)
        await alice.client.ledger.until(signing.id, _has_contributions)
        await victim.kill()
        await victim.start()
        between.release()
        assert len(await signing.signatures()) == 1
        said = [s for s in statements(home) if s.by.hex() == victim.identity and getattr(s, "attempt", 0) == 1]
        assert [s.kind for s in said] == ["signing.contribute", "signing.retry"]

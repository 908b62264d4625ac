"""Attacks 26 and 27 with a modified coordinator: a real server without its honesty, real enclaves, real wallets.

Alice ── request ──▶ hostile coordinator ── an attempt that no rule allows, a log that is not the log ──▶ enclave
Alice, Bob ◀── the same ──┘                     read-only, evidence kept                         no signature, concern

tests/attacks/hostile_server.py says what is taken out of it in each mode.
"""

import pytest

from keymeld_client.errors import NotTrusted, ReadOnly
from keymeld_protocol.values import XOnlyKey

from .stage import MESSAGE, SELF, gather, house, kinds, people, until_served

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


async def test_attack_26_a_real_enclave_does_not_sign_for_a_coordinator_that_skips_the_approval() -> None:
    """26: an approval enforced by the coordinator only (run a coordinator without the check)."""
    async with house(hostile="skip-approvals") as home, people(home, "alice", "bob") as (alice, bob):
        group = await gather([alice, bob], [SELF, SELF])
        with pytest.raises(ReadOnly, match="before the rules were met"):
            await (await alice.keygen(group).request(messages=[MESSAGE])).ended()
        await until_served(bob)
        assert "attempt.opened" in kinds(home) and "signing.contribute" not in kinds(home)
        assert any("before the rules were met" in line for line in home.enclaves[0].log)


async def test_attack_26_two_real_enclaves_give_no_nonce_for_an_approval_that_was_invented() -> None:
    """26: an approval enforced by the coordinator only (run a coordinator without the check)."""
    async with house(2, hostile="invent") as home, people(home, "alice", "bob") as (alice, bob):
        group = await gather([alice, bob], [SELF, SELF])
        with pytest.raises(ReadOnly, match="not a member"):
            await (await alice.keygen(group).request(messages=[MESSAGE])).ended()
        for member in (alice, bob):
            await until_served(member)
        assert "signing.approve" in kinds(home) and "signing.contribute" not in kinds(home)
        assert all(any("not a member" in line for line in enclave.log) for enclave in home.enclaves)


@pytest.mark.parametrize(("lie", "seen"), [("alter", "not that of this history"), ("reorder", "jump")])
async def test_attack_27_a_real_enclave_does_not_sign_from_records_that_were_changed(lie: str, seen: str) -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).
    """
    async with house(hostile=lie) as home, people(home, "alice", "bob") as (alice, bob):
        group = await gather([alice, bob], [SELF, SELF])
        signing = await alice.keygen(group).request(messages=[MESSAGE])
        await bob.client.ledger.until(signing.id, lambda _: True)
        with pytest.raises(ReadOnly, match=seen):
            await bob.signing(signing.id).approve()
        with pytest.raises(ReadOnly, match=seen):
            await signing.ended()
        await until_served(bob)
        assert "signing.approve" in kinds(home) and "signing.contribute" not in kinds(home)
        assert any(seen in line for line in home.enclaves[0].log)
        assert alice.client.wallet.evidence(signing.id) is not None


async def test_attack_27_a_fork_is_seen_by_the_enclave_when_a_member_speaks_from_the_other_branch() -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).
    """
    async with house(hostile="fork") as home, people(home, "alice", "bob") as (alice, bob):
        group = await gather([alice, bob], [SELF, SELF])
        signing = await alice.keygen(group).request(messages=[MESSAGE])
        await bob.client.ledger.until(signing.id, lambda _: True)
        await bob.signing(signing.id).approve()
        await until_served(bob)
        assert "signing.approve" in kinds(home) and "signing.contribute" not in kinds(home)
        assert any("another history" in line for line in home.enclaves[0].log)


async def test_attack_27_a_fork_is_seen_by_the_members_when_the_enclave_speaks_from_the_other_branch() -> None:
    """27: invented, altered or reordered records; a fork (seen when a statement of the other branch arrives or
    two heads meet).
    """
    async with house(hostile="fork") as home, people(home, "alice") as (alice,):
        group = await gather([alice], [SELF])
        signing = await alice.keygen(group).request(messages=[MESSAGE])
        with pytest.raises(ReadOnly, match="another history"):
            await signing.ended()
        evidence = alice.client.wallet.evidence(signing.id)
        assert evidence is not None and evidence["fork"]


async def test_attack_1_a_real_wallet_seals_to_no_enclave_that_only_the_coordinator_offers() -> None:
    """1: a gateway or man in the middle shows its own key and receives private keys."""
    async with house(2) as home, people(home, "alice") as (alice,):
        offered = XOnlyKey.from_hex(home.enclaves[1].identity)
        assert offered in {shown.identity for shown in await alice.client.enclaves()} and offered != alice.enclave
        keygen = await alice.client.create_keygen(1, network="regtest")
        with pytest.raises(NotTrusted):
            await alice.client.join(keygen.tickets[0], enclave=offered)
        await home.enclaves[0].kill()
        await alice.client.ready()
        with pytest.raises(NotTrusted):
            await alice.client.join(keygen.tickets[0])
        assert "keygen.join" not in kinds(home)

"""Attacks with seats: who is pushed out of one of his slots is not told that an address is safe (§6.3).

Alice sits in slots 0 and 1 ─▶ the creator releases slot 1, ready or not, and sits down there ─▶ NOT safe for Alice

The creator and everybody else are people of a world in memory; Alice is a client at its desk, and hears what they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keymeld_client import Client, JoinRefused, Keygen, PushedOut, Wallet
from keymeld_client.confirming import confirm_completed
from keymeld_client.said.choosing import Choice
from keymeld_client.said.joining import make_join
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_protocol.errors import BadInput, Reason, Refused, WireError
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.machines.keygen import REPLACE_AFTER_MS
from keymeld_protocol.wire.connection import Placed
from keymeld_protocol.wire.payloads import KeygenConfirm, KeygenRelease
from keymeld_protocol.wire.statements import Statement
from tests.client.paper import GROUP_SECRET, URL, Reader, Tale
from tests.promises.desk import at_desk
from tests.support.people import Invitation, Member
from tests.support.world import NONE, World


class Table:
    """A keygen that the creator opened, and Alice, who has tickets for some of its slots."""

    def __init__(self, slots: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody has joined."""
        self.tale = Tale.__new__(Tale)
        self.tale.world = self.world = World()
        self.vault = self.world.enclave("vault")
        self.creator = self.tale.alice = self.world.member("alice")
        self.invitation: Invitation = self.creator.create(slots)
        self.keygen = self.tale.keygen = self.invitation.keygen
        self.creator.accept(self.invitation, 0)
        wallet = Wallet.open(folder)
        wallet.remember(KeygenEntry(self.keygen, URL, bytearray(GROUP_SECRET)))
        self.reader = Reader(self.tale, wallet)
        self.patch = monkeypatch
        self.sit_at()

    def sit_at(self) -> None:
        """A client over the wallet: what it says goes into the world, and what was said there is heard."""
        self.client: Client = at_desk(self.reader)

        async def say(statement: Statement) -> Placed:
            stream, offset = self.world.submit(statement)
            self.run()
            return Placed(stream, offset)

        self.patch.setattr(self.client, "say", say)

    @property
    def alice(self) -> Keygen:
        """What she is shown."""
        return self.client.keygen(self.keygen)

    def run(self) -> None:
        """Everybody speaks, and Alice hears it."""
        self.world.run()
        wires = self.tale.wires(self.keygen)
        self.reader.subscribed(self.keygen)
        self.reader.hear(self.keygen, wires[self.reader.heard(self.keygen) :])

    def ticket(self, slot: int) -> None:
        """Alice is given the ticket of a slot."""
        entry = self.alice.entry
        with slot_secret(self.invitation.open_secret, slot) as secret:
            entry.slot_secrets[slot] = bytearray(secret.buffer)
        self.reader.wallet.remember(entry)

    def drafted(self, slot: int, custody: Any = "sealed") -> Statement:
        """Her join, not yet said; her wallet has counted it."""
        self.ticket(slot)
        self.run()
        enclave = self.vault.key if custody == "sealed" else None
        heard, group = self.client.ledger.require(self.keygen), self.client.group(self.keygen)
        choice = Choice(custody=custody, enclave=enclave, label="Alice")
        return make_join(self.reader.wallet, self.alice.entry, heard, group, slot, choice)

    def joins(self, *slots: int, custody: Any = "sealed") -> None:
        """She joins them."""
        for slot in slots:
            self.world.submit(self.drafted(slot, custody))
        self.run()

    def release(self, slot: int) -> None:
        """The creator frees a slot, whoever sits there."""
        seat = self.world.state(self.keygen).seats[slot]
        creator = self.creator.identity.creator(self.creator.keygen(self.keygen).create.salt)
        self.creator.say(self.keygen, KeygenRelease, creator, slot=slot, join=seat.id, code="moved")
        self.run()

    def sits(self, member: Member, slot: int) -> None:
        """Somebody else joins a slot."""
        member.join(self.invitation, slot, self.vault.key, NONE)
        self.run()

    def confirmed_by_her(self) -> list[int]:
        """The slots that Alice's client has confirmed itself, as the world has heard."""
        keys = {key: slot for slot, key in self.client.auth_keys(self.keygen).items()}
        said = (record.statement.payload for record in self.world.logs[self.keygen].records)
        return [keys[each.by] for each in said if isinstance(each, KeygenConfirm) and each.by in keys]

    async def confirms_by_itself(self) -> None:
        """What her client does unasked, once it has caught up."""

        async def ready() -> None:
            """It has."""

        self.patch.setattr(self.client, "ready", ready)
        task = asyncio.create_task(confirm_completed(self.client))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Table]:
    """A keygen of three, or of as many as the test says."""
    table = Table(getattr(request, "param", 3), tmp_path / "alice", monkeypatch)
    yield table
    table.reader.wallet.close()


def pushed_out(table: Table) -> None:
    """Alice sits in slots 0 and 1; the creator frees slot 1, which is ready, and sits down there."""
    table.joins(0, 1)
    table.release(1)
    table.sits(table.creator, 1)
    table.sits(table.world.member("carol"), 2)


# 56: is pushed out of a seat and still told "safe" -------------------------------------------------------------------


@pytest.mark.asyncio
async def test_attack_56_who_is_pushed_out_of_one_of_two_slots_is_not_told_that_it_is_safe(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    pushed_out(table)
    assert table.alice.slots == (0,) and table.alice.state.unconfirmed() == ()  # the enclave has confirmed for all
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == []
    (problem,) = table.client.problems
    assert isinstance(problem, PushedOut) and (problem.slot, problem.code) == (1, "moved")
    assert not table.alice.safety.safe
    assert "slot 1: the creator released your join on 2023-11-14" in str(table.alice.safety)
    assert "somebody else sits there now (moved)" in str(table.alice.safety)
    for way in (table.alice.safe(), table.alice.confirm()):
        with pytest.raises(PushedOut, match="moved"):
            await way


@pytest.mark.asyncio
async def test_attack_56_it_is_safe_only_where_its_owner_says_that_he_does_without(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    pushed_out(table)
    for slot in (0, 2):
        with pytest.raises(BadInput, match=f"not pushed out of slot {slot}"):
            await table.alice.confirm(without=[slot])
    await table.alice.confirm(without=[1])
    assert table.confirmed_by_her() == [0] and table.alice.safety.safe
    assert [told.split(" on ")[0] for told in table.alice.safety.named] == ["slot 1 was filled anew"]
    table.reader = table.reader.again()
    table.sit_at()
    await table.alice.confirm(without=[1])  # once more is as good
    assert table.alice.safety.safe, "the wallet remembers"


@pytest.mark.parametrize("late", [False, True], ids=["before the others joined", "when all others were ready"])
@pytest.mark.parametrize("table", [4], indirect=True, ids=["four slots"])
@pytest.mark.asyncio
async def test_attack_56_each_seat_that_was_lost_is_named_whenever_that_was(table: Table, late: bool) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    table.joins(0, 1, 2)
    carol, dave = table.world.member("carol"), table.world.member("dave")
    table.release(1)
    if late:
        table.sits(carol, 1)
        table.release(2)
        table.sits(dave, 3)
        table.sits(table.creator, 2)
    else:
        table.release(2)
        for slot, member in ((1, carol), (2, table.creator), (3, dave)):
            table.sits(member, slot)
    assert [lost.slot for lost in table.alice.pushed_out] == [1, 2]
    with pytest.raises(PushedOut, match="slot 2"):
        await table.alice.confirm(without=[1])
    told = (table.alice.safety.safe, table.confirmed_by_her())
    assert told == (False, []), "to do without one is not to do without both"
    await table.alice.confirm(without=[1, 2])
    assert (table.alice.safety.safe, table.confirmed_by_her()) == (True, [0])


@pytest.mark.asyncio
async def test_attack_56_a_slot_that_was_taken_over_while_its_enclave_was_slow_is_lost(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    table.joins(0)
    table.vault.leave()
    table.joins(1)
    table.world.wait(REPLACE_AFTER_MS)
    table.sits(table.world.member("mallory"), 1)
    table.vault.come_back()
    table.sits(table.world.member("carol"), 2)
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == []
    assert "somebody else with its ticket took over your join" in str(table.alice.safety)


@pytest.mark.asyncio
async def test_attack_56_who_was_released_and_has_joined_again_is_safe(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    table.joins(0, 1)
    table.release(1)
    assert not table.alice.safety.safe
    await table.alice.joined(0)  # that one is there
    with pytest.raises(JoinRefused, match="joining again makes a fresh key"):
        await table.alice.joined()
    table.joins(1)
    await table.alice.joined()
    table.sits(table.world.member("carol"), 2)
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == [0, 1] and table.alice.safety.safe


@pytest.mark.asyncio
async def test_attack_56_a_wallet_that_was_restored_finds_the_seat_it_has_forgotten_in_the_log(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    table.joins(0, 1)
    entry = table.alice.entry
    del entry.joins[1], entry.slot_secrets[1]
    table.reader.wallet.remember(entry)
    table.reader = table.reader.again()
    table.sit_at()
    assert table.alice.slots == (0, 1), "it sits there by its own key"
    table.release(1)
    table.sits(table.creator, 1)
    table.sits(table.world.member("carol"), 2)
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == [] and not table.alice.safety.safe
    await table.alice.confirm(without=[1])
    assert table.alice.safety.safe


@pytest.mark.asyncio
async def test_attack_56_a_join_that_no_log_shows_is_missed(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    table.joins(0)
    table.drafted(1)  # the coordinator says that it has it, and shows it to nobody
    table.sits(table.creator, 1)
    table.sits(table.world.member("carol"), 2)
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == []
    assert "slot 1: the log does not show the join that this wallet said" in str(table.alice.safety)


@pytest.mark.asyncio
async def test_attack_56_who_came_too_late_for_a_slot_of_an_open_ticket_has_lost_nothing(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    late = table.drafted(0)
    table.sits(table.creator, 0)
    with pytest.raises(WireError) as refused:
        table.world.submit(late)
    assert isinstance(refused.value, Refused) and refused.value.reason is Reason.SLOT_TAKEN
    table.reader.wallet.turn_away(late)
    table.joins(1)
    table.sits(table.world.member("carol"), 2)
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == [1] and table.alice.safety.safe and table.alice.safety.named == ()
    await table.alice.joined()


@pytest.mark.asyncio
async def test_attack_56_a_device_that_needs_no_enclave_is_pushed_out_all_the_same(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    table.joins(0)
    table.joins(1, custody="device")
    assert table.world.state(table.keygen).seats[1].ready
    table.release(1)
    table.sits(table.creator, 1)
    table.sits(table.world.member("carol"), 2)
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == [] and "the creator released your join" in str(table.alice.safety)


@pytest.mark.asyncio
async def test_attack_56_another_seat_that_was_filled_anew_is_named_and_nothing_more(table: Table) -> None:
    """56: is pushed out of a seat and still told "safe"."""
    table.joins(0)
    table.sits(table.world.member("bob"), 1)
    table.release(1)
    table.sits(table.world.member("mallory"), 1)
    table.sits(table.world.member("carol"), 2)
    await table.confirms_by_itself()
    assert table.confirmed_by_her() == [0] and (await table.alice.safe()).safe
    (told,) = table.alice.safety.named
    assert told.startswith("slot 1 was filled anew on 2023-11-14")
    assert "the creator released another join" in told and told.endswith("(moved)")

"""An address is called safe only by a client whose own key is in it, and whose log holds.

joined slot 1 ─▶ released, and somebody else joins ─▶ all confirm ─▶ NOT safe for whoever was pushed out
confirmed ─▶ a second history shows up ─▶ NOT safe, read-only
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keymeld_client import JoinRefused, Rule
from keymeld_client.errors import WalletError
from keymeld_client.said.choosing import Choice
from keymeld_client.said.joining import make_join
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import KeygenRelease
from tests.client.house import house
from tests.client.paper import Reader, Tale
from tests.support.world import HOUR, NONE, NOON, SELF, World

from .desk import at_desk


@pytest.fixture
def tale() -> Tale:
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody with a ticket who has heard that everybody confirmed."""
    reader = Reader(tale)
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    yield reader
    reader.wallet.close()


def test_whoever_only_looks_on_is_told_that_it_is_safe(tale: Tale, reader: Reader) -> None:
    assert at_desk(reader).keygen(tale.keygen).safety.safe


@pytest.mark.asyncio
async def test_whoever_has_joined_and_is_not_there_is_told_that_it_is_not_safe(tale: Tale, reader: Reader) -> None:
    """The others' confirmations are genuine: the key is theirs, and theirs alone."""
    entry = reader.wallet.keygen(tale.keygen)
    assert entry is not None
    entry.joins[1] = [Id(bytes(32))]
    keygen = at_desk(reader).keygen(tale.keygen)
    assert not keygen.safety.safe and "sits in no slot" in str(keygen.safety)
    with pytest.raises(WalletError, match="sits in no slot"):
        await keygen.safe()


@pytest.mark.asyncio
async def test_whoever_was_pushed_out_is_told_by_whom_before_an_address_is_called_safe() -> None:
    """A creator and a member collude: the victim's slot is released, and filled by the member."""
    tale = Tale.__new__(Tale)
    tale.world = world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    tale.alice, tale.bob = alice, bob
    invitation = alice.create(2)
    tale.keygen = invitation.keygen
    alice.join(invitation, 0, vault.key, NONE)
    world.run()
    reader = Reader(tale)
    entry = reader.wallet.keygen(tale.keygen)
    assert entry is not None
    with slot_secret(invitation.open_secret, 1) as secret:
        entry.slot_secrets[1] = bytearray(secret.buffer)
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    client, heard = at_desk(reader), reader.ledger.replay(tale.keygen)
    assert heard is not None
    choice = Choice(enclave=vault.key, label="victim")
    join = make_join(reader.wallet, entry, heard, client.group(tale.keygen), 1, choice)
    vault.leave()
    world.submit(join)
    creator = alice.identity.creator(alice.keygen(tale.keygen).create.salt)
    world.submit(alice.saying(tale.keygen, KeygenRelease, creator, slot=1, join=join.id, code="released"))
    bob.join(invitation, 1, vault.key, SELF)
    vault.come_back()
    world.run()
    reader.hear(tale.keygen, tale.wires(tale.keygen)[reader.heard(tale.keygen) :])
    keygen = client.keygen(tale.keygen)
    assert keygen.state.unconfirmed() == () and not keygen.safety.safe
    with pytest.raises(JoinRefused, match="released"):
        await keygen.safe()
    reader.wallet.close()


@pytest.mark.parametrize(("at", "safe"), [(NOON + HOUR, True), (NOON + HOUR + 1, False)])
def test_no_address_is_called_safe_when_a_slots_window_has_closed(at: int, safe: bool) -> None:
    """By the clock of whoever looks Bob's key signs no more, whatever he confirmed in his time."""
    tale = Tale.__new__(Tale)
    tale.world = world = World()
    rules = [NONE, Rule(approval="self", not_after=NOON + HOUR)]
    tale.alice, tale.bob = world.member("alice"), world.member("bob")
    tale.keygen = world.gather([tale.alice, tale.bob], at=world.enclave("vault"), rule=rules)
    reader = Reader(tale)
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    reader.time = at
    assert at_desk(reader).keygen(tale.keygen).safety.safe is safe
    reader.wallet.close()


def test_no_address_is_called_safe_in_a_log_that_forked(tale: Tale, reader: Reader) -> None:
    keygen = at_desk(reader).keygen(tale.keygen)
    reader.subscribed(tale.keygen, top=1, reason="fork")
    assert not keygen.safety.safe and "NOT safe to fund" in str(keygen.safety)


@pytest.mark.asyncio
async def test_no_address_is_called_safe_that_nothing_could_be_spent_from(tmp_path: Path) -> None:
    """Devices cannot sign yet: one such slot, and the coins of all the others stay where they are."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        async with home.person("alice") as alice, home.person("mallory") as mallory:
            opened = await alice.create_keygen(2, network="regtest")
            joined = await mallory.join(opened.tickets[1], custody="device")
            await opened.join(rule=NONE)
            await opened.completed()
            await alice.ledger.until(opened.id, lambda heard: not opened.state.unconfirmed() or None)
            assert not opened.safety.safe and "slot 1 would have to sign on a device" in str(opened.safety)
            for keygen in (opened, joined):
                with pytest.raises(WalletError, match="device"):
                    await keygen.safe()

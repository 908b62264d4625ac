"""keygens.py: what a wallet may not say is refused before a key is made or a word leaves; stories say the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client.errors import ReadOnly
from keymeld_client.keygens import Keygen
from keymeld_client.wallet.own_seats import OwnSeats
from keymeld_protocol.errors import BadInput, Reason, Refused
from keymeld_protocol.keys.derivation import Identity, slot_secret
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk
from tests.support.coordinator import secret_of
from tests.support.world import NONE, World

OPEN = secret_of("alice tickets 1")
"""From which all tickets of the first keygen follow that Alice opens in any world."""


@pytest.fixture(scope="module")
def tale() -> Tale:
    """A completed keygen, only read."""
    return Tale()


@pytest.fixture(scope="module")
def begun() -> Tale:
    """A keygen of three in which only Alice has joined."""
    tale = Tale.__new__(Tale)
    tale.world = World()
    vault, tale.alice = tale.world.enclave("vault"), tale.world.member("alice")
    invitation = tale.alice.create(3)
    tale.keygen = invitation.keygen
    tale.alice.join(invitation, 0, vault.key, NONE)
    tale.world.run()
    return tale


def read(tale: Tale, *tickets: int) -> Iterator[tuple[Keygen, Reader]]:
    """Somebody with these tickets, who has heard all of it."""
    with Reader(tale).closing() as reader:
        entry = reader.wallet.keygen(tale.keygen)
        assert entry is not None
        for slot in tickets:
            with slot_secret(OPEN, slot) as secret:
                entry.slot_secrets[slot] = bytearray(secret.buffer)
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        yield at_desk(reader).keygen(tale.keygen), reader


@pytest.fixture
def completed(tale: Tale) -> Iterator[tuple[Keygen, Reader]]:
    yield from read(tale)


@pytest.fixture
def collecting(begun: Tale) -> Iterator[tuple[Keygen, Reader]]:
    """Invited to slots 0 and 2."""
    yield from read(begun, 0, 2)


@pytest.mark.asyncio
async def test_nobody_joins_what_is_completed(completed: tuple[Keygen, Reader]) -> None:
    with pytest.raises(Refused, match="the keygen is completed; nobody can join any more"):
        await completed[0].join()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("slot", "why"),
    [
        (0, "slot 0 is taken"),
        (1, "slot 1 is not one that this wallet has a ticket for"),
        (7, "slot 7 is not"),
        (-1, "slot -1 is not"),
    ],
)
async def test_only_a_free_slot_with_a_ticket_is_joined(collecting: tuple[Keygen, Reader], slot: int, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        await collecting[0].join(slot)
    assert (caught.value.reason, caught.value.field) == (Reason.SLOT_TAKEN, "slot")


def test_without_a_wish_the_first_free_slot_with_a_ticket_is_taken(collecting: tuple[Keygen, Reader]) -> None:
    assert collecting[0]._free_slot(None) == 2


@pytest.mark.asyncio
async def test_a_key_that_is_none_is_refused_before_anything_is_asked(collecting: tuple[Keygen, Reader]) -> None:
    keygen, _ = collecting
    for key in (bytes(32), b"\xff" * 32, b"short"):
        with pytest.raises(BadInput):
            await keygen.join(2, key=key)
    assert keygen.entry.slots == (), "no join was said"


@pytest.mark.asyncio
async def test_only_the_creator_releases_and_only_a_slot_that_somebody_fills(
    collecting: tuple[Keygen, Reader], begun: Tale
) -> None:
    keygen, reader = collecting
    with pytest.raises(Refused, match="only the creator releases"):
        await keygen.release(0)
    reader.wallet.identity, keygen.client.ledger.own = Identity(begun.alice.identity.buffer), OwnSeats(reader.wallet)
    for slot in (1, 9, -1):
        with pytest.raises(Refused, match=f"nobody sits in slot {slot}"):
            await keygen.release(slot)


@pytest.mark.asyncio
async def test_what_is_not_completed_is_neither_confirmed_nor_left_nor_asked_to_sign(
    collecting: tuple[Keygen, Reader],
) -> None:
    keygen, _ = collecting
    for word in (keygen.confirm(), keygen.leave(), keygen.request(messages=[bytes(32)])):
        with pytest.raises(Refused) as caught:
            await word
        assert caught.value.reason is Reason.WRONG_STATE


@pytest.mark.asyncio
async def test_who_sits_in_no_slot_has_nothing_to_confirm_and_none_to_leave_or_to_ask_for(
    completed: tuple[Keygen, Reader],
) -> None:
    keygen, _ = completed
    await keygen.confirm()
    with pytest.raises(Refused, match="no slot here that could leave"):
        await keygen.leave()
    with pytest.raises(Refused):
        await keygen.request(messages=[bytes(32)])


@pytest.mark.asyncio
async def test_nothing_is_said_in_a_log_that_broke(collecting: tuple[Keygen, Reader], begun: Tale) -> None:
    keygen, reader = collecting
    reader.subscribed(begun.keygen, top=1, reason="fork")
    for word in (keygen.join(2), keygen.confirm(), keygen.release(0), keygen.request(messages=[bytes(32)])):
        with pytest.raises(ReadOnly):
            await word

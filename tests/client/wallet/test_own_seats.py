"""own.py: what follows from an identity and a log, for the wallet that was there and for the one that was restored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs

from keymeld_client.errors import WalletError
from keymeld_client.wallet.own_seats import OwnSeats
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.derivation import Identity, slot_secret
from keymeld_protocol.values import XOnlyKey
from tests.client.paper import Reader, Tale
from tests.support.coordinator import secret_of
from tests.support.world import Member

OPEN, SLOT = secret_of("alice tickets 1"), secret_of("slot")
"""The open secret that a member of that world draws, and no slot's secret at all."""


@pytest.fixture(scope="module")
def tale() -> Tale:
    """Alice opened it and sits in slot 0, Bob in slot 1."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody else, who has heard all of it."""
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        yield reader


def restored(reader: Reader, member: Member) -> OwnSeats:
    """What is the member's own, where his identity was put into that wallet."""
    reader.wallet.identity = Identity(member.identity.buffer)
    return OwnSeats(reader.wallet)


def test_the_slots_that_were_joined_follow_from_the_log(reader: Reader, tale: Tale) -> None:
    heard = reader.ledger.replay(tale.keygen)
    assert heard is not None
    assert restored(reader, tale.alice).joined(heard) == (0,)
    assert restored(reader, tale.bob).joined(heard) == (1,)
    assert restored(reader, tale.world.member("mallory")).joined(heard) == ()


def test_only_the_creator_has_opened_it(reader: Reader, tale: Tale) -> None:
    create = tale.world.state(tale.keygen).create
    assert [restored(reader, member).opened(create) for member in (tale.alice, tale.bob)] == [True, False]


def test_a_ticket_invites_to_its_slot_alone(reader: Reader, tale: Tale) -> None:
    own, entry = restored(reader, tale.bob), reader.wallet.keygen(tale.keygen)
    create = tale.world.state(tale.keygen).create
    assert entry is not None
    entry.slot_secrets[1] = bytearray(SLOT)
    assert [own.invites(entry, create, slot) for slot in range(2)] == [False, True]
    with Secret(SLOT) as secret, own.invite(entry, create, 1) as invite:
        assert invite.key == Keypair(secret).key
    with pytest.raises(WalletError, match="no ticket for slot 0"):
        own.invite(entry, create, 0)


def test_an_open_ticket_invites_to_every_slot_unless_a_ticket_says_otherwise(reader: Reader, tale: Tale) -> None:
    own, entry = restored(reader, tale.bob), reader.wallet.keygen(tale.keygen)
    create = tale.world.state(tale.keygen).create
    assert entry is not None
    entry.open_secret = bytearray(OPEN)
    with own.invite(entry, create, 1) as invite:
        assert invite.key == create.slots[1]
    entry.slot_secrets[1] = bytearray(SLOT)
    with Secret(SLOT) as secret, own.invite(entry, create, 1) as invite:
        assert invite.key == Keypair(secret).key


def test_an_open_ticket_with_another_secret_invites_to_nothing(reader: Reader, tale: Tale) -> None:
    own, entry = restored(reader, tale.bob), reader.wallet.keygen(tale.keygen)
    assert entry is not None
    entry.open_secret = bytearray(SLOT)
    assert not own.invites(entry, tale.world.state(tale.keygen).create, 1)


def test_the_creators_invitations_follow_from_his_identity_and_the_salt(reader: Reader, tale: Tale) -> None:
    own, entry = restored(reader, tale.alice), reader.wallet.keygen(tale.keygen)
    create = tale.world.state(tale.keygen).create
    root = tale.alice.identity.open_secret(create.salt)
    with slot_secret(root, 0) as first, slot_secret(root, 1) as second:
        slots = tuple(XOnlyKey(each.point[1:]) for each in (first, second))
    assert entry is not None and own.invites(entry, structs.replace(create, slots=slots), 1)
    entry.open_secret = bytearray(SLOT)
    with own.invite(entry, structs.replace(create, slots=slots), 1) as invite:
        assert invite.key == slots[1], "and no ticket that lies stands in their way"

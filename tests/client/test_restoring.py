"""restoring.py: what a wallet finds again, which keys it tries, and in which words it tells that there is nothing.

The whole of it, over real sockets, is in `attacks/test_lost_folders.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client.restoring import _candidates, require_unseated, taken
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.keys.ticket import Ticket, TicketSecret
from tests.client.paper import GROUP_SECRET, Reader, Tale
from tests.promises.desk import at_desk
from tests.support.coordinator import secret_of
from tests.support.world import Member

SECRET = TicketSecret(secret_of("a secret"))


@pytest.fixture(scope="module")
def tale() -> Tale:
    """Alice opened it and sits in slot 0, Bob in slot 1."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """A wallet that has heard the first record, and nothing more."""
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen, 1, reason="first_record_only")
        reader.hear(tale.keygen, tale.wires(tale.keygen)[:1])
        yield reader


def tried(reader: Reader, member: Member, *, slot: int | None = None, open_ticket: bool = False) -> list[bytes]:
    """The keys that are tried, with this member's identity and a ticket."""
    reader.wallet.identity = Identity(member.identity.buffer)
    entry = reader.wallet.keygen(reader.tale.keygen)
    assert entry is not None
    if slot is not None:
        entry.slot_secrets[slot] = bytearray(secret_of("slot"))
    if open_ticket:
        entry.open_secret = bytearray(secret_of("alice tickets 1"))
    client = at_desk(reader)
    return [make().key for make in _candidates(client, client.keygen(reader.tale.keygen))]


def auth(member: Member, reader: Reader, slot: int) -> bytes:
    """A member's auth key."""
    return member.identity.auth(reader.tale.keygen, slot).key


def test_the_creator_needs_no_other_key(reader: Reader, tale: Tale) -> None:
    create = tale.world.state(tale.keygen).create
    assert tried(reader, tale.alice, slot=1) == [create.by]


def test_the_ticket_s_slot_comes_first_then_every_slot(reader: Reader, tale: Tale) -> None:
    keys = tried(reader, tale.bob, slot=1)
    assert [keys[0], keys[-1]] == [auth(tale.bob, reader, slot) for slot in (1, 0)] and len(keys) == 3


def test_with_an_open_ticket_every_slot_is_tried_with_its_invitation(reader: Reader, tale: Tale) -> None:
    keys, invites = tried(reader, tale.bob, open_ticket=True), tale.world.state(tale.keygen).create.slots
    assert keys == [auth(tale.bob, reader, 0), invites[0], auth(tale.bob, reader, 1), invites[1]]


@pytest.mark.parametrize(("slot", "told"), [(1, "slot 1 is taken"), (None, "every slot is taken")])
def test_a_ticket_that_another_one_used_is_told_as_such(slot: int | None, told: str) -> None:
    ticket = Ticket(
        host="keymeld.example", secure=True, keygen_id=Tale().keygen, group_secret=TicketSecret(GROUP_SECRET),
        slot=slot, secret=SECRET,
    )  # fmt: skip
    problem = taken(ticket)
    assert problem.reason is Reason.SLOT_TAKEN
    assert problem.message == f"{told}, and not by this wallet's identity, which sits in no slot of that session"


def test_who_sits_nowhere_may_join_and_who_sits_is_told_so() -> None:
    require_unseated([])
    with pytest.raises(Refused, match="sits in slots 0 and 2 already: nothing was sealed, and the key keeps its rule"):
        require_unseated([0, 2])

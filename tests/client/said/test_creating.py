"""creating.py: what opens a keygen, and whom it invites."""

from collections.abc import Iterator

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.said.creating import Proposal, make_create, tickets_of
from keymeld_client.said.joining import entry_of
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.own_seats import OwnSeats
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.errors import BadInput
from keymeld_protocol.keys.derivation import Identity
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.payloads import KeygenCreate
from keymeld_protocol.wire.statements import Statement
from tests.support.coordinator import NOON, key_of

URL = "ws://127.0.0.1:8765"
TERMS = Terms(v=1, label="treasury", network="regtest", tweak="bip86")
COORDINATOR = XOnlyKey(key_of("coordinator").key)


@pytest.fixture
def wallet() -> Iterator[Wallet]:
    with Wallet.in_memory() as wallet:
        yield wallet


def opened(wallet: Wallet, *, open_tickets: bool = False) -> tuple[KeygenEntry, Statement, KeygenCreate]:
    """A keygen of three slots."""
    entry, statement = make_create(wallet, URL, COORDINATOR, Proposal(3, TERMS, ((0, 1),), open_tickets, NOON))
    assert isinstance(statement.payload, KeygenCreate)
    return entry, statement, statement.payload


def test_what_was_proposed_is_what_is_said(wallet: Wallet) -> None:
    entry, statement, said = opened(wallet)
    assert (len(said.slots), said.subsets, said.open, said.expires_at) == (3, ((0, 1),), False, NOON)
    assert said.coordinator == COORDINATOR and entry.id == statement.id
    sealed = statement.blob("terms")
    assert sealed is not None
    group = GroupKey.open_group(entry.group_secret, said.salt, said.group)
    assert contents.parse(Terms, group.open_in(said, "terms", sealed)) == TERMS


def test_every_ticket_invites_into_its_own_slot(wallet: Wallet) -> None:
    entry, _, said = opened(wallet)
    tickets = tickets_of(wallet, entry, said)
    assert [ticket.slot for ticket in tickets] == [0, 1, 2] and len({ticket.text() for ticket in tickets}) == 3
    for ticket in tickets:
        read = Ticket.parse(ticket.text())
        invited = entry_of(read, URL, None)
        assert read.slot is not None and invited.id == entry.id and invited.group_secret == entry.group_secret
        with Wallet.in_memory() as other, OwnSeats(other).invite(invited, said, read.slot) as invite:
            assert invite.key == said.slots[read.slot]


def test_an_open_ticket_invites_into_every_slot(wallet: Wallet) -> None:
    entry, _, said = opened(wallet, open_tickets=True)
    (ticket,) = tickets_of(wallet, entry, said)
    invited = entry_of(ticket, URL, None)
    with Wallet.in_memory() as other:
        assert ticket.slot is None and not OwnSeats(other).opened(said)
        for slot, key in enumerate(said.slots):
            with OwnSeats(other).invite(invited, said, slot) as invite:
                assert invite.key == key


def test_no_two_keygens_share_a_secret(wallet: Wallet) -> None:
    (one, _, said), (other, _, again) = opened(wallet), opened(wallet)
    assert one.group_secret != other.group_secret
    assert said.salt != again.salt and said.by != again.by and not set(said.slots) & set(again.slots)


def test_whoever_was_invited_hands_out_no_tickets(wallet: Wallet) -> None:
    for open_tickets in (False, True):
        entry, _, said = opened(wallet, open_tickets=open_tickets)
        with Wallet.in_memory() as other, pytest.raises(WalletError, match="only the wallet that created"):
            tickets_of(other, entry_of(tickets_of(wallet, entry, said)[0], URL, None), said)


def test_a_creator_who_has_lost_everything_but_his_identity_and_a_ticket_prints_all_tickets_again(
    wallet: Wallet,
) -> None:
    entry, _, said = opened(wallet)
    tickets = tickets_of(wallet, entry, said)
    with Wallet.in_memory() as restored:
        restored.identity = Identity(wallet.identity.buffer)
        assert tickets_of(restored, entry_of(tickets[2], URL, None), said) == tickets


def test_a_proposal_that_breaks_a_rule_is_not_said(wallet: Wallet) -> None:
    with pytest.raises(BadInput):
        make_create(wallet, URL, COORDINATOR, Proposal(3, TERMS, ((0, 7),), False, NOON))

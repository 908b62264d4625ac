"""joining.py: what is sealed with a key is what was chosen; a ticket that contradicts another is refused."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.said.choosing import Allow, Choice
from keymeld_client.said.joining import entry_of, make_join
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.keys.envelope import EnvelopeContext, OpenedEnvelope, open_envelope
from keymeld_protocol.keys.ticket import Ticket, TicketSecret
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.contents import Card
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.wire.payloads import KeygenJoin
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.coordinator import secret_of
from tests.support.world import NONE, World

URL = "ws://127.0.0.1:8765"
RULE = Rule(approval="quorum", threshold=1, of=(0, 1), delay_ms=60_000)
ALLOW = Allow(requesters=(1,), no_blind=True, max_fee=1000)


class Invited:
    """A wallet that holds a ticket for slot 1 of a keygen of two, which Alice has opened."""

    def __init__(self, wallet: Wallet) -> None:
        self.wallet, self.world = wallet, World()
        self.vault, self.alice = self.world.enclave("vault"), self.world.member("alice")
        invitation = self.alice.create(2)
        self.world.run()
        self.keygen = invitation.keygen
        self.entry = KeygenEntry(self.keygen, URL, bytearray(invitation.group_secret))
        with slot_secret(invitation.open_secret, 1) as secret:
            self.entry.slot_secrets[1] = bytearray(secret.buffer)
        wallet.remember(self.entry)

    def joins(self, choice: Choice, slot: int = 1) -> tuple[Statement, KeygenJoin]:
        """What it says."""
        heard, group = self.alice.heard(self.keygen), self.alice.groups[self.keygen]
        statement = make_join(self.wallet, self.entry, heard, group, slot, choice)
        assert isinstance(statement.payload, KeygenJoin)
        return statement, statement.payload

    def opened(self, statement: Statement, said: KeygenJoin) -> OpenedEnvelope:
        """The envelope as its enclave opens it."""
        sealed = statement.blob("envelope")
        assert sealed is not None
        with Secret(secret_of("vault")) as identity:
            return open_envelope(identity, EnvelopeContext.of_join(said), sealed)

    def card(self, statement: Statement, said: KeygenJoin) -> Card:
        """The card as members open it."""
        sealed = statement.blob("card")
        assert sealed is not None
        return contents.parse(Card, self.alice.groups[self.keygen].open_in(said, "card", sealed))


@pytest.fixture
def invited() -> Iterator[Invited]:
    with Wallet.in_memory() as wallet:
        yield Invited(wallet)


def test_what_is_sealed_is_what_was_chosen(invited: Invited) -> None:
    choice = Choice(rule=RULE, enclave=invited.vault.key, label="Bob", allow=ALLOW)
    statement, said = invited.joins(choice)
    assert (said.slot, said.custody, said.rule, said.enclave) == (1, "sealed", RULE, invited.vault.key)
    envelope, card = invited.opened(statement, said), invited.card(statement, said)
    policy = contents.parse(Policy, bytes(envelope.policy))
    assert (policy.rule, policy.requesters, policy.no_blind, policy.max_fee) == (RULE, (1,), True, 1000)
    assert said.policy == policy_commitment(bytes(envelope.policy))
    assert card.label == "Bob" and card.pubkey == envelope.signing.point
    assert bytes(envelope.group_secret) == bytes(invited.entry.group_secret)


def test_a_fresh_key_is_sealed_each_time_and_follows_from_its_policy(invited: Invited) -> None:
    choice = Choice(enclave=invited.vault.key)
    (first, one), (second, other) = invited.joins(choice), invited.joins(choice)
    assert one.policy != other.policy
    assert invited.opened(first, one).signing.point != invited.opened(second, other).signing.point
    with invited.wallet.identity.signing(invited.keygen, 1, one.policy) as key:
        assert invited.opened(first, one).signing.point == key.point


def test_the_wallet_knows_each_join_before_it_is_said(invited: Invited) -> None:
    choice = Choice(enclave=invited.vault.key)
    said = [invited.joins(choice)[0].id for _ in range(2)]
    found = invited.wallet.keygen(invited.keygen)
    assert found is not None and found.joins == {1: said}


def test_a_key_that_was_brought_is_sealed_once_and_lent_only(invited: Invited) -> None:
    key = Secret(secret_of("a key from before"))
    choice = Choice(rule=NONE, enclave=invited.vault.key, key=key.buffer)
    statement, said = invited.joins(choice)
    assert invited.opened(statement, said).signing.point == key.point
    with pytest.raises(WalletError, match="sealed before"):
        invited.joins(choice)
    again, said = invited.joins(replace(choice, again=True))
    assert invited.card(again, said).pubkey == key.point


def test_on_a_device_nothing_is_sealed(invited: Invited) -> None:
    statement, said = invited.joins(Choice(custody="device"))
    assert said.enclave is None and said.envelope is None and statement.blob("envelope") is None
    assert said.custody == "device" and invited.card(statement, said).label == ""


def test_nobody_joins_a_slot_without_a_ticket_for_it(invited: Invited) -> None:
    with pytest.raises(WalletError, match="ticket"):
        invited.joins(Choice(enclave=invited.vault.key), slot=0)


def test_a_second_ticket_adds_to_what_is_known_and_one_that_contradicts_it_is_refused(invited: Invited) -> None:
    def ticket(secret: bytes) -> Ticket:
        return Ticket(host="127.0.0.1:8765", secure=False, keygen_id=invited.keygen, group_secret=TicketSecret(secret),
                      slot=0, secret=TicketSecret(bytes([7]) * 32))  # fmt: skip

    with pytest.raises(WalletError, match="somebody cheats"):
        entry_of(ticket(bytes([1]) * 32), URL, invited.entry)
    assert entry_of(ticket(bytes(invited.entry.group_secret)), URL, invited.entry) is invited.entry
    assert sorted(invited.entry.slot_secrets) == [0, 1]

"""Attacks with keys that are sealed: no key of an identity lies under two rules, whatever its wallets remember (§8.1).

join, rule none ─▶ hidden by the coordinator ─┐
                                              ├─ a copy of the wallet, or a second tab ─▶ join, rule self: another key
join, rule none ─▶ released ──────────────────┘

The enclave is the real one: what it would open, it opens here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from keymeld_client.said.choosing import Choice
from keymeld_client.said.joining import make_join
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.keys.derivation import Identity, slot_secret
from keymeld_protocol.keys.envelope import EnvelopeContext, OpenedEnvelope, open_envelope
from keymeld_protocol.plaintext import contents
from keymeld_protocol.plaintext.policy import Policy, policy_commitment
from keymeld_protocol.wire.payloads import CustodyAccept, CustodyRefuse, KeygenJoin
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk
from tests.support.coordinator import secret_of
from tests.support.world import NONE, SELF, World


class Copies:
    """A keygen of two, and wallets of one person who has the ticket of slot 1: copies, or tabs, of one identity."""

    def __init__(self) -> None:
        """Alice sits in slot 0."""
        self.tale = Tale.__new__(Tale)
        self.tale.world = self.world = World()
        self.vault, self.tale.alice = self.world.enclave("vault"), self.world.member("alice")
        self.invitation = self.tale.alice.create(2)
        self.tale.keygen = self.keygen = self.invitation.keygen
        self.tale.alice.join(self.invitation, 0, self.vault.key, NONE)
        self.world.run()
        self.readers: list[Reader] = []
        self.identity = bytes(secret_of("bob"))

    def copy(self) -> Reader:
        """One more wallet that knows the identity and the ticket, and has heard what the coordinator shows."""
        reader = Reader(self.tale)
        self.readers.append(reader)
        reader.wallet.identity = Identity(self.identity)
        entry = reader.wallet.keygen(self.keygen)
        assert entry is not None
        with slot_secret(self.invitation.open_secret, 1) as secret:
            entry.slot_secrets[1] = bytearray(secret.buffer)
        reader.subscribed(self.keygen)
        reader.hear(self.keygen)
        return reader

    def join(self, reader: Reader, rule: Rule) -> Statement:
        """What this wallet says to sit in slot 1."""
        entry, heard = reader.wallet.keygen(self.keygen), reader.ledger.replay(self.keygen)
        assert entry is not None and heard is not None
        choice = Choice(rule=rule, enclave=self.vault.key, label="bob")
        return make_join(reader.wallet, entry, heard, at_desk(reader).group(self.keygen), 1, choice)

    def opened(self, said: Statement, context: EnvelopeContext | None = None) -> OpenedEnvelope:
        """The envelope of a join, as its enclave opens it, or would in another place."""
        join, sealed = cast(KeygenJoin, said.payload), said.blob("envelope")
        assert sealed is not None
        with Secret(secret_of("vault")) as identity:
            return open_envelope(identity, context or EnvelopeContext.of_join(join), sealed)


@pytest.fixture
def copies() -> Iterator[Copies]:
    copies = Copies()
    yield copies
    for reader in copies.readers:
        reader.wallet.close()


# 57: has one signing key sealed under two rules: hides a join, restores a copy, opens two tabs ------------------------


@pytest.mark.parametrize("how", ["the join is hidden from a restored copy", "two tabs", "one wallet, twice"])
def test_attack_57_no_key_lies_under_two_rules(copies: Copies, how: str) -> None:
    """57: has one signing key sealed under two rules."""
    first = copies.copy()
    second = copies.copy() if how == "two tabs" else None
    loose = copies.join(first, NONE)
    strict = copies.join(second or (copies.copy() if "copy" in how else first), SELF)
    envelopes = [copies.opened(said) for said in (loose, strict)]
    rules = [contents.parse(Policy, each.policy).rule for each in envelopes]
    assert rules == [NONE, SELF]
    assert envelopes[0].signing.point != envelopes[1].signing.point


def test_attack_57_a_key_says_under_which_policy_it_was_sealed(copies: Copies) -> None:
    """57: has one signing key sealed under two rules."""
    said = copies.join(copies.copy(), SELF)
    envelope = copies.opened(said)
    with Identity(copies.identity) as identity:
        derived = identity.signing(copies.keygen, 1, policy_commitment(envelope.policy))
        loose = policy_commitment(contents.encode(replace_rule(contents.parse(Policy, envelope.policy), NONE)))
        assert envelope.signing.point == derived.point
        assert envelope.signing.point != identity.signing(copies.keygen, 1, loose).point


def replace_rule(policy: Policy, rule: Rule) -> Policy:
    """The same policy, salt and all, with another rule."""
    return Policy(v=1, salt=policy.salt, rule=rule)


def test_attack_57_an_envelope_opens_under_no_other_policy_than_its_joins(copies: Copies) -> None:
    """57: has one signing key sealed under two rules."""
    reader = copies.copy()
    loose, strict = copies.join(reader, NONE), copies.join(reader, SELF)
    context = EnvelopeContext.of_join(cast(KeygenJoin, strict.payload))
    with pytest.raises(InvalidCrypto, match="does not open"):
        copies.opened(loose, context)
    same_place = replace(context, policy=cast(KeygenJoin, loose.payload).policy)
    assert copies.opened(loose, same_place).signing.point != copies.opened(strict).signing.point


def test_attack_57_the_enclave_refuses_an_envelope_of_another_policy(copies: Copies) -> None:
    """57: has one signing key sealed under two rules."""
    bob = copies.world.member("bob")
    loose = bob.draft(copies.invitation, 1, copies.vault.key, NONE).statement()
    strict = bob.draft(copies.invitation, 1, copies.vault.key, SELF)
    strict.envelope = loose.blob("envelope")
    bob.submit(strict.statement())
    copies.world.run()
    said = copies.vault.said[-1].payload
    assert isinstance(said, CustodyRefuse) and said.code == "bad_envelope"
    bob.submit(bob.draft(copies.invitation, 1, copies.vault.key, SELF).statement())
    copies.world.run()
    assert isinstance(copies.vault.said[-2].payload, CustodyAccept), "an honest one is taken"

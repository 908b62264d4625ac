"""A wallet that comes back from an old copy has forgotten its joins: it seals another key all the same.

wallet ─▶ join, rule none ─▶ released … the folder is restored ─▶ join, rule self: another policy, another key
"""

from __future__ import annotations

from typing import cast

from keymeld_client import Rule
from keymeld_client.said.choosing import Choice
from keymeld_client.said.joining import make_join
from keymeld_protocol.keys.derivation import Identity, slot_secret
from keymeld_protocol.wire.payloads import KeygenJoin, KeygenRelease
from keymeld_protocol.wire.statements import Statement
from tests.client.paper import Reader, Tale
from tests.support.world import NONE, Invitation, World

from .desk import at_desk


def join(reader: Reader, invitation: Invitation, rule: Rule) -> Statement:
    """What this wallet says to sit in slot 1."""
    tale = reader.tale
    entry, heard = reader.wallet.keygen(tale.keygen), reader.ledger.replay(tale.keygen)
    assert entry is not None and heard is not None
    with slot_secret(invitation.open_secret, 1) as secret:
        entry.slot_secrets[1] = bytearray(secret.buffer)
    choice = Choice(rule=rule, enclave=tale.world.enclaves[0].key, label="bob")
    return make_join(reader.wallet, entry, heard, at_desk(reader).group(tale.keygen), 1, choice)


def hear_all(reader: Reader) -> None:
    """Everything that was said so far."""
    keygen = reader.tale.keygen
    reader.subscribed(keygen)
    reader.hear(keygen, reader.tale.wires(keygen)[reader.heard(keygen) :])


def test_a_restored_wallet_seals_no_key_a_second_time() -> None:
    tale = Tale.__new__(Tale)
    tale.world = world = World()
    vault, tale.alice = world.enclave("vault"), world.member("alice")
    invitation = tale.alice.create(2)
    tale.keygen = invitation.keygen
    tale.alice.join(invitation, 0, vault.key, NONE)
    world.run()
    bob, restored = Reader(tale), Reader(tale)
    restored.wallet.identity = Identity(bob.wallet.identity.buffer)
    hear_all(bob)
    first = join(bob, invitation, Rule(approval="none"))
    vault.leave()
    world.submit(first)
    with tale.alice.identity.creator(tale.alice.keygen(tale.keygen).create.salt) as creator:
        world.submit(tale.alice.saying(tale.keygen, KeygenRelease, creator, slot=1, join=first.id, code="released"))
    hear_all(restored)
    second = join(restored, invitation, Rule(approval="self"))
    one, other = (cast(KeygenJoin, statement.payload) for statement in (first, second))
    assert one.by == other.by and one.policy != other.policy
    points = [restored.wallet.identity.signing(tale.keygen, 1, join.policy).point for join in (one, other)]
    assert points[0] != points[1]
    world.submit(second)
    for reader in (bob, restored):
        reader.wallet.close()

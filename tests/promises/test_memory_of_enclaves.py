"""What waits in an enclave takes little room: a request of 640 KiB that nobody approves is not kept, only its items.

1,000 requests may be open for each member, for seven days: with their parsed transactions they took 8 MB each.
"""

from __future__ import annotations

import gc

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.bitcoin.transaction import Spend
from keymeld_protocol.plaintext.body import RawTransaction, SignInput, Spent, Transaction
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import SigningContribute
from tests.support.party import Party
from tests.support.world import NONE, SELF, secret_of


def asked(party: Party) -> Id:
    """Alice asks for a transaction with many outputs; nobody has said yes."""
    script = party.alice.roster(party.group).script()
    coin = Coin(secret_of("coin"), 0, 100_000, script)
    raw = transaction([coin], [(1, b"\x51")] * 5_000)
    spent = (Spent(amount=coin.amount, script=Script(coin.script)),)
    signing = party.alice.request(
        party.group,
        SignInput(transaction=0, input=0),
        transactions=(Transaction(unsigned=RawTransaction(raw), spent=spent),),
    )
    party.world.run()
    return signing


def spends() -> int:
    """How many parsed transactions are kept, by anybody."""
    gc.collect()
    return sum(isinstance(found, Spend) for found in gc.get_objects())


def test_an_open_request_is_kept_without_its_body() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    before = spends()
    signing = asked(party)
    assert spends() == before
    opening = party.vaults[0].agent.hearing.streams[signing].records[0]
    assert opening.statement.blob("body") is None and opening.statement.payload.blob_digests()
    party.bob.approve(signing)
    party.world.run()
    (signature,) = party.alice.signatures(signing)
    assert party.phase(signing) == "completed" and isinstance(signature, bytes)


def test_values_are_let_go_once_they_were_read() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    party.vaults[0].leave()
    signing = asked(party)
    party.vaults[0].come_back()
    while party.phase(signing) != "psigs":
        assert any(peer.step() for peer in party.world.peers.values())
    heard = party.vaults[0].agent.hearing.streams[signing].records
    said = [record.statement for record in heard if isinstance(record.statement.payload, SigningContribute)]
    assert said and all(statement.blob("values") is None for statement in said)
    party.world.run()
    assert party.phase(signing) == "completed" and party.undisturbed()

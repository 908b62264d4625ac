"""unread.py: contributions wait until the request was judged, and of those that nobody reads nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable

from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import SigningContribute
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement
from tests.support.party import Party, party_of_two
from tests.support.world import MESSAGE


def contributed(party: Party, often: int) -> Id:
    """A signing to which somebody has contributed so ``often``."""
    signing = party.alice.request(party.group, MESSAGE)
    while len(said(party.world.logs[signing].records)) < often:
        for peer in party.world.peers.values():
            peer.step()
    return signing


def said(records: Iterable[Record]) -> list[Statement]:
    """The contributions among these records."""
    return [record.statement for record in records if isinstance(record.statement.payload, SigningContribute)]


def kept(party: Party, signing: Id) -> list[bytes | None]:
    """What the first enclave keeps of the contributions that it has heard."""
    heard = party.vaults[0].agent.hearing.streams[signing]
    return [statement.blob("values") for statement in said(heard.records)]


def test_what_was_read_is_let_go_of() -> None:
    party = party_of_two()
    signing = contributed(party, 2)
    while len(kept(party, signing)) < 2:
        party.vaults[0].step()
    assert kept(party, signing) == [None, None]
    party.world.run()
    assert party.signed(signing)


def test_attack_61_what_was_said_in_an_earlier_attempt_is_let_go_of_unread() -> None:
    """61: sixteen attempts of many signers fill no memory of an enclave that hears them later."""
    party = party_of_two()
    signing = contributed(party, 1)
    vault, keep = party.vaults
    vault.restart()
    while party.world.state(signing).attempt == 1:
        vault.step()
    keep.leave()
    vault.restart()
    party.world.run()
    assert party.phase(signing) is SigningPhase.NONCES
    assert kept(party, signing) == [None]

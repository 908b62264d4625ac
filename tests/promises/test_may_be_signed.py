"""Whoever is told that nothing was signed can rely on it: a signature leaves only in steps that the log calls so.

keep (slot 2) ─▶ nonces: for an item of its own slot alone, too, no signature yet
the vault dies ─▶ before the nonces nothing is signed ─▶ after them it owed a psig, and may have said it to somebody
"""

from __future__ import annotations

from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.plaintext.body import SignMessage
from keymeld_protocol.plaintext.contributions import Finished, Nonce, Nothing
from keymeld_protocol.values import Message
from keymeld_protocol.wire.payloads import SigningContribute
from tests.support.party import Party
from tests.support.world import HOUR, MESSAGE

OWN = b"thirty-two bytes of slot 2 alone"
ITEMS = (SignMessage(message=Message(OWN), subset=0), SignMessage(message=Message(MESSAGE)))


def party() -> Party:
    """Slots 0 and 1 are at the vault, which goes last; slot 2, whose key may also sign alone, is at the keep."""
    party = Party("vault", "keep")
    party.gather(at=(0, 0, 1), subsets=((2,),), allow=({}, {}, {"alone": True, "alone_blind": True}))
    return party


def test_a_signing_that_ends_before_the_nonces_has_signed_nothing() -> None:
    p = party()
    for vault in p.vaults:
        vault.leave()
    signing = p.carol.request(p.group, *ITEMS)
    p.world.wait(2 * HOUR)
    assert p.phase(signing) == "expired" and not p.world.state(signing).may_be_signed


def test_the_nonces_hold_no_signature_yet_and_from_then_on_a_psig_may_be_on_its_way() -> None:
    p = party()
    vault, keep = p.vaults
    signing = p.carol.request(p.group, *ITEMS)
    while keep.step():
        pass
    vault.leave()
    p.world.run()
    (record,) = [r for r in p.alice.heard(signing).records if isinstance(r.statement.payload, SigningContribute)]
    entries = p.alice._opened(record.statement, "values", 2, p.alice.groups[p.group])
    assert record.statement.payload.by == keep.key and entries[0] == Nothing() and isinstance(entries[1], Nonce)
    assert not p.world.state(signing).psig_sent
    p.world.wait(2 * HOUR)
    assert p.phase(signing) == "expired" and p.world.state(signing).may_be_signed


def test_an_item_of_one_enclave_alone_is_signed_with_the_others() -> None:
    p = party()
    signing = p.carol.request(p.group, *ITEMS)
    p.world.run()
    assert p.phase(signing) == "completed" and p.undisturbed()
    own, everybodys = p.alice.signatures(signing)
    roster = p.alice.roster(p.group)
    assert isinstance(own, bytes) and verify(own, OWN, roster.keyagg(0).output)
    assert isinstance(everybodys, bytes) and verify(everybodys, MESSAGE, roster.keyagg().output)
    assert p.bob.told(signing)[0] == Finished(signature=own)

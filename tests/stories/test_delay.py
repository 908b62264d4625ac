"""A key behind a day's delay: time to say no to a thief, and patience with everybody else.  In memory, in no time.

noon       Alice's stolen phone asks ▶ both enclaves hear it ▶ Carol, warned in the evening, says no
next day   Alice asks anew ▶ the keep restarts ▶ a day has passed ▶ signed, at once and by everybody
"""

from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.values import Id
from keymeld_protocol.wire.shapes import Rule
from tests.support.party import Party
from tests.support.world import HOUR, MESSAGE, NONE

DAY = 24 * HOUR
PATIENT = Rule(approval="none", delay_ms=DAY)
OTHER = b"the thief's own thirty-two bytes"


def group() -> Party:
    """Alice's and Bob's keys are in the vault; Carol's is in the keep and waits for a day."""
    party = Party("vault", "keep")
    party.gather(NONE, NONE, PATIENT, at=(0, 0, 1))
    return party


def asked(party: Party, message: bytes) -> Id:
    """Alice, or whoever has her phone, asks; a request behind a delay lives longer than it."""
    signing = party.alice.request(party.group, message, life=2 * DAY)
    party.world.run()
    return signing


def test_who_is_warned_in_time_stops_a_thief() -> None:
    party = group()
    stolen = asked(party, OTHER)
    party.world.wait(8 * HOUR)
    assert party.phase(stolen) is SigningPhase.APPROVING and party.world.state(stolen).holdouts() == ()
    party.carol.reject(stolen)
    party.world.wait(2 * DAY)
    assert party.phase(stolen) is SigningPhase.REJECTED
    assert not any("signing.contribute" in vault.kinds() for vault in party.vaults)


def test_who_has_nothing_to_hide_waits_for_a_day_through_restarts() -> None:
    party = group()
    signing = asked(party, MESSAGE)
    party.world.wait(8 * HOUR)
    party.vaults[1].restart()
    party.world.wait(DAY - 8 * HOUR - 1)
    assert party.phase(signing) is SigningPhase.APPROVING
    party.world.wait(1)
    assert party.signed(signing) and party.undisturbed()


def test_both_at_once_take_nothing_from_each_other() -> None:
    party = group()
    stolen, honest = asked(party, OTHER), asked(party, MESSAGE)
    party.world.wait(HOUR)
    party.carol.reject(stolen)
    party.world.wait(DAY - HOUR)
    assert party.phase(stolen) is SigningPhase.REJECTED and party.signed(honest)

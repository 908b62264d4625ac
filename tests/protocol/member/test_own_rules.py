"""own_rules.py: a delay is begun once, by the enclave's own word, and waited for by its own clock alone."""

import pytest

from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import SigningHeard
from keymeld_protocol.wire.shapes import Rule
from tests.support.party import Party
from tests.support.world import HOUR, MESSAGE, MINUTE, NONE, NOON, SECOND, Enclave, Peer

DELAYED = Rule(approval="none", delay_ms=MINUTE)
OWN = Rule(approval="self", delay_ms=MINUTE)


def party(rule: Rule = DELAYED, enclaves: int = 1) -> Party:
    """Alice, Bob and Carol; Bob's key waits for a minute, at the last of these enclaves."""
    made = Party("vault", "keep")
    made.gather(NONE, rule, NONE, at=(0, enclaves - 1, 0))
    return made


def asked(made: Party, **options: int) -> Id:
    """Alice asks, and everybody hears it."""
    signing = made.alice.request(made.group, MESSAGE, **options)
    made.world.run()
    return signing


def begun(vault: Enclave) -> list[int]:
    """When this enclave's delays began, by its own words."""
    return [said.payload.at for said in vault.said if isinstance(said.payload, SigningHeard)]


@pytest.mark.parametrize("enclaves", [1, 2])
def test_a_delay_is_begun_once_and_waited_for(enclaves: int) -> None:
    made = party(enclaves=enclaves)
    signing = asked(made)
    keeper = made.vaults[enclaves - 1]
    assert begun(keeper) == [NOON]
    made.world.wait(MINUTE - 1)
    assert made.phase(signing) is SigningPhase.APPROVING
    made.world.wait(1)
    assert made.signed(signing) and made.undisturbed()
    assert sum(len(begun(vault)) for vault in made.vaults) == 1, "the other enclave holds no delay"


def test_a_subset_without_the_delayed_slot_does_not_wait() -> None:
    made = Party("vault")
    made.gather(NONE, DELAYED, NONE, subsets=((0, 2),))
    signing = made.alice.request(made.group, MESSAGE, subset=0)
    made.world.run()
    assert made.signed(signing, subset=0) and begun(made.vaults[0]) == []


def test_the_delay_runs_while_approvals_are_collected() -> None:
    made = party(OWN)
    signing = asked(made)
    made.world.wait(MINUTE - SECOND)
    made.bob.approve(signing)
    made.world.run()
    assert made.phase(signing) is SigningPhase.APPROVING
    made.world.wait(SECOND)
    assert made.signed(signing)


@pytest.mark.parametrize("rule", [DELAYED, OWN])
def test_a_no_during_the_delay_stops_it(rule: Rule) -> None:
    made = party(rule)
    signing = asked(made)
    if rule is OWN:
        made.bob.approve(signing)
    made.world.wait(MINUTE - 1)
    made.bob.reject(signing)
    made.world.wait(HOUR)
    assert made.phase(signing) is SigningPhase.REJECTED and "signing.contribute" not in made.vaults[0].kinds()


def test_after_a_restart_its_own_word_in_the_log_is_believed() -> None:
    made = party()
    signing = asked(made)
    made.world.wait(MINUTE // 2)
    made.vaults[0].restart()
    made.world.run()
    made.world.wait(MINUTE // 2)
    assert made.signed(signing) and begun(made.vaults[0]) == [NOON]


def test_an_enclave_that_comes_late_begins_late() -> None:
    made = party()
    made.vaults[0].leave()
    signing = asked(made)
    made.world.wait(MINUTE)
    made.vaults[0].come_back()
    made.world.run()
    assert begun(made.vaults[0]) == [NOON + MINUTE] and made.phase(signing) is SigningPhase.APPROVING
    made.world.wait(MINUTE)
    assert made.signed(signing)


@pytest.mark.parametrize("skew", [-HOUR // 2, HOUR // 2])
def test_an_enclave_whose_clock_differs_from_the_coordinators_waits_for_as_long(skew: int) -> None:
    made = party()
    made.vaults[0].skew = skew
    signing = asked(made, life=2 * HOUR)
    made.world.wait(MINUTE + max(0, skew) - 1)
    assert made.phase(signing) is SigningPhase.APPROVING
    made.world.wait(1)
    assert made.signed(signing) and made.world.state(signing).attempt == 1


def test_a_request_that_cannot_be_signed_is_refused_before_any_delay_begins() -> None:
    made = party()
    signing = asked(made, items=2)
    assert made.code(signing) == "bad_body" and begun(made.vaults[0]) == []


def test_another_enclaves_word_begins_nothing_here() -> None:
    made = Party("vault", "keep")
    made.gather(NONE, DELAYED, DELAYED, at=(0, 0, 1))
    vault, keep = made.vaults
    keep.skew = -HOUR
    signing = asked(made, grace_ms=60_000)
    assert (begun(vault), begun(keep)) == ([NOON], [NOON - HOUR])
    vault.skew = -MINUTE
    made.world.wait(MINUTE)
    assert made.phase(signing) is SigningPhase.NONCES and "signing.contribute" not in vault.kinds()


def test_what_is_said_before_its_word_has_come_back_does_not_make_it_speak_twice() -> None:
    made = party(OWN)
    vault = made.vaults[0]
    signing = made.alice.request(made.group, MESSAGE)
    while made.bob.step():
        """He hears it first."""
    made.bob.approve(signing)
    while Peer.step(vault):
        """It hears both before it says anything."""
    made.world.run()
    assert begun(vault) == [NOON] and not vault.refused

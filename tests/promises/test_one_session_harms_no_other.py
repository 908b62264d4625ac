"""A mistake that only one session meets ends that session in the enclave, and never the process.

Whatever a member can make the enclave stumble over would be heard again after a restart: it would stumble for good.
"""

from __future__ import annotations

from typing import Any

import pytest

from keymeld_protocol.member.contributing import Contributor
from keymeld_protocol.values import Id
from keymeld_protocol.wire.shapes import Rule
from tests.support.party import Party
from tests.support.world import MESSAGE, MINUTE, NONE, NOON, SELF

OTHER = b"another message of 32 bytes, fine"[:32]


def stumbling(monkeypatch: pytest.MonkeyPatch, over: str) -> list[Id]:
    """From now on, one method of the enclave's contributor fails in the first stream that comes along."""
    honest, met = getattr(Contributor, over), list[Id]()

    def fails(self: Contributor, *args: Any) -> Any:
        met.append(self.heard.stream)
        if self.heard.stream == met[0]:
            raise ZeroDivisionError("secret")
        return honest(self, *args)

    monkeypatch.setattr(Contributor, over, fails)
    return met


@pytest.mark.parametrize("over", ["owed", "note"])
def test_the_others_are_served_and_the_operator_is_told(monkeypatch: pytest.MonkeyPatch, over: str) -> None:
    party = Party("vault")
    party.gather()
    (vault,) = party.vaults
    met = stumbling(monkeypatch, over)
    first = party.alice.request(party.group, MESSAGE)
    party.world.run()
    second = party.alice.request(party.group, OTHER)
    party.world.run()
    assert met[0] == first and party.phase(second) == "completed" and party.phase(first) != "completed"
    (told,) = vault.concerns
    assert first.hex() in told and "ZeroDivisionError" in told and "secret" not in told


def late() -> tuple[Party, list[Id]]:
    """Two signings whose rule's time has come by the coordinator's clock, and not yet by the enclave's."""
    party = Party("vault")
    party.vaults[0].skew = -MINUTE
    party.gather(Rule(approval="none", not_before=NOON + MINUTE), NONE, NONE)
    waiting = [party.alice.request(party.group, message) for message in (MESSAGE, OTHER)]
    party.world.wait(MINUTE)
    assert [party.phase(signing) for signing in waiting] == ["nonces", "nonces"]
    return party, waiting


def test_a_tick_goes_on_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    party, waiting = late()
    met = stumbling(monkeypatch, "owed")
    party.world.wait(MINUTE)
    assert met[0] == waiting[0] and len(party.vaults[0].concerns) == 1
    assert [party.phase(signing) for signing in waiting] == ["nonces", "completed"]


def test_a_tick_looks_at_what_waits_for_time_and_not_at_what_waits_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps many requests open, which nobody approves, does not keep the enclave busy."""
    party, waiting = late()
    people = Party("vault")
    people.gather(NONE, SELF, NONE)
    asked = [people.alice.request(people.group, bytes([i]) * 32) for i in range(1, 6)]
    people.world.run()
    met = stumbling(monkeypatch, "owed")
    people.vaults[0].tick()
    assert not met and set(people.vaults[0].agent._contributors) == set(asked)
    party.vaults[0].tick()
    assert met == waiting, "these wait for a time that comes"


def test_how_many_places_a_signing_has_is_known_from_its_request_until_it_ends() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    (vault,) = party.vaults
    batch = party.alice.request(party.group, *(bytes([i]) * 32 for i in range(1, 66)))
    party.world.run()
    places = [vault.agent.places(batch)]
    party.bob.approve(batch)
    party.world.run()
    assert party.phase(batch) == "completed" and [*places, vault.agent.places(batch)] == [65, 0]


def test_nonces_are_wiped_when_the_log_of_their_keygen_breaks() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    vault, keep = party.vaults
    vault.leave()
    signing = party.alice.request(party.group, MESSAGE)
    vault.come_back()
    while keep.step():
        pass
    contributor = keep.agent._contributors[signing]
    assert contributor._nonces is not None
    keep.agent._end(party.group)
    assert contributor._nonces is None

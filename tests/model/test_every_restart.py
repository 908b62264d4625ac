"""An enclave that crashes, is told its log twice, or is told another one, at every moment of a signing (§11.2).

Whatever befalls it, no two psigs leave under one nonce.
"""

import pytest

from tests.model.restarts import BLOWS, LAYOUTS, TURNS, Blow, Schedule, played

SHARED = [name for name in LAYOUTS if "alone" not in name]
every_layout = pytest.mark.parametrize("layout", SHARED)


@every_layout
def test_undisturbed_each_signs_once(layout: str) -> None:
    stage = played(Schedule(LAYOUTS[layout]))
    assert len(stage.spent) == len(set(stage.spent)) == 2
    assert stage.world.state(stage.signing).phase == "completed" and len(stage.vault.said) <= TURNS


@every_layout
@pytest.mark.parametrize("blow", BLOWS, ids=lambda blow: blow.__name__)
def test_no_nonce_signs_twice_whatever_befalls_an_enclave_and_when(layout: str, blow: Blow) -> None:
    signed = []
    for turn in range(TURNS):
        stage = played(Schedule(LAYOUTS[layout], ((turn, blow),)))
        assert len(stage.spent) == len(set(stage.spent)), f"{blow.__name__} before turn {turn}"
        signed.append(len(stage.spent))
    assert max(signed) >= 2, "nobody has signed at all"


@every_layout
def test_what_is_told_twice_is_signed_once(layout: str) -> None:
    for turn in range(TURNS):
        stage = played(Schedule(LAYOUTS[layout], ((turn, BLOWS[1]),)))
        assert len(stage.spent) == 2

"""descriptors.py: nobody is promised a connection for which the system has no descriptor."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from keymeld_server.door.connection_limits import told_beside
from keymeld_server.door.descriptors import OWN_DESCRIPTORS, fitting
from tests.support.serving import config_in

CONFIG = config_in(Path("/nowhere"), connections_max=1_000)
WANTED = 1_000 + told_beside(1_000) + OWN_DESCRIPTORS


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the system allows, and what was asked of it."""
    found = {"soft": 1_024, "hard": 524_288}

    def ask(which: int, limits: tuple[int, int]) -> None:
        found["soft"], found["hard"] = limits

    monkeypatch.setattr(resource, "getrlimit", lambda which: (found["soft"], found["hard"]))
    monkeypatch.setattr(resource, "setrlimit", ask)
    return found


def test_the_soft_limit_is_raised_as_far_as_it_has_to_be(limits: dict[str, int]) -> None:
    assert fitting(CONFIG) is CONFIG and limits == {"soft": WANTED, "hard": 524_288}


@pytest.mark.parametrize("soft", [WANTED, 1_000_000, resource.RLIM_INFINITY])
def test_one_that_is_high_enough_stays(limits: dict[str, int], soft: int) -> None:
    limits["soft"] = soft
    assert fitting(CONFIG) is CONFIG and limits["soft"] == soft


def test_no_limit_above_it_is_no_limit(limits: dict[str, int]) -> None:
    limits["hard"] = resource.RLIM_INFINITY
    assert fitting(CONFIG) is CONFIG and limits["soft"] == WANTED


@pytest.mark.parametrize("hard", [300, 512, 1_024, WANTED - 1])
def test_where_it_stays_too_low_fewer_are_let_in(
    limits: dict[str, int], hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    limits["hard"] = hard
    room = fitting(CONFIG).connections_max
    assert 1 <= room < 1_000 and room + told_beside(room) + OWN_DESCRIPTORS <= hard == limits["soft"]
    assert "nofile is too low" in caplog.text

"""Look further than every run does: ``python -m tests.model signing quorum``; without words, at all of it.

signing [MIX …]     every voice, every moment, one attempt more         minutes a mix
keygen              five joins                                          minutes
restarts            two blows in one signing                            minutes
"""

import sys
from collections.abc import Callable
from time import monotonic

from tests.model import keygens, restarts, signings
from tests.model.explored import Bounds, explore


def look(name: str, bounds: Bounds) -> None:
    """Explore ``bounds``, and say how much there was.

    Raises:
        AssertionError: something that must not happen has, or an open place leads to no end.
    """
    began = monotonic()
    found = explore(bounds)
    assert found.stuck() == []
    refused = sum(found.refusals.values())
    print(f"{name}: {len(found.places)} places, {found.steps} steps, {refused} refusals, {monotonic() - began:.0f} s")


def signing(*names: str) -> None:
    """The signing machine, in some mixes or in all."""
    for name in names or signings.MIXES:
        look(f"signing, {name}", signings.large(name))


def keygen() -> None:
    """The keygen machine."""
    look("keygen", keygens.large())


def lives() -> None:
    """Two blows that befall an enclave in one signing.

    Raises:
        AssertionError: a nonce signs twice.
    """
    for name, at in restarts.LAYOUTS.items():
        schedules = list(restarts.schedules(at, 2))
        for schedule in schedules:
            spent = restarts.played(schedule).spent
            assert len(spent) == len(set(spent)), f"{name}: {schedule}"
        print(f"restarts, {name}: {len(schedules)} schedules")


WHAT: dict[str, Callable[..., None]] = {"signing": signing, "keygen": keygen, "restarts": lives}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(WHAT)
    if chosen[0] == "signing" and len(chosen) > 1:
        signing(*chosen[1:])
    else:
        for word in chosen:
            WHAT[word]()

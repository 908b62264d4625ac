"""Tests mirror the source: what tests `package/room/module.py` is found at `tests/package/room/test_module.py`."""

from pathlib import Path

from tests.support.vectors import ROOT

UNTESTED = """
    client/command/inviting.py         client/command/joining.py          client/command/keeping.py
    client/command/keygens.py          client/command/requesting.py       client/command/results.py
    client/command/signings.py         client/command/typed/arguments.py  protocol/curve/libmusig.py
    protocol/curve/libsecp256k1.py     server/store/sqlite/rows.py
"""
"""Modules without a test file of their own; a story or a neighbour's test walks through each.  No list to add to."""
LACKING = 11
"""How many they are; the number only falls."""


def modules() -> dict[str, Path]:
    """Where the test of each module is to be, by the module's path: `client/line/link.py`."""
    found = {}
    for name in ("protocol", "host", "enclave", "server", "client"):
        package = ROOT / ("protocol" if name == "host" else name) / f"keymeld_{name}"
        for path in package.rglob("*.py"):
            if path.name != "__init__.py":
                place = Path(name) / path.relative_to(package)
                found[str(place)] = ROOT / "tests" / place.parent / f"test_{path.stem.strip('_')}.py"
    return found


def test_every_module_has_its_test_file_or_is_known_to_lack_one() -> None:
    lacking = {module for module, test in modules().items() if not test.exists()}
    assert lacking <= set(UNTESTED.split()), "write a test file for these"


def test_the_list_of_those_that_lack_one_only_shrinks() -> None:
    listed, tests = UNTESTED.split(), modules()
    assert set(listed) <= tests.keys(), "these are no modules any more"
    assert [module for module in listed if tests[module].exists()] == [], "these have a test now, and need no mention"
    assert listed == sorted(set(listed)) and len(listed) == LACKING

"""tests/README.md names every helper, so that nobody writes one anew because he did not find it."""

import re
from pathlib import Path

from tests.support.vectors import ROOT

TESTS = ROOT / "tests"
README = (TESTS / "README.md").read_text()


def helpers() -> set[str]:
    """Every module below tests/ that is no test, by its path."""
    found = {path.relative_to(TESTS) for path in TESTS.rglob("*.py")}
    return {str(path) for path in found if not path.name.startswith("test_") and path.name != "__init__.py"}


def named() -> list[str]:
    """The modules that the table of helpers names."""
    table = README.partition("## Helpers")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([\w/]+\.py)`", cell)]


def test_every_helper_is_in_the_table_once_and_everything_in_it_is_one() -> None:
    assert sorted(named()) == sorted(helpers())


def test_every_file_and_folder_that_the_readme_names_is_there() -> None:
    words = re.findall(r"`([\w/]+(?:\.py|/))`", README)
    places = [TESTS, TESTS / "support", TESTS / "vectors", TESTS / "attacks", ROOT]
    assert [word for word in words if not any((place / Path(word)).exists() for place in places)] == []
    assert words

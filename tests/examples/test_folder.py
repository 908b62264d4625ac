"""examples/: what lies there is a program that people run, is told by the README, and is told to its end by a test."""

import re

from tests.support.vectors import ROOT

PROGRAMS = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def test_the_readme_lists_every_example() -> None:
    assert sorted(re.findall(r"\[(\w+\.py)\]\(examples/\1\)", (ROOT / "README.md").read_text())) == PROGRAMS


def test_every_example_is_a_program() -> None:
    for name in PROGRAMS:
        assert '\nif __name__ == "__main__":\n' in (ROOT / "examples" / name).read_text(), name


def test_every_example_is_run_by_a_test() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests/examples").glob("test_*.py"))
    for name in (program.removesuffix(".py") for program in PROGRAMS):
        imported = rf"^from examples import .*\b{name}\b|^from examples\.{name} import"
        assert re.search(rf'{imported}|"{name}": \[|"examples/{name}\.py"', tests, re.MULTILINE), name

"""command/keymeld.py: the list of what a person may type, each with help that teaches."""

import re

import click
import pytest
from click.testing import CliRunner

from keymeld_client.command.keymeld import main


def leaves(group: click.Group, *above: str) -> list[tuple[str, ...]]:
    """Everything that can be typed, with the words that lead there."""
    found: list[tuple[str, ...]] = []
    for name, command in sorted(group.commands.items()):
        found += leaves(command, *above, name) if isinstance(command, click.Group) else [(*above, name)]
    return found


@pytest.mark.parametrize("words", leaves(main), ids=" ".join)
def test_every_command_says_what_it_does_and_shows_how_it_is_typed(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*words, "--help"])
    assert shown.exit_code == 0
    assert re.search(rf"\bkeymeld (-\S+ )*{' '.join(words)}\b", shown.output), "an example, beside the usage line"


def test_every_command_that_the_overview_names_is_there() -> None:
    named = set(re.findall(r"^ *keymeld (\w+)", main.help or "", re.MULTILINE)) - {"command"}
    assert named and named <= set(main.commands)


def test_a_word_that_is_none_is_refused_as_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["sgin"]).exit_code == click.UsageError.exit_code

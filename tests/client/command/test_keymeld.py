"""command/keymeld.py: the list of what a person may type, each with help that teaches."""

import re

import click
import pytest
from click.testing import CliRunner

from keymeld_client.command.keymeld import LIST, main


def leaves(group: click.Group, *above: str) -> list[tuple[str, ...]]:
    """Everything that can be typed, with the words that lead there."""
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)
        assert command is not None
        found += leaves(command, *above, name) if isinstance(command, click.Group) else [(*above, name)]
    return found


@pytest.mark.parametrize("words", leaves(main), ids=" ".join)
def test_every_command_says_what_it_does_and_shows_how_it_is_typed(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*words, "--help"])
    assert shown.exit_code == 0
    assert re.search(rf"\bkeymeld (-\S+ )*{' '.join(words)}\b", shown.output), "an example, beside the usage line"


def test_every_command_that_the_overview_names_is_there() -> None:
    named = set(re.findall(r"^ *keymeld (\w+)", main.help or "", re.MULTILINE)) - {"command"}
    assert named and named <= set(LIST)


@pytest.mark.parametrize("name", LIST)
def test_the_overview_says_of_a_command_what_its_own_help_begins_with(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.name == name
    assert LIST[name][1] == command.get_short_help_str(limit=200)


def test_the_overview_has_every_command_in_the_order_of_a_sessions_life() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    listed = re.findall(r"^  ([\w-]+) +(.*)$", shown.partition("Commands:")[2], re.MULTILINE)
    assert listed[: len(LIST)] == [(name, line) for name, (_, line) in LIST.items()]


def test_a_word_that_is_none_is_refused_as_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["sgin"]).exit_code == click.UsageError.exit_code

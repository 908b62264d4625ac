"""command/verbs.py: shared options stand on either side of a command's name; what goes wrong ends as a sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from keymeld_client.command.app import App
from keymeld_client.command.failures import FAILED, INTERRUPTED, UNREACHABLE, USAGE
from keymeld_client.command.verbs import Verb, Verbs
from keymeld_client.errors import NotConnected
from tests.support.coordinator import key_of

KEYS = [key_of(name).key.hex() for name in ("vault", "tower")]


def run(*arguments: str, do: Callable[[App], object] = lambda app: None, env: dict[str, str] | None = None) -> Result:
    """A command ``try`` that does this with what the options say."""
    face = Verbs("keymeld")
    seen: list[App] = []

    @face.command("try", cls=Verb, examples="keymeld try\n  keymeld try again")
    @click.pass_obj
    def tried(app: App) -> None:
        """Try it."""
        seen.append(app)
        do(app)

    clean: dict[str, str | None] = {"KEYMELD_WALLET": None, "KEYMELD_TOKEN": None}
    result = CliRunner().invoke(face, arguments, obj=App(), env={**clean, **(env or {})})
    result.app = seen[0] if seen else None  # type: ignore[attr-defined]
    return result


def app(*arguments: str, env: dict[str, str] | None = None) -> App:
    """What the options say."""
    result = run(*arguments, env=env)
    assert result.exit_code == 0, result.output
    assert isinstance(result.app, App)  # type: ignore[attr-defined]
    return result.app  # type: ignore[attr-defined]


def failing(error: BaseException) -> Callable[[App], object]:
    def do(app: App) -> None:
        raise error

    return do


@pytest.mark.parametrize("first", [True, False], ids=["before the name", "after it"])
def test_shared_options_stand_on_either_side_of_the_name(first: bool) -> None:
    options = ("--wallet", "w", "--server", "WSS://Host/", "--token", "t", "--patience", "2m", "--json", "--quiet")
    told = app(*options, "try") if first else app("try", *options)
    assert (told.folder, told.server, told.token) == (Path("w"), "wss://host", "t")
    assert (told.patience_ms, told.as_json, told.quiet) == (120_000, True, True)


def test_what_is_not_said_again_stays_as_it_was_said_before() -> None:
    told = app("--wallet", "w", "--json", "try", "--server", "ws://host")
    assert (told.folder, told.as_json, told.server) == (Path("w"), True, "ws://host")


def test_the_last_word_counts_and_trusted_keys_add_up() -> None:
    told = app("--wallet", "one", "--trust-enclave", KEYS[0], "try", "--wallet", "two", "--trust-enclave", KEYS[1])
    assert told.folder == Path("two") and [key.hex() for key in told.trusted] == KEYS


def test_the_environment_names_a_wallet_until_somebody_does() -> None:
    env = {"KEYMELD_WALLET": "home", "KEYMELD_TOKEN": "secret"}
    assert (app("try", env=env).folder, app("try", env=env).token) == (Path("home"), "secret")
    assert app("try", "--wallet", "here", env=env).folder == Path("here")


def test_a_server_that_is_no_url_is_a_usage_error() -> None:
    result = run("--server", "http://host", "try")
    assert result.exit_code == USAGE and "--server" in result.output


def test_what_is_raised_on_purpose_becomes_a_sentence_a_hint_and_a_code() -> None:
    result = run("try", do=failing(NotConnected("nobody there")))
    assert result.exit_code == UNREACHABLE and result.stdout == ""
    assert result.stderr.splitlines()[0] == "error: nobody there" and "--server" in result.stderr


def test_scripts_are_told_the_same_as_one_object() -> None:
    result = run("--json", "try", do=failing(NotConnected("nobody there")))
    told = json.loads(result.stderr)
    assert (told["error"], told["exit"]) == ("nobody there", UNREACHABLE)


def test_a_file_that_cannot_be_read_is_named() -> None:
    result = run("try", do=failing(FileNotFoundError(2, "No such file or directory", "swap.secret")))
    assert result.exit_code == FAILED and "swap.secret: No such file or directory" in result.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_interruption_says_how_to_go_on(error: BaseException) -> None:
    def do(app: App) -> None:
        app.go_on = "keymeld watch 0123"
        raise error

    result = run("try", do=do)
    assert result.exit_code == INTERRUPTED
    assert "Interrupted; nothing is lost." in result.stderr and "Go on with: keymeld watch 0123" in result.stderr


def test_at_a_question_nothing_has_begun() -> None:
    def do(app: App) -> None:
        app.go_on = "keymeld watch 0123"
        raise click.Abort

    result = run("try", do=do)
    assert result.exit_code == INTERRUPTED and "Run the same command again" in result.stderr


def test_a_mistake_of_ours_is_not_hidden() -> None:
    assert isinstance(run("try", do=failing(ZeroDivisionError())).exception, ZeroDivisionError)


def test_commands_are_listed_in_the_order_of_a_sessions_life() -> None:
    face = Verbs("keymeld")
    for name in ("join", "create", "address"):
        face.add_command(Verb(name, callback=lambda: None))
    assert face.list_commands(click.Context(face)) == ["join", "create", "address"]


def test_help_ends_with_examples_and_hides_what_every_command_takes() -> None:
    told = run("try", "--help").output
    assert "keymeld try again" in told and "--patience" not in told
    assert "--patience" in run("--help").output and "exit codes" in run("--help").output

"""command/screen.py, failures.py: what goes where, and which exit code a failure has."""

import json

import click
import pytest
from click.testing import CliRunner, Result

from keymeld_client.command.app import App
from keymeld_client.command.failures import code_of, hint_of, text_of
from keymeld_client.command.screen import Screen, table
from keymeld_client.command.verbs import Verb
from keymeld_client.errors import JoinRefused, NotConnected, NotSigned, NotTrusted, ReadOnly, SigningEnded, WalletError
from keymeld_protocol.errors import BadInput, Blamed, Fork, Reason, Refused


def run(error: BaseException, *options: str, go_on: str = "") -> Result:
    """Run a command that raises, after it has said how to ``go_on``."""

    @click.command(cls=Verb)
    @click.pass_context
    def verb(ctx: click.Context) -> None:
        """Raise."""
        ctx.obj.go_on = go_on
        raise error

    return CliRunner().invoke(verb, options, obj=App())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(Reason.SLOT_TAKEN, "slot 1 is taken"), 1),
        (NotTrusted("nobody"), 1),
        (JoinRefused(1, "bad_envelope"), 1),
        (WalletError("in use"), 1),
        (BadInput(Reason.BAD_FIELD, "ticket: is damaged"), 2),
        (NotConnected("gone"), 3),
        (NotSigned("alone_not_allowed", (1,), "item 3 was not signed"), 1),
        (Blamed("bad_card", (1,), "does not open"), 4),
        (Fork("two histories"), 4),
        (ReadOnly("forked"), 4),
    ],
)
def test_each_failure_has_its_exit_code_and_is_no_traceback(error: Exception, code: int) -> None:
    result = run(error)
    assert (result.exit_code, code_of(error)) == (code, code)
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {text_of(error)}")


def test_a_failure_says_what_to_do() -> None:
    assert "--trust-enclave" in run(NotTrusted("nobody")).stderr
    assert "once it is there" in hint_of(NotTrusted("the coordinator has none connected"))
    assert "keymeld release" in hint_of(Refused(Reason.SLOT_TAKEN, "taken"))
    assert "--expires" in hint_of(Refused(Reason.EXPIRED, "slot 0 signs nothing before", field="expires_at"))
    assert "ask for what it allows" in hint_of(SigningEnded("failed", "fee_not_allowed", (0,), "", False))
    assert "what came of each" in hint_of(NotSigned("alone_not_allowed", (0,), "item 1 was not signed"))
    assert "keymeld watch" in hint_of(WalletError("folder is in use by another process"))


def test_a_failure_is_json_for_scripts() -> None:
    told = json.loads(run(NotConnected("gone\x1b[2J"), "--json").stderr)
    assert (told["error"], told["exit"]) == ("gone\x1b[2J", 3)


def test_attack_52_the_coordinators_words_are_made_printable() -> None:
    stderr = run(Refused(Reason.NOT_ALLOWED, "\x1b]0;title\x07[red]no")).stderr
    assert "\x1b" not in stderr and "\x07" not in stderr
    assert "\\u{1b}]0;title\\u{7}[red]no" in stderr


def test_ctrl_c_is_a_goodbye_that_says_how_to_go_on() -> None:
    result = run(KeyboardInterrupt())
    assert result.exit_code == 130
    assert result.stderr == "Interrupted; nothing is lost.\nRun the same command again to go on.\n"


def test_ctrl_c_goes_on_with_what_has_begun_and_at_a_question_nothing_has() -> None:
    assert "Go on with: keymeld watch 3f" in run(KeyboardInterrupt(), go_on="keymeld watch 3f").stderr
    assert "Run the same command again" in run(click.Abort(), go_on="keymeld watch 3f").stderr


def test_a_file_that_cannot_be_read_is_an_error_with_its_name() -> None:
    result = run(FileNotFoundError(2, "No such file or directory", "log"))
    assert (result.exit_code, result.stderr) == (1, "error: log: No such file or directory\n")


def test_results_go_to_stdout_and_hints_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.result(["[bold]result[/bold] :smile:"], {})
    screen.note("hint")
    assert capsys.readouterr() == ("[bold]result[/bold] :smile:\n", "hint\n")


def test_json_is_one_line_however_long_and_no_hints(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(as_json=True)
    screen.result(["result"], {"label": "\x1b" + "x" * 500})
    screen.note("hint")
    out, err = capsys.readouterr()
    assert (json.loads(out), out.count("\n"), "\x1b" in out, err) == ({"label": "\x1b" + "x" * 500}, 1, False, "")


def test_quiet_keeps_results(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(quiet=True)
    screen.result(["result"], {})
    screen.note("hint")
    assert capsys.readouterr() == ("result\n", "")


def test_whoever_is_asked_is_shown_it_even_when_quiet() -> None:
    @click.command()
    def verb() -> None:
        click.echo(Screen(quiet=True).ask(["pays 1 BTC"], "Approve this?", yes=False))

    result = CliRunner().invoke(verb, input="y\n")
    assert "pays 1 BTC\nApprove this? [y/N]: " in result.stderr
    assert result.stdout.endswith("True\n")


def test_nobody_to_ask_is_no_yes() -> None:
    @click.command()
    def verb() -> None:
        Screen().ask([], "Approve this?", yes=False)

    result = CliRunner().invoke(verb, input="")
    assert result.exit_code == 2
    assert "scripts say --yes" in result.stderr


def test_columns_stand_below_one_another() -> None:
    assert [line.plain for line in table([("a", "1"), ("bbb", "22")])] == ["a    1", "bbb  22"]

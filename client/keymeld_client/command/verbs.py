"""How every command behaves: the shared options before or after its name, errors as sentences, Ctrl-C as a goodbye.

keymeld --json sessions   =   keymeld sessions --json

What an option or a command needs is imported when it is typed: help, and a slip of the pen, wait for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from keymeld_protocol.errors import KeymeldError, WireError
from keymeld_protocol.values import XOnlyKey

from .app import DEFAULT_SERVER, App
from .failures import CODES_TOLD, FAILED, INTERRUPTED, code_of, hint_of, text_of
from .typed.short_form import ShortForm

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def _server(text: str) -> str:
    from keymeld_protocol.keys.ticket import origin_of

    try:
        return origin_of(text)
    except WireError as error:
        raise ValueError(error.message) from None


def _key(text: str) -> XOnlyKey:
    from .typed.encoded import key

    return key(text)


def _span(text: str) -> int:
    from .typed.times import span

    return span(text)


def shared_options(*, again: bool = False) -> list[click.Option]:
    """The options of every command; ``again`` makes the hidden ones that may follow a command's name."""

    def option(*names: str, **how: Any) -> click.Option:
        target = names[0].lstrip("-").replace("-", "_")
        return click.Option([*names], callback=_keep(target), expose_value=False, hidden=again, **how)

    return [
        option("--wallet", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
               envvar=None if again else "KEYMELD_WALLET", help="The wallet's folder [KEYMELD_WALLET]."),
        option("--server", type=ShortForm("URL", _server), metavar="URL",
               help=f"The coordinator; tickets and sessions know theirs (else {DEFAULT_SERVER})."),
        option("--trust-enclave", type=ShortForm("KEY", _key), metavar="KEY", multiple=True,
               help="Believe this enclave now; `keymeld trust add` remembers it."),
        option("--token", envvar=None if again else "KEYMELD_TOKEN", metavar="TOKEN",
               help="The operator's permission to open sessions, if he asks for one [KEYMELD_TOKEN]."),
        option("--patience", type=ShortForm("DURATION", _span), metavar="DURATION",
               help="How long to try to reach the coordinator (10s)."),
        option("--json", is_flag=True, help="One JSON object per result, for scripts."),
        option("--quiet", "-q", is_flag=True, help="Results only, no hints."),
    ]  # fmt: skip


_FIELDS: Final = {"wallet": "named", "json": "as_json", "patience": "patience_ms", "trust_enclave": "trusted"}


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """A callback that puts an option's value into the App; keys that are trusted add up."""

    def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        app, field = ctx.ensure_object(App), _FIELDS.get(name, name)
        if value not in (None, False, ()):
            setattr(app, field, (*app.trusted, *value) if name == "trust_enclave" else value)

    return keep


class Verb(click.Command):
    """One command: takes the shared options too, and turns what is raised on purpose into words and exit codes."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        """``examples`` end the help page."""
        kwargs["params"] = [*kwargs.get("params", []), *shared_options(again=True)]
        kwargs["epilog"] = f"\b\nExamples:\n{_indented(examples)}"
        super().__init__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what is raised becomes a complaint, a hint and an exit code."""
        import asyncio

        app = ctx.ensure_object(App)
        try:
            return super().invoke(ctx)
        except KeymeldError as error:
            code = code_of(error)
            app.screen.complain(text_of(error), hint_of(error), code)
        except OSError as error:
            code = FAILED
            app.screen.complain(f"{error.filename or 'input or output'}: {error.strerror}", code=code)
        except (KeyboardInterrupt, asyncio.CancelledError, click.Abort) as error:
            code = INTERRUPTED
            begun = app.go_on and not isinstance(error, click.Abort)  # at a question nothing has begun
            hint = f"Go on with: {app.go_on}" if begun else "Run the same command again to go on."
            app.screen.complain("Interrupted; nothing is lost.", hint, code, word="")
        ctx.exit(code)


class Verbs(click.Group):
    """The command's group."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The shared options come first."""
        kwargs["params"] = [*kwargs.get("params", []), *shared_options()]
        kwargs.setdefault("context_settings", SETTINGS)
        kwargs.setdefault("epilog", f"\b\n{CODES_TOLD}")
        super().__init__(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added: that of a session's life."""
        return list(self.commands)


def _indented(text: str) -> str:
    return "\n".join(f"  {line.strip()}" for line in text.strip().splitlines())

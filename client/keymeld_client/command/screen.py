"""The terminal: results on standard output, everything that only helps on standard error; or JSON for scripts.

    result(lines, data)   what was asked for                        stdout; --json prints ``data`` as one line instead
    note(text)            what goes on meanwhile, hints             stderr, unless --quiet or --json
    complain(text)        why it failed, and what to do             stderr, always

Markup, emoji and highlighting are off: no text is ever read as an instruction to the terminal.  Whoever passes text of
other people quotes it first (attacks 52 and 55).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from typing import Any, Final

import click
from rich.console import Console, RenderableType
from rich.text import Text

from keymeld_protocol.printable import still_printable

Line = str | Text
_GOES_ON: Final = "  ↳ "
"""Before each further row of a line that holds a stranger's words."""


class Screen:
    """Where a command writes to."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, aside: bool = False) -> None:
        """``aside``: results are told on standard error too, and to people only."""
        self.as_json, self.quiet, self.aside = as_json, quiet, aside
        self.live = False
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that cannot show a letter shows a question mark
        self.out = Console(markup=False, emoji=False, highlight=False, stderr=aside)
        self.err = Console(markup=False, emoji=False, highlight=False, stderr=True)

    def result(self, lines: Iterable[Line | RenderableType], data: Mapping[str, Any]) -> None:
        """Show what was asked for: ``lines`` to people, ``data`` to scripts."""
        if self.aside and (self.as_json or self.quiet):
            return
        if self.as_json:
            self.out.print(json.dumps(data), soft_wrap=True)
            return
        for line in lines:
            _print(self.out, line)

    def note(self, line: Line, style: str = "") -> None:
        """Say what goes on."""
        if not (self.quiet or self.as_json):
            _print(self._beside, line, style)

    @property
    def _beside(self) -> Console:
        """Standard error, unless a status line is being drawn on standard output: then above that line."""
        return self.out if self.live else self.err

    def complain(self, text: str, hint: str = "", code: int = 1, word: str = "error: ") -> None:
        """Say why it failed, and what to do; both are made printable here, for errors may quote strangers."""
        if self.as_json:
            told = {"error": text, "exit": code} | ({"hint": hint} if hint else {})
            self.err.print(json.dumps(told), soft_wrap=True)
            return
        _print(self._beside, Text.assemble((word, "bold red"), still_printable(text)))
        if hint:
            _print(self._beside, Text(f"{'':{len(word)}}{still_printable(hint)}"))

    def ask(self, lines: Iterable[Line], question: str, yes: bool) -> bool:
        """Show what is about to be done and ask; ``yes`` answers before.  Whoever is asked is always shown it.

        Raises:
            click.UsageError: there is nobody to ask.
            click.Abort: Ctrl-C.
        """
        for line in lines:
            if not (yes and (self.quiet or self.as_json)):
                _print(self.err, line)
        if yes:
            return True
        try:
            return click.confirm(question, err=True)
        except click.Abort:
            self.err.print()
            if sys.stdin.isatty():
                raise
            raise click.UsageError("nobody answered; scripts say --yes") from None


def _print(console: Console, line: Line | RenderableType, style: str = "") -> None:
    """Print a line as it is; on a terminal too narrow for a stranger's words in it, what goes on is marked.

    A terminal that wraps begins a row wherever it likes, and so with words that read as a line of ours.
    """
    text = Text(line) if isinstance(line, str) else line
    if isinstance(text, Text) and console.is_terminal and '"' in text.plain and text.cell_len > console.width:
        first, *more = text.wrap(console, max(console.width - len(_GOES_ON), 1))
        text = Text("\n").join([first, *(Text(_GOES_ON) + row for row in more)])
    console.print(text, style=style or None, soft_wrap=isinstance(text, Text))


def warned(lines: Iterable[str]) -> list[Line]:
    """Lines of a request, red where they warn."""
    return [Text(line, "bold red") if warns(line) else line for line in lines]


def warns(line: str) -> bool:
    """Whether a line of a request is a warning."""
    from ..shown.telling import WARNINGS

    return line.strip().startswith(WARNINGS)


def table(rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> list[Text]:
    """Lines whose columns stand below one another; ``styles`` by column."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        line = Text()
        for i, cell in enumerate(row):
            line.append(cell.ljust(widths[i]) if i < len(row) - 1 else cell, styles[i] if i < len(styles) else "")
            line.append("  " if i < len(row) - 1 else "")
        lines.append(line)
    return lines

"""Words of strangers inside sentences of ours, so that nobody takes theirs for ours (§9.1, attack 55).

    Alice) and slot 1 (Bob   ──▶  slot 0 "Alice) and slot 1 (Bob"
    A"l"ice                  ──▶  "A\\u{22}l\\u{22}ice"          no quote stands inside quotes, nor what looks like one
    Аlice                    ──▶  "Аlice" (mixes Latin and Cyrillic)
    a memo of two lines      ──▶  │ "every line of it"           no line on a screen begins with a stranger's word
                                  │ "quoted by itself"

White space of any kind is folded to one space, so that nothing is drawn by it; what is longer than its place is cut, as
an ellipsis behind the quote says.  All else is written as `printable` writes it.  What stands between two quotes is a
stranger's, and nothing else is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from .homographs import oddities
from .printable import isolated, reorders, written

LABEL_CELLS: Final = 64
REASON_CELLS: Final = 512
"""Cells of a terminal for a label, and for a memo or a reason: a plain one (§9.2, §9.5) is never cut."""
ROW_CELLS, MAX_ROWS = 64, 16
"""Cells of a row behind its bar, and the rows of one text."""

CUT: Final = "…"
BAR: Final = "│ "
_QUOTES: Final = frozenset(
    '"\u02ba\u02dd\u02ee\u02f5\u02f6\u05f4\u201c\u201d\u201e\u201f\u2033\u2034\u2036\u2037\u2057\u275d\u275e\u2760\u3003'
    "\u301d\u301e\u301f\uff02\U0001f676\U0001f677\U0001f678"
)
"""The quote that encloses a word, and what looks like it."""
_HALVES: Final = frozenset(
    "'`\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u05f3\u2018\u2019\u201a\u201b\u2032\u2035\uff07"
)
"""Apostrophes; two of them look like a quote."""


def quoted(text: str, cells: int = LABEL_CELLS) -> str:
    """``"text"`` on one line, cut beyond so many cells of a terminal; behind it, in our words, what may deceive.

    "" is ``""``: whether there is a word at all is for the caller to ask.
    """
    pieces = _pieces(text)
    shown = _fitting(pieces, cells)
    return _closed(pieces[:shown]) + (CUT if shown < len(pieces) else "") + _remarks(text)


def barred(text: str) -> list[str]:
    """A memo in rows: each begins with a bar and is quoted; a memo of nothing but white space is one of them."""
    rows = [row for line in _lines(text) for row in _rows(_pieces(line))]
    kept = [f"{BAR}{_closed(row)}" for row in rows[:MAX_ROWS]]
    kept[-1] += (CUT if len(rows) > MAX_ROWS else "") + _remarks(text)
    return kept


def beside(head: str, text: str) -> list[str]:
    """The rows of ``text`` behind ``head``, which stands before the first of them alone."""
    return [f"{head if i == 0 else ' ' * len(head)}{row}" for i, row in enumerate(barred(text))]


def _pieces(text: str) -> list[str]:
    """The characters of a text as they stand between quotes, white space folded."""
    folded = " ".join(text.split())
    pieces = written(folded, _QUOTES)
    for i, (one, after) in enumerate(pairwise(folded)):
        if one in _HALVES and after in _HALVES:
            pieces[i : i + 2] = [f"\\u{{{ord(char):x}}}" for char in (one, after)]
    return pieces


def _closed(pieces: Sequence[str]) -> str:
    return f'"{isolated("".join(pieces))}"'


def _remarks(text: str) -> str:
    """What a reader cannot see in a text, in parentheses behind it."""
    told = [*oddities(text), *(("runs from right to left",) if reorders("".join(written(text))) else ())]
    return f" ({', '.join(told)})" if told else ""


def _lines(text: str) -> Iterator[str]:
    """The lines of a text, white space folded; of several empty ones in a row the first."""
    before: str | None = None
    for line in map(str.strip, text.strip().splitlines() or [""]):
        if line or before != line:
            yield line
        before = line


def _rows(pieces: list[str]) -> Iterator[list[str]]:
    """A line in rows, parted at a space where there is one."""
    while (fits := _fitting(pieces, ROW_CELLS)) < len(pieces):
        space = next((i for i in range(fits, 0, -1) if pieces[i] == " "), None)
        yield pieces[: fits if space is None else space]
        pieces = pieces[fits if space is None else space + 1 :]
    yield pieces


def _fitting(pieces: Sequence[str], cells: int) -> int:
    """How many pieces fit into so many cells; a letter keeps its marks."""
    used = 0
    for i, piece in enumerate(pieces):
        used += _cells(piece)
        if used > cells:
            return i
    return len(pieces)


def _cells(piece: str) -> int:
    """The cells of a terminal that a character takes, or what is written for it."""
    if len(piece) > 1:
        return len(piece)
    if unicodedata.category(piece) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(piece) in ("W", "F") else 1

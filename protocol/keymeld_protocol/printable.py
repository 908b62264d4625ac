"""Text of strangers, made fit for a terminal or a page: labels, memos and reasons may hold anything (§9.1, attack 52).

The rule, the same in every client: a character stays if it is a letter, digit, mark, symbol, punctuation or plain space
that a reader can see.  Everything else is written out as ``\\u{hex}``:

* control characters, so escape sequences, line breaks and tabs (Cc) · line and paragraph separators (Zl, Zp)
* format characters, so bidi overrides, isolates and marks, zero-width joiners, tags (Cf) · every space but U+0020 (Zs)
* private use, surrogates and unassigned code points (Co, Cs, Cn)
* what is drawn as nothing: fillers, variation selectors, the combining grapheme joiner, the empty Braille cell
* a combining mark with nothing before it but a space, and from the fifth on a letter: stacks that run into other lines.

Text with right-to-left letters is set between U+2068 and U+2069 (first strong isolate), so that it reorders nothing
around it.  The result is one line, for display only: never compare it, store it or apply the rule to it again.  A word
that stands in a sentence of ours is quoted too: see `foreign`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from typing import Final

MAX_MARKS: Final = 4
"""Combining marks that one letter may carry; living scripts need no more."""

_ISOLATE, _POP = "\u2068", "\u2069"
_ISOLATED: Final = re.compile(f"{_ISOLATE}([^{_ISOLATE}{_POP}]*){_POP}")
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_DRAWN_AS_NOTHING: Final = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),  # combining grapheme joiner
        (0x115F, 0x1160),  # Hangul fillers
        (0x17B4, 0x17B5),  # Khmer inherent vowels
        (0x180B, 0x180F),  # Mongolian variation selectors
        (0x2800, 0x2800),  # empty Braille cell
        (0x3164, 0x3164),  # Hangul filler
        (0xFE00, 0xFE0F),  # variation selectors
        (0xFFA0, 0xFFA0),  # half-width Hangul filler
        (0x16FE4, 0x16FE4),  # Khitan filler
        (0x1D159, 0x1D159),  # musical null notehead
        (0xE0100, 0xE01EF),  # variation selectors
    )
    for code in range(first, last + 1)
)


def printable(text: str) -> str:
    """One line that shows what ``text`` holds and cannot move a cursor, hide, or reorder what stands beside it."""
    if text.isascii() and text.isprintable():
        return text
    return isolated("".join(written(text)))


def written(text: str, besides: Container[str] = "") -> list[str]:
    """Each character of ``text`` as it may be shown: itself, or written out, as those of ``besides`` always are."""
    shown, marks = [], MAX_MARKS  # nothing before the first character that a mark could sit on
    for char in text:
        is_mark = unicodedata.category(char) in ("Mn", "Me")
        hidden = not char.isprintable() or char in _DRAWN_AS_NOTHING or char in besides
        visible = not hidden and not (is_mark and marks >= MAX_MARKS)
        shown.append(char if visible else f"\\u{{{ord(char):x}}}")
        marks = marks + 1 if is_mark else 0 if visible and char != " " else MAX_MARKS
    return shown


def isolated(line: str) -> str:
    """A line that reorders nothing around it."""
    return f"{_ISOLATE}{line}{_POP}" if reorders(line) else line


def reorders(line: str) -> bool:
    """Whether a letter or number in ``line`` runs from right to left."""
    return any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in line)


def still_printable(line: str) -> str:
    """The same for a sentence of ours that may hold printable text already: what is isolated in it stays so."""
    parts = _ISOLATED.split(line)
    return "".join(printable(part) for part in parts)

"""What a reader cannot see in a word: letters of two scripts, or what looks like others (§9.1, attack 55).

    Аlice  ──▶ mixes Latin and Cyrillic            В0b  ──▶ has the digit 0 among letters
    Воо    ──▶ looks Latin and is Cyrillic         १२   ──▶ has digits that are not 0 to 9

Nothing of this is refused: most of it is somebody's name.  It is said in words beside the text.  The script of a letter
is taken from its Unicode name, which begins with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import Final

MAX_SCRIPTS: Final = 3
"""Scripts of one word that are named; of more it is said how many."""

_TOGETHER: Final = ({"Han", "Hiragana", "Katakana"}, {"Han", "Hangul"}, {"Han", "Bopomofo"})
"""Scripts that are written together, and with Latin, in everyday words."""
_LOOK_LATIN: Final = frozenset(
    "АВЕЅІЈКМНОРСТУХԌԚԜаеѕіјԁһӏорсԛуѵԝх"  # Cyrillic
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιυνκϲϳ"  # Greek
    "ՍՏՕհոսօցզ"  # Armenian
)  # fmt: skip
_AMONG_LETTERS: Final = re.compile(r"[A-Za-z]([01])+[A-Za-z]")


def oddities(text: str) -> tuple[str, ...]:
    """What should be said beside a text, once each; nothing for most."""
    words, there = list(_words(text)), {script for char in text if (script := _script(char))}
    told = [odd for word in words for odd in _of_word(word)]
    if any(_digit_of_others(char, there) for char in text):
        told.append("has digits that are not 0 to 9")
    return tuple(dict.fromkeys(told))


def _words(text: str) -> Iterator[str]:
    """Runs of letters, marks and digits."""
    for inside, run in groupby(text, lambda char: unicodedata.category(char)[0] in "LMN"):
        if inside:
            yield "".join(run)


def _of_word(word: str) -> Iterator[str]:
    scripts = {script for char in word if (script := _script(char))}
    if len(scripts) > 1 and not any(scripts - {"Latin"} <= usual for usual in _TOGETHER):
        names = sorted(scripts, key=lambda name: (name != "Latin", name))
        several = f"{', '.join(names[:-1])} and {names[-1]}"
        yield f"mixes {several if len(names) <= MAX_SCRIPTS else f'{len(names)} scripts'}"
    letters = [char for char in word if char.isalpha()]
    if len(scripts) == 1 and letters and _LOOK_LATIN.issuperset(letters):
        yield f"looks Latin and is {scripts.pop()}"
    if any(_styled(char) for char in word):
        yield "has letters or digits that look like plain ones"
    if not set(word) & set("23456789") and (found := _AMONG_LETTERS.search(word)):
        yield f"has the digit {found[1]} among letters"


def _script(char: str) -> str:
    """The script of a letter; "" for what belongs to none, or to several."""
    if char.isascii() or not char.isalpha() or _styled(char):
        return "Latin" if char.isascii() and char.isalpha() else ""
    first, _, rest = unicodedata.name(char, "").partition(" ")
    if first in ("CJK", "IDEOGRAPHIC"):
        return "Han"
    if first == "HALFWIDTH":
        first = rest.partition(" ")[0]
    return "" if first in _OF_NONE or "-" in first else first.capitalize()


_OF_NONE: Final = frozenset({"", "MODIFIER", "FEMININE", "MASCULINE", "MICRO"})


def _styled(char: str) -> bool:
    """Whether a letter or digit is another form of a plain one: bold, full width, a numeral."""
    plain = unicodedata.normalize("NFKC", char)
    kinds = ("Lu", "Ll", "Nd", "Nl")
    return char != plain and len(plain) == 1 and plain.isascii() and unicodedata.category(char) in kinds


def _digit_of_others(char: str, scripts: set[str]) -> bool:
    """Whether a digit is none of 0 to 9, in a text without letters of its script."""
    if char.isascii() or unicodedata.category(char) != "Nd" or _styled(char):
        return False
    name = unicodedata.name(char, "").removeprefix("EXTENDED ").partition(" ")[0]
    return name.partition("-")[0].capitalize() not in scripts

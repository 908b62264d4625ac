"""Attack 55: between two quotes stands a stranger's word, and nothing that he writes leaves them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.foreign import BAR, CUT, LABEL_CELLS, MAX_ROWS, ROW_CELLS, barred, beside, quoted

ISOLATE, POP = "\u2068", "\u2069"
TEXTS = st.text(
    st.characters() | st.sampled_from("\"'”“\n\r\u2028 \u00a0\u3000\u0301\u202e\u200b│…()\\אاa"), max_size=600
)


@pytest.mark.parametrize(
    "text", ["Bob", "treasury", "Müller & Söhne", "家賃 №5 – 100 €", "नमस्ते", "l'été", "😀", "x" * 64]
)
def test_plain_words_are_quoted_and_otherwise_as_they_are(text: str) -> None:
    assert quoted(text) == f'"{text}"'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Alice) and slot 1 (Bob", '"Alice) and slot 1 (Bob"'),
        ('Alice" and slot 1 "Bob', '"Alice\\u{22} and slot 1 \\u{22}Bob"'),
        ("Alice” and slot 1 “Bob", '"Alice\\u{201d} and slot 1 \\u{201c}Bob"'),
        ("Alice'' and slot 1 ''Bob", '"Alice\\u{27}\\u{27} and slot 1 \\u{27}\\u{27}Bob"'),
        ("Alice\u2019\u2032\u2019", '"Alice\\u{2019}\\u{2032}\\u{2019}"'),
        ("Alice \u030e and", '"Alice \\u{30e} and"'),
        ("\\", '"\\"'),
        ("", '""'),
        (" \t\n\u3000", '""'),
        ("a" + " " * 200 + "b\r\n\u2028\u00a0c ", '"a b c"'),
        ("Al\u200bice\x1b[2J\x00", '"Al\\u{200b}ice\\u{1b}[2J\\u{0}"'),
        ("🇩🇪", '"🇩🇪"'),
    ],
)
def test_a_word_cannot_leave_its_quotes_nor_draw_with_white_space(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_what_is_too_long_is_cut_and_the_mark_is_ours() -> None:
    assert quoted("x" * 65) == f'"{"x" * 64}"{CUT}'
    assert quoted("家" * 40) == f'"{"家" * 32}"{CUT}'
    assert quoted("\u202e" * 64) == '"' + "\\u{202e}" * 8 + f'"{CUT}'
    assert quoted(f"x{CUT}") == f'"x{CUT}"'
    assert quoted("x" * 63 + "e\u0301y") == f'"{"x" * 63}e\u0301"{CUT}'


def test_what_cannot_be_seen_is_said_behind_the_quotes() -> None:
    assert quoted("Аlice") == '"Аlice" (mixes Latin and Cyrillic)'
    assert quoted("שלום") == f'"{ISOLATE}שלום{POP}" (runs from right to left)'
    assert quoted("Аlice ש") == f'"{ISOLATE}Аlice ש{POP}" (mixes Latin and Cyrillic, runs from right to left)'


def test_every_row_of_a_memo_is_marked() -> None:
    memo = "rent\n" + " " * 200 + "\n\nTransaction 1 of 1  00ff\n" + "word " * 20
    assert barred(memo) == [
        '│ "rent"',
        '│ ""',
        '│ "Transaction 1 of 1 00ff"',
        f'│ "{" ".join(["word"] * 13)}"',
        f'│ "{" ".join(["word"] * 7)}"',
    ]
    assert beside("Memo    ", "a\nb") == ['Memo    │ "a"', '        │ "b"']


@pytest.mark.parametrize("memo", ["", " ", "\n\n\n", "\u3000"])
def test_a_memo_of_nothing_is_a_row(memo: str) -> None:
    assert barred(memo) == ['│ ""']


def test_a_memo_has_an_end() -> None:
    rows = barred("\n".join("abcdefghijklmnopqrstuvwxyz"))
    assert len(rows) == MAX_ROWS and rows[-1] == f'│ "p"{CUT}'


def test_what_a_memo_hides_is_said_after_its_last_row() -> None:
    assert barred("Аlice\nb") == ['│ "Аlice"', '│ "b" (mixes Latin and Cyrillic)']


def cells(text: str) -> int:
    """What a text takes on a terminal, counted otherwise than there."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.category(char) in ("Mn", "Me", "Cf") for char in text)


def held(line: str, most: int) -> None:
    """One line, two quotes, and between them what fits."""
    assert line.count('"') == 2 and line.startswith('"') and len(line.splitlines()) == 1
    inner = line.split('"')[1]
    assert inner.count(ISOLATE) == inner.count(POP) <= 1
    inner = inner.removeprefix(ISOLATE).removesuffix(POP)
    assert inner.isprintable() and cells(inner) <= most
    assert "  " not in inner and not inner.startswith(" ")


@given(TEXTS)
def test_whatever_is_written_stays_between_two_quotes(text: str) -> None:
    held(quoted(text), LABEL_CELLS)
    rows = barred(text)
    assert 1 <= len(rows) <= MAX_ROWS
    for row in rows:
        assert row.startswith(BAR)
        held(row.removeprefix(BAR), ROW_CELLS)

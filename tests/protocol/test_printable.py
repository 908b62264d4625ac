"""Attack 52: what strangers write cannot move a cursor, hide, or rearrange what stands beside it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.printable import MAX_MARKS, printable, still_printable

ISOLATE, POP = "\u2068", "\u2069"


@pytest.mark.parametrize(
    "text", ["", "treasury", "Müller & Söhne", "家賃 №5 – 100 €", "a\\b", "e\u0301", "नमस्ते", "😀", "สวัสดี", "Việt"]
)
def test_plain_text_of_any_script_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[H", "\\u{1b}[2J\\u{1b}[H"),
        ("\x9b31m", "\\u{9b}31m"),
        ("\x1b]8;;http://evil\x07link", "\\u{1b}]8;;http://evil\\u{7}link"),
        ("ok\r\nsafe to fund", "ok\\u{d}\\u{a}safe to fund"),
        ("100\b\b\b1", "100\\u{8}\\u{8}\\u{8}1"),
        ("a\x00b\x7f", "a\\u{0}b\\u{7f}"),
        ("a\tb", "a\\u{9}b"),
        ("a\u2028b\u2029c\u0085", "a\\u{2028}b\\u{2029}c\\u{85}"),
        ("pay \u202eecila", "pay \\u{202e}ecila"),
        ("\u2066x\u2069\u2068\u200e\u200f\u061c", "\\u{2066}x\\u{2069}\\u{2068}\\u{200e}\\u{200f}\\u{61c}"),
        ("Al\u200bice\ufeff", "Al\\u{200b}ice\\u{feff}"),
        ("Al\u00adice\u2060", "Al\\u{ad}ice\\u{2060}"),
        ("Bob\u00a0\u3000\u2003", "Bob\\u{a0}\\u{3000}\\u{2003}"),
        ("\ue000\U000f0000", "\\u{e000}\\u{f0000}"),
        ("\u0378\uffff", "\\u{378}\\u{ffff}"),
        ("\u3164\u115f\u2800\uffa0", "\\u{3164}\\u{115f}\\u{2800}\\u{ffa0}"),
        ("a\ufe0fb\U000e0100c\u034f", "a\\u{fe0f}b\\u{e0100}c\\u{34f}"),
        ("\U000e0041\U000e0042", "\\u{e0041}\\u{e0042}"),
        ("\ud800", "\\u{d800}"),
        ("👩\u200d🚀", "👩\\u{200d}🚀"),
    ],
)
def test_attack_52_what_could_deceive_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_mark_with_nothing_to_sit_on_is_written_out() -> None:
    assert printable("\u0301a") == "\\u{301}a"
    assert printable("\n\u0301") == "\\u{a}\\u{301}"
    assert printable("a \u0301") == "a \\u{301}"


def test_stacks_of_marks_end_where_they_would_leave_their_line() -> None:
    assert printable("a" + "\u0301" * 6) == "a" + "\u0301" * MAX_MARKS + "\\u{301}\\u{301}"
    assert printable("a" + "\u0301" * 4 + "b" + "\u0301" * 4) == "a" + "\u0301" * 4 + "b" + "\u0301" * 4


@pytest.mark.parametrize("text", ["שלום", "100 \u0661", "a مرحبا b"])
def test_text_from_right_to_left_is_kept_to_itself(text: str) -> None:
    assert printable(text) == f"{ISOLATE}{text}{POP}"


def test_an_isolate_cannot_be_left_from_inside() -> None:
    assert printable(f"ש{POP}א") == f"{ISOLATE}ש\\u{{2069}}א{POP}"


def test_what_is_isolated_in_a_sentence_stays_so_and_nothing_else() -> None:
    told = f'slot 1 "{printable("שלום")}" refused'
    assert still_printable(told) == told
    assert still_printable(f"{ISOLATE}\x1b{POP}{POP}{ISOLATE}") == "\\u{1b}\\u{2069}\\u{2068}"


@given(st.text(st.characters()))
def test_the_result_is_one_line_without_anything_invisible(text: str) -> None:
    shown = printable(text)
    inner = shown.removeprefix(ISOLATE).removesuffix(POP)
    assert inner.isprintable()
    assert len(inner.splitlines()) <= 1
    assert not {unicodedata.category(char) for char in inner} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert shown in (inner, f"{ISOLATE}{inner}{POP}")

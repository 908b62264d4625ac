"""Attack 55: what looks like another word is named in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keymeld_protocol.homographs import oddities


@pytest.mark.parametrize(
    "text",
    [
        "", "Alice", "Bob2", "2of3", "Привет мир", "Ελλάδα",
        "日本のTシャツ", "한국어 漢字", "ㄅ注音", "12 हिंदी १२", "١٢ ديسمبر",
        "Müller", "bc1q0a1b2", "McDonald 1st", "m²", "Việt", "e\u0301", "हिन्दी", "O'ahu ʻokina", "ﾃｽﾄ",
    ],
)  # fmt: skip
def test_names_and_texts_of_everyday_have_nothing_odd(text: str) -> None:
    assert oddities(text) == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Аlice", "mixes Latin and Cyrillic"),
        ("Alicе", "mixes Latin and Cyrillic"),
        ("Αlice", "mixes Latin and Greek"),
        ("αд", "mixes Cyrillic and Greek"),
        ("aдα", "mixes Latin, Cyrillic and Greek"),
        ("aдαא", "mixes 4 scripts"),
        ("Воо", "looks Latin and is Cyrillic"),
        ("ΑΝΝΑ", "looks Latin and is Greek"),
        ("𝐀𝐥𝐢𝐜𝐞", "has letters or digits that look like plain ones"),
        ("Ｂob", "has letters or digits that look like plain ones"),
        ("１００", "has letters or digits that look like plain ones"),
        ("Ⅰ", "has letters or digits that look like plain ones"),
        ("B0b", "has the digit 0 among letters"),
        ("A1ice", "has the digit 1 among letters"),
        ("pay ৪", "has digits that are not 0 to 9"),
    ],
)
def test_what_looks_like_something_else_is_said(text: str, told: str) -> None:
    assert oddities(text) == (told,)


def test_each_oddity_is_said_once() -> None:
    assert oddities("Аlice Аlice B0b") == ("mixes Latin and Cyrillic", "has the digit 0 among letters")


@given(st.text(st.characters()))
def test_what_is_said_is_ours_and_quotes_nothing(text: str) -> None:
    assert all(told.isascii() and not set(told) & set('"()\\') for told in oddities(text))

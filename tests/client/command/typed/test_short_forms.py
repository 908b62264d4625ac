"""command/typed/short_forms.py: what a person types, and what it means."""

import pytest

from keymeld_client.command.typed import short_forms
from keymeld_protocol.plaintext.body import MAX_MONEY
from keymeld_protocol.wire.shapes import Rule

QUORUM = Rule(approval="quorum", threshold=2, of=(0, 2, 4))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("none", Rule(approval="none")),
        ("self", Rule(approval="self")),
        ("2of3", Rule(approval="quorum", threshold=2, of=(0, 1, 2))),
        ("2of3:0,2,4", QUORUM),
        ("2of3:4,0,2", QUORUM),
        ("1of1:7", Rule(approval="quorum", threshold=1, of=(7,))),
    ],
)
def test_a_rule_is_read_from_words(text: str, rule: Rule) -> None:
    assert short_forms.rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "Self", "2 of 3", "2of", "of3", "0of3", "4of3", "2of3:0,1", "2of3:0,1,1", "-1of3"]
)
def test_a_rule_that_cannot_be_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="of"):
        short_forms.rule(text)


def test_a_rule_goes_back_to_what_was_typed() -> None:
    assert [short_forms.rule_short(short_forms.rule(text)) for text in ("none", "self", "2of3:0,2,4")] == [
        "none",
        "self",
        "2of3:0,2,4",
    ]


def test_a_rule_is_explained_before_it_is_sealed() -> None:
    assert short_forms.rule_explained(Rule(approval="none")).endswith("You are not asked.")
    assert "that you have not approved" in short_forms.rule_explained(Rule(approval="self"))
    assert "2 of slots 0, 2 and 4 approve, with or without you" in short_forms.rule_explained(QUORUM)


@pytest.mark.parametrize(
    ("text", "sat"),
    [("0", 0), ("10000", 10_000), ("10,000sat", 10_000), ("1sats", 1), ("0.0001btc", 10_000), ("50BTC", 5_000_000_000),
     ("21000000btc", MAX_MONEY), ("1,500.00000000 BTC", 150_000_000_000)],
)  # fmt: skip
def test_an_amount_is_satoshi_unless_it_says_btc(text: str, sat: int) -> None:
    assert short_forms.amount(text) == sat


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.5",
        "1e8",
        "-1",
        "0.000000001btc",
        "1mbtc",
        "21000001btc",
        "٣",
        "0,5btc",
        "0,500btc",
        "1,500btc",
        "1,5",
        "0,500sat",
        "10,00sat",
        "1,500,5.0btc",
    ],
)
def test_an_amount_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"satoshi|21 million"):
        short_forms.amount(text)


def test_a_subset_rises_and_names_nobody_twice() -> None:
    assert short_forms.subset("2,0") == (0, 2)
    for text in ("", "0,", "a", "1,1"):
        with pytest.raises(ValueError, match=r"slots|twice"):
            short_forms.subset(text)


def test_a_label_is_unicode_and_short() -> None:
    assert short_forms.within(3)("äöü") == "äöü"
    for text, complaint in (("four", "at most 3"), ("\udc80", "Unicode")):
        with pytest.raises(ValueError, match=complaint):
            short_forms.within(3)(text)

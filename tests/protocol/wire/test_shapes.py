"""What payloads are made of: rules that do not contradict themselves, rising slots, complaints that name a field."""

import msgspec
import pytest

from keymeld_protocol.errors import BadInput
from keymeld_protocol.values import decode_sized
from keymeld_protocol.wire import shapes
from keymeld_protocol.wire.shapes import Rule, Signer, check_rising, split_complaint


def broken(rule: Rule) -> str | None:
    with pytest.raises(BadInput) as caught:
        rule.check()
    return caught.value.field


@pytest.mark.parametrize(
    "rule",
    [
        Rule(approval="none"),
        Rule(approval="self", delay_ms=1, not_before=5, not_after=9),
        Rule(approval="quorum", threshold=1, of=(0,)),
        Rule(approval="quorum", threshold=2, of=(0, 7)),
    ],
)
def test_a_rule_that_makes_sense_is_fine(rule: Rule) -> None:
    rule.check()


@pytest.mark.parametrize("approval", ["none", "self"])
def test_only_a_quorum_has_a_threshold_and_slots(approval: str) -> None:
    assert broken(Rule(approval=approval, threshold=1)) == "rule.threshold"  # type: ignore[arg-type]
    assert broken(Rule(approval=approval, of=(0,))) == "rule.threshold"  # type: ignore[arg-type]
    assert broken(Rule(approval=approval, threshold=1, of=(0,))) == "rule.threshold"  # type: ignore[arg-type]


def test_a_quorum_has_both() -> None:
    assert broken(Rule(approval="quorum")) == "rule.threshold"
    assert broken(Rule(approval="quorum", threshold=1)) == "rule.threshold"
    assert broken(Rule(approval="quorum", of=(0,))) == "rule.threshold"


def test_a_quorum_is_no_larger_than_its_slots() -> None:
    assert broken(Rule(approval="quorum", threshold=3, of=(0, 1))) == "rule.threshold"


@pytest.mark.parametrize("of", [(1, 0), (0, 0), (0, 1, 1)])
def test_the_slots_of_a_quorum_rise_and_none_counts_twice(of: tuple[int, ...]) -> None:
    assert broken(Rule(approval="quorum", threshold=1, of=of)) == "rule.of"


def test_a_window_opens_before_it_closes() -> None:
    Rule(approval="self", not_before=9, not_after=9).check()
    assert broken(Rule(approval="self", not_before=10, not_after=9)) == "rule.not_before"


@pytest.mark.parametrize("slots", [(), (0,), (0, 1), (3, 7, 900)])
def test_rising_slots_pass(slots: tuple[int, ...]) -> None:
    check_rising("slots", slots)


@pytest.mark.parametrize("slots", [(1, 0), (0, 0), (0, 2, 1)])
def test_slots_that_do_not_rise_are_named(slots: tuple[int, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        check_rising("signers[1].slots", slots)
    assert caught.value.field == "signers[1].slots"


def complaint(text: str) -> tuple[str, str]:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=Signer, dec_hook=decode_sized)
    return split_complaint(caught.value)


def test_a_complaint_names_the_field_and_the_rule() -> None:
    assert complaint("{}") == ("key", "is missing")
    assert complaint('{"more":1}') == ("more", "is unknown")
    assert complaint('{"key":5}')[0] == "key"
    assert complaint(f'{{"key":"{"00" * 32}","slots":[0,"x"]}}') == ("slots[1]", "Expected `int`, got `str`")
    assert complaint("[]")[0] == "payload"


@pytest.mark.parametrize("name", ["", "x - at `$.key`", "`", "\\u001b[2J", "x" * 65, "k\\u202ey", "two words"])
def test_a_strange_name_is_not_repeated(name: str) -> None:
    assert complaint(f'{{"{name}":1}}') == ("field", "is unknown")


def test_the_limits_are_the_specifications() -> None:
    assert (shapes.MAX_SLOTS, shapes.MAX_SUBSETS, shapes.MAX_ITEMS, shapes.MAX_ATTEMPTS) == (1000, 200, 1000, 16)
    assert shapes.REQUEST_LIFE_MS == 7 * 24 * 60 * 60 * 1000

"""command/typed/short_form.py: what a function reads from an option, and what click says where it does not."""

import click
import pytest

from keymeld_client.command.typed.short_form import ShortForm
from keymeld_protocol.errors import bad_field


def even(text: str) -> int:
    """Read an even number."""
    if int(text) % 2:
        raise ValueError("must be even")
    return int(text)


def test_a_text_is_read_and_a_value_is_left_alone() -> None:
    form = ShortForm("EVEN", even)
    assert (form.name, form("2"), form.convert(3, None, None)) == ("EVEN", 2, 3)


def test_what_is_raised_is_what_click_complains_of() -> None:
    with pytest.raises(click.BadParameter, match="must be even"):
        ShortForm("EVEN", even)("3")


def test_an_error_of_the_wire_is_told_in_its_own_words() -> None:
    def refuse(text: str) -> None:
        raise bad_field("url", "is none")

    with pytest.raises(click.BadParameter) as told:
        ShortForm("URL", refuse)("x")
    assert told.value.message == "url: is none"

"""logs.py: one line for each event, with fields from a list, and nothing that a foreign error quotes."""

import io
import json
import logging

import pytest

from keymeld_enclave.logs import LOG, setup, tell
from keymeld_protocol.errors import KeymeldError


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    setup("text", "debug", stream)
    return stream


def test_a_line_has_a_time_a_level_an_event_and_fields(lines: io.StringIO) -> None:
    tell(logging.INFO, "said", kind="custody.refuse", stream=bytes(32), code="bad_envelope")
    line = lines.getvalue()
    assert line[10] == "T"
    assert line.rstrip().endswith("INFO    said  kind=custody.refuse stream=0000000000000000… code=bad_envelope")


def test_json_lines_say_the_same_by_name() -> None:
    stream = io.StringIO()
    setup("json", "info", stream)
    tell(logging.WARNING, "refused", method="submit", ms=5)
    line = json.loads(stream.getvalue())
    assert (line["level"], line["event"], line["method"], line["ms"]) == ("warning", "refused", "submit", 5)


def test_a_field_that_is_not_in_the_list_is_our_mistake(lines: io.StringIO) -> None:
    with pytest.raises(ValueError, match="secret"):
        tell(logging.INFO, "said", secret="x")


def test_what_a_stranger_wrote_cannot_make_a_line_or_move_a_cursor(lines: io.StringIO) -> None:
    tell(logging.INFO, "a\nb", reason="\x1b[2J\u202e")
    assert lines.getvalue().count("\n") == 1
    assert "\x1b" not in lines.getvalue()


def test_a_foreign_error_is_named_and_not_quoted(lines: io.StringIO) -> None:
    for error in (ValueError("5ec2e7"), KeymeldError("slot 1")):
        try:
            raise error
        except (ValueError, KeymeldError):
            LOG.exception("went wrong")
    assert "5ec2e7" not in lines.getvalue()
    assert "error=ValueError" in lines.getvalue()
    assert "error=slot 1" in lines.getvalue()


def test_below_the_level_nothing_is_written() -> None:
    stream = io.StringIO()
    setup("text", "error", stream)
    tell(logging.INFO, "said")
    assert stream.getvalue() == ""

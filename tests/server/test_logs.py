"""Log lines: events and listed fields, one line each; no way in for secrets, addresses or strangers' text."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from keymeld_protocol.values import Id
from keymeld_server.logs import about, peer_tag, quiet, setup
from keymeld_server.store.port import StoreFailed

Lines: TypeAlias = Callable[[], list[str]]
SECRET = "hunter2-and-longer"
log = logging.getLogger("keymeld_server.dispatch")


@pytest.fixture(autouse=True)
def silence_afterwards() -> Iterator[None]:
    """Leave no handler behind."""
    yield
    quiet()


def written(form: str = "text", level: str = "info") -> Lines:
    """Set up logging into memory; what is returned gives the lines so far."""
    stream = io.StringIO()
    setup(form, level, stream)
    return lambda: stream.getvalue().splitlines()


def fail(error: Exception) -> None:
    """Log an exception the way a task's last resort does."""
    try:
        raise error
    except Exception:
        log.exception("submit failed", extra=about(kind="keygen.join"))


def test_a_text_line_has_time_level_place_event_and_fields_in_order() -> None:
    lines = written()
    log.info("statement refused", extra=about(reason="slot_taken", kind="keygen.join"))
    time, rest = lines()[0].split(" ", 1)
    assert len(time) == 24 and time.endswith("Z")
    assert rest == "INFO    server.dispatch  statement refused  kind=keygen.join reason=slot_taken"


def test_a_json_line_has_the_same_by_name() -> None:
    lines = written("json")
    log.info("statement refused", extra=about(slot=3))
    line = json.loads(lines()[0])
    assert {**line, "at": ""} == {
        "at": "", "level": "info", "from": "server.dispatch", "event": "statement refused", "slot": 3
    }  # fmt: skip


def test_what_is_below_the_level_is_not_written() -> None:
    lines = written(level="warning")
    log.info("nothing to see")
    assert lines() == []


def test_a_field_that_is_not_listed_is_a_mistake_of_ours() -> None:
    for name in ("token", "payload", "blob", "secret", "address"):
        with pytest.raises(ValueError, match=f"not a field of log lines: {name}"):
            about(**{name: SECRET})


def test_ids_appear_by_their_first_bytes() -> None:
    assert about(stream=Id(bytes(range(32))))["fields"] == {"stream": "0001020304050607…"}


def test_a_field_without_a_value_is_left_out() -> None:
    assert about(field=None) == {"fields": {}}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_strangers_text_cannot_forge_a_line_or_speak_to_the_terminal(form: str) -> None:
    lines = written(form)
    log.info("frame refused", extra=about(method="x\n2026 INFO all is well\x1b[31m\u202e" + "y" * 1000))
    assert len(lines()) == 1
    assert lines()[0].isascii() and lines()[0].isprintable()
    assert len(lines()[0]) < 500


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_foreign_exception_shows_its_type_and_place_and_not_its_message(form: str) -> None:
    lines = written(form)
    fail(KeyError(SECRET))
    text = "\n".join(lines())
    assert "KeyError" in text and "test_logs.py" in text
    assert SECRET not in text


def test_an_exception_of_ours_shows_its_message_and_its_cause() -> None:
    lines = written()
    error = StoreFailed("the log could not be written")
    error.__cause__ = OSError(28, "No space left on device")
    fail(error)
    text = "\n".join(lines())
    assert "StoreFailed: unavailable: the log could not be written" in text
    assert "No space left on device" in text


def test_the_websocket_librarys_frames_are_not_written_even_at_debug() -> None:
    lines = written(level="debug")
    logging.getLogger("websockets.server").debug("< TEXT '%s'", SECRET)
    assert lines() == []


def test_a_librarys_message_is_written_without_its_values() -> None:
    lines = written()
    logging.getLogger("websockets.server").error("connection from %s failed", SECRET)
    logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: exception=ValueError({SECRET!r})")
    assert "connection from %s failed" in lines()[0]
    assert "Task exception was never retrieved" in lines()[1]
    assert SECRET not in "\n".join(lines())


def test_an_address_appears_as_a_word_that_is_the_same_while_we_live() -> None:
    assert peer_tag("192.0.2.7") == peer_tag("192.0.2.7") != peer_tag("192.0.2.8")
    assert "192" not in peer_tag("192.0.2.7") or len(peer_tag("192.0.2.7")) == 8


def test_quiet_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    quiet()
    log.error("nobody hears this")
    assert capsys.readouterr() == ("", "")

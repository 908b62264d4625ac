"""Log lines: events and listed fields, one line each; no way in for secrets, addresses or strangers' text."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from typing import TypeAlias

import pytest

from keymeld_host.logs import named, setup, tell
from keymeld_protocol.errors import KeymeldError, Reason, Unavailable
from keymeld_protocol.values import Id

Lines: TypeAlias = Callable[[], list[str]]
SECRET = "hunter2-and-longer"
HERE = __name__


@pytest.fixture(autouse=True)
def silence_afterwards() -> Iterator[None]:
    """Leave no handler behind."""
    yield
    for name in (HERE, "websockets", "asyncio"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True


def written(form: str = "text", level: str = "info", friendly: tuple[type[Exception], ...] = ()) -> Lines:
    """Set up logging into memory; what is returned gives the lines so far."""
    stream = io.StringIO()
    setup(HERE, form, level, stream, friendly)
    return lambda: stream.getvalue().splitlines()


def fail(error: Exception) -> None:
    """Log an exception the way a task's last resort does."""
    try:
        raise error
    except Exception as problem:
        tell(logging.ERROR, "submit failed", problem, kind="keygen.join")


def test_a_text_line_has_time_level_place_event_and_fields_in_order() -> None:
    lines = written()
    tell(logging.INFO, "statement refused", reason="slot_taken", kind="keygen.join")
    time, rest = lines()[0].split(" ", 1)
    assert len(time) == 24 and time[10] == "T" and time.endswith("Z")
    assert rest == f"INFO    {HERE}  statement refused  kind=keygen.join reason=slot_taken"


def test_a_json_line_has_the_same_by_name() -> None:
    lines = written("json")
    tell(logging.WARNING, "statement refused", slot=3)
    line = json.loads(lines()[0])
    assert {**line, "at": ""} == {
        "at": "", "level": "warning", "from": HERE, "event": "statement refused", "slot": 3
    }  # fmt: skip


def test_attack_55_a_value_of_several_words_cannot_be_taken_for_two_fields() -> None:
    lines = written()
    tell(logging.INFO, "ended", error='closed  code=0 event="ready"\nand', reason="slot_taken")
    assert lines()[0].endswith(r'  ended  error="closed code=0 event=\x22ready\x22\nand" reason=slot_taken')


def test_a_place_is_the_module_that_tells_also_where_it_is_what_python_runs() -> None:
    stream = io.StringIO()
    setup("keymeld_server", "text", "info", stream)
    runs = {"__name__": "__main__", "__spec__": ModuleSpec("keymeld_server.__main__", None), "tell": tell}
    exec("tell(20, 'begun')", runs)
    logging.getLogger("keymeld_server").handlers[:] = []
    assert "INFO    server.__main__  begun" in stream.getvalue()


def test_what_is_below_the_level_is_not_written() -> None:
    lines = written(level="warning")
    tell(logging.INFO, "nothing to see")
    assert lines() == []


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
@pytest.mark.parametrize("name", ["token", "payload", "blob", "secret", "address", "key"])
def test_a_field_that_is_not_listed_is_a_mistake_of_ours_whether_it_is_written_or_not(name: str, level: int) -> None:
    written()
    with pytest.raises(ValueError, match=f"not a field of log lines: {name}"):
        tell(level, "said", **{name: SECRET})


def test_ids_appear_by_their_first_bytes() -> None:
    lines = written()
    tell(logging.INFO, "said", stream=Id(bytes(range(32))))
    assert lines()[0].endswith("stream=0001020304050607…")


def test_a_field_without_a_value_is_left_out() -> None:
    lines = written()
    tell(logging.INFO, "said", field=None)
    assert lines()[0].endswith("said")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_strangers_text_cannot_forge_a_line_or_speak_to_the_terminal(form: str) -> None:
    lines = written(form)
    hostile = "x\n2026 INFO all is well\x1b[31m\u202e" + "y" * 1000
    tell(logging.INFO, "frame refused", method=hostile)
    tell(logging.INFO, hostile)
    assert len(lines()) == 2
    for line in lines():
        assert line.isascii() and line.isprintable()
        assert len(line) < 500


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("error", [KeyError(SECRET), OSError(SECRET), ValueError(SECRET)])
def test_a_foreign_exception_shows_its_type_and_place_and_not_its_message(form: str, error: Exception) -> None:
    lines = written(form)
    fail(error)
    text = "\n".join(lines())
    assert type(error).__name__ in text and "test_logs.py" in text
    assert SECRET not in text


def test_an_exception_of_ours_shows_its_message_and_a_cause_that_is_known_to_quote_nothing() -> None:
    lines = written(friendly=(OSError,))
    error = Unavailable(Reason.UNAVAILABLE, "the log could not be written")
    error.__cause__ = OSError(28, "No space left on device")
    error.__cause__.__cause__ = ValueError(SECRET)
    fail(error)
    text = "\n".join(lines())
    assert "Unavailable: unavailable: the log could not be written" in text
    assert "OSError: [Errno 28] No space left on device" in text
    assert "ValueError" in text and SECRET not in text


def test_an_error_is_named_by_its_message_where_it_is_ours_and_else_by_its_type() -> None:
    assert named(KeymeldError("slot 1\n")) == r"slot 1\n"
    assert named(OSError(28, SECRET)) == named(OSError(SECRET), (KeyError,)) == "OSError"


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


def test_libraries_are_no_louder_than_we_are() -> None:
    lines = written(level="error")
    logging.getLogger("asyncio").warning("nothing to see")
    assert lines() == []

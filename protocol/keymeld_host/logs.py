"""What an operator can read: one line for each event, for people or machines, and nothing that is nobody's business.

    tell(logging.INFO, "said", stream=s, kind="custody.refuse", code="bad_envelope")

    text   2026-01-02T03:04:05.678Z INFO    enclave.conversation  said  code=bad_envelope kind=custody.refuse …
    json   {"at":"2026-01-02T03:04:05.678Z","level":"info","from":"enclave.conversation","event":"said",…}

What a line may carry is listed in `FIELDS`; any other name is an error in our code.  Never logged: payloads, blobs,
tokens, addresses, keys and secrets of any kind.  Ids and keys that are public appear by their first eight bytes.  Of an
exception that is not ours only its type and the places in the code are written, because its message may quote what it
choked on.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
import traceback
from typing import Any, Final, TextIO

from keymeld_protocol.errors import KeymeldError

FIELDS: Final = frozenset({
    "attempt", "code", "count", "error", "field", "kind", "method", "missing", "ms", "peer", "reason", "slot", "stream",
    "top", "url",
})  # fmt: skip
"""Names that a line may carry beside its event."""

_WORD: Final = re.compile(r"[A-Za-z0-9_.,:;/@+*\[\]…-]*")
VALUE_CHARACTERS: Final = 300
PUBLIC_BYTES: Final = 8


def tell(level: int, event: str, trouble: BaseException | None = None, /, **fields: object) -> None:
    """Write one line in the name of the module that calls, and below it the ``trouble``: what went wrong.

    Raises:
        ValueError: a field that is not in `FIELDS`.
    """
    if strange := fields.keys() - FIELDS:
        raise ValueError(f"not a field of log lines: {', '.join(sorted(strange))}")
    log = logging.getLogger(_module(sys._getframe(1).f_globals))
    if log.isEnabledFor(level):
        shown = {name: _plain(value) for name, value in sorted(fields.items()) if value is not None}
        log.log(level, "%s", event, exc_info=trouble, extra={"fields": shown})


def named(error: BaseException, friendly: tuple[type[BaseException], ...] = ()) -> str:
    """An error as a line may show it: our own by its message, any other by its type.

    A ``friendly`` one, whose messages are known to quote nothing, has its message beside its type.
    """
    if isinstance(error, KeymeldError):
        return str(_plain(str(error)))
    return type(error).__name__ + (f": {_plain(str(error))}" if isinstance(error, friendly) else "")


def setup(
    package: str, form: str, level: str, stream: TextIO | None = None, friendly: tuple[type[BaseException], ...] = ()
) -> None:
    """Write the lines of ``package`` to ``stream`` (stderr by default); ``form`` is ``text`` or ``json``.

    The WebSocket library logs whole frames at its debug level, tokens among them: it never gets that far.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter((_JsonLines if form == "json" else _TextLines)(friendly))
    least = logging.getLevelNamesMapping()[level.upper()]
    for name, lowest in ((package, least), ("websockets", logging.WARNING), ("asyncio", logging.WARNING)):
        log = logging.getLogger(name)
        log.handlers[:] = [handler]
        log.setLevel(max(least, lowest))
        log.propagate = False


class _Lines(logging.Formatter):
    """What both forms say of a record."""

    def __init__(self, friendly: tuple[type[BaseException], ...]) -> None:
        super().__init__()
        self._friendly = friendly

    def parts(self, record: logging.LogRecord) -> dict[str, Any]:
        """Time, level, place, event and fields, in the order of a line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        place = record.name.replace("keymeld_", "", 1)
        return {"at": at, "level": record.levelname.lower(), "from": place, "event": _event(record)} | _fields(record)

    def trouble(self, record: logging.LogRecord) -> list[str]:
        """An exception and its causes, innermost last: what may be said of each, and the places in the code."""
        lines: list[str] = []
        error = record.exc_info[1] if record.exc_info else None
        while error is not None and len(lines) < 100:
            kind = f"{type(error).__name__}: " if isinstance(error, KeymeldError) else ""
            lines.append(kind + named(error, self._friendly))
            for frame in traceback.extract_tb(error.__traceback__)[-12:]:
                lines.append(f"  {os.path.basename(frame.filename)}:{frame.lineno} {frame.name}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return lines


class _TextLines(_Lines):
    """A line for people, and below it what went wrong."""

    def format(self, record: logging.LogRecord) -> str:
        at, level, place, event, *_ = (parts := self.parts(record)).values()
        fields = "".join(f" {name}={_quoted(parts[name])}" for name in _fields(record))
        line = f"{at} {level.upper():<7} {place}  {event} {fields}".rstrip()
        return "\n    ".join((line, *self.trouble(record)))


class _JsonLines(_Lines):
    """An object a line, for machines; the names are those of `FIELDS`."""

    def format(self, record: logging.LogRecord) -> str:
        trouble = {"trouble": self.trouble(record)} if record.exc_info else {}
        return json.dumps(self.parts(record) | trouble, ensure_ascii=True, separators=(",", ":"))


def _module(caller: dict[str, Any]) -> str:
    """The name of the module with these globals, also where it is what Python runs (``__main__``)."""
    spec = caller.get("__spec__")
    return str(caller["__name__"] if spec is None else spec.name)


def _plain(value: object) -> str | int | float:
    """A value fit for one line: bytes by their beginning, text without control characters and not too long."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[:PUBLIC_BYTES]).hex() + ("…" if len(value) > PUBLIC_BYTES else "")
    if isinstance(value, int | float):
        return value
    shown = str(value)[:VALUE_CHARACTERS]
    return shown if shown.isprintable() and shown.isascii() else shown.encode("unicode_escape").decode("ascii")


def _quoted(value: object) -> str:
    """A value that cannot be taken for two fields: in quotes where it is more than one word."""
    shown = " ".join(str(value).split())
    return shown if _WORD.fullmatch(shown) else '"' + shown.replace('"', "\\x22") + '"'


def _event(record: logging.LogRecord) -> str:
    """What happened: our own words; of a library's only the first line, without the values that it would put in."""
    ours = hasattr(record, "fields")
    return str(_plain(record.getMessage() if ours else str(record.msg).partition("\n")[0]))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, dict) else {}

"""What an operator can read: one line for each event, for people or machines, and nothing that is nobody's business.

    log.info("statement refused", extra=about(stream=s, kind="keygen.join", reason="slot_taken"))

    text   2026-01-02T03:04:05.678Z INFO    server.dispatch  statement refused  kind=keygen.join reason=slot_taken …
    json   {"at":"2026-01-02T03:04:05.678Z","level":"info","from":"server.dispatch","event":"statement refused",…}

What a line may carry is listed in `FIELDS`; any other name is an error in our code.  Never logged: payloads, blobs,
tokens, keys and secrets of any kind.  Ids and keys that are public appear by their first eight bytes.  **Addresses**
are personal data and are not logged either: `peer_tag` gives a word that is the same for one address while this process
lives, so that lines can be put side by side, and means nothing afterwards.  Of a foreign exception only its type and
the places in the code are written, because its message may quote what it choked on.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import sqlite3
import sys
import time
import traceback
from typing import Any, Final, TextIO

from keymeld_protocol.errors import KeymeldError

FIELDS: Final = frozenset({
    "attempt", "code", "count", "enclave", "epoch", "field", "kind", "limit", "method", "ms", "number", "offset",
    "path", "peer", "port", "reason", "signal", "slot", "slots", "state", "stream", "url", "version",
})  # fmt: skip
"""Names that a line may carry beside its event."""

VALUE_CHARACTERS: Final = 200
PUBLIC_BYTES: Final = 8

_ROOT: Final = "keymeld_server"
_FRIENDLY: Final = (KeymeldError, OSError, sqlite3.Error)
_SALT: Final = os.urandom(32)


def about(**fields: object) -> dict[str, Any]:
    """The ``extra`` of a log line.

    Raises:
        ValueError: a name that is not in `FIELDS`.
    """
    if strange := fields.keys() - FIELDS:
        raise ValueError(f"not a field of log lines: {', '.join(sorted(strange))}")
    return {"fields": {name: _plain(value) for name, value in sorted(fields.items()) if value is not None}}


def peer_tag(address: str) -> str:
    """A word for an address: the same while this process lives, and no way back to the address."""
    return hmac.digest(_SALT, address.encode(), "sha256")[:4].hex()


def setup(form: str = "text", level: str = "info", stream: TextIO | None = None) -> None:
    """Write our log lines to ``stream`` (stderr by default); ``form`` is ``text`` or ``json``.

    The WebSocket library logs whole frames at its debug level, tokens among them: it never gets that far.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    ours = logging.getLogger(_ROOT)
    ours.handlers[:] = [handler]
    ours.setLevel(level.upper())
    ours.propagate = False
    for name in ("websockets", "asyncio"):
        foreign = logging.getLogger(name)
        foreign.handlers[:] = [handler]
        foreign.setLevel(logging.WARNING)
        foreign.propagate = False


def quiet() -> None:
    """Write nothing: for tests, and for programs that embed the server."""
    for name in (_ROOT, "websockets", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False


class TextLines(logging.Formatter):
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, place, event, fields, and below them what went wrong."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname:<7} {_place(record)}  {_event(record)} {fields}".rstrip()
        return "\n    ".join((line, *_trouble(record)))


class JsonLines(logging.Formatter):
    """An object a line, for machines; field names are those of `FIELDS`."""

    def format(self, record: logging.LogRecord) -> str:
        """The same as `TextLines`, by name."""
        line = {"at": _time(record), "level": record.levelname.lower(), "from": _place(record), "event": _event(record)}
        trouble = {"trouble": _trouble(record)} if record.exc_info else {}
        return json.dumps({**line, **_fields(record), **trouble}, ensure_ascii=True, separators=(",", ":"))


def _plain(value: object) -> str | int | float:
    """A value fit for one line: bytes by their beginning, text without control characters and not too long."""
    if isinstance(value, bytes):
        return value[:PUBLIC_BYTES].hex() + ("…" if len(value) > PUBLIC_BYTES else "")
    if isinstance(value, int | float):
        return value
    shown = str(value)[:VALUE_CHARACTERS]
    return shown if shown.isprintable() and shown.isascii() else shown.encode("unicode_escape").decode("ascii")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, dict) else {}


def _event(record: logging.LogRecord) -> str:
    """What happened: our own words; of a library's only the first line, without the values that it would put in."""
    ours = record.name.startswith(_ROOT)
    return str(_plain(record.getMessage() if ours else str(record.msg).partition("\n")[0]))


def _place(record: logging.LogRecord) -> str:
    return record.name.replace("keymeld_", "", 1)


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def _trouble(record: logging.LogRecord) -> list[str]:
    """An exception and its causes, innermost last: type and places, and the message where that is known to be safe."""
    lines: list[str] = []
    error = record.exc_info[1] if record.exc_info else None
    while error is not None and len(lines) < 100:
        said = f": {_plain(str(error))}" if isinstance(error, _FRIENDLY) else ""
        lines.append(f"{type(error).__name__}{said}")
        for frame in traceback.extract_tb(error.__traceback__)[-12:]:
            lines.append(f"  {os.path.basename(frame.filename)}:{frame.lineno} {frame.name}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines

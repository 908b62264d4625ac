"""What an operator can read: events with stream ids, kinds and codes, and never what is sealed.

    text   2026-01-02T03:04:05.678Z INFO    custody.refuse  stream=0123456789abcdef… code=bad_envelope
    json   {"at":"2026-01-02T03:04:05.678Z","level":"info","event":"custody.refuse","stream":"0123456789abcdef…",…}

A field is a number, a word of ours, or bytes that are public; of a foreign exception only the type is written, because
its message may quote what it choked on.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final, TextIO

from keymeld_protocol.errors import KeymeldError

LOG: Final = logging.getLogger("keymeld_enclave")
FIELDS: Final = frozenset({"code", "count", "error", "kind", "method", "missing", "ms", "reason", "stream", "top"})
"""Names that a line may carry beside its event."""

_MAX: Final = 300


def tell(level: int, event: str, **fields: object) -> None:
    """Write one line.

    Raises:
        ValueError: a field that is not in `FIELDS`.
    """
    if not LOG.isEnabledFor(level):
        return
    if strange := fields.keys() - FIELDS:
        raise ValueError(f"not a field of log lines: {', '.join(sorted(strange))}")
    LOG.log(level, "%s", _plain(event), extra={"fields": {name: _plain(v) for name, v in fields.items()}})


def setup(form: str = "text", level: str = "info", stream: TextIO | None = None) -> None:
    """Write lines to ``stream`` (stderr by default); ``form`` is ``text`` or ``json``.

    The WebSocket library logs whole frames at its debug level: it never gets that far.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_Json() if form == "json" else _Text())
    for logger, least in ((LOG, level.upper()), *((logging.getLogger(n), "ERROR") for n in ("websockets", "asyncio"))):
        logger.handlers[:] = [handler]
        logger.setLevel(least)
        logger.propagate = False


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return f"{_time(record)} {record.levelname:<7} {_event(record)} {fields}".rstrip()


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"at": _time(record), "level": record.levelname.lower(), "event": _event(record)}
        return json.dumps(line | _fields(record), separators=(",", ":"))


def _fields(record: logging.LogRecord) -> dict[str, str | int]:
    fields: dict[str, str | int] = dict(getattr(record, "fields", {}))
    if record.exc_info and (error := record.exc_info[1]) is not None:
        fields["error"] = named(error)
    return fields


def _event(record: logging.LogRecord) -> str:
    """Our own words; of a library's only the first line, without the values that it would put in."""
    return record.getMessage() if record.name == LOG.name else str(_plain(str(record.msg).partition("\n")[0]))


def named(error: BaseException) -> str:
    """An error as a log line may show it: our own with its message, a foreign one by its type."""
    return str(_plain(str(error))) if isinstance(error, KeymeldError) else type(error).__name__


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def _plain(value: object) -> str | int:
    """A value fit for one line: bytes by their beginning, text without control characters and not too long."""
    if isinstance(value, bytes):
        return value[:8].hex() + "…"
    if isinstance(value, int):
        return value
    shown = str(value)[:_MAX]
    return shown if shown.isprintable() and shown.isascii() else shown.encode("unicode_escape").decode("ascii")

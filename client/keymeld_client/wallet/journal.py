"""What was said and not yet answered, in one file that is only appended to.

    {"url":"ws://…","statement":{…}}      on disk before the statement is submitted (one fdatasync)
    {"answered":"ID"}                     the coordinator has answered; not forced: asked again, it answers the same

The file is emptied when nothing waits any more, so it stays as small as what is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from keymeld_protocol.errors import BadInput
from keymeld_protocol.values import Id
from keymeld_protocol.wire.statements import Statement, WireStatement, parse, statement_id

from ..errors import Damaged
from .files import AppendFile, read_lines

EMPTIED_ABOVE: Final = 64 * 1024
"""Bytes that a journal of nothing but answered statements may have before it is emptied."""


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One line: a statement for a coordinator, or that one was answered."""

    url: str = ""
    statement: WireStatement | None = None
    answered: str = ""


@dataclass(frozen=True)
class Pending:
    """A statement that waits for its answer; ``url`` is the coordinator it is for."""

    url: str
    statement: Statement


class Journal:
    """The outbox of one wallet, in the order in which statements were said."""

    def __init__(self, path: Path) -> None:
        """Read what an earlier process left.

        Raises:
            Damaged: a line before the last is not what was written.
            WalletError: the file cannot be read.
        """
        self._waiting: dict[Id, Pending] = {}
        for number, raw in enumerate(read_lines(path), 1):
            try:
                self._take(msgspec.json.decode(raw, type=_Line))
            except (msgspec.DecodeError, ValueError, BadInput):
                told = "move it away; what was said last may not have left, and has to be said again"
                raise Damaged(f"{path.name} line {number} is damaged: {told}") from None
        self._file = AppendFile(path)

    def waiting(self) -> tuple[Pending, ...]:
        """What is not answered yet, in the order in which it was said."""
        return tuple(self._waiting.values())

    def own(self, payload: str) -> Statement | None:
        """What is not answered yet and has this payload."""
        pending = self._waiting.get(statement_id(payload)) if self._waiting else None
        return pending.statement if pending is not None else None

    def post(self, url: str, statement: Statement) -> Pending:
        """Put a statement on disk; the same one twice is one.

        Raises:
            WalletError: the disk is full, or the file cannot be written; nothing may be submitted.
        """
        pending = self._waiting.get(statement.id)
        if pending is None:
            self._file.append(msgspec.json.encode(_Line(url=url, statement=statement.wire)))
            self._file.sync()
            pending = self._waiting[statement.id] = Pending(url, statement)
        return pending

    def answered(self, statement: Id) -> None:
        """The coordinator has answered: it is not submitted again.

        Raises:
            WalletError: the file cannot be written.
        """
        if self._waiting.pop(statement, None) is None:
            return
        if self._waiting or self._file.size < EMPTIED_ABOVE:
            self._file.append(msgspec.json.encode(_Line(answered=statement.hex())))
        else:
            self._file.empty()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _take(self, line: _Line) -> None:
        if line.statement is None:
            self._waiting.pop(Id.from_hex(line.answered), None)
            return
        statement = parse(line.statement)
        self._waiting[statement.id] = Pending(line.url, statement)

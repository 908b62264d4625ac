"""What has been said and not yet been answered: the same bytes are submitted again until they are.

In memory only: whatever a crash loses follows anew from the log.  Our own statements come back as records; their
signatures are ours and need not be verified again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from keymeld_protocol.values import Id
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement

REMEMBERED: Final = 2048
"""Our latest statements that are recognised when they come back."""


class Unanswered:
    """Statements by id, in the order in which they were said."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._unanswered: dict[Id, Statement] = {}
        self._own: OrderedDict[str, Statement] = OrderedDict()

    def add(self, said: Iterable[Statement]) -> list[Statement]:
        """Keep what was said until it is answered."""
        fresh = list(said)
        for statement in fresh:
            self._unanswered[statement.id] = statement
            self._own[statement.text] = statement
        while len(self._own) > REMEMBERED:
            self._own.popitem(last=False)
        return fresh

    def answered(self, ident: Id) -> None:
        """The coordinator has given this statement a place, or will never do so."""
        self._unanswered.pop(ident, None)

    def unanswered(self) -> list[Statement]:
        """What a new connection submits first."""
        return list(self._unanswered.values())

    def record_of(self, wire: WireRecord) -> Record:
        """The record in ``wire``, its statement verified, or recognised byte for byte as our own.

        Raises:
            BadInput: the statement breaks a rule.
        """
        own = self._own.get(wire.statement.payload)
        known = own is not None and own.wire == wire.statement
        statement = own if known and own is not None else statements.parse(wire.statement)
        return Record(wire.epoch, wire.offset, wire.at, wire.hash, statement)

"""What has been said and not yet been answered: the same bytes are submitted again until they are.

    record ─▶ work ─▶ said ─▶ add ─▶ written ─▶ answered
                ▲               └─▶ is_full ─▶ records wait for their turn, frames are read, and answers make room
                └───────────────────────────┘

In memory only: whatever a crash loses follows anew from the log.  Our own statements come back as records; their
signatures are ours and need not be verified again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from keymeld_protocol.values import Id
from keymeld_protocol.wire.frames import WireRecord, record_of
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement

MOST_BYTES: Final = 24 * 1024 * 1024
"""Bytes of statements that may wait for a coordinator which is slow to read, or to answer; whoever has said more works
no further.  Parsed and as it travels, each takes almost three times as many."""
REQUEST: Final = 512
"""Bytes that a request takes while it waits, beside the statement in it."""
REMEMBERED: Final = 2048
"""Our latest statements that are recognised when they come back, as long as they have no more than
``REMEMBERED_BYTES``."""
REMEMBERED_BYTES: Final = 8 * 1024 * 1024


class Unanswered:
    """Statements by id, in the order in which they were said; ``size`` counts the bytes of those that wait."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.size = self._remembered = 0
        self._unanswered: dict[Id, Statement] = {}
        self._own: OrderedDict[str, Statement] = OrderedDict()

    def add(self, said: Iterable[Statement]) -> list[Statement]:
        """Keep what was said until it is answered."""
        fresh = list(said)
        for statement in fresh:
            self.size += 0 if statement.id in self._unanswered else statement.size
            self._unanswered[statement.id] = statement
            self._remembered += 0 if statement.text in self._own else statement.size
            self._own[statement.text] = statement
        while len(self._own) > REMEMBERED or self._remembered > REMEMBERED_BYTES:
            self._remembered -= self._own.popitem(last=False)[1].size
        return fresh

    def answered(self, ident: Id) -> None:
        """The coordinator has given this statement a place, or will never do so."""
        if (statement := self._unanswered.pop(ident, None)) is not None:
            self.size -= statement.size

    def is_full(self, requests: int) -> bool:
        """Whether nothing more is to be said: too much waits to be written or answered, ``requests`` among it."""
        return self.size + REQUEST * requests > MOST_BYTES

    def unanswered(self) -> list[Statement]:
        """What a new connection submits first."""
        return list(self._unanswered.values())

    def record_of(self, wire: WireRecord) -> Record:
        """The record in ``wire``, its statement verified, or recognised byte for byte as our own.

        Raises:
            BadInput: the statement breaks a rule.
        """
        return record_of(wire, self._own.get(wire.statement.payload))

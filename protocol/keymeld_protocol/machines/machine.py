"""What the three machines have in common: their states answer the same questions, and a table says where each may go.

    Machine    one kind of stream: what opens it, where that leads, what may happen when, what is due
    Move       one entry of a table: its handler, and where that may lead
    Due        a notice that time or presence calls for

A handler checks and gives the next state in one go.  Where it goes is held against its entry before anybody sees it:
the specification and the drawings are printed from the tables, and cannot say anything else than what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

from ..errors import Astray
from ..values import Hash, Id, XOnlyKey
from ..wire.payloads import Note
from ..wire.records import Record
from ..wire.shapes import Payload, Said

StreamKind: TypeAlias = Literal["keygen", "signing", "wallet"]
NOBODY: frozenset[XOnlyKey] = frozenset()


class StreamState(Protocol):
    """What every stream's state says, whatever its kind; the three kinds say more, each of its own."""

    kind: ClassVar[StreamKind]
    hearers_stay: ClassVar[bool] = True
    """Whether `hearers` are the same from the first record to the last."""

    stream: Id
    phase: StrEnum

    @property
    def open(self) -> bool:
        """Whether anything can still happen."""

    @property
    def opener(self) -> XOnlyKey:
        """Who said the first statement."""

    @property
    def parent(self) -> Id | None:
        """The keygen that the stream belongs to, if it is another stream's."""
        return None

    @property
    def coordinator(self) -> XOnlyKey | None:
        """The key whose notices and heads count here; None where any may be."""
        return None

    def hearers(self) -> frozenset[XOnlyKey]:
        """Who may hear more than the first record (§4.4)."""

    def deadline(self, up_since: int = 0, after: int = -1) -> int | None:
        """When the clock next has something to say (ms), or None.

        A coordinator that began at ``up_since`` (ms) lets graces run anew; a deadline up to ``after`` (ms) that led to
        nothing by itself is not named again.
        """
        return None

    def awaited(self, at: int, up_since: int = 0) -> frozenset[XOnlyKey]:
        """The enclaves without which what the log allows at ``at`` (ms) cannot begin."""
        return NOBODY


S = TypeVar("S", bound=StreamState)


@dataclass(frozen=True)
class Move(Generic[S]):
    """An entry of a table: its handler, and each phase to which that may lead, with the words that say when."""

    handler: Callable[[S, Any, Record], S]
    leads: Mapping[Any, str]

    def take(self, state: S, said: Payload | Note, record: Record) -> S:
        """The state after ``record``.

        Raises:
            Refused: a rule forbids it; nothing has changed.
            Astray: the handler went where its entry does not lead; nothing has changed.
        """
        moved = self.handler(state, said, record)
        if moved.phase not in self.leads:
            raise Astray(f"{said.kind} led from {state.phase} to {moved.phase}, where no entry leads")
        return moved


@dataclass(frozen=True)
class Due:
    """A notice that is due: its kind, and what it says beyond who says it where."""

    kind: type[Said]
    fields: Mapping[str, Any] = field(default_factory=dict)

    def payload(self, by: XOnlyKey, stream: Id, after: Hash) -> Said:
        """The notice, as the coordinator ``by`` says it after the record with hash ``after``."""
        return self.kind(v=1, by=by, stream=stream, after=after, **self.fields)


@dataclass(frozen=True)
class Machine(Generic[S]):
    """One kind of stream: ``opens`` is the payload that begins it, ``begins`` are the phases to which that leads.

    ``opened`` and ``apply`` move, ``table`` says where to; ``due(state, at, here, up_since)`` is what the coordinator
    may say now.  A stream that belongs to a keygen is opened with that keygen's state.
    """

    state: type[S]
    opens: type[Payload]
    begins: Mapping[Any, str]
    table: Mapping[tuple[Any, type], Move[S]]
    opened: Callable[[Record, Any], S]
    apply: Callable[[S, Record], S]
    due: Callable[[S, int, frozenset[XOnlyKey], int], Due | None]

    @property
    def name(self) -> StreamKind:
        """The kind of its streams, in one word."""
        return self.state.kind

"""Breadth first over a real machine: its states are values, so that a model checker is a queue and a set.

    found = explore(bounds)             every place within the bounds: a state, and a moment
    found.leads, found.refusals         where it led, and what was answered with which word
    found.stuck()                       open places from which no end is reached

A place is left by a statement of somebody, by a notice that is due, or by time.  ``Bounds`` says who could say what in
a state, which moments there are, and when two states are one; ``require`` is asked on every step that was taken.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import WireError
from keymeld_protocol.machines.machine import Due
from keymeld_protocol.machines.streams import machine_of, step
from keymeld_protocol.values import Hash, Id, XOnlyKey
from keymeld_protocol.wire import payloads
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement, statement_id
from tests.support.machines import COORDINATOR, EPOCH, xonly

NOWHERE = Hash(bytes(32))
"""The hash of every record here: which history somebody had verified is for whoever hears, not for the machines."""

Place = tuple[Any, int]
"""A state, and how many moments have passed."""


@lru_cache(200_000)
def unsigned(kind: Any, by: XOnlyKey, stream: Id, *fields: tuple[str, Any]) -> Statement:
    """What ``by`` says in ``stream``, without signatures and blobs: no machine looks at them."""
    payload = kind(v=1, by=by, stream=stream, after=NOWHERE, **dict(fields))
    text = payloads.encode(payload)
    return Statement(text, payload, statement_id(text), (), ())


def says(who: Keypair, kind: Any, stream: Id, **fields: Any) -> Statement:
    """What ``who`` says in ``stream``."""
    return unsigned(kind, xonly(who), stream, *fields.items())


@dataclass(frozen=True)
class Step:
    """One step that was taken at ``at`` (ms)."""

    before: Any
    said: Statement
    at: int
    after: Any


@dataclass(frozen=True)
class Bounds:
    """What is looked at: ``roots`` at the first of ``moments`` (ms); ``words`` are said in a state, by whom ever.

    ``same`` names a state, so that two of one name are explored once; ``here`` are the enclaves that may be connected.
    """

    roots: tuple[Any, ...]
    moments: tuple[int, ...]
    words: Callable[[Any], Iterable[Statement]]
    same: Callable[[Any], Hashable]
    require: Callable[[Step], None]
    here: tuple[frozenset[XOnlyKey], ...] = (frozenset(),)
    within: Callable[[Any], bool] = lambda _: True
    """Whether a state is explored further; one that is not is still looked at."""
    timeless: Callable[[Any], bool] = lambda _: False
    """Whether no time means anything to a state any more."""


@dataclass
class Found:
    """What was found: each place by its name, where it leads, and what was taken and refused."""

    places: dict[Hashable, Place] = field(default_factory=dict)
    onwards: dict[Hashable, set[Hashable]] = field(default_factory=dict)
    beyond: set[Hashable] = field(default_factory=set)
    steps: int = 0
    leads: set[tuple[Any, str, Any]] = field(default_factory=set)
    refusals: Counter[tuple[Any, str, str]] = field(default_factory=Counter)

    def states(self) -> list[Any]:
        """Every state that was found."""
        return [state for state, _ in self.places.values()]

    def stuck(self) -> list[Place]:
        """The open places from which no end is reached, whatever is said; beyond the bounds nobody knows."""
        back: dict[Hashable, list[Hashable]] = {}
        for name, following in self.onwards.items():
            for later in following:
                back.setdefault(later, []).append(name)
        fine = {name for name, (state, _) in self.places.items() if not state.open} | self.beyond
        queue = deque(fine)
        while queue:
            fresh = set(back.get(queue.popleft(), ())) - fine
            fine |= fresh
            queue.extend(fresh)
        return [place for name, place in self.places.items() if name not in fine]


def explore(bounds: Bounds) -> Found:
    """Look at every place within ``bounds``, nearest first.

    Raises:
        AssertionError: a refusal changed a state, a notice that is due was refused, or ``require`` does not hold.
    """
    found, queue = Found(), deque[tuple[Hashable, Any, int]]()

    def reach(state: Any, moment: int) -> Hashable:
        name = (bounds.same(state), None if bounds.timeless(state) else moment)
        if name not in found.places:
            found.places[name] = (state, moment)
            queue.append((name, state, moment))
        return name

    for root in bounds.roots:
        reach(root, 0)
    while queue:
        name, state, moment = queue.popleft()
        passes = moment + 1 < len(bounds.moments) and not bounds.timeless(state)
        later = [(state, moment + 1)] if passes else []
        if not bounds.within(state):
            found.beyond.add(name)
        else:
            later += [(after, moment) for after in _moved(bounds, found, state, bounds.moments[moment])]
        found.onwards[name] = {reach(*place) for place in later}
    return found


def _moved(bounds: Bounds, found: Found, state: Any, at: int) -> Iterator[Any]:
    """The states to which something leads that is said at ``at``; what is refused leaves no trace."""
    named = bounds.same(state)
    for said in bounds.words(state):
        try:
            yield _taken(bounds, found, state, said, at)
        except WireError as refusal:
            found.refusals[state.phase, said.payload.kind, refusal.reason.value] += 1
    for due in notices(state, at, bounds.here):
        payload = due.payload(xonly(COORDINATOR), state.stream, NOWHERE)
        text = payloads.encode(payload)
        yield _taken(bounds, found, state, Statement(text, payload, statement_id(text), (), ()), at)
    assert bounds.same(state) == named, "a state that was looked at has changed"


def _taken(bounds: Bounds, found: Found, state: Any, said: Statement, at: int) -> Any:
    after = step(state, place(said, at))
    found.steps += 1
    found.leads.add((state.phase, said.payload.kind, after.phase))
    bounds.require(Step(state, said, at, after))
    return after


def place(said: Statement, at: int, offset: int = 2) -> Record:
    """A record of ``said``."""
    return Record(EPOCH, offset, at, NOWHERE, said)


def notices(state: Any, at: int, here: Iterable[frozenset[XOnlyKey]]) -> Iterator[Due]:
    """What the coordinator would say at ``at``, whoever is connected, and whether it has just begun or long ago."""
    due = machine_of(state).due
    for connected in here:
        for up_since in (0, at):
            if (notice := due(state, at, connected, up_since)) is not None:
                yield notice

"""Streams that a restored coordinator tells anew, in another epoch: verified as they come, then compared with ours.

    answer ``epoch`` ──▶ begin ──▶ record ──▶ verified, once its keygen is not being told itself ──▶ … as far as ``top``
                                     └── the stream stays as it was until then

Nothing is decided on half of a history (§4.3), and nothing is gathered that does not hold: a coordinator alone fills
nobody's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from keymeld_protocol.errors import BrokenLog
from keymeld_protocol.machines.hearing import MAX_WAITING
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Id
from keymeld_protocol.wire.connection import Subscribed
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.records import Record


@dataclass
class _Anew:
    """One stream's answer, its ``history`` as far as it was verified, and the records that wait to be."""

    answer: Subscribed
    history: Replay | None = None
    waiting: list[Record] = field(default_factory=list)


class Returning:
    """The streams that are being told anew on this conversation."""

    def __init__(self) -> None:
        self._streams: dict[Id, _Anew] = {}

    def __contains__(self, stream: Id) -> bool:
        return stream in self._streams

    def begin(self, stream: Id, answer: Subscribed) -> None:
        """Its records follow, from the first."""
        self._streams[stream] = _Anew(answer)

    def drop(self, stream: Id) -> Subscribed | None:
        """It was told, is asked for again, or not believed any more; gives the answer."""
        anew = self._streams.pop(stream, None)
        return anew.answer if anew is not None else None

    def add(self, stream: Id, record: Record) -> None:
        """The next record of a stream that is told anew.

        Raises:
            BrokenLog: too many wait already.
        """
        waiting = self._streams[stream].waiting
        if len(waiting) >= MAX_WAITING:
            raise BrokenLog(f"{stream.hex()} waits for a keygen that does not come")
        waiting.append(record)

    def next(self) -> Id | None:
        """A stream with records that can be verified now: one whose keygen is not being told itself."""
        return next((stream for stream, anew in self._streams.items() if self._can_go_on(anew)), None)

    def history(self, stream: Id, begin: Callable[[Id, Record], Replay]) -> Replay:
        """The history that is told of a stream of which records wait; the first one begins it."""
        anew = self._streams[stream]
        if anew.history is None:
            anew.history = begin(stream, anew.waiting[0])
            anew.history.top = anew.answer.top
        return anew.history

    def take(self, stream: Id) -> list[Record]:
        """The records that waited: they are verified now."""
        anew = self._streams[stream]
        taken, anew.waiting = anew.waiting, []
        return taken

    def _can_go_on(self, anew: _Anew) -> bool:
        if not anew.waiting:
            return False
        said = anew.waiting[0].statement.payload
        return not isinstance(said, SigningRequest) or said.keygen not in self._streams

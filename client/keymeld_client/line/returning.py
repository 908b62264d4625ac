"""Streams that a restored coordinator tells anew, in another epoch: gathered whole, then compared with ours.

    answer ``epoch`` ──▶ begin ──▶ record, record … as far as the log had come ──▶ told: verified again, from the first
                                                     └── the stream stays as it was until then

Nothing is decided on half of a history (§4.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keymeld_protocol.values import Id
from keymeld_protocol.wire.connection import Subscribed
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.records import Record


@dataclass
class _Anew:
    """One stream's answer, and the records that came since."""

    answer: Subscribed
    records: list[Record] = field(default_factory=list)


class Returning:
    """The streams that are being told anew on this conversation."""

    def __init__(self) -> None:
        self._streams: dict[Id, _Anew] = {}

    def __contains__(self, stream: Id) -> bool:
        return stream in self._streams

    def begin(self, stream: Id, answer: Subscribed) -> None:
        """Its records follow, from the first."""
        self._streams[stream] = _Anew(answer)

    def drop(self, stream: Id) -> None:
        """It is asked for again, or not believed any more."""
        self._streams.pop(stream, None)

    def add(self, stream: Id, record: Record) -> None:
        """The next record of a stream that is told anew."""
        self._streams[stream].records.append(record)

    def told(self) -> list[Id]:
        """The streams that were told as far as they had come, and whose keygen is not being told itself."""
        return [stream for stream, anew in self._streams.items() if self._is_told(anew)]

    def take(self, stream: Id) -> tuple[Subscribed, list[Record]]:
        """The answer and the records of a stream that was told."""
        anew = self._streams.pop(stream)
        return anew.answer, anew.records

    def _is_told(self, anew: _Anew) -> bool:
        if not anew.records or len(anew.records) < anew.answer.top:
            return False
        said = anew.records[0].statement.payload
        return not isinstance(said, SigningRequest) or said.keygen not in self._streams

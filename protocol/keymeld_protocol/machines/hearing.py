"""All the streams that one peer hears, verified in the order in which they build on one another (§11.1.3).

A signing is verified against its keygen: its request names a hash of the keygen's history.  Records of a signing whose
keygen has not been heard that far wait for it; when the keygen has caught up and does not hold that hash, there are two
histories, and the signing is a ``Fork``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ..errors import Astray, BrokenLog
from ..values import Id, XOnlyKey
from ..wire.payloads import SigningRequest
from ..wire.records import Record
from .replay import Replay, kept

MAX_WAITING = 1024
"""Records of one signing that wait for its keygen."""


@dataclass
class Hearing:
    """Replays by stream; ``coordinator`` is the key under which its notices and heads must be signed.

    ``keep`` says which records are kept once they were verified.
    """

    coordinator: XOnlyKey | None = None
    keep: Callable[[Record], bool] = kept
    streams: dict[Id, Replay] = field(default_factory=dict)
    waiting: dict[Id, list[Record]] = field(default_factory=dict)

    def replay(self, stream: Id) -> Replay:
        """The replay of ``stream``, begun if it is new."""
        if stream not in self.streams:
            self.streams[stream] = Replay(stream, coordinator=self.coordinator, keep=self.keep)
        return self.streams[stream]

    def subscribed(self, stream: Id, top: int) -> list[tuple[Replay, Record]]:
        """Note how far ``stream`` had come when it was subscribed; gives what no longer has to wait."""
        replay = self.replay(stream)
        replay.top = max(replay.top, top)
        return self._flush(stream) if replay.caught_up else []

    def hear(self, stream: Id, record: Record) -> list[tuple[Replay, Record]]:
        """Verify ``record`` and whatever waited for it; gives what was verified, in order.

        A record that was heard before is skipped when it is the same (§4.1).

        Raises:
            BrokenLog: the record cannot follow; its stream is read-only from now on.
            Astray: our machine does not hold to its table; the same, and nobody is to blame for it.
        """
        replay = self.replay(stream)
        if self._must_wait(replay, record):
            queue = self.waiting.setdefault(stream, [])
            if len(queue) >= MAX_WAITING:
                raise self._overflowed(replay)
            queue.append(record)
            return []
        if record.offset <= replay.chain.offset and replay.chain.hashes[record.offset - 1] == record.hash:
            return []
        replay.hear(record)
        return [(replay, record), *self._flush(stream)]

    def missing_keygens(self) -> frozenset[Id]:
        """The keygens that waiting signings need and that nobody has subscribed."""
        needed = {said.keygen for queue in self.waiting.values() if isinstance(said := _opening(queue), SigningRequest)}
        return frozenset(keygen for keygen in needed if keygen not in self.streams)

    def forget(self, stream: Id) -> None:
        """Drop a stream that is no longer needed."""
        self.streams.pop(stream, None)
        self.waiting.pop(stream, None)

    def _must_wait(self, replay: Replay, record: Record) -> bool:
        """Whether the keygen of a signing has not been heard far enough to judge its request."""
        if replay.stream in self.waiting:
            return True
        said = record.statement.payload
        if replay.chain.offset > 0 or record.offset != 1 or not isinstance(said, SigningRequest):
            return False  # what has begun is judged by its own history, whatever request is told as its first record
        replay.keygen = self.streams.get(said.keygen)
        if replay.keygen is None:
            return True
        if replay.keygen.caught_up or replay.keygen.broken is not None:
            return False
        state = replay.keygen.as_keygen
        completed = state is not None and state.roster is not None
        return not (completed and replay.keygen.chain.knows(said.after))

    def _overflowed(self, replay: Replay) -> BrokenLog:
        """Give up a signing whose keygen does not come; it is read-only from now on."""
        self.waiting.pop(replay.stream)
        replay.broken = BrokenLog(f"{replay.stream.hex()} waits for a keygen that does not come")
        return replay.broken

    def _flush(self, keygen: Id) -> list[tuple[Replay, Record]]:
        """Hear the signings that waited for this keygen; one that breaks (its replay says so) harms no other stream."""
        verified: list[tuple[Replay, Record]] = []
        for stream in [s for s, queue in self.waiting.items() if getattr(_opening(queue), "keygen", None) == keygen]:
            with suppress(BrokenLog, Astray):
                for record in self.waiting.pop(stream):
                    verified += self.hear(stream, record)
        return verified


def _opening(queue: list[Record]) -> object:
    return queue[0].statement.payload if queue else None

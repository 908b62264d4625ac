"""What is still to be sent on one connection: answers, presence, and cursors in logs; never a queue of records.

    answer ────▶ replies  ┐
    presence ──▶ by key   ├─▶ next() ─▶ one frame ─▶ socket          taken only when the last one has left
    record ────▶ cursor ──┘     │
                                └─ memory's tail of the stream, else the store

A peer that does not read costs its open requests, one batch of old records and an offset for each stream it follows;
however much is said meanwhile, nothing piles up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.records import Head

from .fairness import BYTE_US, RECORD_US, Account
from .session import Session, Told

REQUESTS_UNDER_WAY: Final = 64
"""Requests of one connection that may wait for their answers; further ones are not read from its socket."""
REPLY_BYTES: Final = 64 * 1024
"""Bytes of answers that may wait to be taken; beyond them no further requests are read either."""
PRESENCE_WAITING: Final = 1024
"""Presence notifications that may wait; beyond it they are dropped, since they authorise nothing."""


class Cursor:
    """Where one connection stands in one stream: ``next`` is the offset to send next, up to ``last`` if that is set."""

    __slots__ = ("batch", "last", "next", "outbox", "stream")

    def __init__(self, outbox: Outbox, stream: Id, next_: int, last: int | None = None) -> None:
        """Stand before offset ``next_``."""
        self.outbox = outbox
        self.stream = stream
        self.next = next_
        self.last = last
        self.batch: deque[Told] = deque()


class Source(Protocol):
    """Where cursors read: memory first, else the store (`Sessions`)."""

    def live(self, stream: Id) -> Session | None:
        """The session, if it is in memory."""

    async def get(self, stream: Id) -> Session | None:
        """The session, loaded if need be."""

    async def older(self, stream: Id, after: int) -> list[Told]:
        """Records that memory no longer holds."""

    def head(self, session: Session) -> Head:
        """The signed head of what is on disk."""


Drop: TypeAlias = Callable[[Cursor], None]


class Outbox:
    """One connection's way out; ``proven`` is the set of keys it has proven, which may grow.

    ``partial`` are the streams that it asked for and of which it may hear no more than the first record.
    """

    def __init__(self, source: Source, proven: set[XOnlyKey], drop: Drop, account: Account | None = None) -> None:
        """Read from ``source`` at the cost of ``account``; ``drop`` is told of a cursor that may hear no longer."""
        self._account = account or Account()
        self.proven = proven
        self.follows = False
        self.cursors: dict[Id, Cursor] = {}
        self.finished: dict[Id, None] = {}
        self.partial: dict[Id, None] = {}
        self._source = source
        self._drop = drop
        self._replies: deque[tuple[bytes, bool]] = deque()
        self._presence: dict[tuple[Id, XOnlyKey], bytes] = {}
        self._behind: dict[Cursor, None] = {}
        self._under_way = self._reply_bytes = 0
        self._closed = False
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    # What is to be sent -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A request was read; it is under way until its answer has been taken."""
        self._under_way += 1
        self._look_for_room()

    def room(self) -> Awaitable[object] | None:
        """None if another request may be read; else wait for this."""
        return None if self._room.is_set() else self._room.wait()

    def close(self) -> None:
        """Nothing more will be taken: whoever waits for room need not wait any longer."""
        self._closed = True
        self._room.set()

    def reply(self, frame: bytes) -> None:
        """Send the answer to a request."""
        self._replies.append((frame, True))
        self._reply_bytes += len(frame)
        self._look_for_room()
        self._wake.set()

    def notify(self, frame: bytes) -> None:
        """Send a notification before anything else that is not an answer: hello, and what is of its kind."""
        self._replies.append((frame, False))
        self._reply_bytes += len(frame)
        self._wake.set()

    def end(self, cursor: Cursor) -> None:
        """This connection may hear no more than the first record of a stream any longer, and is told so (§4.4)."""
        self.notify(frames.hearing_frame(cursor.stream, whole=False))
        self._drop(cursor)

    def tell_presence(self, stream: Id, key: XOnlyKey, frame: bytes) -> None:
        """Send the latest word about a key's presence."""
        if len(self._presence) < PRESENCE_WAITING or (stream, key) in self._presence:
            self._presence[stream, key] = frame
            self._wake.set()

    def poke(self, cursor: Cursor) -> None:
        """There may be something for this cursor."""
        self._behind[cursor] = None
        self._wake.set()

    def forget(self, cursor: Cursor) -> None:
        """Nothing more is to be sent for this cursor."""
        self._behind.pop(cursor, None)
        self.finished.pop(cursor.stream, None)

    # What is sent next ------------------------------------------------------------------------------------------

    async def next(self) -> bytes:
        """Wait for the next frame: answers first, then presence, then records, one stream after another, keygens first.

        Raises:
            Unavailable: older records could not be read.
        """
        while True:
            if (frame := self.ready()) is not None:
                return frame
            if self._behind:
                await self._read(self._turn())
                continue
            self._wake.clear()
            await self._wake.wait()

    def ready(self) -> bytes | None:
        """The next frame if nobody has to wait for it: what leaves in one write with the one before."""
        if self._replies:
            return self._take_reply()
        if self._presence:
            return self._presence.pop(next(iter(self._presence)))
        while self._behind:
            cursor = self._turn()
            frame = self._from_memory(cursor)
            if frame is not None or cursor in self._behind:
                return frame
        return None

    def _turn(self) -> Cursor:
        """Whose turn it is: the first that is behind; but its keygen is told to its end before a signing begins (§4.3).

        What its request names in the keygen's stream was committed before it, and so leaves before it.
        """
        cursor = next(iter(self._behind))
        session = self._source.live(cursor.stream) if cursor.next == 1 else None
        parent = session.settled.parent if session is not None and session.settled is not None else None
        keygen = self.cursors.get(parent) if parent is not None else None
        return keygen if keygen is not None and keygen in self._behind else cursor

    def _take_reply(self) -> bytes:
        frame, answers = self._replies.popleft()
        self._reply_bytes -= len(frame)
        self._under_way -= 1 if answers else 0
        self._look_for_room()
        return frame

    def _look_for_room(self) -> None:
        """Whether another request may be read: whoever takes no answers asks nothing more."""
        if self._closed or (self._under_way < REQUESTS_UNDER_WAY and self._reply_bytes < REPLY_BYTES):
            self._room.set()
        else:
            self._room.clear()

    def _from_memory(self, cursor: Cursor) -> bytes | None:
        """The cursor's next frame; None when it has come to the end (it is behind no more), or must be read.

        Rights are looked at for every record: whoever has lost them hears nothing more but that.
        """
        session = self._source.live(cursor.stream)
        if session is None:
            return None
        if cursor.next > (session.top if cursor.last is None else min(cursor.last, session.top)):
            del self._behind[cursor]
            self._at_the_end(cursor, session)
            return None
        if cursor.last is None and session.hearers.isdisjoint(self.proven):
            del self._behind[cursor]
            self.end(cursor)
            return self._take_reply()
        told = self._take_older(cursor) if cursor.batch else session.told(cursor.next)
        if told is None:
            return None
        cursor.next += 1
        newest = cursor.next > session.top and cursor.last is None
        return told.frame(self.proven, self._source.head(session) if newest else None)

    def _take_older(self, cursor: Cursor) -> Told:
        """The next record of a batch; after its last one it is the other cursors' turn."""
        told = cursor.batch.popleft()
        if not cursor.batch:
            del self._behind[cursor]
            self._behind[cursor] = None
        return told

    def _at_the_end(self, cursor: Cursor, session: Session) -> None:
        """A cursor with an end is done; one in a session that has ended may make room for others."""
        if cursor.last is not None:
            self._drop(cursor)
        elif session.settled is not None and not session.settled.open:
            self.finished[cursor.stream] = None

    async def _read(self, cursor: Cursor) -> None:
        """Load the session, or a batch of records that memory no longer holds; at most one cursor holds one."""
        if await self._source.get(cursor.stream) is None:
            self._behind.pop(cursor, None)
            self._drop(cursor)
            return
        session = self._source.live(cursor.stream) if self._turn() is cursor else None
        if session is not None and cursor.next <= session.top and session.told(cursor.next) is None:
            await self._account.turn(RECORD_US)
            older = await self._source.older(cursor.stream, cursor.next - 1)
            self._account.charge(sum(RECORD_US + BYTE_US * told.size for told in older))
            cursor.batch.extend(older)

"""PUBLISH: who hears a stream, who follows a key, and how a hearer resumes where it stood.

    settled part ─▶ the stream's cursors are poked ─▶ each outbox reads on, when its socket takes more
                 └▶ keys that the stream begins to concern ─▶ connections that follow them ─▶ a new cursor, from 1

Resume (§4.3), for a cursor that stood at ``since``:

    absent                                      from 1
    its hash stands there                       recovered: what follows it
    else: its epoch is that of the log there    reason fork, from 1       beyond the top: the store's present one
    else                                        reason epoch, from 1
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.machines.streams import as_keygen
from keymeld_protocol.values import Epoch, Id, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.frames import Since
from keymeld_protocol.wire.records import first_hash

from .outbox import Cursor, Outbox
from .session import Part, Session


@dataclass(frozen=True)
class Resumed:
    """From where a subscription goes on: the first offset to send, and what the peer is told about it."""

    next: int
    recovered: bool
    reason: str | None = None
    last: int | None = None


@dataclass(eq=False)
class Topic:
    """A stream to which somebody listens; ``hearers`` only while it is open, for presence."""

    cursors: dict[Outbox, Cursor] = field(default_factory=dict)
    hearers: frozenset[XOnlyKey] = frozenset()


class Hub:
    """All subscriptions of one coordinator."""

    def __init__(self, subscriptions_max: int) -> None:
        """At most ``subscriptions_max`` streams for one connection."""
        self._max = subscriptions_max
        self._topics: dict[Id, Topic] = {}
        self._followers: dict[XOnlyKey, set[Outbox]] = {}
        self._heard_by: dict[XOnlyKey, set[Id]] = {}
        self._partial: dict[Id, set[Outbox]] = {}
        self.subscriptions = 0

    # Subscriptions ----------------------------------------------------------------------------------------------

    def subscribe(self, outbox: Outbox, session: Session, resumed: Resumed) -> None:
        """Begin to send; the answer that says so must be in the outbox already.

        Raises:
            Refused: ``over_limit``.
        """
        self.unsubscribe(outbox, session.stream)
        self.make_room(outbox)
        if resumed.last is not None:
            self._remember_partial(outbox, session.stream)
        cursor = Cursor(outbox, session.stream, resumed.next, resumed.last)
        topic = self._topics.setdefault(session.stream, Topic())
        topic.cursors[outbox] = outbox.cursors[session.stream] = cursor
        self.subscriptions += 1
        if len(topic.cursors) == 1:
            self._index(session.stream, topic, session)
        outbox.poke(cursor)

    def make_room(self, outbox: Outbox) -> None:
        """See that one more stream can be heard; sessions that have ended are let go first.

        Raises:
            Refused: ``over_limit``.
        """
        while len(outbox.cursors) >= self._max and outbox.finished:
            self.unsubscribe(outbox, next(iter(outbox.finished)))
        if len(outbox.cursors) >= self._max:
            raise Refused(Reason.OVER_LIMIT, f"at most {self._max} streams on one connection", limit=self._max)

    def unsubscribe(self, outbox: Outbox, stream: Id) -> None:
        """Send no more of ``stream``; nothing happens if it was not heard."""
        if stream in outbox.partial:
            del outbox.partial[stream]
            self._forget_partial(outbox, stream)
        cursor = outbox.cursors.get(stream)
        if cursor is not None:
            self.drop(cursor)

    def drop(self, cursor: Cursor) -> None:
        """Take a cursor out."""
        outbox, stream = cursor.outbox, cursor.stream
        if outbox.cursors.get(stream) is not cursor:
            return
        del outbox.cursors[stream]
        outbox.forget(cursor)
        self.subscriptions -= 1
        topic = self._topics[stream]
        del topic.cursors[outbox]
        if not topic.cursors:
            self._unindex(stream, topic)
            del self._topics[stream]

    def follow(self, outbox: Outbox, keys: Iterable[XOnlyKey]) -> None:
        """From now on, streams that begin to concern ``keys`` are heard by themselves."""
        for key in keys:
            self._followers.setdefault(key, set()).add(outbox)

    def leave(self, outbox: Outbox) -> None:
        """The connection has ended."""
        for cursor in list(outbox.cursors.values()):
            self.drop(cursor)
        for stream in outbox.partial:
            self._forget_partial(outbox, stream)
        for key in outbox.proven:
            followers = self._followers.get(key, set())
            followers.discard(outbox)
            if not followers:
                self._followers.pop(key, None)

    # Publish ----------------------------------------------------------------------------------------------------

    def publish(self, part: Part) -> None:
        """What ``part`` says is on disk: whoever listens hears it, whoever is newly concerned begins to listen."""
        session = part.session
        for key in part.come:
            for outbox in self._followers.get(key, ()):
                self._begin(outbox, session)
        if part.changed:
            self._tell_rights(session)
        topic = self._topics.get(session.stream)
        if topic is None:
            return
        for cursor in topic.cursors.values():
            cursor.outbox.poke(cursor)
        if part.changed or not part.state.open:
            self._index(session.stream, topic, session)

    def _tell_rights(self, session: Session) -> None:
        """Whoever may not hear a stream any longer is told, and whoever asked for it before he might (§4.4)."""
        topic = self._topics.get(session.stream)
        for cursor in list(topic.cursors.values()) if topic is not None else []:
            if cursor.last is None and session.hearers.isdisjoint(cursor.outbox.proven):
                cursor.outbox.end(cursor)
                self._remember_partial(cursor.outbox, session.stream)
        for outbox in list(self._partial.get(session.stream, ())):
            self.tell_open(outbox, session)

    def tell_open(self, outbox: Outbox, session: Session) -> None:
        """Tell a connection that a stream, of which it had asked for more than it might hear, is open to it now."""
        if session.stream in outbox.partial and not session.hearers.isdisjoint(outbox.proven):
            del outbox.partial[session.stream]
            self._forget_partial(outbox, session.stream)
            outbox.notify(frames.hearing_frame(session.stream, whole=True))

    def _remember_partial(self, outbox: Outbox, stream: Id) -> None:
        """At most as many as subscriptions; the oldest go first."""
        outbox.partial[stream] = None
        self._partial.setdefault(stream, set()).add(outbox)
        if len(outbox.partial) > self._max:
            oldest = next(iter(outbox.partial))
            del outbox.partial[oldest]
            self._forget_partial(outbox, oldest)

    def _forget_partial(self, outbox: Outbox, stream: Id) -> None:
        waiting = self._partial.get(stream, set())
        waiting.discard(outbox)
        if not waiting:
            self._partial.pop(stream, None)

    def _begin(self, outbox: Outbox, session: Session) -> None:
        """A follower hears a stream from its first record; one with too many finds it by ``sessions``."""
        if session.stream not in outbox.cursors:
            try:
                self.subscribe(outbox, session, Resumed(1, recovered=False))
            except Refused:
                return

    # Presence ---------------------------------------------------------------------------------------------------

    def listeners(self, key: XOnlyKey) -> Iterator[tuple[Id, list[Outbox]]]:
        """The open streams that concern ``key``, and who listens to them and may."""
        for stream in self._heard_by.get(key, ()):
            topic = self._topics[stream]
            hearers = topic.hearers
            yield (
                stream,
                [
                    outbox
                    for outbox, cursor in topic.cursors.items()
                    if cursor.last is None and not hearers.isdisjoint(outbox.proven)
                ],
            )

    def _index(self, stream: Id, topic: Topic, session: Session) -> None:
        """Remember whom an open stream concerns."""
        is_open = session.settled is not None and session.settled.open
        hearers = session.hearers if is_open else frozenset()
        for key in topic.hearers - hearers:
            self._forget(key, stream)
        for key in hearers - topic.hearers:
            self._heard_by.setdefault(key, set()).add(stream)
        topic.hearers = hearers

    def _unindex(self, stream: Id, topic: Topic) -> None:
        for key in topic.hearers:
            self._forget(key, stream)

    def _forget(self, key: XOnlyKey, stream: Id) -> None:
        streams = self._heard_by[key]
        streams.discard(stream)
        if not streams:
            del self._heard_by[key]


def resume(session: Session, since: Since | None, proven: set[XOnlyKey], epoch: Epoch) -> Resumed:
    """Where a connection that has proven ``proven`` goes on in ``session``, having stood at ``since`` (§4.3, §4.4).

    Raises:
        Refused: ``slot_taken``, told to an invitation that was used.
    """
    if session.hearers.isdisjoint(proven):
        _check_invitation(session, proven)
        return Resumed(1, False, "first_record_only", last=1)
    if since is None:
        return Resumed(1, recovered=False)
    if since.offset <= session.top and since.hash == _hash_at(session, since.offset):
        return Resumed(since.offset + 1, recovered=True)
    here = session.chain.epoch_at(since.offset) if since.offset <= session.top else epoch
    return Resumed(1, False, "epoch" if since.offset and since.epoch != here else "fork")


def _hash_at(session: Session, offset: int) -> bytes:
    return session.chain.hashes[offset - 1] if offset else first_hash(session.stream)


def _check_invitation(session: Session, proven: set[XOnlyKey]) -> None:
    """An invite key of this keygen that hears nothing was used."""
    state = as_keygen(session.settled)
    if state is not None:
        for slot, invite in enumerate(state.create.slots):
            if invite in proven:
                raise Refused(Reason.SLOT_TAKEN, f"slot {slot} is taken", field="stream")

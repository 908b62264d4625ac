"""The enclave's mind: a record is heard, statements are said.  No sockets, no clock of its own, no log lines.

    keygen:   join for us ▶ take the envelope ▶ custody.accept | custody.refuse
              COMPLETED ▶ read and verify the roster ▶ keygen.confirm
              a slot left ▶ wipe its key ▶ custody.wiped, and signing.refuse wherever it is needed
    signing:  request ▶ make the plan ▶ signing.refuse when it is impossible, or a sealed policy forbids it
              attempt opened, we owe a step ▶ sealed rules met for every item and slot? ▶ contribute
              attempt opened before this process began, or our nonces are gone ▶ signing.retry

What is owed to a signing the protocol's contributor knows (``keymeld_protocol.member``), the same for whoever holds
keys.  Custody is the holder here: of each slot it gives the policy that was sealed with the key, then lends the key.

What the agent owes (§11.2) follows from the verified state, not from the message that came last: after a restart or a
reconnect it looks at the state and owes the same.  It believes nothing but signed statements it has verified itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

from keymeld_protocol.errors import Astray, BrokenLog, KeymeldError
from keymeld_protocol.machines.hearing import Hearing
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.member.contributing import Contributor
from keymeld_protocol.member.plans import Plans
from keymeld_protocol.member.speaker import Speaker
from keymeld_protocol.values import Id
from keymeld_protocol.wire.payloads import Note, SigningRequest
from keymeld_protocol.wire.records import Position, Record
from keymeld_protocol.wire.shapes import CLOCKS_APART_MS
from keymeld_protocol.wire.statements import Statement

from .custody import Custody, Unacceptable
from .door import OPEN, Door
from .group import Group, forget_superseded, needed_later
from .keymanagement import EnclaveIdentity
from .memory import Memory

Clock = Callable[[], int]


class Agent:
    """All the sessions of one enclave.  ``now`` gives the time (ms); ``concern`` hears what an operator should see.

    ``door`` bounds what it holds.
    """

    def __init__(
        self, identity: EnclaveIdentity, now: Clock, concern: Callable[[str], None] = lambda _: None,
        door: Door | None = None,
    ) -> None:  # fmt: skip
        self.identity = identity
        self.door = Door() if door is None else door
        self.hearing = Hearing(keep=needed_later)
        self._speaker = Speaker(identity.key, identity.sign)
        self._now = now
        self._concern = concern
        self._groups: dict[Id, Group] = {}
        self._contributors: dict[Id, Contributor] = {}
        self._said: dict[Id, set[Hashable]] = {}
        self._began: dict[Id, int] = {}
        self._waiting: dict[Id, None] = {}
        self._finished: list[Id] = []
        self._collecting: dict[Id, int] = {}
        self._unplanned: set[Id] = set()
        self._going_on: set[Id] = set()
        self._plans = Plans()
        self._memory = Memory(identity.key, now, concern)

    def subscribed(self, stream: Id, top: int, *, live: bool = False) -> list[Statement]:
        """``stream`` stood at ``top`` when it was subscribed: what came before may be another life's doing.

        ``live``: it may not, since its records were told to this process before, and only had no room to wait.
        """
        if self._memory.is_over_at(stream, top):
            self._finished.append(stream)
            return []
        self._began.setdefault(stream, 0 if live else top)
        heard = self.hearing.subscribed(stream, top)
        replay = self.hearing.streams[stream]
        return self._after(heard, also=replay)

    def hear(self, stream: Id, record: Record) -> list[Statement]:
        """Verify a record; what is owed now is returned to be submitted."""
        if not self._listens(stream, record):
            return []
        if isinstance(record.statement.payload, Note):
            record = record.without_blobs(Note.BLOBS)  # it may wait for its keygen
        try:
            return self._after(self.hearing.hear(stream, record), also=self._told_again(stream, record))
        except BrokenLog as error:
            self._concern(f"stream {stream.hex()} is not believed any more: {error}")
            self._give_up(stream)
        except Astray as error:
            self._concern(f"stream {stream.hex()} is served no longer: {error}")
            self._give_up(stream)
        return []

    def _listens(self, stream: Id, record: Record) -> bool:
        """Whether a record can concern us: not of a stream that is over here, nor of one that is not believed."""
        if self._memory.is_over(stream, record):
            return False
        said, replay = record.statement.payload, self.hearing.streams.get(stream)
        unheard = replay is None or replay.state is None  # of what was heard, nothing is let go without a trace
        if unheard and isinstance(said, SigningRequest) and said.keygen in self._memory:
            self._let_go(stream)  # nobody signs for a keygen that is over: what follows is not listened to either
            return False
        return record.offset == 1 if replay is None else replay.broken is None

    def _told_again(self, stream: Id, record: Record) -> Replay | None:
        """The stream of a request that was heard again because its body is needed."""
        if record.offset == 1 and stream in self._unplanned:
            contributor = self._contributors[stream]
            if contributor.heard.restore(record):
                self._unplanned.discard(stream)
                contributor.told_again()
                return contributor.heard
        return None

    def unplanned(self) -> frozenset[Id]:
        """The signings whose request has to be heard again, from the first record: they go on when it is."""
        return frozenset(self._unplanned)

    def position(self, stream: Id) -> Position | None:
        """Where the verified part of a stream ends, also of one that is over; None: it is needed from the first."""
        if stream in self._unplanned:
            return None
        replay = self.hearing.streams.get(stream)
        return self._memory.position(stream) if replay is None else replay.chain.position

    def caught_up(self, stream: Id) -> bool:
        """Whether a stream was heard as far as it had come, or nothing more of it is believed or listened to."""
        replay = self.hearing.streams.get(stream)
        if replay is None:
            return stream in self._memory
        return replay.broken is not None or (replay.chain.offset > 0 and replay.caught_up)

    def places(self, stream: Id) -> int:
        """How many signatures a signing under way takes: what its next record costs follows from it."""
        return self._contributors[stream].size if stream in self._contributors else 0

    def keygen_of(self, stream: Id) -> Id | None:
        """The keygen that a stream belongs to, or is; None: nothing of it was heard."""
        heard = self.hearing.streams.get(stream)
        if heard is None:
            return None
        return stream if heard.keygen is None else heard.keygen.stream

    def take_finished(self) -> list[Id]:
        """The streams that ended since the last call: whoever holds the socket may unsubscribe them."""
        finished, self._finished = self._finished, []
        return finished

    def tick(self) -> list[Statement]:
        """Look again at what waits for time alone: a rule with a time."""
        self.expire()
        return [said for stream in self.due() for said in self.look(stream)]

    def expire(self) -> None:
        """Let go of keygens whose time to complete is over, by our own clock."""
        for stream in [stream for stream, until in self._collecting.items() if until <= self._now()]:
            self._finish(self.hearing.streams[stream])

    def due(self) -> list[Id]:
        """The signings to look at again, since what they wait for is time."""
        return list(self._waiting)

    def going_on(self) -> frozenset[Id]:
        """The signings to look at again, since only a piece of what they need has been worked out."""
        return frozenset(self._going_on)

    def look(self, stream: Id) -> list[Statement]:
        """What is owed to a signing by now; one piece of it is worked out, if it takes several."""
        contributor = self._contributors.get(stream)
        return [] if contributor is None else self._owed(contributor.heard)

    def wipe(self) -> None:
        """Wipe every key and nonce."""
        for stream in [*self._contributors, *self._groups]:
            self._end(stream)
        self.identity.wipe()

    def _after(self, verified: Iterable[tuple[Replay, Record]], also: Replay | None = None) -> list[Statement]:
        """What is owed after these records, in each stream that moved (and in ``also``), once for each."""
        moved = {} if also is None or also.state is None else {also.stream: also}
        for replay, record in verified:
            moved[replay.stream] = replay
            if (state := replay.as_keygen) is not None:
                forget_superseded(replay, state)
            contributor = self._contributors.get(replay.stream)
            if contributor is not None:
                with self._alone(replay):
                    contributor.note(record)
        return list(chain.from_iterable(map(self._owed, moved.values())))

    def _owed(self, replay: Replay) -> list[Statement]:
        """What is owed in a stream; while it catches up, or is not believed, nothing."""
        believed = replay.broken is None and (replay.keygen is None or replay.keygen.broken is None)
        if not believed or not replay.caught_up:
            self._going_on.discard(replay.stream)  # who cannot go on has no turns: it is asked again when it can
            return []
        with self._alone(replay):
            if (state := replay.as_keygen) is not None:
                return list(self._owed_to_keygen(replay, state))
            if (signing := replay.as_signing) is not None:
                return self._owed_to_signing(replay, signing)
        return []

    @contextmanager
    def _alone(self, replay: Replay) -> Iterator[None]:
        """A mistake of ours in one session ends that session here: neither the process nor any other one."""
        try:
            yield
        except Exception as error:  # of a foreign one the message may quote what was sealed
            why = str(error) if isinstance(error, KeymeldError) else type(error).__name__
            self._concern(f"stream {replay.stream.hex()} is served no longer: {why}")
            replay.broken = replay.broken or BrokenLog(f"{replay.stream.hex()} cannot be served")
            self._give_up(replay.stream)

    # Keygens

    def _group(self, replay: Replay) -> Group:
        """The keygen of this stream, as we serve it."""
        if replay.stream not in self._groups:
            self._groups[replay.stream] = Group(
                Custody(replay, self.identity), self.door, self._memory, self._speaker, self._concern
            )
        return self._groups[replay.stream]

    def _owed_to_keygen(self, replay: Replay, state: KeygenState) -> Iterable[Statement]:
        if not state.open:
            self._finish(replay)
            return
        group = self._group(replay)
        yield from group.owed(state)
        if state.left and self._first_time(replay.stream, frozenset(state.left)):
            signings = [each for each in self._contributors.values() if each.heard.keygen is replay]
            yield from chain.from_iterable(self._owed(each.heard) for each in signings)
        self._collecting.pop(replay.stream, None)
        if state.roster is None:
            self._collecting[replay.stream] = state.create.expires_at + CLOCKS_APART_MS
        for stream in self.door.guest(replay.stream, replay.size if group.is_guest else 0):
            self._end(stream)
            self._let_go(stream)

    # Signings

    def _owed_to_signing(self, replay: Replay, state: SigningState) -> list[Statement]:
        if not state.open:
            self._finish(replay)
            return []
        contributor = self._contributors.get(replay.stream)
        return self._begin(replay, state) if contributor is None else self._owed_by(contributor)

    def _owed_by(self, contributor: Contributor) -> list[Statement]:
        """What a signing under way owes; one that waits for time is remembered for the next tick."""
        owed = contributor.owed(self._now())
        stream = contributor.heard.stream
        self._waiting.pop(stream, None)
        if contributor.waits_for_time:
            self._waiting[stream] = None
        for wanted, kept in ((contributor.wants_body, self._unplanned), (contributor.goes_on, self._going_on)):
            (kept.add if wanted else kept.discard)(stream)
        return owed

    def _begin(self, replay: Replay, state: SigningState) -> list[Statement]:
        """Take up a signing; one whose keygen does not hold is refused."""
        if replay.keygen is None or not state.keygen.slots_at(self.identity.key):
            return []
        group = self._group(replay.keygen)
        try:
            signer = group.signer()
            self._admit(replay, replay.keygen)
        except Unacceptable as error:
            if not self._first_time(replay.stream, state.attempt):
                return []
            self._concern(f"signing {replay.stream.hex()} is refused: {error}")
            return self._speaker.refuse(replay, group.custody, error.code, error.message)
        began = self._began.get(replay.stream, 0)
        contributor = Contributor(self._speaker, replay, signer, began, self._plans)
        self._contributors[replay.stream] = contributor
        for record in replay.records:
            contributor.note(record)
        return self._owed_by(contributor)

    def _admit(self, replay: Replay, keygen: Replay) -> None:
        """A place for a request among those that are remembered, and room for it while it is open.

        Raises:
            Unacceptable: there is none.
        """
        if not self.door.weigh(keygen.stream, replay.stream, OPEN + len(replay.records[0].statement.text)):
            raise Unacceptable("over_limit", "this keygen has more requests open than this enclave has room for")
        if not self._memory.take(keygen.stream, replay.stream):
            raise Unacceptable("over_limit", "this enclave takes part in no more signings until some have expired")

    # Ends

    def _finish(self, replay: Replay) -> None:
        """Let go of a stream that has ended; what we took part in is remembered (§11.2)."""
        self._end(replay.stream)
        self._memory.bury(replay)
        self._let_go(replay.stream)

    def _give_up(self, stream: Id) -> None:
        """Serve no longer what broke, or what we cannot follow: a signing is remembered, and a keygen kept as it is."""
        self._end(stream)
        replay = self.hearing.streams.get(stream)
        if replay is not None and replay.as_signing is not None and self._memory.bury(replay):
            self._let_go(stream)
        elif replay is not None:
            replay.records.clear()

    def _let_go(self, stream: Id) -> None:
        """Hear a stream no longer."""
        self.hearing.forget(stream)
        self._began.pop(stream, None)
        self._finished.append(stream)

    def _end(self, stream: Id) -> None:
        """Serve a stream no longer: what was held for it, and the nonces that wait in its signings, are wiped."""
        if stream in self._groups:
            for contributor in self._contributors.values():
                if contributor.heard.keygen is not None and contributor.heard.keygen.stream == stream:
                    contributor.wipe()
        if stream in self._contributors:
            self._contributors.pop(stream).close()
        if stream in self._groups:
            self._groups.pop(stream).wipe()
            self.door.drop(stream, stream)
        if (heard := self.hearing.streams.get(stream)) is not None and heard.keygen is not None:
            self.door.drop(heard.keygen.stream, stream)
        for kept in (self._going_on, self._unplanned):
            kept.discard(stream)
        self._waiting.pop(stream, None)
        self._collecting.pop(stream, None)
        self._said.pop(stream, None)

    def _first_time(self, stream: Id, what: Hashable) -> bool:
        """Whether this has not been said by this process in ``stream``."""
        said = self._said.setdefault(stream, set())
        fresh = what not in said
        said.add(what)
        return fresh

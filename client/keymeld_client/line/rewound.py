"""The side of a ledger that outlives a coordinator which was restored from a backup (§4.3).

answer ``epoch``, records from the first ─▶ verified anew ─▶ another epoch wherever they differ, else a fork
                                                └─▶ what is not in the log any more is kept, and waited for
``unknown_stream``, in a later epoch ─────▶ all of it was lost, and all of it is waited for
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

from keymeld_protocol.errors import Astray, BrokenLog, Fork
from keymeld_protocol.machines.hearing import Hearing
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.rewound import conflict, missing, shared
from keymeld_protocol.machines.signing import SigningPhase
from keymeld_protocol.values import Epoch, Id
from keymeld_protocol.wire.connection import SessionInfo
from keymeld_protocol.wire.frames import WireHead, WireRecord, record_of
from keymeld_protocol.wire.payloads import KeygenLeave, SigningRequest
from keymeld_protocol.wire.records import Position, Record

from ..wallet.wallet import Wallet
from .bygone import bygone
from .checkpoints import Checkpoints
from .evidence import Theirs
from .heads import Heads
from .listening import Listening
from .lost import NOT_THERE, told_lost
from .returning import Returning


class Rewound(Listening):
    """Verified histories, and what was lost of them.

    ``epoch`` is the store's present one, ``gone`` the streams that it has lost altogether, ``unlisted`` the signings of
    earlier ones that it does not list; ``look_again`` asks for a stream anew.
    """

    def __init__(self, wallet: Wallet, now: Callable[[], int]) -> None:
        """Nothing was heard; ``now`` is the clock (ms)."""
        super().__init__()
        self.wallet, self.now = wallet, now
        self.hearing = Hearing()
        self.heads = Heads(wallet, now)
        self.checkpoints = Checkpoints(wallet)
        self.epoch: Epoch | None = None
        self.returning = Returning()
        self.gone: set[Id] = set()
        self.unlisted: set[Id] = set()
        self.look_again: Callable[[Id], None] | None = None
        self._looking: set[Id] = set()
        self._stored: dict[Id, int] = {}

    @abstractmethod
    def head(self, stream: Id, wire: WireHead) -> None:
        """Check a signed head."""

    @abstractmethod
    def _break(self, heard: Replay, error: BrokenLog, theirs: Theirs) -> None:
        """This session is read-only from now on."""

    def position(self, stream: Id) -> Position | None:
        """From where ``stream`` is resumed; None: from its first record."""
        heard = self.hearing.streams.get(stream)
        return heard.chain.position if heard is not None else None

    def streams(self) -> tuple[Replay, ...]:
        """All the streams of which something was verified."""
        return tuple(heard for heard in self.hearing.streams.values() if heard.state is not None)

    def caught_up(self) -> bool:
        """Whether every stream was heard as far as it had come when it was subscribed."""
        return all(r.caught_up or self.trouble(s) is not None for s, r in self.hearing.streams.items())

    def has_heard(self, stream: Id, statement: Id) -> bool:
        """Whether a statement needs not be said again: its record was verified, or nothing of its stream is heard."""
        heard = self.replay(stream)
        return heard is None or statement in heard.chain.ids

    def has_ended(self, stream: Id) -> bool:
        """Whether a signing was heard to its end: nothing follows."""
        heard = self.replay(stream)
        state = heard.as_signing if heard is not None else None
        return state is not None and not state.open

    # What was lost ----------------------------------------------------------------------------------------------

    def missing(self, stream: Id) -> tuple[Record, ...]:
        """The statements of ``stream`` that its coordinator has lost and that are waited for, in their order (§4.3)."""
        heard, lost, without = self.replay(stream), self.wallet.lost.of(stream), self.wallet.lost.without(stream)
        if heard is None or not (lost or stream in self.gone) or self.trouble(stream) is not None:
            return ()
        if stream in self.gone:
            return missing((), [*heard.records, *lost], None, self.now(), without)
        return missing(heard.records, lost, heard, self.now(), without)

    def lost_leavings(self, keygen: Id) -> tuple[int, ...]:
        """The slots whose leaving was lost and is not back, also where this owner goes on without it."""
        heard, lost = self.replay(keygen), self.wallet.lost.of(keygen)
        if heard is None or not lost:
            return ()
        said = (record.statement.payload for record in missing(heard.records, lost, heard, self.now()))
        return tuple(sorted({each.slot for each in said if isinstance(each, KeygenLeave)}))

    def waiting(self, stream: Id) -> str | None:
        """That nothing new is said in ``stream`` until what was lost is back, and who owes it; None: nothing is."""
        heard = self.replay(stream)
        parent = heard.state.parent if heard is not None and heard.state is not None else None
        keygen = self.replay(parent or stream)
        told = told_lost(self.missing(stream), keygen.as_keygen if keygen is not None else None)
        if told is None and stream in self.gone | self.unlisted and self.trouble(stream) is None:
            return NOT_THERE
        return told or (self.waiting(parent) if parent is not None else None)

    # What is told anew ------------------------------------------------------------------------------------------

    def is_of_earlier_epochs(self, heard: Replay) -> bool:
        """Whether all that was verified of a stream is of other epochs than the store's present one."""
        return self.epoch is not None and bool(heard.records) and self.epoch not in [e for _, e in heard.chain.epochs]

    def is_over(self, heard: Replay) -> bool:
        """Whether a signing has ended so that no restore reaches it: it was signed, or its time is over (§4.3).

        One that a no has ended goes on where the no is lost, and then it has to be said again.
        """
        state = heard.as_signing
        if state is None or state.open:
            return False
        return state.phase == SigningPhase.COMPLETED or state.request.expires_at <= self.now()

    def note_listed(self, listed: Sequence[SessionInfo]) -> None:
        """Note the signings of earlier epochs that are not in the list, though their keygen is: they were lost."""
        there = {each.stream for each in listed}
        signings = ((heard, heard.state.parent) for heard in self.streams() if heard.state is not None)
        lost = (heard for heard, parent in signings if heard.stream not in there and parent in there)
        self.unlisted = {heard.stream for heard in lost if self.is_of_earlier_epochs(heard)}

    def told_before(self, stream: Id, records: Sequence[WireRecord]) -> Replay | None:
        """What is stored of a signing that was asked for after what the keygen's coordinator has lost."""
        said = record_of(records[0], verified=True).statement.payload
        keygen = self.replay(said.keygen) if isinstance(said, SigningRequest) else None
        if keygen is None or not isinstance(said, SigningRequest) or keygen.chain.knows(said.after):
            return None
        return bygone(records, keygen, self.wallet.lost.of(keygen.stream))

    def is_listed_otherwise(self, listed: SessionInfo) -> bool:
        """Whether a stream that has ended here stands otherwise in the list of a coordinator that was restored."""
        heard = self.hearing.streams.get(listed.stream)
        if heard is None or self.is_over(heard) or not self.is_of_earlier_epochs(heard):
            return False
        return (listed.top, listed.hash) != (heard.chain.offset, heard.chain.hash)

    def _is_told_anew(self, heard: Replay, record: Record) -> bool:
        """Whether a record is of another epoch than the one verified in its place: no fork, but to be asked for."""
        ours = heard.chain.epoch_at(record.offset)
        if ours in (None, record.epoch) or heard.chain.hashes[record.offset - 1] == record.hash:
            return False
        goes_on = heard.state is not None and not self.is_over(heard)
        if goes_on and heard.stream not in self._looking and self.look_again is not None:
            self._looking.add(heard.stream)
            self.look_again(heard.stream)
        return True

    def _return(self) -> None:
        """Verify what is told anew as it comes, from the first record, and go on with it once all of it was told."""
        while (stream := self.returning.next()) is not None:
            heard, anew = self.hearing.replay(stream), self.returning.history(stream, self._begin)
            try:
                for record in self.returning.take(stream):
                    anew.hear(record)
                if not anew.caught_up:
                    continue
                self._require_other_epochs(heard, anew)
            except (BrokenLog, Astray) as error:
                self._give_up(heard, error, anew.evidence)
                continue
            answer = self.returning.drop(stream)
            self._become(heard, anew)
            if answer is not None and answer.head is not None:
                self.head(stream, answer.head)
            self.ring(None)

    def _begin(self, stream: Id, record: Record) -> Replay:
        """Another history of a stream, which begins with ``record``."""
        return Replay(stream, self._home(record), self.hearing.coordinator)

    def _give_up(self, heard: Replay, error: BrokenLog | Astray, evidence: Record | None) -> None:
        """What is told anew does not hold: no more of it is taken."""
        self.returning.drop(heard.stream)
        if isinstance(error, BrokenLog):
            self._break(heard, error, evidence)
        else:
            heard.broken = error
        self.ring(None)

    def _home(self, record: Record) -> Replay | None:
        """The keygen of a signing that begins with ``record``."""
        said = record.statement.payload
        return self.hearing.streams.get(said.keygen) if isinstance(said, SigningRequest) else None

    def _require_other_epochs(self, heard: Replay, anew: Replay) -> None:
        """What differs is of other epochs on either side; else it is a fork, whatever it is called.

        Raises:
            Fork: two records stand at one offset of one epoch, or the present epoch lacks one that it had.
        """
        offset = conflict(heard.records, anew.records, self.epoch or anew.records[-1].epoch)
        if offset is not None:
            anew.evidence = anew.records[offset - 1] if offset <= len(anew.records) else None
            raise Fork(f"the coordinator tells offset {offset} of {heard.stream.hex()} in two ways within one epoch")

    def _become(self, heard: Replay, anew: Replay) -> None:
        """Go on with the new history; what is not in it is kept."""
        stream, start = heard.stream, shared(heard.records, anew.records)
        lost = heard.records[start:]
        self.heads.forget(stream)
        self.checkpoints.forget(stream)
        self.gone.discard(stream)
        self.unlisted.discard(stream)
        heard.become(anew)
        heard.top = anew.top
        self.wallet.tell_anew(stream, anew.records, lost)
        self._stored[stream] = anew.chain.offset
        self.heard += [(stream, record) for record in anew.records[start:]]

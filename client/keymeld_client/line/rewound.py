"""The side of a ledger that outlives a coordinator which was restored from a backup (§4.3).

answer ``epoch``, records from the first ─▶ verified anew ─▶ another epoch wherever they differ, else a fork
                                                └─▶ what is not in the log any more is kept, and waited for
``unknown_stream``, in a later epoch ─────▶ all of it was lost, and all of it is waited for
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from keymeld_protocol.errors import Astray, BrokenLog, Fork
from keymeld_protocol.machines.hearing import Hearing
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.rewound import conflict, missing, shared
from keymeld_protocol.values import Epoch, Id
from keymeld_protocol.wire.frames import WireHead
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.records import Record

from ..wallet.wallet import Wallet
from .checkpoints import Checkpoints
from .evidence import Theirs
from .heads import Heads
from .listening import Listening
from .lost import told_lost
from .returning import Returning


class Rewound(Listening):
    """Verified histories, and what was lost of them.

    ``epoch`` is the store's present one, ``gone`` the streams that it has lost altogether; ``look_again`` asks for a
    stream anew.
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
        self.look_again: Callable[[Id], None] | None = None
        self._looking: set[Id] = set()
        self._stored: dict[Id, int] = {}

    @abstractmethod
    def head(self, stream: Id, wire: WireHead) -> None:
        """Check a signed head."""

    @abstractmethod
    def _break(self, heard: Replay, error: BrokenLog, theirs: Theirs) -> None:
        """This session is read-only from now on."""

    # What was lost ----------------------------------------------------------------------------------------------

    def missing(self, stream: Id) -> tuple[Record, ...]:
        """The statements of ``stream`` that its coordinator has lost and that are waited for, in their order (§4.3)."""
        heard, lost, without = self.replay(stream), self.wallet.lost.of(stream), self.wallet.lost.without(stream)
        if heard is None or not (lost or stream in self.gone) or self.trouble(stream) is not None:
            return ()
        if stream in self.gone:
            return missing((), [*heard.records, *lost], None, self.now(), without)
        return missing(heard.records, lost, heard, self.now(), without)

    def waiting(self, stream: Id) -> str | None:
        """That nothing new is said in ``stream`` until what was lost is back, and who owes it; None: nothing is."""
        heard = self.replay(stream)
        parent = heard.state.parent if heard is not None and heard.state is not None else None
        keygen = self.replay(parent or stream)
        told = told_lost(self.missing(stream), keygen.as_keygen if keygen is not None else None)
        return told or (self.waiting(parent) if parent is not None else None)

    # What is told anew ------------------------------------------------------------------------------------------

    def is_of_earlier_epochs(self, heard: Replay) -> bool:
        """Whether all that was verified of a stream is of other epochs than the store's present one."""
        return self.epoch is not None and bool(heard.records) and self.epoch not in [e for _, e in heard.chain.epochs]

    def _is_told_anew(self, heard: Replay, record: Record) -> bool:
        """Whether a record is of another epoch than the one verified in its place: no fork, but to be asked for."""
        ours = heard.chain.epoch_at(record.offset)
        if ours in (None, record.epoch) or heard.chain.hashes[record.offset - 1] == record.hash:
            return False
        is_open = heard.state is not None and heard.state.open
        if is_open and heard.stream not in self._looking and self.look_again is not None:
            self._looking.add(heard.stream)
            self.look_again(heard.stream)
        return True

    def _return(self) -> None:
        """Verify whatever was told anew, from the first record, and go on with it."""
        while told := self.returning.told():
            stream, heard = told[0], self.hearing.replay(told[0])
            answer, records = self.returning.take(stream)
            anew = Replay(stream, self._home(records[0]), self.hearing.coordinator, top=answer.top)
            try:
                for record in records:
                    anew.hear(record)
                self._require_other_epochs(heard, anew)
            except BrokenLog as error:
                self._break(heard, error, anew.evidence)
            except Astray as error:
                heard.broken = error
            else:
                self._become(heard, anew)
                if answer.head is not None:
                    self.head(stream, answer.head)
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
        heard.become(anew)
        heard.top = anew.top
        self.wallet.tell_anew(stream, anew.records, lost)
        self._stored[stream] = anew.chain.offset
        self.heard += [(stream, record) for record in anew.records[start:]]

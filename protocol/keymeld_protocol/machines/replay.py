"""One stream as a hearer has verified it: the chain, the state, and the records themselves (§11.1).

Whoever hears a stream puts every record through ``Replay.hear``: the same code runs in the coordinator (which says the
statements' places), in an enclave before it uses a key, and in a client before it shows anything.

    frame ▶ Statement.parse (canonical, signed) ▶ Chain.check (place, hash) ▶ ``after`` is ours ▶ machine.apply ▶ state

A record that fails leaves nothing behind; the session becomes read-only for this hearer, because whoever let it into
the log broke the protocol.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..errors import Astray, BrokenLog, Fork, Refused, WireError
from ..values import Id, XOnlyKey
from ..wire.payloads import KeygenCreate, KeygenJoin, SigningRequest, WalletOpen
from ..wire.records import Chain, Head, Record, head_is_signed
from .keygen_state import KeygenState
from .signing_state import SigningState
from .streams import State, as_keygen, as_signing, step


def kept(_: Record) -> bool:
    """Every record is kept."""
    return True


@dataclass
class Replay:
    """A stream being heard; ``keygen`` is the verified keygen that a signing belongs to.

    ``keep`` says which records are kept once they were verified; the others leave their place and their hash.
    ``size`` counts the bytes of the statements that are kept.  ``top`` is the offset of the latest record when the
    stream was subscribed; ``broken`` says why nothing more is believed, and ``evidence`` is the record that broke it;
    there is none where we are to blame (``Astray``).
    """

    stream: Id
    keygen: Replay | None = None
    coordinator: XOnlyKey | None = None
    chain: Chain = field(init=False)
    state: State | None = None
    keep: Callable[[Record], bool] = kept
    records: list[Record] = field(default_factory=list)
    size: int = 0
    top: int = 0
    broken: BrokenLog | Astray | None = None
    evidence: Record | None = None

    @property
    def caught_up(self) -> bool:
        """Whether every record that existed when this stream was subscribed has been heard."""
        return self.chain.offset >= self.top

    @property
    def as_keygen(self) -> KeygenState | None:
        """The state, if this is a keygen of which something was heard."""
        return as_keygen(self.state)

    @property
    def as_signing(self) -> SigningState | None:
        """The state, if this is a signing of which something was heard."""
        return as_signing(self.state)

    def __post_init__(self) -> None:
        self.chain = Chain(self.stream)

    def record_of(self, statement: Id) -> Record:
        """The record that gave a statement its place in this stream.

        Raises:
            KeyError: no such statement was heard, or is kept, here.
        """
        return self.records[self._place_of(statement)]

    def become(self, anew: Replay) -> None:
        """Go on with another verified history of this stream (§4.3); whoever builds on this one builds on that.

        Who may be signed stays so: that psigs were sent is not forgotten with the records that said it (§7.1).
        """
        before = self.as_signing
        self.chain, self.state, self.records, self.size = anew.chain, anew.state, anew.records, anew.size
        self.keygen, self.broken, self.evidence = anew.keygen, anew.broken, anew.evidence
        if before is not None and before.psig_sent:
            self.mind_psigs()

    def mind_psigs(self) -> None:
        """Psigs were sent for this signing in records that were lost: somebody may hold a signature (§7.1)."""
        if isinstance(self.state, SigningState):
            self.state = replace(self.state, psig_sent=True)

    def let_go(self, statement: Id, field: str) -> None:
        """Keep the record of a statement without the sealed bytes of ``field``; its place and its hash stay.

        Raises:
            KeyError: as `record_of`.
        """
        place = self._place_of(statement)
        self._put(place, self.records[place].without_blobs((field,)))

    def forget(self, statement: Id) -> None:
        """Keep nothing of a statement but its place and its hash.

        Raises:
            KeyError: as `record_of`.
        """
        self.size -= self.records.pop(self._place_of(statement)).statement.size

    def restore(self, record: Record) -> bool:
        """Take a record again whose sealed bytes were let go; False: it is another one than was heard here."""
        offset = self.chain.ids.get(record.statement.id)
        if offset is None or (record.offset, record.hash) != (offset, self.chain.hashes[offset - 1]):
            return False
        place = self._place_of(record.statement.id)
        self._put(place, replace(self.records[place], statement=record.statement))  # its time and place are verified
        return True

    def _put(self, place: int, record: Record) -> None:
        self.size += record.statement.size - self.records[place].statement.size
        self.records[place] = record

    def _place_of(self, statement: Id) -> int:
        """Where the record of a statement lies among those that are kept."""
        offset = self.chain.ids[statement]
        place = bisect_left(self.records, offset, key=lambda record: record.offset)
        if place == len(self.records) or self.records[place].offset != offset:
            raise KeyError(statement)
        return place

    def hear(self, record: Record) -> State:
        """Verify ``record`` and move; its statement has been parsed, so its signatures hold.

        Raises:
            BrokenLog: the record cannot follow; this stream is read-only from now on.
            Astray: our machine does not hold to its table; the same, and nobody is to blame for it.
        """
        if self.broken is not None:
            raise self.broken
        try:
            state = self._verified(record)
        except BrokenLog as error:
            self.broken, self.evidence = error, record
            raise
        except Astray as error:  # ours: evidence against nobody
            self.broken = Astray(f"{self.stream.hex()} cannot be followed by this version: {error}")
            raise self.broken from error
        self.state = state
        self.chain.append(record)
        if self.keep(record):
            self.records.append(record)
            self.size += record.statement.size
        return state

    def _verified(self, record: Record) -> State:
        """The state after ``record``, if it may follow (checked in the order of §11.1)."""
        if self.keygen is not None and self.keygen.broken is not None:
            if isinstance(self.keygen.broken, Astray):
                raise self.keygen.broken
            raise BrokenLog(f"{self.stream.hex()} belongs to a keygen whose log does not hold")
        self.chain.check(record)
        self._check_after(record)
        try:
            return step(self.state, record, self.keygen.as_keygen if self.keygen is not None else None)
        except WireError as error:
            raise BrokenLog(f"offset {record.offset} of {self.stream.hex()}: {error}") from error

    def _check_after(self, record: Record) -> None:
        """The speaker's ``after`` is in our history; a request's is in the keygen's (§11.1.3)."""
        said = record.statement.payload
        if record.offset == 1 and record.statement.id != self.stream:
            raise BrokenLog(f"{self.stream.hex()} does not begin with the statement that names it")
        if isinstance(said, SigningRequest) and record.offset == 1:
            if self.keygen is None or self.keygen.stream != said.keygen:
                raise BrokenLog(f"{self.stream.hex()} belongs to a keygen that was not verified")
            if not self.keygen.chain.knows(said.after):
                raise Fork(f"{self.stream.hex()} was requested in another history of its keygen")
            self._check_standing(said, self.keygen)
        elif isinstance(said, (KeygenCreate, WalletOpen)) and record.offset == 1:
            if self.coordinator is not None and getattr(said, "coordinator", self.coordinator) != self.coordinator:
                raise BrokenLog(f"{self.stream.hex()} names another coordinator than this one")
        else:
            after, stream = getattr(said, "after", None), getattr(said, "stream", None)
            if stream != self.stream:
                raise BrokenLog(f"offset {record.offset} of {self.stream.hex()} was said for another stream")
            if after is None or not self.chain.knows(after):
                raise Fork(f"offset {record.offset} of {self.stream.hex()} was said in another history")
            self._check_latest(record)

    def _check_latest(self, record: Record) -> None:
        """No join was held back until another one of the same auth key had come (§6.2)."""
        said, state = record.statement.payload, self.as_keygen
        if isinstance(said, KeygenJoin) and state is not None:
            try:
                state.require_latest(said, self.chain.offsets[said.after])
            except Refused as error:
                raise BrokenLog(f"offset {record.offset} of {self.stream.hex()}: {error.message}") from None

    def _check_standing(self, said: SigningRequest, keygen: Replay) -> None:
        """Where the requester stood, the key was complete and no slot that is needed had left (§7.2, §6.5).

        Leaving later touches nothing that was asked for.
        """
        if (state := keygen.as_keygen) is not None:
            stood = keygen.chain.offsets[said.after]
            try:
                state.require_completed(stood)
                state.require_present(said.slots, stood)
            except Refused as error:
                raise BrokenLog(f"{self.stream.hex()}: {error.message}") from None

    def check_head(self, head: Head) -> None:
        """A signed head must be the coordinator's and agree with this history (§4.2, §11.1.5).

        Raises:
            Fork: the head names another hash for an offset that we have verified in its epoch: this convicts.
            BrokenLog: it is of another epoch than our record at that offset, which convicts nobody, or not signed by
                the coordinator that ``keygen.create`` names.
        """
        key = coordinator_of(self.state) or self.coordinator
        if key is not None and not head_is_signed(self.stream, head, key):
            raise BrokenLog(f"the head of {self.stream.hex()} is not signed by its coordinator")
        if not 1 <= head.offset <= self.chain.offset or self.agrees(head):
            return
        where = f"the head at offset {head.offset} of {self.stream.hex()}"
        if self.records[head.offset - 1].epoch == head.epoch:
            self.broken = Fork(f"{where} is of another history")
        else:
            self.broken = BrokenLog(f"{where} is of another epoch than the record there")
        raise self.broken

    def agrees(self, head: Head) -> bool:
        """Whether ``head`` names a record that was verified here, epoch and all; says nothing of its signature."""
        return 1 <= head.offset <= self.chain.offset and self.records[head.offset - 1].position == head.position


def coordinator_of(state: State | None) -> XOnlyKey | None:
    """The key whose notices and heads count for this stream."""
    return state.coordinator if state is not None else None

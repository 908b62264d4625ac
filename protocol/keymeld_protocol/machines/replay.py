"""One stream as a hearer has verified it: the chain, the state, and the records themselves.

Whoever hears a stream puts every record through ``Replay.hear``: the same code runs in the coordinator (which says the
statements' places), in an enclave before it uses a key, and in a client before it shows anything.

    frame ▶ Statement.parse (canonical, signed) ▶ Chain.check (place, hash) ▶ ``after`` is ours ▶ machine.apply ▶ state

A record that fails leaves nothing behind; the session becomes read-only for this hearer, because whoever let it into
the log broke the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..errors import BrokenLog, Fork, Reason, Refused, WireError
from ..values import Id, XOnlyKey
from ..wire.payloads import KeygenCreate, SigningRequest, WalletNote, WalletOpen
from ..wire.records import Chain, Head, Record, head_is_signed
from ..wire.shapes import MAX_WALLET_NOTES
from . import keygen, signing
from .keygen import KeygenState
from .signing import SigningState


@dataclass(frozen=True)
class WalletState:
    """A wallet's stream of sealed notes: only its own key speaks there."""

    stream: Id
    owner: XOnlyKey
    notes: int = 0

    @property
    def open(self) -> bool:
        """Notes may always follow."""
        return True

    def hearers(self) -> frozenset[XOnlyKey]:
        """The owner alone."""
        return frozenset({self.owner})

    def deadline(self) -> int | None:
        """The clock has nothing to say here."""
        return None


State = KeygenState | SigningState | WalletState


@dataclass
class Replay:
    """A stream being heard; ``keygen`` is the verified keygen that a signing belongs to.

    ``top`` is the offset of the latest record when the stream was subscribed; ``broken`` says why nothing more is
    believed, and ``evidence`` is the record that broke it.
    """

    stream: Id
    keygen: Replay | None = None
    coordinator: XOnlyKey | None = None
    chain: Chain = field(init=False)
    state: State | None = None
    records: list[Record] = field(default_factory=list)
    top: int = 0
    broken: BrokenLog | None = None
    evidence: Record | None = None

    @property
    def caught_up(self) -> bool:
        """Whether every record that existed when this stream was subscribed has been heard."""
        return self.chain.offset >= self.top

    def __post_init__(self) -> None:
        self.chain = Chain(self.stream)

    def record_of(self, statement: Id) -> Record:
        """The record that gave a statement its place in this stream.

        Raises:
            KeyError: no such statement was heard here.
        """
        return self.records[self.chain.ids[statement] - 1]

    def let_go(self, statement: Id, field: str) -> None:
        """Keep the record of a statement without the sealed bytes of ``field``; its place and its hash stay.

        Raises:
            KeyError: no such statement was heard here.
        """
        place = self.chain.ids[statement] - 1
        self.records[place] = self.records[place].without_blobs((field,))

    def hear(self, record: Record) -> State:
        """Verify ``record`` and move; its statement has been parsed, so its signatures hold.

        Raises:
            BrokenLog: the record cannot follow; this stream is read-only from now on.
        """
        if self.broken is not None:
            raise self.broken
        try:
            state = self._verified(record)
        except BrokenLog as error:
            self.broken, self.evidence = error, record
            raise
        self.state = state
        self.chain.append(record)
        self.records.append(record)
        return state

    def _verified(self, record: Record) -> State:
        """The state after ``record``, if it may follow."""
        if self.keygen is not None and self.keygen.broken is not None:
            raise BrokenLog(f"{self.stream.hex()} belongs to a keygen whose log does not hold")
        self.chain.check(record)
        self._check_after(record)
        try:
            return step(self.state, record, self._keygen_state())
        except WireError as error:
            raise BrokenLog(f"offset {record.offset} of {self.stream.hex()}: {error}") from error

    def _check_after(self, record: Record) -> None:
        """The speaker's ``after`` is in our history; a request's is in the keygen's."""
        said = record.statement.payload
        if record.offset == 1 and record.statement.id != self.stream:
            raise BrokenLog(f"{self.stream.hex()} does not begin with the statement that names it")
        if isinstance(said, SigningRequest) and record.offset == 1:
            if self.keygen is None or self.keygen.stream != said.keygen:
                raise BrokenLog(f"{self.stream.hex()} belongs to a keygen that was not verified")
            if not self.keygen.chain.knows(said.after):
                raise Fork(f"{self.stream.hex()} was requested in another history of its keygen")
            self._check_present(said, self.keygen)
        elif isinstance(said, (KeygenCreate, WalletOpen)) and record.offset == 1:
            if self.coordinator is not None and getattr(said, "coordinator", self.coordinator) != self.coordinator:
                raise BrokenLog(f"{self.stream.hex()} names another coordinator than this one")
        else:
            after, stream = getattr(said, "after", None), getattr(said, "stream", None)
            if stream != self.stream:
                raise BrokenLog(f"offset {record.offset} of {self.stream.hex()} was said for another stream")
            if after is None or not self.chain.knows(after):
                raise Fork(f"offset {record.offset} of {self.stream.hex()} was said in another history")

    def _check_present(self, said: SigningRequest, keygen: Replay) -> None:
        """No slot that is needed had left where the requester stood; leaving later does not touch what was asked."""
        if isinstance(keygen.state, KeygenState):
            try:
                keygen.state.require_present(said.slots, keygen.chain.offsets[said.after])
            except Refused as error:
                raise BrokenLog(f"{self.stream.hex()}: {error.message}") from None

    def _keygen_state(self) -> KeygenState | None:
        state = self.keygen.state if self.keygen is not None else None
        return state if isinstance(state, KeygenState) else None

    def check_head(self, head: Head) -> None:
        """A signed head must be the coordinator's and agree with this history.

        Raises:
            Fork: the head names another hash for an offset we have verified.
            BrokenLog: it is not signed by the coordinator that ``keygen.create`` names.
        """
        key = coordinator_of(self.state) or self.coordinator
        if key is not None and not head_is_signed(self.stream, head, key):
            raise BrokenLog(f"the head of {self.stream.hex()} is not signed by its coordinator")
        if 1 <= head.offset <= self.chain.offset and self.chain.hashes[head.offset - 1] != head.hash:
            self.broken = Fork(f"the head at offset {head.offset} of {self.stream.hex()} is of another history")
            raise self.broken


def coordinator_of(state: State | None) -> XOnlyKey | None:
    """The key whose notices and heads count for this stream."""
    if isinstance(state, KeygenState):
        return state.create.coordinator
    return state.keygen.create.coordinator if isinstance(state, SigningState) else None


def step(state: State | None, record: Record, keygen_state: KeygenState | None = None) -> State:
    """The state after ``record``, whatever the stream's kind.

    Raises:
        WireError: the machine refuses it; nothing has changed.
    """
    said = record.statement.payload
    if isinstance(state, KeygenState):
        return keygen.apply(state, record)
    if isinstance(state, SigningState):
        return signing.apply(state, record)
    if isinstance(state, WalletState):
        return _wallet_apply(state, record)
    if isinstance(said, WalletOpen):
        return WalletState(record.statement.id, said.by)
    if isinstance(said, SigningRequest) and keygen_state is not None:
        return signing.opened(record, keygen_state)
    return keygen.opened(record)


def _wallet_apply(state: WalletState, record: Record) -> WalletState:
    said = record.statement.payload
    if not isinstance(said, WalletNote) or said.by != state.owner:
        raise Refused(Reason.NOT_ALLOWED, "by: only the wallet's own notes stand here", field="by")
    if state.notes >= MAX_WALLET_NOTES:
        message = f"at most {MAX_WALLET_NOTES} notes in a wallet"
        raise Refused(Reason.OVER_LIMIT, message, field="kind", limit=MAX_WALLET_NOTES)
    return replace(state, notes=state.notes + 1)

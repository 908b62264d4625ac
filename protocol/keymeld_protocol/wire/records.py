"""Records: statements with their place in a log, and the hash chain that holds them there (§4.1, §4.2).

    hash₀      = TH("keymeld/stream/v1", stream)
    hash_{n}   = TH("keymeld/record/v1", hash_{n−1} ‖ epoch ‖ u64 offset ‖ u64 at ‖ id)
    head       = BIP-340 by the coordinator key over
                 TH("keymeld/head/v1", stream ‖ epoch ‖ u64 offset ‖ hash ‖ u64 at ‖ nonce)

Offsets start at 1 without gaps; ``at`` (milliseconds since the Unix epoch) never goes back.  Two heads for one offset
of one epoch convict the coordinator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ..curve.schnorr import tagged_hash, verify
from ..errors import BrokenLog, Fork
from ..values import Epoch, Hash, Id, Salt, Signature, XOnlyKey
from .statements import Statement


@dataclass(frozen=True)
class Position:
    """Where a hearer stands in a stream; offset 0 is before the first record."""

    epoch: Epoch
    offset: int
    hash: Hash


@dataclass(frozen=True)
class Record:
    """A statement and its place; what was decided is what is stored is what is sent."""

    epoch: Epoch
    offset: int
    at: int
    hash: Hash
    statement: Statement

    @property
    def position(self) -> Position:
        """Where a hearer of this record stands."""
        return Position(self.epoch, self.offset, self.hash)

    def without_blobs(self, fields: Iterable[str]) -> Record:
        """The same record for a hearer whom the ciphertexts of ``fields`` do not concern."""
        return replace(self, statement=self.statement.without_blobs(fields))


@dataclass(frozen=True)
class Head:
    """The coordinator's word that at its time ``at`` (ms) the latest record of a stream was this one.

    ``nonce`` is the one that a hearer gave (32 bytes), None where nobody did.
    """

    epoch: Epoch
    offset: int
    hash: Hash
    at: int
    signature: Signature
    nonce: Salt | None = None

    @property
    def position(self) -> Position:
        """The record that it names."""
        return Position(self.epoch, self.offset, self.hash)


def first_hash(stream: Id) -> Hash:
    """The hash before a stream's first record."""
    return Hash(tagged_hash("keymeld/stream/v1", stream))


def record_hash(previous: Hash, epoch: Epoch, offset: int, at: int, ident: Id) -> Hash:
    """The hash of a record that follows ``previous``."""
    place = offset.to_bytes(8, "big") + at.to_bytes(8, "big")
    return Hash(tagged_hash("keymeld/record/v1", previous + epoch + place + ident))


def head_message(stream: Id, position: Position, at: int, nonce: Salt | None = None) -> bytes:
    """What the coordinator key signs for a head (32 bytes)."""
    place = position.epoch + position.offset.to_bytes(8, "big") + position.hash
    return tagged_hash("keymeld/head/v1", stream + place + at.to_bytes(8, "big") + (nonce or bytes(32)))


def sign_head(
    stream: Id, record: Record, sign: Callable[[bytes], bytes], at: int = 0, nonce: Salt | None = None
) -> Head:
    """The head of a stream whose latest record is ``record``, signed at ``at`` (ms), never before the record's time."""
    at, here = max(at, record.at), record.position
    signature = Signature(sign(head_message(stream, here, at, nonce)))
    return Head(here.epoch, here.offset, here.hash, at, signature, nonce)


def head_is_signed(stream: Id, head: Head, coordinator: XOnlyKey) -> bool:
    """Whether ``head`` is the coordinator's own word."""
    return verify(head.signature, head_message(stream, head.position, head.at, head.nonce), coordinator)


@dataclass
class Chain:
    """The verified hashes and ids of one stream, in order; grows by records, remembers every hash it passed.

    ``epochs`` are those that it passed, each with the offset of its first record.
    """

    stream: Id
    epoch: Epoch | None = None
    at: int = 0
    hashes: list[Hash] = field(default_factory=list)
    offsets: dict[bytes, int] = field(default_factory=dict)
    ids: dict[Id, int] = field(default_factory=dict)
    epochs: list[tuple[int, Epoch]] = field(default_factory=list)

    @property
    def offset(self) -> int:
        """Offset of the latest record, 0 before the first."""
        return len(self.hashes)

    @property
    def hash(self) -> Hash:
        """Hash of the latest record, or of the stream's name before the first."""
        return self.hashes[-1] if self.hashes else first_hash(self.stream)

    @property
    def position(self) -> Position | None:
        """Where this hearer stands; None before the first record."""
        return Position(self.epoch, self.offset, self.hash) if self.epoch is not None and self.hashes else None

    def knows(self, hash_: bytes) -> bool:
        """Whether ``hash_`` is the hash of a record of this chain."""
        return hash_ in self.offsets

    def epoch_at(self, offset: int) -> Epoch | None:
        """The epoch of the record at ``offset``; None if there is no such record."""
        if not 1 <= offset <= self.offset:
            return None
        return next(epoch for start, epoch in reversed(self.epochs) if start <= offset)

    def next(self, epoch: Epoch, at: int, statement: Statement) -> Record:
        """The record that ``statement`` becomes if it is appended now; changes nothing."""
        offset, at = self.offset + 1, max(at, self.at)
        return Record(epoch, offset, at, record_hash(self.hash, epoch, offset, at, statement.id), statement)

    def check(self, record: Record) -> None:
        """``record`` follows what was verified before (§4.1, §11.1.2).

        Raises:
            Fork: another record stands, or another history led here.
            BrokenLog: a gap, a clock set back, or a statement repeated.
        """
        if record.offset < 1:
            raise BrokenLog(f"offsets of {self.stream.hex()} start at 1")
        if record.offset <= self.offset:
            if self.hashes[record.offset - 1] != record.hash:
                raise Fork(f"offset {record.offset} of {self.stream.hex()} has two hashes")
            raise BrokenLog(f"offset {record.offset} of {self.stream.hex()} came twice")
        if record.offset != self.offset + 1:
            raise BrokenLog(f"offsets of {self.stream.hex()} jump from {self.offset} to {record.offset}")
        if record.at < self.at:
            raise BrokenLog(f"the clock of {self.stream.hex()} goes back at offset {record.offset}")
        expected = record_hash(self.hash, record.epoch, record.offset, record.at, record.statement.id)
        if record.hash != expected:
            raise Fork(f"the hash at offset {record.offset} of {self.stream.hex()} is not that of this history")
        if record.statement.id in self.ids:
            raise BrokenLog(f"offset {record.offset} of {self.stream.hex()} repeats a statement")

    def append(self, record: Record) -> None:
        """Take a record that ``check`` has passed."""
        if record.epoch != self.epoch:
            self.epochs.append((record.offset, record.epoch))
        self.epoch, self.at = record.epoch, record.at
        self.hashes.append(record.hash)
        self.offsets[record.hash] = record.offset
        self.ids[record.statement.id] = record.offset

    def truncate(self, offset: int, at: int) -> None:
        """Forget what follows ``offset``: the records that an append did not commit."""
        for gone in self.hashes[offset:]:
            del self.offsets[gone]
        del self.hashes[offset:]
        self.ids = {ident: place for ident, place in self.ids.items() if place <= offset}
        self.at = at
        while self.epochs and self.epochs[-1][0] > offset:
            self.epochs.pop()
        self.epoch = self.epochs[-1][1] if self.epochs else None

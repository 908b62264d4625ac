"""A scribe for tests: writes valid streams without a coordinator, signed and chained like real ones.

scribe = Scribe(epoch)          a wallet key of its own
scribe.open()                   Record 1: wallet.open
scribe.note(b"ciphertext")      Record 2: wallet.note, with a blob
scribe.append(…records)         the Append that a store takes
"""

from dataclasses import replace

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.values import Epoch, Id, XOnlyKey, digest
from keymeld_protocol.wire.payloads import WalletNote, WalletOpen
from keymeld_protocol.wire.records import Chain, Record
from keymeld_protocol.wire.statements import Statement, make
from keymeld_server.store.port import Append, SessionRow

NOON = 1_700_000_000_000
"""When the first record of every stream is written (milliseconds since the Unix epoch)."""


class Scribe:
    """Writes one wallet stream; wallet statements need one signer and no ceremony, so they stand for all others."""

    EPOCH = Epoch(bytes(16))
    """An epoch for tests that ask no store for its own."""

    def __init__(self, epoch: Epoch) -> None:
        """Make a fresh wallet key; the stream's name follows from its first statement."""
        self.epoch = epoch
        self.signer = Keypair.generate()
        self.key = XOnlyKey(self.signer.key)
        self.opening = make(WalletOpen(v=1, by=self.key), self.signer.sign)
        self.stream = Id(self.opening.id)
        self.chain = Chain(self.stream)

    def open(self) -> Record:
        """Write the stream's first record."""
        return self._write(self.opening)

    def note(self, ciphertext: bytes = b"sealed") -> Record:
        """Write a note with one blob."""
        said = WalletNote(v=1, by=self.key, stream=self.stream, after=self.chain.hash, note=digest(ciphertext))
        return self._write(make(said, self.signer.sign, blobs=[ciphertext]))

    def notes(self, count: int) -> list[Record]:
        """Write several notes."""
        return [self.note(b"note %d" % i) for i in range(count)]

    def append(self, *records: Record, hearers: frozenset[XOnlyKey] | None = None) -> Append:
        """The append of ``records`` with a plain open session's row; the opening one concerns the wallet key."""
        first, last = records[0].offset, records[-1].offset
        if first == 1 and hearers is None:
            hearers = frozenset({self.key})
        row = SessionRow(self.stream, "wallet", "OPEN", last, records[-1].hash)
        return Append(self.stream, first - 1, records, row, hearers)

    def opened(self) -> Append:
        """The append of a fresh stream."""
        return self.append(self.open())

    def _write(self, statement: Statement) -> Record:
        record = self.chain.next(self.epoch, NOON + self.chain.offset, statement)
        self.chain.append(record)
        return record


def with_row(append: Append, **changes: object) -> Append:
    """The same append with another projection, such as ``with_row(a, open=False)``."""
    return replace(append, session=replace(append.session, **changes))  # type: ignore[arg-type]

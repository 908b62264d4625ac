"""checkpoints.py: our own word on a stream stands for signatures that were verified; any other word is nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from keymeld_protocol.curve.schnorr import tagged_hash, verify
from keymeld_protocol.values import Epoch, Hash, Id, Signature, XOnlyKey, decode_sized
from keymeld_protocol.wire.checkpoints import (
    Checkpoint,
    WireCheckpoint,
    chained,
    checkpoint_json,
    checkpoint_message,
    checkpoint_of,
    doubt,
    sign_checkpoint,
)
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.records import Position
from tests.support.logs import Scribe
from tests.support.wire import HEX, each, wire


class Book:
    """Five records of a wallet, and its owner's word on the third."""

    def __init__(self) -> None:
        scribe = Scribe(Scribe.EPOCH)
        self.records = [scribe.open(), *scribe.notes(4)]
        self.stream, self.owner, self.sign = scribe.stream, scribe.key, scribe.signer.sign
        self.word = sign_checkpoint(self.stream, self.records[2].position, self.sign)

    @property
    def wires(self) -> list[WireRecord]:
        return [WireRecord(r.epoch, r.offset, r.at, r.hash, r.statement.wire) for r in self.records]

    def doubt(self, word: Checkpoint | None = None, wires: list[WireRecord] | None = None) -> str | None:
        return doubt(word or self.word, self.stream, self.wires if wires is None else wires, self.owner)


@pytest.fixture
def book() -> Book:
    return Book()


def test_our_own_word_covers_the_records_that_lead_to_it(book: Book) -> None:
    assert book.doubt() is None and book.doubt(wires=book.wires[:3]) is None


def test_what_is_signed_is_stream_offset_and_hash(book: Book) -> None:
    message = tagged_hash("keymeld/checkpoint/v1", book.stream + (3).to_bytes(8, "big") + book.records[2].hash)
    assert message == checkpoint_message(book.stream, 3, book.records[2].hash)
    assert verify(book.word.signature, message, book.owner)


@pytest.mark.parametrize("change", [{"offset": 4}, {"hash": Hash(bytes(32))}, {"signature": Signature(bytes(64))}])
def test_a_word_that_was_altered_is_nobodys(book: Book, change: dict[str, Any]) -> None:
    assert "not this wallet's word" in str(book.doubt(replace(book.word, **change)))


def test_more_records_than_are_here_are_not_covered(book: Book) -> None:
    assert "speaks of 3 records, and 2 are here" in str(book.doubt(wires=book.wires[:2]))
    assert book.doubt(wires=[]) is not None


@pytest.mark.parametrize(
    "change", [{"at": 1}, {"epoch": Epoch(b"another epoch...")}, {"offset": 7}, {"hash": Hash(bytes(32))}]
)
def test_an_altered_record_is_not_covered(book: Book, change: dict[str, Any]) -> None:
    wires = book.wires
    wires[1] = msgspec.structs.replace(wires[1], **change)
    assert "not those that were verified" in str(book.doubt(wires=wires))
    assert chained(book.stream, wires) is None


def test_another_payload_is_not_covered(book: Book) -> None:
    wires = book.wires
    wires[1] = msgspec.structs.replace(wires[1], statement=wires[0].statement)
    assert book.doubt(wires=wires) is not None


def test_a_history_that_is_sound_and_another_one_is_not_covered(book: Book) -> None:
    other = Book()
    word = sign_checkpoint(book.stream, other.records[2].position, book.sign)
    assert "not those that were verified" in str(book.doubt(word))


def test_an_offset_before_the_first_is_no_word() -> None:
    raw = {"offset": 0, "hash": "00" * 32, "sig": "00" * 64}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, WireCheckpoint, dec_hook=decode_sized)
    book = Book()
    assert (
        book.doubt(sign_checkpoint(book.stream, Position(Epoch(bytes(16)), 0, Hash(bytes(32))), book.sign)) is not None
    )


def test_a_word_is_read_as_it_was_written(book: Book) -> None:
    assert (
        checkpoint_of(msgspec.convert(checkpoint_json(book.word), WireCheckpoint, dec_hook=decode_sized)) == book.word
    )


@each("records", "checkpoints")
def test_a_word_of_the_vectors_covers_what_it_should(one: Any) -> None:
    home = wire("records")
    stream, owner = Id.from_hex(home["stream"]), XOnlyKey(HEX(one["owner"]))
    records = [msgspec.convert(record, WireRecord, dec_hook=decode_sized) for record in home["records"]]
    word = checkpoint_of(msgspec.convert(one["checkpoint"], WireCheckpoint, dec_hook=decode_sized))
    assert checkpoint_message(stream, word.offset, word.hash) == HEX(one["message"])
    assert (doubt(word, stream, records, owner) is None) == one["covers"]

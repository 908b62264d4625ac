"""checkpoints.py: what this wallet has verified once, it does not verify again; everything else it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from keymeld_client.line import checkpoints
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.wire import statements
from tests.client.paper import GROUP_SECRET, URL, Reader, Tale


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale, tmp_path: Path) -> Iterator[Reader]:
    """Somebody who has heard all of it."""
    wallet = Wallet.open(tmp_path / "wallet")
    wallet.remember(KeygenEntry(tale.keygen, URL, bytearray(GROUP_SECRET)))
    reader = Reader(tale, wallet)
    hear_all(reader)
    yield reader
    reader.wallet.close()


def hear_all(reader: Reader) -> None:
    for stream in (reader.tale.keygen, reader.tale.signing):
        reader.subscribed(stream)
        reader.hear(stream)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The payloads whose signatures are verified from now on."""
    found: list[str] = []
    check = statements.check_signatures

    def noted(statement: statements.Statement) -> None:
        found.append(statement.text)
        check(statement)

    monkeypatch.setattr(statements, "check_signatures", noted)
    return found


def test_what_was_verified_is_not_verified_again(reader: Reader, verified: list[str]) -> None:
    again = reader.again()
    first, verified[:] = list(verified), []
    third = again.again()
    lengths = [len(reader.tale.wires(stream)) for stream in (reader.tale.keygen, reader.tale.signing)]
    assert len(first) < sum(lengths) and len(verified) < checkpoints.EVERY
    assert [third.heard(stream) for stream in (reader.tale.keygen, reader.tale.signing)] == lengths
    assert third.ledger.checkpoints.doubts == {}
    reader.wallet = third.wallet


def test_a_stream_that_is_over_is_covered_whole_after_one_start(reader: Reader, verified: list[str]) -> None:
    again = reader.again()
    kept, signing = again.wallet.checkpoint(reader.tale.signing), reader.tale.signing
    assert kept is not None and kept.offset == len(reader.tale.wires(signing))
    verified.clear()
    third = again.again()
    assert not set(verified) & {wire.statement.payload for wire in reader.tale.wires(signing)}
    reader.wallet = third.wallet


def test_what_comes_from_a_coordinator_is_verified_whatever_its_offset(reader: Reader, verified: list[str]) -> None:
    again = reader.again()
    verified.clear()
    again.hear(reader.tale.signing)
    assert len(verified) == len(reader.tale.wires(reader.tale.signing))
    reader.wallet = again.wallet


def test_a_checkpoint_is_written_while_a_stream_is_heard(reader: Reader, tale: Tale) -> None:
    kept, length = reader.wallet.checkpoint(tale.keygen), len(tale.wires(tale.keygen))
    assert kept is not None and length - kept.offset < checkpoints.EVERY <= length
    assert len(reader.wallet.stream(tale.keygen)[0]) == length, "and is no record"


def test_nothing_is_said_of_a_log_that_broke(tale: Tale) -> None:
    with Reader(tale).closing() as reader:
        wires = tale.wires(tale.keygen)
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen, wires[:3])
        reader.hear(tale.keygen, [msgspec.structs.replace(wires[3], at=wires[3].at + 1)])
        heard = reader.ledger.replay(tale.keygen)
        assert heard is not None and heard.broken is not None
        reader.ledger.checkpoints.note(heard, over=True)
        assert reader.wallet.checkpoint(tale.keygen) is None


def test_the_machine_moves_and_blobs_match_as_ever(reader: Reader, tale: Tale) -> None:
    path = reader.wallet.folder / "streams" / f"{tale.keygen.hex()}.jsonl"
    reader.again().wallet.close()
    card = tale.wires(tale.keygen)[1].statement.blobs[0]
    assert card is not None
    path.write_bytes(path.read_bytes().replace(card.encode(), b"A" * len(card)))
    third = Reader(tale, Wallet.open(reader.wallet.folder))
    assert third.ledger.checkpoints.doubts == {}, "the payloads are those that were verified"
    assert "SHA-256" in str(third.ledger.trouble(tale.keygen)) and third.heard(tale.keygen) == 1
    reader.wallet = third.wallet


def test_a_line_that_is_no_checkpoint_is_none(reader: Reader, tale: Tale) -> None:
    reader.wallet._stream_file(tale.keygen).append(b'{"checkpoint":{"offset":"many"}}')
    latest = reader.wallet.checkpoint(tale.keygen)
    assert latest is not None and latest.offset <= len(tale.wires(tale.keygen)), "the one before it still counts"

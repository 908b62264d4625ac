"""wallet/streams.py: the records, heads and checkpoints of each stream, and what a crash leaves of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.lost import LostTails
from keymeld_client.wallet.streams import FILES_OPEN, StreamFiles
from keymeld_protocol.values import Epoch, Id
from keymeld_protocol.wire.checkpoints import sign_checkpoint
from keymeld_protocol.wire.records import Record, sign_head
from tests.support.coordinator import key_of
from tests.support.logs import Scribe


@pytest.fixture
def wallet(tmp_path: Path) -> Iterator[StreamFiles]:
    (tmp_path / "streams").mkdir()
    (tmp_path / "lost").mkdir()
    files = opened(tmp_path)
    yield files
    files.close_files()


def opened(folder: Path) -> StreamFiles:
    return StreamFiles(folder / "streams", LostTails(folder / "lost"))


def scribe() -> Scribe:
    return Scribe(Epoch(bytes(16)))


def path_of(wallet: StreamFiles, stream: Id) -> Path:
    return wallet._streams / f"{stream.hex()}.jsonl"


def written(wallet: StreamFiles, count: int = 3) -> tuple[Id, list[Record]]:
    """A stream of which the wallet has stored some records."""
    author = scribe()
    records = [author.open(), *author.notes(count - 1)]
    for record in records:
        wallet.append(author.stream, record)
    return author.stream, records


def test_records_come_back_as_they_were(wallet: StreamFiles) -> None:
    stream, records = written(wallet)
    stored, head = wallet.stream(stream)
    assert [wire.hash for wire in stored] == [record.hash for record in records]
    assert [wire.statement for wire in stored] == [record.statement.wire for record in records]
    assert head is None


def test_a_record_torn_by_a_crash_is_dropped(wallet: StreamFiles) -> None:
    stream, records = written(wallet)
    path = path_of(wallet, stream)
    wallet.close_files()
    path.write_bytes(path.read_bytes()[:-40])
    assert len(wallet.stream(stream)[0]) == 2
    wallet.append(stream, records[2])
    assert [wire.offset for wire in wallet.stream(stream)[0]] == [1, 2, 3]


def test_a_damaged_line_in_the_middle_is_told(wallet: StreamFiles) -> None:
    stream, _ = written(wallet)
    path = path_of(wallet, stream)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{}\n" + lines[2])
    with pytest.raises(WalletError, match="line 2"):
        wallet.stream(stream)
    assert wallet.undamaged(stream) is None and "move it away, and it is heard again" in wallet.damaged[stream]


def test_the_latest_head_is_kept(wallet: StreamFiles) -> None:
    stream, records = written(wallet)
    coordinator = key_of("coordinator")
    for record in records:
        wallet.append_head(stream, sign_head(stream, record, coordinator.sign))
    stored, head = wallet.stream(stream)
    assert len(stored) == 3
    assert head is not None and (head.offset, head.hash) == (3, records[2].hash)


def test_checkpoints_are_no_records_and_the_latest_one_counts(wallet: StreamFiles) -> None:
    stream, records = written(wallet)
    for record in records:
        wallet.append_checkpoint(stream, sign_checkpoint(stream, record.position, key_of("alice").sign))
    assert len(wallet.stream(stream)[0]) == 3
    found = wallet.checkpoint(stream)
    assert found is not None and (found.offset, found.hash) == (3, records[2].hash)


def test_a_stream_that_is_told_anew_keeps_what_was_lost_beside_it(wallet: StreamFiles) -> None:
    stream, records = written(wallet)
    wallet.tell_anew(stream, records[:2], records[2:])
    assert [wire.offset for wire in wallet.stream(stream)[0]] == [1, 2]
    assert [record.offset for record in wallet.lost.of(stream)] == [3]
    wallet.append(stream, records[2])
    assert [wire.offset for wire in wallet.stream(stream)[0]] == [1, 2, 3]


def test_no_more_files_are_open_than_a_process_may_have(wallet: StreamFiles) -> None:
    author = scribe()
    record = author.open()
    for number in range(FILES_OPEN + 3):
        wallet.append(Id(number.to_bytes(32, "big")), record)
    assert len(wallet.streams()) == FILES_OPEN + 3 and len(wallet._files) == FILES_OPEN

"""The lost tails of a wallet: kept on disk, once each, and what its owner does without."""

from pathlib import Path

from keymeld_client.wallet.files import private_folder
from keymeld_client.wallet.lost import LostTails
from tests.support.machines import completed


def test_what_was_lost_is_there_for_the_next_process_and_kept_once(tmp_path: Path) -> None:
    folder, keygen = private_folder(tmp_path / "lost"), completed(2)
    lost = LostTails(folder)
    lost.add(keygen.stream, keygen.records[3:])
    lost.add(keygen.stream, keygen.records[2:])
    lost.go_without(keygen.stream, [keygen.records[3].statement.id])
    for each in (lost, LostTails(folder)):
        assert each.streams() == (keygen.stream,)
        assert [record.offset for record in each.of(keygen.stream)] == [4, 5, 3]
        assert each.without(keygen.stream) == {keygen.records[3].statement.id}


def test_nothing_lost_is_no_file(tmp_path: Path) -> None:
    folder, keygen = private_folder(tmp_path / "lost"), completed(1)
    lost = LostTails(folder)
    lost.add(keygen.stream, [])
    lost.go_without(keygen.stream, [])
    assert lost.of(keygen.stream) == () and lost.streams() == () and list(folder.iterdir()) == []


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    folder, keygen = private_folder(tmp_path / "lost"), completed(1)
    LostTails(folder).add(keygen.stream, keygen.records)
    path = folder / f"{keygen.stream.hex()}.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    (folder / "notes of mine.jsonl").write_text("not ours")
    lost = LostTails(folder)
    assert lost.streams() == (keygen.stream,) and lost.damaged.keys() == {keygen.stream}
    told = f"lost/{keygen.stream.hex()}.jsonl line 1 is damaged: move it away"
    assert lost.damaged[keygen.stream].startswith(told)

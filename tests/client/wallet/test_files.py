"""Files that survive being killed, and that nobody else can read."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.files import AppendFile, FolderLock, private_folder, read_lines, read_private, replace_file


def append(path: Path, *lines: bytes) -> None:
    """Add lines, as one process does."""
    with closing(AppendFile(path)) as file:
        for line in lines:
            file.append(line)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"old")
    replace_file(tmp_path / "a", b"new")
    assert read_private(tmp_path / "a") == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"secret")
    append(tmp_path / "b", b"line")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o600, 0o600]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"secret")
    (tmp_path / "a").chmod(0o640)
    with pytest.raises(WalletError, match="chmod 600"):
        read_private(tmp_path / "a")


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(WalletError, match="chmod 700"):
        private_folder(tmp_path / "open")


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    append(tmp_path / "a", b"one", b"two")
    with (tmp_path / "a").open("ab") as file:
        file.write(b'{"torn":')
    assert read_lines(tmp_path / "a") == [b"one", b"two"]


def test_after_a_torn_line_the_next_one_is_whole(tmp_path: Path) -> None:
    append(tmp_path / "a", b"one")
    with (tmp_path / "a").open("ab") as file:
        file.write(b"tor")
    read_lines(tmp_path / "a")
    append(tmp_path / "a", b"two")
    assert read_lines(tmp_path / "a") == [b"one", b"two"]


def test_a_file_of_lines_can_be_emptied(tmp_path: Path) -> None:
    with closing(AppendFile(tmp_path / "a")) as file:
        file.append(b"one")
        file.sync()
        file.empty()
        file.append(b"two")
    assert read_lines(tmp_path / "a") == [b"two"]


def test_half_a_line_on_a_full_disk_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AppendFile(tmp_path / "a")
    file.append(b"one")
    write, fails = os.write, iter([False, True])

    def full(handle: int, raw: bytes) -> int:
        if next(fails):
            raise OSError(28, "No space left on device")
        return write(handle, bytes(raw[:2]))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(WalletError, match="No space left"):
        file.append(b"twenty-two")
    monkeypatch.undo()
    file.append(b"three")
    file.close()
    assert read_lines(tmp_path / "a") == [b"one", b"three"]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "nothing") == []


def test_a_folder_is_locked_against_others(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(WalletError, match="in use"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()

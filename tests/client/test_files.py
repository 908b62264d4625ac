"""Files that survive being killed, and that nobody else can read."""

from pathlib import Path

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.files import FolderLock, append_line, private_folder, read_lines, read_private, replace_file


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"old")
    replace_file(tmp_path / "a", b"new")
    assert read_private(tmp_path / "a") == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"secret")
    append_line(tmp_path / "b", b"line")
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
    append_line(tmp_path / "a", b"one")
    append_line(tmp_path / "a", b"two")
    with (tmp_path / "a").open("ab") as file:
        file.write(b'{"torn":')
    assert read_lines(tmp_path / "a") == [b"one", b"two"]


def test_after_a_torn_line_the_next_one_is_whole(tmp_path: Path) -> None:
    append_line(tmp_path / "a", b"one")
    with (tmp_path / "a").open("ab") as file:
        file.write(b"tor")
    read_lines(tmp_path / "a")
    append_line(tmp_path / "a", b"two")
    assert read_lines(tmp_path / "a") == [b"one", b"two"]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "nothing") == []


def test_a_folder_is_locked_against_others(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(WalletError, match="in use"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()

"""Private files: whole or not at all, for their owner alone, refused at once where they are anything else."""

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keymeld_host.files import BadFile, FileLock, InUse, NoFile, new_file, read_private, replace_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file lies."""
    return tmp_path / "a"


def refusal(path: Path, most: int | None = None) -> BadFile:
    with pytest.raises(BadFile) as refused:
        read_private(path, most)
    return refused.value


def test_a_file_is_replaced_whole(path: Path) -> None:
    replace_file(path, b"old")
    replace_file(path, b"new")
    assert read_private(path) == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_takes_the_place_of_nothing(path: Path) -> None:
    assert new_file(path, b"first")
    assert not new_file(path, b"second")
    assert read_private(path) == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_of_many_that_make_a_file_at_once_one_does(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: new_file(path, b"%d" % number), range(8)))
    assert made.count(True) == 1
    assert read_private(path) == b"%d" % made.index(True)


@pytest.mark.parametrize("write", [replace_file, new_file])
def test_what_is_written_is_for_its_owner_alone_whatever_the_umask(
    path: Path, write: Callable[[Path, bytes], object]
) -> None:
    before = os.umask(0)
    try:
        write(path, b"secret")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("write", [replace_file, new_file])
def test_a_full_disk_leaves_what_was_there_and_no_draft(
    path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], object]
) -> None:
    replace_file(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadFile, match="No space left on device"):
        write(path, b"new")
    assert read_private(path) == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("write", [replace_file, new_file])
def test_a_folder_that_is_not_there_is_named(path: Path, write: Callable[[Path, bytes], object]) -> None:
    with pytest.raises(BadFile, match=rf"{path}/b cannot be .*: No such file"):
        write(path / "b", b"x")


def test_a_draft_that_a_crash_left_is_written_anew(path: Path) -> None:
    path.with_name(".a.new").write_bytes(b"half, and longer than what comes")
    replace_file(path, b"whole")
    assert read_private(path) == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_who_replaces_a_link_leaves_what_it_points_at_alone(path: Path) -> None:
    path.with_name("b").write_bytes(b"another's")
    path.symlink_to("b")
    replace_file(path, b"own")
    assert path.with_name("b").read_bytes() == b"another's"
    assert read_private(path) == b"own"


def test_a_file_that_is_not_there_is_a_case_of_its_own(path: Path) -> None:
    with pytest.raises(NoFile, match="cannot be read: No such file"):
        read_private(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_use_is_refused_with_the_remedy(path: Path, mode: int) -> None:
    replace_file(path, b"secret")
    path.chmod(mode)
    assert str(refusal(path)) == f"{path} has mode {mode:04o}, so others may use it; run: chmod 600 {path}"


def test_the_remedy_can_be_typed_as_it_is(tmp_path: Path) -> None:
    replace_file(path := tmp_path / "my key", b"secret")
    path.chmod(0o644)
    assert str(refusal(path)).endswith(f"run: chmod 600 '{path}'")


def test_a_file_is_read_up_to_its_limit_and_refused_beyond(path: Path) -> None:
    replace_file(path, b"four")
    assert read_private(path, 4) == b"four"
    assert refusal(path, 3).why == "must be a file of at most 3 bytes"


def test_a_file_is_read_whole_however_little_a_call_gives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(path, b"secret")
    readv = os.readv
    monkeypatch.setattr(os, "readv", lambda handle, views: readv(handle, [views[0][:1]]))
    assert read_private(path) == b"secret"


def test_nothing_but_a_regular_file_is_read_and_none_holds_the_reader_up(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path.with_name("socket")))
        for other in (path, path.with_name("socket"), path.parent, Path("/dev/null")):
            assert refusal(other).why == "must be a regular file"


def test_a_link_is_refused_whatever_it_points_at(path: Path) -> None:
    replace_file(path.with_name("b"), b"secret")
    path.symlink_to("b")
    assert refusal(path).why == "is a symbolic link; name the file itself"
    path.with_name("b").unlink()
    assert refusal(path).why == "is a symbolic link; name the file itself"


def test_who_is_refused_keeps_nothing_open(path: Path) -> None:
    replace_file(path, b"secret")
    lock, before = FileLock(path, itself=True), os.listdir("/proc/self/fd")
    os.chmod(path, 0o644)
    refusal(path)
    refusal(path.parent)
    with pytest.raises(InUse):
        FileLock(path, itself=True)
    assert os.listdir("/proc/self/fd") == before
    lock.release()


# Locks --------------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_until_it_is_released(path: Path) -> None:
    lock = FileLock(path)
    with pytest.raises(InUse, match=rf"is in use by another process \({os.getpid()}\)"):
        FileLock(path)
    lock.release()
    lock.release()
    FileLock(path).release()


def test_a_file_that_is_locked_itself_is_neither_made_nor_written_nor_quoted(path: Path) -> None:
    with pytest.raises(NoFile):
        FileLock(path, itself=True)
    replace_file(path, b"1234567890")
    lock = FileLock(path, itself=True)
    with pytest.raises(InUse, match=r"is in use by another process$"):
        FileLock(path, itself=True)
    lock.release()
    assert read_private(path) == b"1234567890"


def test_a_lock_file_that_holds_something_else_is_not_quoted(path: Path) -> None:
    lock = FileLock(path)
    path.write_bytes(b"\x1b[2J")
    with pytest.raises(InUse, match=r"is in use by another process$"):
        FileLock(path)
    lock.release()


def test_a_lock_on_a_full_disk_is_a_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, raw: bytes, at: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lock = FileLock(path)
    with pytest.raises(InUse):
        FileLock(path)
    lock.release()


def test_a_pipe_in_a_locks_place_is_refused_at_once(path: Path) -> None:
    os.mkfifo(path, 0o600)
    for itself in (False, True):
        with pytest.raises(BadFile, match="must be a regular file"):
            FileLock(path, itself=itself)

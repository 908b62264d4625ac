"""keymanagement.py: the identity outlives restarts, and only its owner can read it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keymeld_enclave.keymanagement import IdentityUnavailable, KeyFile

KEY = "11" * 32


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(IdentityUnavailable) as refused:
        KeyFile(path).load()
    return str(refused.value)


def test_the_first_start_makes_an_identity_and_later_ones_find_it(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "enclave.key")
    assert file.load().key == file.load().key


def test_two_files_hold_two_identities(tmp_path: Path) -> None:
    assert KeyFile(tmp_path / "a").load().key != KeyFile(tmp_path / "b").load().key


def test_the_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyFile(tmp_path / "enclave.key").load()
    finally:
        os.umask(before)
    assert (tmp_path / "enclave.key").stat().st_mode & 0o777 == 0o600


def test_nothing_but_the_key_is_left_behind(tmp_path: Path) -> None:
    KeyFile(tmp_path / "enclave.key").load()
    assert [path.name for path in tmp_path.iterdir()] == ["enclave.key"]


def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    KeyFile(tmp_path / "keys" / "enclave.key").load()
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0


def test_a_file_without_its_newline_is_read(tmp_path: Path) -> None:
    with_newline = KeyFile(written(tmp_path / "a", KEY + "\n")).load()
    assert KeyFile(written(tmp_path / "b", KEY)).load().key == with_newline.key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_file_that_others_can_use_is_refused_and_the_remedy_is_said(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "enclave.key", KEY, mode)
    assert refusal(path) == f"key file {path} has mode {mode:04o}, so others may use it; run: chmod 600 {path}"


@pytest.mark.parametrize(
    "text",
    ["", "\n", KEY[:-1], KEY[:-2] + "\n", KEY + "0", KEY + "\n\n", KEY.upper().replace("1", "A"), "zz" * 32, "00" * 32],
)
def test_a_torn_or_foreign_file_is_refused_and_stays_as_it_is(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "enclave.key", text)
    assert "64 lower-case hex" in refusal(path)
    assert path.read_text() == text


def test_a_refusal_does_not_quote_the_key(tmp_path: Path) -> None:
    assert KEY[:16] not in refusal(written(tmp_path / "enclave.key", KEY + "1"))


def test_a_folder_at_the_files_name_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path)


def test_a_pipe_at_the_files_name_does_not_hold_the_start_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "enclave.key", 0o600)
    assert "regular file" in refusal(tmp_path / "enclave.key")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    written(tmp_path / "file", "")
    assert "key file" in refusal(tmp_path / "file" / "enclave.key")


def test_of_many_first_starts_at_once_one_identity_comes_out(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: KeyFile(tmp_path / "enclave.key").load().key, range(8)))
    assert len(set(keys)) == 1


def test_a_second_enclave_with_the_same_key_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    first = KeyFile(tmp_path / "enclave.key", alone=True)
    key = first.load().key
    with pytest.raises(IdentityUnavailable, match="another enclave runs with it; stop that one"):
        KeyFile(tmp_path / "enclave.key", alone=True).load()
    assert KeyFile(tmp_path / "enclave.key").load().key == key, "whoever only looks is not in its way"
    first.release()
    second = KeyFile(tmp_path / "enclave.key", alone=True)
    assert second.load().key == key
    second.release()


def test_who_is_refused_keeps_nothing_of_the_file_open(tmp_path: Path) -> None:
    first = KeyFile(tmp_path / "enclave.key", alone=True)
    first.load()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(IdentityUnavailable):
        KeyFile(tmp_path / "enclave.key", alone=True).load()
    assert os.listdir("/proc/self/fd") == before
    first.release()


def test_a_draft_that_a_crash_left_behind_is_in_nobodys_way(tmp_path: Path) -> None:
    written(tmp_path / f".enclave.key.{os.getpid()}", "half a k")
    KeyFile(tmp_path / "enclave.key").load()


def test_an_identity_prints_nothing_and_signs_nothing_once_it_is_wiped(tmp_path: Path) -> None:
    identity = KeyFile(written(tmp_path / "enclave.key", KEY)).load()
    assert KEY[:8] not in repr(identity)
    identity.wipe()
    with pytest.raises(ValueError, match="wiped"):
        identity.sign(bytes(32))

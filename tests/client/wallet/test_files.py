"""The wallet's files survive being killed, and nobody else can read them."""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.files import AppendFile, folder_lock, private_folder, read_lines, read_private, replace_file
from keymeld_client.wallet.trust import Trust
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.values import Id


def append(path: Path, *lines: bytes) -> None:
    """Add lines, as one process does."""
    with closing(AppendFile(path)) as file:
        for line in lines:
            file.append(line)


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
    lock = folder_lock(tmp_path)
    with pytest.raises(WalletError, match=rf"{tmp_path} is in use by another process \({os.getpid()}\)"):
        folder_lock(tmp_path)
    lock.release()
    folder_lock(tmp_path).release()


def test_lines_that_others_can_read_are_not_added_to(tmp_path: Path) -> None:
    append(tmp_path / "a", b"one")
    (tmp_path / "a").chmod(0o644)
    with pytest.raises(WalletError, match="chmod 600"):
        AppendFile(tmp_path / "a")


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"secret")
    with pytest.raises(WalletError, match="cannot be used as a folder"):
        private_folder(tmp_path / "a")


STREAM = Id(bytes(32))


@pytest.mark.parametrize(
    "name",
    ["identity", "lock", "outbox.jsonl", "brought-keys", "trusted-enclaves", f"keygens/{STREAM.hex()}.json",
     f"streams/{STREAM.hex()}.jsonl", f"evidence/{STREAM.hex()}.json"],
)  # fmt: skip
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path, _: path.symlink_to("/dev/null")])
def test_no_file_of_a_wallet_is_anything_but_a_regular_file(
    tmp_path: Path, name: str, make: Callable[[Path, int], None]
) -> None:
    Wallet.open(tmp_path / "wallet").close()
    path = tmp_path / "wallet" / name
    path.unlink(missing_ok=True)
    make(path, 0o600)
    with pytest.raises(WalletError, match=r"must be a regular file|is a symbolic link"), ExitStack() as closed:
        wallet = closed.enter_context(Wallet.open(tmp_path / "wallet"))
        Trust.load(wallet)
        wallet.evidence(STREAM)
        wallet.stream(STREAM)


def test_a_file_that_is_too_long_to_be_ours_is_refused_unread(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"")
    os.truncate(tmp_path / "a", 1 << 40)  # a hole: nobody has so much memory
    with pytest.raises(WalletError, match="must be a file of at most 67108864 bytes"):
        read_private(tmp_path / "a")


def test_a_pipe_in_the_place_of_lines_or_of_a_draft_holds_no_writer_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lines", 0o600)
    with pytest.raises(WalletError, match="must be a regular file"):
        AppendFile(tmp_path / "lines")
    os.mkfifo(tmp_path / ".a.new", 0o600)
    replace_file(tmp_path / "a", b"secret")
    assert read_private(tmp_path / "a") == b"secret"

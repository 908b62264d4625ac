"""Key files: drawn once, read in one form, and the same refusals whoever's key it is."""

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keymeld_client.command.typed import encoded
from keymeld_client.wallet.wallet import Wallet
from keymeld_enclave.keymanagement import KeyFile
from keymeld_host.files import NoFile
from keymeld_host.keyfiles import from_hex, own_key, to_hex
from keymeld_protocol.errors import KeymeldError
from keymeld_server.secretfiles import coordinator_key

KEY = "1f" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key lies: in a folder that could be a wallet, under the name that it has there."""
    tmp_path.chmod(0o700)
    return tmp_path / "identity"


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def test_a_key_is_drawn_once_and_read_afterwards(path: Path) -> None:
    drawn = own_key(path)
    assert len(drawn) == 32 and own_key(path) == drawn != own_key(path.with_name("other"))
    assert path.read_text() == drawn.hex() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_none_is_drawn_where_none_may_be(path: Path) -> None:
    with pytest.raises(NoFile):
        own_key(path, create=False)
    assert not path.exists()


def test_of_many_that_draw_at_once_one_key_comes_out(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({bytes(key) for key in pool.map(lambda _: own_key(path), range(8))}) == 1
    assert list(path.parent.iterdir()) == [path]


def test_the_digits_are_those_of_the_bytes() -> None:
    assert to_hex(bytearray(range(32))) == bytes(range(32)).hex().encode()
    assert from_hex(bytearray(bytes(range(224, 256)).hex().encode())) == bytes(range(224, 256))


@pytest.mark.parametrize("text", [KEY[:-1], KEY + "0", KEY.upper(), "0x" + KEY[2:], " " + KEY[1:], ""])
def test_a_key_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hex digits"):
        from_hex(bytearray(text.encode()))


@pytest.mark.parametrize("text", [KEY, KEY.upper() + "\n", f"\r\n {KEY}\r\n\n"])
def test_a_backup_that_was_typed_in_is_read_where_it_may_be(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_bytes(text.encode())
    assert own_key(path, typed=True).hex() == KEY


def test_a_folder_without_hard_links_holds_a_key_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    first = own_key(path)
    assert own_key(path) == first and list(path.parent.iterdir()) == [path]


# Every process refuses alike ----------------------------------------------------------------------------------------


def serve(path: Path) -> None:
    file = KeyFile(path, alone=True)
    file.load()
    file.release()


def open_wallet(path: Path) -> None:
    Wallet.open(path.parent).close()


READERS: dict[str, Callable[[Path], object]] = {
    "the host": own_key,
    "the coordinator's key_file": coordinator_key,
    "the enclave's key file": lambda path: KeyFile(path).load(),
    "the enclave's key file, held alone": serve,
    "a wallet's identity": open_wallet,
    "--key and --secret": lambda path: encoded.secret(str(path)),
}


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def endless(path: Path) -> None:
    write(path, "")
    os.truncate(path, 1 << 40)  # a hole: nobody has so much memory


def link(path: Path) -> None:
    write(path.with_name("target"), KEY)
    path.symlink_to("target")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (lambda path: os.mkfifo(path, 0o600), "must be a regular file"),
    "a socket": (bind, "must be a regular file"),
    "a folder": (lambda path: path.mkdir(mode=0o700), "must be a regular file"),
    "a link": (link, "is a symbolic link; name the file itself"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "is a symbolic link; name the file itself"),
    "of use to its group": (lambda path: write(path, KEY, 0o640), "has mode 0640, so others may use it; run"),
    "of use to all": (lambda path: write(path, KEY, 0o644), "has mode 0644, so others may use it; run"),
    "empty": (lambda path: write(path, ""), "must hold 64 (lower-case )?hex digits"),
    "too long": (lambda path: write(path, KEY * 100), "must hold 64 (lower-case )?hex digits"),
    "endless": (endless, "must hold 64 (lower-case )?hex digits"),
    "another's": (lambda path: write(path, "z" * 64), "must hold 64 (lower-case )?hex digits"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("what", REFUSED)
def test_every_reader_of_a_key_refuses_alike_at_once_and_quotes_nothing(path: Path, reader: str, what: str) -> None:
    make, told = REFUSED[what]
    make(path)
    with pytest.raises((KeymeldError, ValueError), match=told) as refused:
        READERS[reader](path)
    assert KEY[:8] not in str(refused.value)


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_of_a_key_takes_the_same_file(path: Path, reader: str) -> None:
    write(path, KEY + "\n")
    READERS[reader](path)
    write(path, KEY)
    READERS[reader](path)


COMMANDS = {
    "keymeld_server": ["--listen-port", "0", "--key-file", "identity"],
    "keymeld_enclave": ["identity", "--key-file", "identity"],
    "keymeld_client.cli": ["--wallet", ".", "trust", "add", KEY],
    "keymeld_client.cli adaptor": ["adaptor", "point", "--secret", "identity"],
}


@pytest.mark.processes
@pytest.mark.parametrize("command", COMMANDS)
def test_no_process_waits_for_a_pipe_in_a_keys_place(path: Path, command: str) -> None:
    os.mkfifo(path, 0o600)
    module, arguments = command.split()[0], COMMANDS[command]
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=path.parent, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode > 0 and "must be a regular file" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr

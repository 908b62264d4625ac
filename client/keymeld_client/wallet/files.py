"""Files that survive being killed: written whole or not at all, readable by their owner alone.

    replace_file   temporary file ▶ fsync ▶ rename ▶ fsync of the folder       small secrets
    AppendFile     lines at the end; one torn by a crash is dropped when the file is next read
    FolderLock     one process at a time

Whatever others may read or enter is refused, with the command that mends it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from ..errors import WalletError


def private_folder(path: Path) -> Path:
    """Make ``path`` with mode 0700, or take it if nobody but its owner can enter it.

    Raises:
        WalletError: it is not a folder, cannot be made, or others may enter it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from None
    if mode & 0o077:
        raise WalletError(f"{path} has mode {mode:04o}, so others may enter it; run chmod 700 on it")
    return path


def read_private(path: Path) -> bytearray:
    """The bytes of a file of mode 0600; the caller wipes what is secret.

    Raises:
        FileNotFoundError: there is none.
        WalletError: others may read it, or it cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with open(handle, "rb", buffering=0) as file:
            status = os.fstat(handle)
            if (mode := status.st_mode & 0o777) & 0o077:
                raise WalletError(f"{path} has mode {mode:04o}, so others may use it; run chmod 600 on it")
            raw = bytearray(status.st_size)
            del raw[file.readinto(raw) or 0 :]
            return raw
    except FileNotFoundError:
        raise
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from None


def replace_file(path: Path, raw: bytes | bytearray) -> None:
    """Put ``raw`` at ``path`` with mode 0600: after a crash the old content is there or the new, never a part.

    Raises:
        WalletError: the disk is full, or the folder cannot be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(handle, "wb", buffering=0) as file:
            _write_all(file.fileno(), raw)
            os.fsync(file.fileno())
        os.replace(fresh, path)
        sync_folder(path.parent)
    except OSError as error:
        raise WalletError(f"{path}: {error.strerror}") from None


def remove_file(path: Path) -> None:
    """Remove ``path``; one that is not there is fine."""
    path.unlink(missing_ok=True)


class AppendFile:
    """A file of lines, mode 0600, kept open by the one process that adds to it."""

    def __init__(self, path: Path) -> None:
        """Open or make it.

        Raises:
            WalletError: it cannot be opened.
        """
        self._path = path
        try:
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self.size = os.fstat(self._handle).st_size
        except OSError as error:
            raise WalletError(f"{path}: {error.strerror}") from None

    def append(self, line: bytes) -> None:
        """Add one line (without its end); the kernel has it then, the disk after `sync`.

        Raises:
            WalletError: the disk is full, or the file cannot be written.
        """
        try:
            _write_all(self._handle, line + b"\n")
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._handle, self.size)  # half a line would damage the next
            raise WalletError(f"{self._path}: {error.strerror}") from None
        self.size += len(line) + 1

    def sync(self) -> None:
        """Force what was added to the disk.

        Raises:
            WalletError: the disk failed.
        """
        try:
            os.fdatasync(self._handle)
        except OSError as error:
            raise WalletError(f"{self._path}: {error.strerror}") from None

    def empty(self) -> None:
        """Drop every line.

        Raises:
            WalletError: the file cannot be written.
        """
        try:
            os.ftruncate(self._handle, 0)
        except OSError as error:
            raise WalletError(f"{self._path}: {error.strerror}") from None
        self.size = 0

    def close(self) -> None:
        """Let go of it; closing twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def read_lines(path: Path) -> list[bytes]:
    """The whole lines of ``path``; a torn last one is cut off, in the file too. None there: no lines.

    Raises:
        WalletError: the file cannot be read.
    """
    try:
        raw = read_private(path)
    except FileNotFoundError:
        return []
    whole = raw.rfind(b"\n") + 1
    if whole != len(raw):
        os.truncate(path, whole)
    return [bytes(line) for line in raw[:whole].splitlines()]


def sync_folder(folder: Path) -> None:
    """A new name survives a power cut once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, raw: bytes | bytearray) -> None:
    """Write every byte, however many calls the kernel wants."""
    with memoryview(raw) as view:
        written = 0
        while written < len(view):
            written += os.write(handle, view[written:])


class FolderLock:
    """Holds a folder for this process until ``release`` or the process' end, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            WalletError: another process holds it.
        """
        self._handle = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise WalletError(f"{folder} is in use by another process") from None

    def release(self) -> None:
        """Let others have the folder; releasing twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

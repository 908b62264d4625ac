"""The files of a wallet: private ones (`keymeld_host.files`), whose refusals are a `WalletError` here.

    read, replace, own_key   small secrets, each in a file of its own
    AppendFile, read_lines   lines at the end; one torn by a crash is dropped when the file is next read
    named_by_id              the files of sessions in a folder
    folder_lock              one process at a time

Whatever others may read or enter is refused, with the command that mends it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from keymeld_host import files, keyfiles
from keymeld_host.files import BadFile, FileLock, InUse, NoFile, refused_as
from keymeld_protocol.values import Id

from ..errors import WalletError

SMALL_BYTES: Final = 64 * 1024 * 1024
"""The longest file that is no list of lines: evidence holds whole frames, everything else is far shorter."""


_ID: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@contextmanager
def _refused() -> Iterator[None]:
    """What is refused in this block, or in a function that this decorates, is a `WalletError`."""
    try:
        yield
    except NoFile as error:
        raise FileNotFoundError(str(error)) from None
    except BadFile as error:
        raise WalletError(str(error)) from None


@_refused()
def private_folder(path: Path) -> Path:
    """Make ``path`` with mode 0700, or take it if nobody but its owner can enter it.

    Raises:
        WalletError: it is not a folder, cannot be made, or others may enter it.
    """
    with refused_as(path, "used as a folder"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        files.owners_alone(path, handle)
    finally:
        os.close(handle)
    return path


def named_by_id(folder: Path, ending: str) -> list[tuple[Id, Path]]:
    """The files in ``folder`` that are called after a session; what else somebody has put there is not ours."""
    return [(Id.from_hex(p.stem), p) for p in sorted(folder.glob(f"*.{ending}")) if _ID.fullmatch(p.stem)]


@_refused()
def folder_lock(folder: Path) -> FileLock:
    """Hold a folder for this process until it is released, or the process ends.

    Raises:
        WalletError: another process holds it, or the lock cannot be made.
    """
    try:
        return FileLock(folder / "lock")
    except InUse as error:
        who = f" ({error.holder})" if error.holder else ""
        raise WalletError(f"{folder} is in use by another process{who}") from None


@_refused()
def own_key(path: Path) -> bytearray:
    """The 32 bytes that a file holds as hex, drawn where there is none; the caller wipes them.

    Raises:
        WalletError: the file is damaged, readable by others, or cannot be made.
    """
    return keyfiles.own_key(path, typed=True)


@_refused()
def read_private(path: Path) -> bytearray:
    """The bytes of a file of mode 0600; the caller wipes what is secret.

    Raises:
        FileNotFoundError: there is none.
        WalletError: no regular file, longer than `SMALL_BYTES`, others may read it, or it cannot be read.
    """
    return files.read_private(path, SMALL_BYTES)


@_refused()
def replace_file(path: Path, raw: bytes | bytearray) -> None:
    """Put ``raw`` at ``path`` with mode 0600: after a crash the old content is there or the new, never a part.

    Raises:
        WalletError: the disk is full, or the folder cannot be written.
    """
    files.replace_file(path, raw)


class AppendFile:
    """A file of lines, mode 0600, kept open by the one process that adds to it."""

    @_refused()
    def __init__(self, path: Path) -> None:
        """Open or make it.

        Raises:
            WalletError: no regular file, others may use it, or it cannot be opened.
        """
        self._path = path
        self._handle = files.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, "written")
        try:
            files.owners_alone(path, self._handle)
        except BadFile:
            self.close()
            raise
        self.size = os.fstat(self._handle).st_size

    def append(self, line: bytes) -> None:
        """Add one line (without its end); the kernel has it then, the disk after `sync`.

        Raises:
            WalletError: the disk is full, or the file cannot be written.
        """
        try:
            files.write_all(self._handle, line + b"\n")
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._handle, self.size)  # half a line would damage the next
            with _refused(), refused_as(self._path, "written"):
                raise error from None
        self.size += len(line) + 1

    @_refused()
    def sync(self) -> None:
        """Force what was added to the disk.

        Raises:
            WalletError: the disk failed.
        """
        with refused_as(self._path, "written"):
            os.fdatasync(self._handle)

    @_refused()
    def empty(self) -> None:
        """Drop every line.

        Raises:
            WalletError: the file cannot be written.
        """
        with refused_as(self._path, "written"):
            os.ftruncate(self._handle, 0)
        self.size = 0

    def close(self) -> None:
        """Let go of it; closing twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


@_refused()
def read_lines(path: Path) -> list[bytes]:
    """The whole lines of ``path``; a torn last one is cut off, in the file too. None there: no lines.

    Raises:
        WalletError: no regular file, others may read it, or it cannot be read.
    """
    try:
        handle = files.open_file(path, os.O_RDWR)
    except NoFile:
        return []
    try:
        files.owners_alone(path, handle)
        raw = files.read_all(path, handle)
        whole = raw.rfind(b"\n") + 1
        if whole != len(raw):
            with refused_as(path, "written"):
                os.ftruncate(handle, whole)
    finally:
        os.close(handle)
    return [bytes(line) for line in raw[:whole].splitlines()]

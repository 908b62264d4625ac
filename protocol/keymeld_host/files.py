"""Private files: readable by their owner alone, written whole or not at all; what is opened is what was checked.

    read_private   open ▶ a regular file? mode? length? ▶ read, all from one handle
    new_file       draft ▶ fsync ▶ link ▶ fsync of the folder         takes the place of nothing
    replace_file   draft ▶ fsync ▶ rename ▶ fsync of the folder       after a crash the old content is there or the new
    FileLock       one process at a time

No name holds anybody up: a pipe, a socket, a device or a folder in a file's place is refused at once.  So is a symbolic
link: a name stands for the file itself, for whoever reads it and for whoever replaces it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from keymeld_protocol.errors import KeymeldError

_AT_ONCE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NO_FILE: Final = (errno.ENXIO, errno.EISDIR)
"""What the system says of a socket, of a pipe that nobody reads, and of a folder that would be written."""
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What the system says where a file cannot have a second name."""


class BadFile(KeymeldError):
    """A private file is refused, or the system refuses it; nothing of its content is quoted.

    ``why`` is said without the path; ``mend``, if there is one, is the command that helps, without it too.
    """

    def __init__(self, path: Path, why: str, mend: str = "") -> None:
        super().__init__(f"{path} {why}" + (f"; run: {mend} {shlex.quote(str(path))}" if mend else ""))
        self.why = why
        self.mend = mend


class NoFile(BadFile):
    """There is no file to read."""


class InUse(BadFile):
    """Another process holds the lock; ``holder`` is its id as the lock file has it, or empty."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(path, "is in use by another process" + (f" ({holder})" if holder else ""))
        self.holder = holder


@contextmanager
def refused_as(path: Path, what: str) -> Iterator[None]:
    """What the system refuses in this block is a `BadFile`: ``path`` cannot be ``what`` (read, written …)."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadFile(path, "is a symbolic link; name the file itself") from None
        if error.errno in _NO_FILE:
            raise BadFile(path, "must be a regular file") from None
        raise BadFile(path, f"cannot be {what}: {error.strerror}") from None


def open_file(path: Path, flags: int, what: str = "read") -> int:
    """A handle on the regular file of this very name, at once; with ``O_CREAT`` one is made, of mode 0600.

    Raises:
        NoFile: there is none, and none was to be made.
        BadFile: a pipe, a socket, a device, a folder, a link, or the system refuses.
    """
    with refused_as(path, what):
        try:
            handle = os.open(path, flags | _AT_ONCE, 0o600)
        except FileNotFoundError as error:
            if flags & os.O_CREAT:
                raise
            raise NoFile(path, f"cannot be {what}: {error.strerror}") from None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise BadFile(path, "must be a regular file")


def owners_alone(path: Path, handle: int) -> None:
    """Refuse an open file or folder that others than its owner may use.

    Raises:
        BadFile: its mode lets them.
    """
    mode = os.fstat(handle).st_mode
    use, mend = ("enter", "chmod 700") if stat.S_ISDIR(mode) else ("use", "chmod 600")
    if mode & 0o077:
        raise BadFile(path, f"has mode {stat.S_IMODE(mode):04o}, so others may {use} it", mend)


def read_private(path: Path, most: int | None = None, rule: str = "") -> bytearray:
    """The bytes of a file that nobody but its owner may use; the caller wipes what is secret.

    ``most`` bytes are allowed; ``rule`` says in words what a longer file breaks.

    Raises:
        NoFile: there is none.
        BadFile: no regular file, of use to others, longer than ``most``, or the system refuses.
    """
    handle = open_file(path, os.O_RDONLY)
    try:
        owners_alone(path, handle)
        if most is not None and os.fstat(handle).st_size > most:
            raise BadFile(path, rule or f"must be a file of at most {most} bytes")
        return read_all(path, handle)
    finally:
        os.close(handle)


def read_all(path: Path, handle: int) -> bytearray:
    """What an open file holds, however many calls the kernel wants; one that grows meanwhile is read as it was.

    Raises:
        BadFile: the disk fails.
    """
    raw, filled = bytearray(os.fstat(handle).st_size), 0
    with refused_as(path, "read"), memoryview(raw) as view:
        while filled < len(view) and (count := os.readv(handle, [view[filled:]])):
            filled += count
    del raw[filled:]
    return raw


def write_all(handle: int, raw: bytes | bytearray) -> None:
    """Write every byte, however many calls the kernel wants.

    Raises:
        OSError: the disk is full, or fails.
    """
    with memoryview(raw) as view:
        written = 0
        while written < len(view):
            written += os.write(handle, view[written:])


def new_file(path: Path, raw: bytes | bytearray) -> bool:
    """Put ``raw`` at ``path`` with mode 0600, or leave what is there already and give False.

    Raises:
        BadFile: the disk is full, or the folder cannot be written.
    """
    draft = path.with_name(f".{path.name}.{token_hex(8)}")  # of two that make it at once, neither writes in the other's
    with refused_as(path, "made"):
        try:
            _write_draft(draft, raw)
            _name_first(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
    return True


def _name_first(draft: Path, path: Path) -> None:
    """Give a draft its name, unless another has it.

    Raises:
        FileExistsError: another has it.
    """
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):  # a stick or a share without hard links: two that make it in one moment may meet
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(draft, path)


def replace_file(path: Path, raw: bytes | bytearray) -> None:
    """Put ``raw`` at ``path`` with mode 0600, for one process at a time: a draft that a crash left is written anew.

    Raises:
        BadFile: the disk is full, or the folder cannot be written.
    """
    draft = path.with_name(f".{path.name}.new")
    with refused_as(path, "written"):
        draft.unlink(missing_ok=True)
        try:
            _write_draft(draft, raw)
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _write_draft(draft: Path, raw: bytes | bytearray) -> None:
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _AT_ONCE, 0o600)
    try:
        write_all(handle, raw)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """A new name survives a power cut once its folder is on disk.

    Raises:
        OSError: the disk fails.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FileLock:
    """Holds a file for this process until `release` or the process' end, however it ends: the lock is the kernel's.

    A lock file of its own is made where there is none, and says which process holds it; it stays, because deleting it
    would let two of them in.  With ``itself`` the file that is there is locked, and neither read nor written.
    """

    def __init__(self, path: Path, *, itself: bool = False) -> None:
        """Take the lock.

        Raises:
            InUse: another process holds it.
            NoFile: there is no file that could be locked itself.
            BadFile: it cannot be opened, or is no regular file.
        """
        self._handle = open_file(path, os.O_RDONLY if itself else os.O_RDWR | os.O_CREAT, "locked")
        try:
            with refused_as(path, "locked"):
                self._take(path, itself)
        except BaseException:
            self.release()
            raise

    def _take(self, path: Path, itself: bool) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = b"" if itself else os.read(self._handle, 20).strip()
            raise InUse(path, holder.decode() if holder.isdigit() else "") from None
        with suppress(OSError):  # a full disk does not undo the lock
            if not itself:
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others have it; releasing twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

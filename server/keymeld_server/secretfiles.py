"""Files that hold secrets: the coordinator's key and the access tokens; readable by their owner alone, or refused.

A secret is read from the handle whose mode was checked, never from a name that may have been exchanged meanwhile.  Keys
leave here in a ``bytearray``, for the caller to wipe; tokens as digests, so that they cannot be printed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from keymeld_host.settings import BadSetting

KEY_BYTES: Final = 32
TOKEN_MIN: Final = 16
"""Characters of the shortest token: whatever is shorter can be guessed."""

_FILE_MAX: Final = 1_048_576
_HEX: Final = b"0123456789abcdef"


def coordinator_key(path: Path, *, create: bool = True) -> bytearray:
    """Read the coordinator's secret key (32 bytes), or make one where there is none; the caller wipes it.

    Without ``create`` an absent file is refused: a new key beside an old log would make every running ceremony
    refuse our notices.

    Raises:
        BadSetting: the file is not private, is not 64 hex digits, is absent, or cannot be read or made.
    """
    try:
        if create and not path.exists():
            _make_key(path)
        raw = _read_private(path, "key_file")
    except OSError as error:
        raise BadSetting(f"key_file: {path}: {error.strerror}") from None
    digits = raw[:-1] if raw.endswith(b"\n") else raw
    if len(digits) != 2 * KEY_BYTES or any(digit not in _HEX for digit in digits):
        raise BadSetting(f"key_file: {path} must hold {2 * KEY_BYTES} lower-case hex digits ({KEY_BYTES} bytes)")
    key = bytearray(_HEX.index(digits[i]) << 4 | _HEX.index(digits[i + 1]) for i in range(0, len(digits), 2))
    _wipe(raw, digits)
    return key


class AccessTokens:
    """The tokens that allow a connection to open sessions; kept as SHA-256."""

    def __init__(self, tokens: list[bytes]) -> None:
        """Remember the digests of ``tokens``."""
        self._digests = frozenset(sha256(token).digest() for token in tokens)

    def accepts(self, token: str) -> bool:
        """Whether this is one of them; digests are compared, so timing tells nothing of a token."""
        return sha256(token.encode("utf-8", "surrogatepass")).digest() in self._digests

    def __repr__(self) -> str:
        """How many there are, nothing else."""
        return f"AccessTokens({len(self._digests)})"


def access_tokens(path: Path) -> AccessTokens:
    """Read the tokens, one a line; empty lines and lines that begin with ``#`` are skipped.

    Raises:
        BadSetting: the file is not private, holds a token that is too short, or cannot be read; the line is named,
            the token is not.
    """
    try:
        raw = _read_private(path, "access_tokens_file")
    except OSError as error:
        raise BadSetting(f"access_tokens_file: {path}: {error.strerror}") from None
    tokens = []
    for number, line in enumerate(bytes(raw).splitlines(), 1):
        token = line.strip()
        if not token or token.startswith(b"#"):
            continue
        if len(token) < TOKEN_MIN:
            raise BadSetting(f"access_tokens_file: {path} line {number}: must be at least {TOKEN_MIN} characters")
        tokens.append(token)
    _wipe(raw)
    return AccessTokens(tokens)


def _read_private(path: Path, name: str) -> bytearray:
    """The bytes of a file that nobody but its owner may read."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe at this name must not hold us up
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _FILE_MAX:
            raise BadSetting(f"{name}: {path} must be a file of at most {_FILE_MAX} bytes")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise BadSetting(f"{name}: {path} has mode {mode:04o}, so others may use it; run chmod 600 on it")
        buffer = bytearray(status.st_size)
        with open(handle, "rb", buffering=0, closefd=False) as file:
            del buffer[file.readinto(buffer) or 0 :]
        return buffer
    finally:
        os.close(handle)


def _make_key(path: Path) -> None:
    """Write a fresh key under another name, then link it into place: it is there whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    secret = bytearray(os.urandom(KEY_BYTES))
    digits = bytearray(_HEX[nibble] for byte in secret for nibble in (byte >> 4, byte & 15))
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, digits + b"\n")
        os.fsync(handle)
        with suppress(FileExistsError):  # another process was first; its key counts
            os.link(fresh, path)
    finally:
        os.close(handle)
        os.unlink(fresh)
        _wipe(secret, digits)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """A new name survives a power cut once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _wipe(*buffers: bytearray) -> None:
    for buffer in buffers:
        buffer[:] = bytes(len(buffer))

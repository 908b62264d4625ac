"""The enclave's identity at rest.

The identity is random, made inside the enclave, and outlives its restarts: envelopes are sealed to it.  Where it rests
is a port, ``KeyManagement``; this version has the development key file.  Whoever can read that file can open every
envelope: it is for development and for machines whose operator the participants trust.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, Protocol

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Holder, Secret, wipe
from keymeld_protocol.errors import InvalidCrypto, KeymeldError
from keymeld_protocol.values import XOnlyKey

_HEX: Final = b"0123456789abcdef"
_FILE_MAX: Final = 66
"""Bytes that are read at most: 64 digits, a newline, and one more that shows that there is too much."""


class IdentityUnavailable(KeymeldError):
    """The identity cannot be read or made; the message says what to do."""


class EnclaveIdentity(Holder):
    """The secret that opens envelopes and signs the enclave's statements; ``key`` is its x-only public key."""

    __slots__ = ("key", "secret", "signing")

    def __init__(self, secret: Secret) -> None:
        """Take over ``secret``; nobody else keeps it."""
        self.secret = secret
        self.signing = Keypair(secret)
        self.key = XOnlyKey(self.signing.key)

    def sign(self, message: bytes) -> bytes:
        """BIP-340 over 32 bytes."""
        return self.signing.sign(message)

    def wipe(self) -> None:
        """Overwrite it."""
        self.secret.wipe()
        self.signing.wipe()


class KeyManagement(Protocol):
    """Where the identity rests."""

    def load(self) -> EnclaveIdentity:
        """The identity, made at the first call.

        Raises:
            IdentityUnavailable: it cannot be read, or others can read it.
        """


class KeyFile:
    """Development: 32 bytes as hex in a file that only its owner can read (mode 0600).

    With ``alone`` no other process that says so loads it, until this one ends: two enclaves with one identity spend
    each other's attempts.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self._path = path
        self._alone = alone
        self._claim: int | None = None

    def load(self) -> EnclaveIdentity:
        """Read the file, or make it.

        Raises:
            IdentityUnavailable: the file cannot be read or made, is readable by others, holds no key, or is in use.
        """
        try:
            if not self._path.exists():
                self._make()
            if self._alone and self._claim is None:
                self._claim = self._claimed()
            return self._read()
        except OSError as error:
            raise IdentityUnavailable(f"key file {self._path}: {error.strerror}") from None

    def release(self) -> None:
        """Let others load it; the end of the process does the same, however it comes."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _claimed(self) -> int:
        """An open handle with the lock."""
        handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if not isinstance(error, BlockingIOError):
                raise
            rule = "another enclave runs with it; stop that one, or give this one a key file of its own (--key-file)"
            raise IdentityUnavailable(f"key file {self._path}: {rule}") from None
        return handle

    def _read(self) -> EnclaveIdentity:
        """Read from the handle whose mode was checked; what was read is wiped."""
        handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
        text, secret = bytearray(_FILE_MAX), bytearray(0)
        try:
            self._check(os.fstat(handle))
            with open(handle, "rb", buffering=0, closefd=False) as file:
                del text[file.readinto(text) or 0 :]
            secret = _from_hex(text.removesuffix(b"\n"))
            return EnclaveIdentity(Secret(secret))
        except (ValueError, InvalidCrypto):
            rule = "must hold one secret key as 64 lower-case hex characters"
            raise IdentityUnavailable(f"key file {self._path}: {rule}") from None
        finally:
            os.close(handle)
            wipe(secret)
            wipe(text)

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise IdentityUnavailable(f"key file {self._path}: must be a regular file")
        if status.st_mode & 0o077:
            rule = f"has mode {stat.S_IMODE(status.st_mode):04o}, so others may use it"
            raise IdentityUnavailable(f"key file {self._path}: {rule}; run: chmod 600 {self._path}")

    def _make(self) -> None:
        """Write a fresh identity under another name, then link it into place: it is there whole or not at all."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{token_hex(8)}")
        with Secret.generate() as secret:
            text = _to_hex(secret.buffer)
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(handle, "wb", buffering=0) as file:
                file.write(text + b"\n")
                os.fsync(handle)
            with suppress(FileExistsError):  # another process was first; its key counts
                os.link(draft, self._path)
        finally:
            draft.unlink(missing_ok=True)
            wipe(text)
        _sync_folder(self._path.parent)


def _to_hex(secret: bytearray) -> bytearray:
    """Hex digits in a buffer that can be wiped."""
    return bytearray(_HEX[nibble] for byte in secret for nibble in (byte >> 4, byte & 15))


def _from_hex(digits: bytearray) -> bytearray:
    """The bytes that 64 hex digits write, in a buffer that can be wiped.

    Raises:
        ValueError: another length, or a character that is no lower-case hex digit.
    """
    if len(digits) != 64:
        raise ValueError("must be 64 digits")
    return bytearray(_HEX.index(digits[i]) << 4 | _HEX.index(digits[i + 1]) for i in range(0, 64, 2))


def _sync_folder(folder: Path) -> None:
    """A new name survives a power cut once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

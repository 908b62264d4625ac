"""A secret key of 32 bytes in a private file of its own, written as 64 lower-case hex digits and a newline.

    own_key   read it, or draw one where there is none; of many that draw at once, one counts for all

Digits and bytes pass through buffers that are wiped, never through texts, which nobody can wipe.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from .files import BadFile, NoFile, new_file, read_private

KEY_BYTES: Final = 32
KEY_RULE: Final = f"must hold {2 * KEY_BYTES} lower-case hex digits ({KEY_BYTES} bytes)"
_LONGEST: Final = 4 * KEY_BYTES
"""Bytes of a file that somebody has typed in: the digits, and some white space."""

_HEX: Final = b"0123456789abcdef"


def own_key(path: Path, *, create: bool = True, typed: bool = False) -> bytearray:
    """The key in ``path`` (32 bytes), made where there is none; the caller wipes it.

    ``typed``: a backup that somebody typed in counts too, with upper case, and white space around it.

    Raises:
        NoFile: without ``create``, there is none.
        BadFile: the file is not private, is no regular file, holds no key, or cannot be read or made.
    """
    try:
        return _read_key(path, typed)
    except NoFile:
        if not create:
            raise
    secret = bytearray(os.urandom(KEY_BYTES))
    line = to_hex(secret)
    line += b"\n"
    try:
        new_file(path, line)  # should another process have been first, its key counts
    finally:
        wipe(secret, line)
    return _read_key(path, typed)


def _read_key(path: Path, typed: bool) -> bytearray:
    raw = read_private(path, _LONGEST if typed else 2 * KEY_BYTES + 1, KEY_RULE)
    bare = raw.strip() if typed else raw.removesuffix(b"\n")
    digits = bare.lower() if typed else bare
    try:
        return from_hex(digits)
    except ValueError:
        raise BadFile(path, KEY_RULE) from None
    finally:
        wipe(raw, bare, digits)


def to_hex(secret: bytearray) -> bytearray:
    """The lower-case hex digits of some bytes, in a buffer that can be wiped."""
    return bytearray(_HEX[nibble] for byte in secret for nibble in (byte >> 4, byte & 15))


def from_hex(digits: bytearray) -> bytearray:
    """The 32 bytes that 64 lower-case hex digits write, in a buffer that can be wiped.

    Raises:
        ValueError: another length, or a character that is no such digit.
    """
    if len(digits) != 2 * KEY_BYTES or any(digit not in _HEX for digit in digits):
        raise ValueError(KEY_RULE)
    return bytearray(_HEX.index(digits[i]) << 4 | _HEX.index(digits[i + 1]) for i in range(0, len(digits), 2))


def wipe(*buffers: bytearray) -> None:
    """Overwrite buffers with zeros."""
    for buffer in buffers:
        buffer[:] = bytes(len(buffer))

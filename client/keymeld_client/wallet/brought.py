"""The keys that their owner brought along and sealed: remembered by a hash, so that none is sealed a second time.

A key is only as safe as the loosest rule it was ever sealed under, and no rule can be taken back (§8.1).  The file
is a line of hex for each key; it tells nobody a key who does not know it already.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from keymeld_protocol.curve.schnorr import tagged_hash

from ..errors import WalletError
from .files import read_lines, replace_file

SEALED_BEFORE: Final = "this key was sealed before, and a key is only as safe as the loosest rule it was sealed under"


class BroughtKeys:
    """The keys in one file, compared without parity."""

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            WalletError: the file is readable by others, or cannot be read.
        """
        self._path = path
        self._seen = dict.fromkeys(read_lines(path))

    def note(self, point: bytes, again: bool) -> None:
        """Remember the key of ``point`` (33 bytes), on disk, before it is sealed; ``again``: though it is known.

        Raises:
            WalletError: it was sealed before, or the disk failed.
        """
        line = tagged_hash("keymeld/brought/v1", point[1:]).hex().encode()
        if line in self._seen and not again:
            raise WalletError(SEALED_BEFORE)
        replace_file(self._path, b"".join(each + b"\n" for each in {**self._seen, line: None}))
        self._seen[line] = None

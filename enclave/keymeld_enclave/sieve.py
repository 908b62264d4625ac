"""A set of streams that takes the same room however many are in it, and forgets none (a Bloom filter).

What is in it is always found; what is not is found by mistake once in a while: with ten million in 16 MiB two in a
thousand, with a million hardly ever.  The bits follow from a secret of this process, so that nobody can look for names
that are mistaken for others.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from keymeld_protocol.values import Id

BITS: Final = 2**27
"""16 MiB."""
HASHES: Final = 8


class Sieve:
    """The streams that were put into it; ``bits`` is a multiple of 8, and takes its room with the first of them."""

    def __init__(self, bits: int = BITS) -> None:
        self._bits = bits
        self._key = secrets.token_bytes(32)
        self._room = bytearray()

    def add(self, stream: Id) -> None:
        """Remember a stream for good."""
        if not self._room:
            self._room = bytearray(self._bits // 8)
        for bit in self._places(stream):
            self._room[bit // 8] |= 1 << bit % 8

    def __contains__(self, stream: Id) -> bool:
        """Whether a stream was put into it; hardly ever also of one that was not."""
        return bool(self._room) and all(self._room[bit // 8] >> bit % 8 & 1 for bit in self._places(stream))

    def _places(self, stream: Id) -> Iterator[int]:
        found = blake2b(stream, key=self._key, digest_size=8 * HASHES).digest()
        return (int.from_bytes(found[i : i + 8], "big") % self._bits for i in range(0, 8 * HASHES, 8))

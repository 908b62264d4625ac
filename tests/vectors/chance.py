"""Randomness that is the same in every run, so that vectors come out byte for byte alike.

    with Chance("envelopes") as chance:      every keymeld module that asks the operating system for
        ...                                  random bytes gets them from SHA-256(seed ‖ counter) instead
    chance.drawn                             what was handed out, in order

Only the vectors' generator uses this: it swaps the name ``urandom`` in the modules that imported it, and puts the real
one back at the end.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from hashlib import sha256
from types import TracebackType
from typing import Self
from unittest.mock import patch

_PACKAGES = ("keymeld_protocol.", "keymeld_enclave.")


class Chance:
    """A stream of bytes that follows from ``seed`` alone."""

    def __init__(self, seed: str) -> None:
        """Begin anew; two streams of one seed are equal."""
        self.drawn: list[bytes] = []
        self._seed = f"keymeld wire vectors: {seed}".encode()
        self._patches = ExitStack()

    def draw(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        number = len(self.drawn).to_bytes(8, "big")
        blocks = (sha256(self._seed + number + bytes([i])).digest() for i in range(-(-size // 32)))
        self.drawn.append(b"".join(blocks)[:size])
        return self.drawn[-1]

    def __enter__(self) -> Self:
        """Take the operating system's place."""
        for name, module in sorted(sys.modules.items()):
            if name.startswith(_PACKAGES) and hasattr(module, "urandom"):
                self._patches.enter_context(patch.object(module, "urandom", self.draw))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give the operating system its place back."""
        self._patches.close()

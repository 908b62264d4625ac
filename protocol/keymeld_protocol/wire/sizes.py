"""How many bytes each sealed field may have: what the longest thing that belongs there takes, and no more (§2.7).

    sealed   = nonce(24) ‖ ciphertext ‖ tag(16)                                        40 bytes more than the plaintext
    card         46 + 66 + 64 × 6 + 128    every character of the label escaped: 664 sealed, and a third as much again
    detail       20 + 512 × 6              the same: 3,132 sealed, and a third as much again
    values       1,000 × (1 + 66 + 64 + 32)    every place with a nonce, its proof and a psig: 163,040 sealed
    signatures   1,000 × (1 + 65)              every place with a pre-signature: 66,040 sealed

What could be of any length ends here: Terms with a tree of scripts, a Policy in its envelope, and a note.  A Body holds
1,000 inputs with their transactions, and still fits a frame in base64url.
"""

from __future__ import annotations

from typing import Final

SEALING: Final = 40
"""Bytes that sealing adds: a nonce and a tag (§8.3)."""

MAX_BLOB: Final = 640 * 1024
"""A Body, and no blob is longer."""
MAX_TERMS: Final = 256 * 1024
MAX_CARD: Final = 1024
MAX_DETAIL: Final = 4096
MAX_NOTE: Final = 64 * 1024
"""The body of ``note.*``, and ``wallet.note``."""
MAX_ENVELOPE: Final = 16 * 1024
MAX_VALUES: Final = 1000 * (1 + 66 + 64 + 32) + SEALING

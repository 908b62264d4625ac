"""The roster digits: what people read to one another by telephone instead of 32 bytes (§6.4).

    roster(32) ─▶ scrypt, 32 MiB ─▶ the first 100 bits ─▶ 20 characters: 8y3k 0m5t …

Whoever wants two rosters that read alike has to compute 2⁵⁰ of them, since what is short enough to be read aloud has to
be slow to compute.  Programs compare the whole roster.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import scrypt
from typing import Final

from ..values import Hash

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32 in lower case: no i, l, o, u."""
SALT: Final = b"keymeld/roster-digits/v1"
COST: Final = 2**15
BLOCK: Final = 8
"""scrypt's N and r: 128·r·N bytes (32 MiB) for each evaluation, about a tenth of a second."""
_ROOM: Final = 2 * 128 * BLOCK * COST
"""Bytes that scrypt may take at most: OpenSSL's own limit is 32 MiB for all of it."""
_BYTES: Final = 16
_CHARACTERS: Final = 20
_GROUP: Final = 4


@lru_cache(maxsize=256)
def roster_digits(roster: Hash) -> str:
    """The digits of a roster: 20 characters in five groups of four, computed once for each roster.

    It takes 32 MiB and about a tenth of a second: ask for it where it is shown.
    """
    slow = scrypt(roster, salt=SALT, n=COST, r=BLOCK, p=1, maxmem=_ROOM, dklen=_BYTES)
    number = int.from_bytes(slow, "big") >> (8 * _BYTES - 5 * _CHARACTERS)
    characters = [ALPHABET[number >> (5 * place) & 31] for place in reversed(range(_CHARACTERS))]
    return " ".join("".join(characters[i : i + _GROUP]) for i in range(0, _CHARACTERS, _GROUP))

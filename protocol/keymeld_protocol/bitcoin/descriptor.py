"""Output descriptors for watch-only wallets: ``tr(musig(…))`` with its checksum (BIP-380, 386, 389, 390).

    keys ─► musig(key0,key1,…) ─┬─► tr(…): BIP-86, rawtr(…): no tweak ─► #checksum
    xpub ─► xpub/<0;1>/*  ──────┘                                          │
    output key ─► rawtr(…): any other tweak ───────────────────────────────┘

Whoever imports one sees the coins of a group and can spend none. BIP-390 sorts the keys before it aggregates them, as
the roster does; they are written in that order. Children are written with the synthetic xpub of BIP-328: a ``musig()``
that derives takes xpubs, and the keys of a roster are none; besides, every wallet can follow an xpub.
"""

from __future__ import annotations

from typing import Final

from ..curve.keyagg import KeyAgg, aggregate, bip86_tweak
from ..errors import bad_field
from ..plaintext.contents import TermsTweak

BOTH_BRANCHES: Final = "<0;1>/*"
"""The derivation of every receive and every change address (BIP-389)."""

_INPUT: Final = (
    "0123456789()[],'/*abcdefgh@:$%{}"
    "IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~"
    "ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
)  # fmt: skip
_OUTPUT: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)


def taproot_descriptor(keyagg: KeyAgg) -> str:
    """Describe the output of a key list, judged by the output key itself: it never leads to another address.

    A key list of one is that key, without ``musig()``; a tweak that ``musig()`` cannot say leaves the output key alone.
    """
    keys = keyagg.keys
    key = f"musig({','.join(each.hex() for each in keys)})" if len(keys) > 1 else keys[0].hex()
    if keyagg.output == aggregate(keys, (bip86_tweak(keys),)).output:
        return with_checksum(f"tr({key})")
    bare = keyagg.output == aggregate(keys).output
    return with_checksum(f"rawtr({key if bare else keyagg.output.hex()})")


def child_descriptor(xpub: str, path: str, tweak: TermsTweak) -> str:
    """Describe the child of a synthetic xpub along ``path``, or with `BOTH_BRANCHES` all its addresses.

    Raises:
        BadInput: the terms' tweak commits to scripts, which no descriptor can say by their bytes.
    """
    if tweak not in ("bip86", "none"):
        raise bad_field(
            "descriptor", "none says all children of a key with scripts beside it; each child has one of its own"
        )
    return with_checksum(f"{'tr' if tweak == 'bip86' else 'rawtr'}({xpub}/{path})")


def with_checksum(text: str) -> str:
    """Append BIP-380's checksum: ``#`` and eight characters.

    Raises:
        BadInput: a character that descriptors do not have.
    """
    state = 1
    for symbol in (*_symbols(text), *(8 * [0])):
        state = _step(state, symbol)
    state ^= 1
    return f"{text}#{''.join(_OUTPUT[state >> 5 * (7 - i) & 31] for i in range(8))}"


def _symbols(text: str) -> list[int]:
    """Give each character's low five bits, and after every three characters their high parts in one symbol."""
    places = [_INPUT.find(character) for character in text]
    if -1 in places:
        raise bad_field("descriptor", "has a character that descriptors do not have")
    found: list[int] = []
    for start in range(0, len(places), 3):
        three = places[start : start + 3]
        high = 0
        for place in three:
            high = 3 * high + (place >> 5)
        found += [*(place & 31 for place in three), high]
    return found


def _step(state: int, symbol: int) -> int:
    """Feed one symbol to the checksum's polynomial over GF(32)."""
    top = state >> 35
    state = (state & 0x7FFFFFFFF) << 5 ^ symbol
    for bit, generator in enumerate(_GENERATOR):
        state ^= generator if top >> bit & 1 else 0
    return state

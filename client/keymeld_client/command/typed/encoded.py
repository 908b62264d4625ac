"""The bytes that a person gives on the command line: in hex or base64, in a file, or on standard input.

    3f9a…  key, message, point   FILE │ -  secret key              50btc:5120…  output
    0200… │ FILE  transaction    cHNidP8… │ FILE │ -  PSBT

Every function raises ValueError with a sentence that says what would be right, as those of `short_forms` do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from keymeld_host.files import BadFile, NoFile, read_private
from keymeld_host.keyfiles import from_hex, wipe
from keymeld_protocol.curve.secp256k1 import Secret, parse_point
from keymeld_protocol.errors import BadInput, InvalidCrypto
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.plaintext.body import MAX_POINTS, Adaptor
from keymeld_protocol.values import Message, PlainKey, XOnlyKey

from .short_forms import amount

_KEY_BYTES: Final = 128
_KEY_RULE: Final = "must hold 64 hex digits: 32 bytes, not zero and below the order of secp256k1"
_FILE_BYTES: Final = 1024 * 1024
_PSBT: Final = (b"psbt\xff", b"cHNidP")
_MODES: Final[dict[str, Literal["single", "and", "or"]]] = {"": "single", "and": "and", "or": "or"}


def key(text: str) -> XOnlyKey:
    """Read an enclave's identity: 64 hex digits.

    Raises:
        ValueError: anything else.
    """
    try:
        return XOnlyKey.from_hex(text.strip().lower())
    except ValueError:
        raise ValueError("an enclave's identity is 64 hex digits; `keymeld-enclave identity` prints it") from None


def ticket(text: str) -> Ticket:
    """Read a ticket, or (``-``) the first line of standard input; nothing of it is repeated.

    Raises:
        ValueError: it is damaged; says how.
    """
    try:
        return Ticket.parse(sys.stdin.readline(4096) if text == "-" else text)
    except BadInput as error:
        raise ValueError(error.message.removeprefix("ticket: ")) from None


def secret(text: str) -> Secret:
    """Read a secret, 64 hex digits, from a file of mode 0600 or (``-``) standard input; nothing of it is repeated.

    Raises:
        ValueError: no such file, one that others may read, or no secret key.
    """
    raw = _typed_secret(text)
    bare = raw.strip()
    digits = bare.lower()
    scalar = bytearray()
    try:
        scalar = from_hex(digits)
        return Secret(scalar)
    except (ValueError, InvalidCrypto):
        raise ValueError(_KEY_RULE) from None
    finally:
        wipe(raw, bare, digits, scalar)


def _typed_secret(text: str) -> bytearray:
    """What is in the file of this name, or on standard input."""
    if text == "-":
        return bytearray(sys.stdin.buffer.read(_KEY_BYTES))
    try:
        return read_private(Path(text).expanduser(), _KEY_BYTES, _KEY_RULE)
    except (NoFile, RuntimeError):  # the latter of a home that nobody has
        raise ValueError("no such file; a secret is read from a file or from -, never typed as an argument") from None
    except BadFile as error:
        raise ValueError(f"the file {error.why}" + (f"; run {error.mend} on it" if error.mend else "")) from None


def message(text: str) -> Message:
    """Read 32 bytes of hex; upper case is fine.

    Raises:
        ValueError: anything else.
    """
    try:
        return Message.from_hex(text.lower())
    except ValueError:
        raise ValueError("must be 64 hex digits (32 bytes), such as a SHA-256") from None


def hexed(size: int, what: str) -> Callable[[str], bytes]:
    """A reader of ``what``: ``size`` bytes of hex; it raises ValueError for anything else."""

    def read(text: str) -> bytes:
        raw = _unhex(text)
        if raw is None or len(raw) != size:
            raise ValueError(f"{what} is {2 * size} hex digits ({size} bytes)")
        return raw

    return read


def point(text: str) -> PlainKey:
    """Read a point: 66 hex digits, compressed.

    Raises:
        ValueError: anything else, or no point of the curve.
    """
    try:
        parse_point(raw := hexed(33, "a point")(text))
    except InvalidCrypto:
        raise ValueError("is no point of the curve") from None
    return PlainKey(raw)


def adaptor(text: str) -> Adaptor:
    """Read what completes an item: ``POINT``, ``and:POINT,POINT…`` (every secret) or ``or:POINT,POINT…`` (any of them).

    Raises:
        ValueError: anything else, a point twice, or one point where several belong.
    """
    word, _, points = text.rpartition(":")
    if word not in _MODES:
        raise ValueError("use POINT, and:POINT,POINT or or:POINT,POINT")
    read = Adaptor(mode=_MODES[word], points=tuple(map(point, points.split(","))))
    if word and len(read.points) < 2:
        raise ValueError(f"{word}: takes two points or more, separated by commas; one point stands alone")
    if not word and len(read.points) > 1:
        raise ValueError("several points need a word before them: and: takes all their secrets, or: any of them")
    if len(read.points) > MAX_POINTS:
        raise ValueError(f"has {len(read.points)} points; at most {MAX_POINTS} lock one item")
    read.check("adaptor")
    return read


def spent(text: str) -> tuple[int, bytes | None]:
    """Read a spent output: ``AMOUNT:SCRIPT`` (hex), or ``AMOUNT`` alone for the group's own script (None).

    Raises:
        ValueError: the amount or the script cannot be read.
    """
    value, found, script = text.partition(":")
    raw = _unhex(script)
    if found and not raw:
        raise ValueError("use AMOUNT:SCRIPT, with the scriptPubKey in hex, or AMOUNT alone where it is the group's own")
    return amount(value), raw if found else None


def transaction(text: str) -> bytes:
    """Read an unsigned transaction: hex, or the name of a file that holds it as hex or as bytes.

    Raises:
        ValueError: no such file, too long, or a PSBT.
    """
    if (raw := _unhex(text)) is None:
        raw = content(text)
        raw = _unhex(raw.decode("latin-1").strip()) or raw
    if raw.startswith(_PSBT):
        raise ValueError("is a PSBT: give it with --psbt, without --spent")
    if not raw:
        raise ValueError("is empty")
    return raw


def inputs_of(raw: bytes) -> int:
    """How many inputs a serialized transaction announces; 0 for what is too short to be one."""
    first = raw[4] if len(raw) > 4 else 0
    return int.from_bytes(raw[5:7], "little") if first == 0xFD else first if first < 0xFD else 0


def psbt(text: str) -> bytes:
    """Read a PSBT: base64, ``-`` for standard input, or the name of a file that holds it as base64 or as bytes.

    Raises:
        ValueError: no such file, too long, or no PSBT.
    """
    from keymeld_protocol.bitcoin.psbt import MAX_PSBT

    if text == "-":
        raw = sys.stdin.buffer.read(2 * MAX_PSBT + 1)
    elif text.startswith("cHNidP"):
        raw = text.encode("ascii", "replace")
    else:
        raw = content(text, "is neither base64 nor a file", 2 * MAX_PSBT)
    raw = raw if raw.startswith(_PSBT[0]) else raw.strip()
    if not raw.startswith(_PSBT):
        raise ValueError("is no PSBT, neither raw nor in base64")
    return raw


def _unhex(text: str) -> bytes | None:
    """The bytes of a hex text, or None."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def content(name: str, instead: str = "is neither hex nor a file", most: int = _FILE_BYTES) -> bytes:
    """The content of a file of at most ``most`` bytes; ``instead`` begins the complaint about one that is none.

    Raises:
        ValueError: it cannot be read, or is longer.
    """
    try:
        with Path(name).expanduser().open("rb") as file:
            raw = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise ValueError(f"{instead} that can be read ({reason})") from None
    if len(raw) > most:
        raise ValueError(f"is a file of more than {most // 1024**2} MiB, longer than anything that belongs here")
    return raw

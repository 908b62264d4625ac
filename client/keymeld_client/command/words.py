"""What a person types on the command line, and the values that it means; and rules back in words.

    self · none · 2of3 · 2of3:0,2,4        Rule            2d · 90m · 1h30m     milliseconds
    2026-12-01 · '2026-12-01 14:00'        ms, UTC         file or hex          bytes of a transaction
    10000 · 10000sat · 0.0001btc           satoshi

Every function raises ValueError with a sentence that says what would be right; `Words` makes click print it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from keymeld_protocol.body import MAX_MONEY
from keymeld_protocol.contents import Terms
from keymeld_protocol.errors import InvalidCrypto, WireError
from keymeld_protocol.psbt import MAX_PSBT
from keymeld_protocol.secp256k1 import Secret, wipe
from keymeld_protocol.shapes import MAX_DELAY_MS, Rule
from keymeld_protocol.tweaks import told_leaf
from keymeld_protocol.values import Message, XOnlyKey
from keymeld_protocol.wording import slots_told

from ..errors import WalletError
from ..files import read_private
from ..joining import Allow
from ..telling import moment
from ..telling import span as span_told

_QUORUM: Final = re.compile(r"([0-9]{1,4})of([0-9]{1,4})(?::([0-9,]+))?", re.ASCII)
_SPAN: Final = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h|d|w))+", re.ASCII)
_WHEN: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]([0-9]{2}:[0-9]{2})(?:Z| ?UTC)?)?", re.ASCII)
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_KEY_BYTES: Final = 128
_FILE_BYTES: Final = 1024 * 1024
_PSBT: Final = (b"psbt\xff", b"cHNidP")


class Words(click.ParamType[Any]):
    """A click type from a function that reads a text; its ValueError becomes the complaint."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        """``name`` is shown in usage lines."""
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a text; a default that has its value already is left alone."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except WireError as error:
            self.fail(error.message, param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def rule(text: str) -> Rule:
    """Read an approval rule: ``none``, ``self``, ``2of3`` (of slots 0, 1, 2) or ``2of3:0,2,4``.

    Raises:
        ValueError: none of these, or a quorum that cannot be.
    """
    if text in ("none", "self"):
        return Rule(approval="none" if text == "none" else "self")
    found = _QUORUM.fullmatch(text)
    if found is None:
        raise ValueError("use none, self, or a quorum such as 2of3 or 2of3:0,2,4 (the slots that may say yes)")
    threshold, size = int(found[1]), int(found[2])
    slots = tuple(sorted({int(slot) for slot in found[3].split(",") if slot})) if found[3] else tuple(range(size))
    if not 1 <= threshold <= size:
        raise ValueError(
            f"{threshold} of {size} can never be reached, or needs nobody: use 1of{size} to {size}of{size}"
        )
    if len(slots) != size:
        raise ValueError(f"names {len(slots)} different slots where {size} are needed, such as 2of3:0,2,4")
    return Rule(approval="quorum", threshold=threshold, of=slots)


def rule_told(rule: Rule) -> str:
    """Say a rule as a few words: whose yes the key waits for, and what else."""
    return ", ".join([_yes_told(rule), *_times_told(rule)])


def _yes_told(rule: Rule) -> str:
    """Whose yes the key waits for."""
    match rule.approval:
        case "none":
            return "any member's request is enough"
        case "self":
            return "own approval"
        case _:
            return f"approval by {rule.threshold} of {slots_told(rule.of or ())}"


def _times_told(rule: Rule) -> list[str]:
    """What time must do."""
    return [
        *([f"{span_told(rule.delay_ms)} after it was heard"] if rule.delay_ms is not None else []),
        *([f"not before {moment(rule.not_before)}"] if rule.not_before is not None else []),
        *([f"not after {moment(rule.not_after)}"] if rule.not_after is not None else []),
    ]


def rule_explained(rule: Rule) -> str:
    """Say a rule so that a person can decide whether to live under it."""
    match rule.approval:
        case "none":
            return "none: your key signs whatever another member requests. You are not asked."
        case "self":
            return "self: your key signs nothing that you have not approved."
        case _:
            told = _yes_told(rule).removeprefix("approval by ")
            return f"{rule_short(rule)}: your key signs what {told} approve, with or without you."


def times_explained(rule: Rule) -> list[str]:
    """Say when a key signs, a line each."""
    lines = []
    if rule.delay_ms is not None:
        no = "your no (keymeld reject) stops it until then" if rule.approval == "none" else "a no counts until then"
        lines.append(f"signs {span_told(rule.delay_ms)} after its enclave heard the request, no sooner; {no}")
    if rule.not_before is not None:
        lines.append(f"signs nothing before {moment(rule.not_before)}")
    if rule.not_after is not None:
        lines.append(f"signs nothing after {moment(rule.not_after)}, for good: coins left here then are lost")
    return lines


def rule_short(rule: Rule) -> str:
    """A rule as it is typed."""
    if rule.approval != "quorum" or rule.of is None:
        return rule.approval
    return f"{rule.threshold}of{len(rule.of)}:{','.join(map(str, rule.of))}"


def span(text: str) -> int:
    """Read a time span such as ``2d`` or ``1h30m``, in milliseconds.

    Raises:
        ValueError: no number with a unit, or no time at all.
    """
    if not _SPAN.fullmatch(text):
        raise ValueError("use a number with a unit: 30s, 90m, 2h, 7d, or 1h30m")
    total = sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"([0-9]+)(ms|s|m|h|d|w)", text))
    if not 0 < total < 2**53:
        raise ValueError("must be longer than nothing and shorter than forever")
    return total


def delay(text: str) -> int:
    """Read a delay, in milliseconds: a time span of at most 6 days.

    Raises:
        ValueError: it is longer, or no time span.
    """
    ms = span(text)
    if ms > MAX_DELAY_MS:
        raise ValueError(f"at most {span_told(MAX_DELAY_MS)}: a request lives for a week")
    return ms


def when(text: str) -> int:
    """Read a time in UTC such as ``2026-12-01`` (its first minute) or ``2026-12-01 14:00``, in ms since the Unix epoch.

    Raises:
        ValueError: none of these, or no day of the calendar.
    """
    found = _WHEN.fullmatch(text)
    if found is None:
        raise ValueError("use a day such as 2026-12-01 (from its first minute) or '2026-12-01 14:00', in UTC")
    try:
        parsed = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}+00:00")
        return int(parsed.timestamp()) * 1000
    except ValueError:
        raise ValueError("no calendar holds this day and time") from None


def amount(text: str) -> int:
    """Read an amount, in satoshi: ``10000``, ``10,000sat`` or ``0.0001btc``.

    Raises:
        ValueError: a decimal without its unit, parts of a satoshi, or more than 21 million BTC.
    """
    plain = text.lower().replace(",", "").replace("_", "").replace(" ", "")
    if found := re.fullmatch(r"([0-9]{1,16})(?:sats?)?", plain, re.ASCII):
        sat = int(found[1])
    elif found := re.fullmatch(r"([0-9]{1,8})(?:\.([0-9]{1,8}))?btc", plain, re.ASCII):
        sat = int(found[1]) * 10**8 + int((found[2] or "").ljust(8, "0"))
    else:
        raise ValueError("an amount is a whole number of satoshi (10000, 10000sat) or has its unit (0.0001btc)")
    if sat > MAX_MONEY:
        raise ValueError("is more than 21 million BTC")
    return sat


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


def subset(text: str) -> tuple[int, ...]:
    """Read slots such as ``0,2``, in rising order.

    Raises:
        ValueError: no slots, or one twice.
    """
    if not re.fullmatch(r"[0-9]{1,3}(?:,[0-9]{1,3})*", text, re.ASCII):
        raise ValueError("use slots separated by commas, such as 0,2")
    slots = tuple(sorted(int(slot) for slot in text.split(",")))
    if len(set(slots)) != len(slots):
        raise ValueError("names a slot twice")
    return slots


def message(text: str) -> Message:
    """Read 32 bytes of hex; upper case is fine.

    Raises:
        ValueError: anything else.
    """
    try:
        return Message.from_hex(text.lower())
    except ValueError:
        raise ValueError("must be 64 hex digits (32 bytes), such as a SHA-256") from None


def key(text: str) -> XOnlyKey:
    """Read an enclave's identity: 64 hex digits.

    Raises:
        ValueError: anything else.
    """
    try:
        return XOnlyKey.from_hex(text.strip().lower())
    except ValueError:
        raise ValueError("an enclave's identity is 64 hex digits; `keymeld-enclave identity` prints it") from None


def secret(text: str) -> Secret:
    """Read a secret key, 64 hex digits, from a file of mode 0600 or (``-``) standard input; nothing of it is repeated.

    Raises:
        ValueError: no such file, one that others may read, or no secret key.
    """
    try:
        raw = bytearray(sys.stdin.buffer.read(_KEY_BYTES)) if text == "-" else read_private(Path(text).expanduser())
    except FileNotFoundError:
        raise ValueError("no such file; a key is read from a file or from -, never typed as an argument") from None
    except WalletError as error:
        raise ValueError(str(error)) from None
    digits = bytearray()
    try:
        digits += bytearray.fromhex(raw.decode("ascii").strip())
        return Secret(digits)
    except (ValueError, InvalidCrypto):
        raise ValueError("must hold 64 hex digits: 32 bytes, not zero and below the order of secp256k1") from None
    finally:
        wipe(raw)
        wipe(digits)


def transaction(text: str) -> bytes:
    """Read an unsigned transaction: hex, or the name of a file that holds it as hex or as bytes.

    Raises:
        ValueError: no such file, too long, or a PSBT.
    """
    if (raw := _unhex(text)) is None:
        raw = _file(text)
        raw = _unhex(raw.decode("latin-1").strip()) or raw
    if raw.startswith(_PSBT):
        raise ValueError("is a PSBT: give it with --psbt, without --spent")
    if not raw:
        raise ValueError("is empty")
    return raw


def psbt(text: str) -> bytes:
    """Read a PSBT: base64, ``-`` for standard input, or the name of a file that holds it as base64 or as bytes.

    Raises:
        ValueError: no such file, too long, or no PSBT.
    """
    if text == "-":
        raw = sys.stdin.buffer.read(2 * MAX_PSBT + 1)
    elif text.startswith("cHNidP"):
        raw = text.encode("ascii", "replace")
    else:
        raw = _file(text, 2 * MAX_PSBT, "base64")
    raw = raw if raw.startswith(_PSBT[0]) else raw.strip()
    if not raw.startswith(_PSBT):
        raise ValueError("is no PSBT, neither raw nor in base64")
    return raw


def inputs_of(raw: bytes) -> int:
    """How many inputs a serialized transaction announces; 0 for what is too short to be one."""
    first = raw[4] if len(raw) > 4 else 0
    return int.from_bytes(raw[5:7], "little") if first == 0xFD else first if first < 0xFD else 0


def allowed(allow: Allow) -> list[str]:
    """What a joiner allows beyond his rule, a line each."""
    told = []
    if allow.alone:
        kind = "transactions and BLIND messages" if allow.alone_blind else "transactions, no blind messages"
        told.append(f"a subset of this slot alone may sign with this key: {kind}")
    if allow.opaque_tweak:
        told.append("tweaks are accepted although nobody can see what they hide")
    return told


def scripts(terms: Terms) -> list[str]:
    """Which scripts can spend beside the key, a line each."""
    if terms.root is not None:
        return [f"root {terms.root.hex()}: the address is not provably this group's alone"]
    return [told_leaf(leaf) for leaf in terms.tree or ()]


def within(most: int) -> Callable[[str], str]:
    """A reader of texts of at most ``most`` characters that UTF-8 can hold; it raises ValueError for others."""

    def read(text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("is not Unicode text") from None
        if len(text) > most:
            raise ValueError(f"at most {most} characters, not {len(text)}")
        return text

    return read


def _unhex(text: str) -> bytes | None:
    """The bytes of a hex text, or None."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _file(name: str, most: int = _FILE_BYTES, form: str = "hex") -> bytes:
    """The content of a file of at most ``most`` bytes; ``form`` is what the text might have been instead.

    Raises:
        ValueError: it cannot be read, or is longer.
    """
    try:
        with Path(name).expanduser().open("rb") as file:
            raw = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise ValueError(f"is neither {form} nor a file that can be read ({reason})") from None
    if len(raw) > most:
        raise ValueError(f"is a file of more than {most // 1024**2} MiB, which no transaction is")
    return raw

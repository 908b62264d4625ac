"""What a person types on the command line, and the values that it means; and rules back in words.

    self · none · 2of3 · 2of3:0,2,4        Rule            0,2                  slots
    10000 · 10000sat · 0.0001btc           satoshi

Every function raises ValueError with a sentence that says what would be right; `ShortForm` makes click print it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from keymeld_protocol.bitcoin.tweaks import told_leaf
from keymeld_protocol.plaintext.body import MAX_MONEY
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wording import slots_told

from .times import told

_QUORUM: Final = re.compile(r"([0-9]{1,4})of([0-9]{1,4})(?::([0-9,]+))?", re.ASCII)


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
    return ", ".join([_yes_told(rule), *told(rule)])


def _yes_told(rule: Rule) -> str:
    """Whose yes the key waits for."""
    match rule.approval:
        case "none":
            return "any member's request is enough"
        case "self":
            return "own approval"
        case _:
            return f"approval by {rule.threshold} of {slots_told(rule.of or ())}"


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


def rule_short(rule: Rule) -> str:
    """A rule as it is typed."""
    if rule.approval != "quorum" or rule.of is None:
        return rule.approval
    return f"{rule.threshold}of{len(rule.of)}:{','.join(map(str, rule.of))}"


_THOUSANDS: Final = "[1-9][0-9]{0,2}(?:,[0-9]{3}){1,4}"


def amount(text: str) -> int:
    """Read an amount, in satoshi: ``10000``, ``10,000sat`` or ``0.0001btc``.

    Commas stand between thousands only, and where they could be meant as the decimal point not at all: in many
    languages 0,5btc is half a bitcoin, and not five.

    Raises:
        ValueError: a decimal without its unit, parts of a satoshi, or more than 21 million BTC.
    """
    plain = text.lower().replace("_", "").replace(" ", "")
    if found := re.fullmatch(rf"([0-9]{{1,16}}|{_THOUSANDS})(?:sats?)?", plain, re.ASCII):
        sat = int(found[1].replace(",", ""))
    elif found := re.fullmatch(rf"([0-9]{{1,8}}|{_THOUSANDS}(?=\.))(?:\.([0-9]{{1,8}}))?btc", plain, re.ASCII):
        sat = int(found[1].replace(",", "")) * 10**8 + int((found[2] or "").ljust(8, "0"))
    else:
        raise ValueError("an amount is a whole number of satoshi (10000, 10000sat) or has its unit (0.0001btc)")
    if sat > MAX_MONEY:
        raise ValueError("is more than 21 million BTC")
    return sat


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


def scripts(terms: Terms) -> list[str]:
    """Which scripts can spend beside the key, a line each; nothing with BIP-86, which commits to there being none."""
    if terms.tweak == "none":
        return ["none, and no tweak that says so: the address is the bare aggregate key"]
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

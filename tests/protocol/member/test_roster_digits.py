"""roster_digits.py: the digits are those of the specification, and computed once."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from keymeld_protocol.member import roster_digits as module
from keymeld_protocol.member.roster_digits import ALPHABET, roster_digits
from keymeld_protocol.values import Hash
from tests.support.coordinator import secret_of
from tests.support.vectors import WIRE

VECTORS = json.loads((WIRE / "roster.json").read_text("utf-8"))["digits"]


@pytest.mark.parametrize("case", VECTORS, ids=[case["comment"] for case in VECTORS])
def test_the_digits_are_those_of_the_vectors(case: dict[str, str]) -> None:
    assert roster_digits(Hash.from_hex(case["roster"])) == case["digits"]


def test_the_digits_are_the_first_hundred_bits_of_scrypt_as_another_library_has_it() -> None:
    roster = Hash(secret_of("some roster"))
    slow = Scrypt(salt=b"keymeld/roster-digits/v1", length=16, n=32_768, r=8, p=1).derive(roster)
    bits = "".join(f"{byte:08b}" for byte in slow)
    expected = "".join(ALPHABET[int(bits[i : i + 5], 2)] for i in range(0, 100, 5))
    assert roster_digits(roster).replace(" ", "") == expected


def test_the_digits_are_five_groups_of_four_without_letters_that_look_like_digits() -> None:
    digits = roster_digits(Hash(bytes(32)))
    assert [len(group) for group in digits.split(" ")] == [4] * 5
    assert len(set(ALPHABET)) == 32 and not set(ALPHABET) & set("ilou") and set(digits) <= {*ALPHABET, " "}


def test_the_digits_of_a_roster_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def slow(roster: bytes, **_: object) -> bytes:
        asked.append(roster)
        return bytes(16)

    monkeypatch.setattr(module, "scrypt", slow)
    roster = Hash(secret_of("a roster that is asked for twice"))
    assert roster_digits(roster) == roster_digits(roster) == "0000 0000 0000 0000 0000"
    roster_digits.cache_clear()
    assert asked == [roster]

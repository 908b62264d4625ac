"""sieve.py: what was put in is always found, and what was not hardly ever."""

from __future__ import annotations

from hashlib import sha256

from keymeld_enclave.sieve import Sieve
from keymeld_protocol.values import Id


def streams(begin: int, count: int) -> list[Id]:
    """Names that nobody has chosen."""
    return [Id(sha256(number.to_bytes(4, "big")).digest()) for number in range(begin, begin + count)]


def test_an_empty_sieve_takes_no_room_and_holds_nothing() -> None:
    sieve = Sieve()
    assert streams(0, 1)[0] not in sieve and not sieve._room


def test_nothing_that_was_put_in_is_forgotten_and_little_else_is_found() -> None:
    sieve, known = Sieve(2**17), streams(0, 5_000)
    for stream in known:
        sieve.add(stream)
    assert all(stream in sieve for stream in known)
    assert sum(stream in sieve for stream in streams(10_000, 10_000)) < 50


def test_two_sieves_mistake_different_streams() -> None:
    first, second = Sieve(2**10), Sieve(2**10)
    for stream in streams(0, 100):
        first.add(stream)
        second.add(stream)
    asked = streams(1_000, 2_000)
    assert [stream for stream in asked if stream in first] != [stream for stream in asked if stream in second]

"""Signatures by the batch, for any number of slots that enclaves speak for: request → verified, one after another.

    slots  1 at once      10 at once     100 at once    1,000 at once   enclaves, processor time
        3  4,300 · 233    550 · 1,800    …              …               60 µs

A cell says how many microseconds one signature takes (of all the time between saying the request and having verified
the last one) and how many that are in a second; p50 of several batches of fresh messages.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Final, TypeAlias

from keymeld_client.keygens import Keygen
from keymeld_client.shown.results import require_all
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.plaintext.body import Adaptor
from keymeld_protocol.values import PlainKey

from .people import Trio
from .processors import processor_ms

SLOTS: Final = (1, 3, 10, 50, 200)
BATCHES: Final = (1, 10, 100, 1000)
POINT: Final = PlainKey(Secret.generate().point)

Sign: TypeAlias = Callable[[Keygen, int], Awaitable[None]]
"""Asks for so many signatures of one key, and waits until all are verified."""


async def signatures(keygen: Keygen, count: int) -> None:
    """Plain signatures of fresh messages."""
    signing = await keygen.request(messages=[os.urandom(32) for _ in range(count)])
    await signing.signatures()


async def presignatures(keygen: Keygen, count: int) -> None:
    """Pre-signatures of fresh messages, all for one adaptor point."""
    messages = [os.urandom(32) for _ in range(count)]
    signing = await keygen.request(messages=messages, adaptor=Adaptor(mode="single", points=(POINT,)))
    require_all(await signing.results())


KINDS: Final[Mapping[str, Sign]] = {"signatures": signatures, "pre-signatures": presignatures}


async def keygens(people: Trio, slots: Sequence[int]) -> dict[int, Keygen]:
    """A keygen for each number of slots that can be split over the house's enclaves."""
    return {count: (await people.keygen(count))[0] for count in slots if count >= len(people.house.enclaves)}


async def table(people: Trio, made: Mapping[int, Keygen], batches: Sequence[int], sign: Sign) -> list[str]:
    """The lines of one table."""
    head = [f"{count:,} at once" for count in batches]
    rows = [await _row(people, made[slots], batches, sign) for slots in made]
    told = [
        ["slots", *head, "enclaves, processor time"],
        *([f"{slots}", *row] for slots, row in zip(made, rows, strict=True)),
    ]
    return list(_aligned(told))


async def _row(people: Trio, keygen: Keygen, batches: Sequence[int], sign: Sign) -> list[str]:
    """One number of slots: a cell for each size, and what the enclaves together spent on one of the largest batch."""
    await sign(keygen, 1)  # whatever is made once for a key is made
    cells = []
    for count in batches:
        times, before = max(3, min(50, 500 // count)), _enclaves_ms(people)
        p50 = median([await _seconds(sign, keygen, count) for _ in range(times)])
        cells.append(f"{1e6 * p50 / count:,.0f} · {count / p50:,.0f}")
        spent = (_enclaves_ms(people) - before) / (times * count)
    return [*cells, f"{1000 * spent:,.0f} µs"]


async def _seconds(sign: Sign, keygen: Keygen, count: int) -> float:
    began = perf_counter()
    await sign(keygen, count)
    return perf_counter() - began


def _enclaves_ms(people: Trio) -> float:
    """Processor time of all enclaves so far (ms)."""
    return sum(ms for name, ms in processor_ms(people.house).items() if name.startswith("enclave"))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows with columns as wide as their widest cell, all but the first flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *cells in rows:
        yield "   ".join(
            [first.rjust(widths[0]), *(c.ljust(w) for c, w in zip(cells, widths[1:], strict=True))]
        ).rstrip()

"""``make bench``: key generation and signing over real processes and sockets, on durable SQLite.

    last join ─▶ completed and confirmed at the creator          one after another: p50, p99
    request ───▶ verified signatures at the requester            one after another: p50, p99; 32 under way: per second
    PSBT of 1,000 inputs ─▶ verified ─▶ PSBT with its signatures   one after another: p50
    batches of 1 to 1,000 ─▶ verified                              for 1 to 200 slots: batches.py
    what strangers cost the others                                 judging.py, strangers.py

``ARGS=--quick`` makes it shorter, and so does ``ARGS=--sessions=50``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from collections.abc import Sequence
from time import perf_counter

import uvloop

from keymeld_client.keygens import Keygen

from . import batches, judging, strangers
from .people import Trio, sign, trio
from .processors import processor_ms
from .psbts import INPUTS, consolidation, sign_psbt

UNDER_WAY = 32


def milliseconds(seconds: Sequence[float], share: float) -> str:
    """The quantile ``share`` in ms."""
    ordered = sorted(seconds)
    return f"{1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.2f}"


async def throughput(keygen: Keygen, sessions: int) -> float:
    """Sessions a second with 32 under way."""
    left = iter(range(sessions))

    async def worker() -> None:
        for _ in left:
            await sign(keygen)

    began = perf_counter()
    await asyncio.gather(*(worker() for _ in range(UNDER_WAY)))
    return sessions / (perf_counter() - began)


async def measure(people: Trio, sessions: int) -> list[str]:
    """One row for each ceremony."""
    keygens = [await people.keygen() for _ in range(sessions)]
    keygen, times = keygens[-1][0], [seconds for _, seconds in keygens]
    await people.leave()
    rows = [
        f"keygen, last join to confirmed   p50 {milliseconds(times, 0.5):>7} ms   p99 {milliseconds(times, 0.99):>7} ms"
    ]
    times = [await sign(keygen) for _ in range(sessions)]
    rows.append(
        f"signing, request to verified     p50 {milliseconds(times, 0.5):>7} ms   p99 {milliseconds(times, 0.99):>7} ms"
    )
    before, many = processor_ms(people.house), 5 * sessions
    rows.append(f"signing, {UNDER_WAY} under way            {await throughput(keygen, many):>7.0f} sessions/s")
    used = {name: (after - before[name]) / many for name, after in processor_ms(people.house).items()}
    rows.append("processor time per session       " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in used.items()))
    rows.append(await measure_psbt(keygen))
    return rows


async def measure_psbt(keygen: Keygen, times: int = 5) -> str:
    """One row for a PSBT of 1,000 inputs."""
    psbt = consolidation(keygen.roster.script())
    verified, whole = zip(*[await sign_psbt(keygen, psbt) for _ in range(times)], strict=True)
    told = f"p50 {milliseconds(verified, 0.5):>7} ms, as a PSBT again {milliseconds(whole, 0.5)} ms"
    return f"PSBT, {INPUTS:,} inputs, to verified   {told}"


async def main(sessions: int, slots: Sequence[int], sizes: Sequence[int]) -> None:
    """Measure with one enclave and with two, and print a table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {sessions} sessions each")
    for enclaves in (1, 2):
        where = "one enclave" if enclaves == 1 else "two enclaves"
        async with trio(enclaves) as people:
            keygens = await batches.keygens(people, slots)
            print(f"\nthree sealed slots in {where}", *await measure(people, sessions), sep="\n  ", flush=True)
            for kind, sign_batch in batches.KINDS.items():
                rows = await batches.table(people, keygens, sizes, sign_batch)
                print(f"\n{kind} in {where}: microseconds each · how many a second", *rows, sep="\n  ", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--sessions", type=int, default=300, help="how many sessions are timed (default: 300)")
    parser.add_argument("--quick", action="store_true", help="few sessions, slots and sizes: whether it runs at all")
    given = parser.parse_args()
    if given.quick:
        uvloop.run(main(20, (3, 200), (1, 100)))
    else:
        uvloop.run(main(given.sessions, batches.SLOTS, batches.BATCHES))
        print("\nwhat strangers cost", *judging.rows(), *uvloop.run(strangers.rows()), sep="\n  ")

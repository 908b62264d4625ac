"""``make bench``: key generation and signing over real processes and sockets, on durable SQLite.

    last join ─▶ completed and confirmed at the creator          one after another: p50, p99
    request ───▶ verified signatures at the requester            one after another: p50, p99; 32 under way: per second
    PSBT of 1,000 inputs ─▶ verified ─▶ PSBT with its signatures   one after another: p50

``ARGS=--sessions=50`` makes it shorter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from collections.abc import Sequence
from time import perf_counter

import uvloop

from examples.house import House
from keymeld_client.keygens import Keygen

from .people import Trio, sign, trio
from .psbts import INPUTS, consolidation, sign_psbt

UNDER_WAY = 32


def milliseconds(seconds: Sequence[float], share: float) -> str:
    """The quantile ``share`` in ms."""
    ordered = sorted(seconds)
    return f"{1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.2f}"


def processor_ms(house: House) -> dict[str, float]:
    """Processor time that each process has used (ms), this one as the client."""
    pids = {"client": os.getpid(), "coordinator": house.coordinator.pid}
    pids |= {f"enclave {n}": enclave.pid for n, enclave in enumerate(house.enclaves, start=1)}
    ticks = 1000 / os.sysconf("SC_CLK_TCK")
    used = {}
    for name, pid in pids.items():
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        used[name] = (int(fields[11]) + int(fields[12])) * ticks
    return used


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


async def main(sessions: int) -> None:
    """Measure with one enclave and with two, and print a table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {sessions} sessions each")
    for enclaves in (1, 2):
        async with trio(enclaves) as people:
            rows = await measure(people, sessions)
        print(f"\nthree sealed slots in {'one enclave' if enclaves == 1 else 'two enclaves'}", *rows, sep="\n  ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--sessions", type=int, default=300, help="how many sessions are timed (default: 300)")
    uvloop.run(main(parser.parse_args().sessions))

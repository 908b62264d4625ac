"""What strangers at the door cost: honest times alone and beside each attack, and what the coordinator's memory does.

    alone ─▶ beside `pings`, `bad proofs`, … (a process of their own, so many connections) ─▶ after they have gone

connect   from dialling to the answer to a ping, by somebody new each time
sign      a request to its verified signatures, one enclave
"""

from __future__ import annotations

import argparse
import asyncio
import re
from functools import partial
from pathlib import Path
from time import perf_counter

import uvloop

from keymeld_client.keygens import Keygen
from tests.support.peer import dial
from tests.support.stranger import ATTACKS, crowd

from .people import Trio, sign, trio

AS_IT_COMES = {"requests_per_second": "1000"}
"""Nearly: two signings after one another ask for more than most people do."""


def resident(pid: int | None) -> float:
    """What a process holds in memory (MiB)."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


async def connect(port: int) -> float:
    """Seconds from dialling to a pong."""
    began = perf_counter()
    async with dial(f"ws://127.0.0.1:{port}") as peer:
        await peer.greeted
        await peer.call("ping")
    return perf_counter() - began


async def times(people: Trio, keygen: Keygen, count: int) -> str:
    """Connect and sign, one after another: p50 and p99 (ms), and the memory then."""
    cells, ceremonies = [], (partial(connect, people.house.coordinator.port), partial(sign, keygen))
    for ceremony in ceremonies:
        taken = sorted([await ceremony() for _ in range(count)])
        p50, p99 = taken[count // 2], taken[min(count - 1, int(0.99 * count))]
        cells.append(f"{1000 * p50:8.1f} / {1000 * p99:6.1f} ms")
    return "  ".join([*cells, f"{resident(people.house.coordinator.pid):6.0f} MiB"])


async def rows(names: list[str], connections: int, count: int) -> None:
    """One row for each attack, between one alone before and one after."""
    async with trio(1, AS_IT_COMES) as people:
        keygen, _ = await people.keygen()
        await people.leave()
        print(f"{'':<20}  {'connect':>20}  {'sign':>20}  memory", flush=True)
        print(f"{'alone':<20}", await times(people, keygen, count), flush=True)
        for name in names:
            async with crowd(people.house.coordinator.port, name, connections):
                await asyncio.sleep(3)
                print(f"{name:<20}", await times(people, keygen, count), flush=True)
        await asyncio.sleep(3)
        print(f"{'afterwards':<20}", await times(people, keygen, count), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.door")
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS), help=f"of {', '.join(ATTACKS)}; default: each")
    parser.add_argument("--connections", type=int, default=10, help="of the strangers (default: 10)")
    parser.add_argument("--count", type=int, default=50, help="how often each is timed (default: 50)")
    given = parser.parse_args()
    uvloop.run(rows(given.attacks, given.connections, given.count))

"""Processor time, which a noisy machine spoils less than milliseconds on the clock."""

from __future__ import annotations

import os

from examples.helpers.house import House


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

"""One blow: kill -9 of some processes at one moment of a story, and their return.

Before(step) · Saying(kind) · Heard(kind, step?) ── it comes ─▶ fall: SIGKILL, inside the call that stores the word
                                                                 └▶ started again, at once ─▶ healed
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from examples.helpers.house import House, Process

COORDINATOR, FIRST, SECOND = "coordinator", "enclave 1", "enclave 2"
EVERYTHING = (COORDINATOR, FIRST, SECOND)


# Moments --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Before:
    """Between two steps: before the one of this name."""

    step: str

    def __str__(self) -> str:
        """For the test's name."""
        return f"before {self.step}"


@dataclass(frozen=True)
class Saying:
    """A phone has put its first statement of this kind on disk, and submits it."""

    kind: str

    def __str__(self) -> str:
        """For the test's name."""
        return f"saying {self.kind}"


@dataclass(frozen=True)
class Heard:
    """A phone has verified a record of this kind (and, of a contribution, of this step); nobody was told yet."""

    kind: str
    step: str | None = None

    def __str__(self) -> str:
        """For the test's name."""
        return f"hearing {self.kind} {self.step or ''}".rstrip()


Moment = Before | Saying | Heard


@dataclass
class Blow:
    """Kill -9 (or another signal) of ``victims`` at one moment; they are started again at once."""

    moment: Moment
    victims: tuple[str, ...]
    signal: signal.Signals = signal.SIGKILL
    house: House | None = None
    _healing: asyncio.Task[None] | None = None

    @property
    def fell(self) -> bool:
        """Whether its moment came."""
        return self._healing is not None

    def fall(self) -> None:
        """Kill, now, before anything else happens in this process; once."""
        if self.fell or self.house is None:
            return
        for process in self._killed(self.house):
            assert process.pid is not None
            os.kill(process.pid, self.signal)
        self._healing = asyncio.create_task(self._heal(self.house))

    async def healed(self) -> None:
        """Until whoever was killed is back, and everybody who lost the coordinator has found it again."""
        if self._healing is not None:
            await self._healing

    def _killed(self, house: House) -> list[Process]:
        return [process for name, process in cast(house) if name in self.victims]

    async def _heal(self, house: House) -> None:
        killed = self._killed(house)
        await asyncio.gather(*(process.gone() for process in killed))
        orphans = [e for e in house.enclaves if house.coordinator in killed and e not in killed]
        found = [enclave.prints("  connected") for enclave in orphans]
        await house.start()
        await asyncio.gather(*found)


def cast(house: House) -> Iterator[tuple[str, Process]]:
    """Who can be killed, by name."""
    return zip(EVERYTHING, house.processes, strict=True)

"""Whether the client talks to its coordinator, for whoever shows it; and the bell that wakes those who wait.

    connecting ──▶ online ──▶ waiting ──▶ connecting …            stopped: it will not come back

Both are for one event loop: nothing here waits on a clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

ConnectionState = Literal["connecting", "online", "waiting", "stopped"]


@dataclass(frozen=True)
class Status:
    """``error`` says what went wrong last; ``retry_in_s`` how long a waiting client waits."""

    state: ConnectionState
    error: str | None = None
    retry_in_s: float | None = None

    def __str__(self) -> str:
        """In words, for a status line."""
        why = f": {self.error}" if self.error else ""
        if self.retry_in_s is None:
            return f"{self.state}{why}"
        when = f"in {self.retry_in_s:.1f} s" if self.retry_in_s >= 0.05 else "at once"
        return f"{self.state}{why}; trying again {when}"


class Bell:
    """Wakes everybody who waits, once for each ring; whoever wakes looks for himself whether his time has come."""

    def __init__(self) -> None:
        """Make a bell that nobody waits for."""
        self._event: asyncio.Event | None = None

    def ring(self) -> None:
        """Wake all who wait now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Until the next ring."""
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()

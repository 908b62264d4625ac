"""Whether the other side is still there (§2.8).

began ── 10 s without a hello ──▶ lost
heard ── heartbeat_ms of silence ──▶ ping ── 10 s without a frame ──▶ lost
"""

from __future__ import annotations

from typing import Final

from .waits import Ended

ANSWER_MS: Final = 10_000
"""How long hello, and the answer to a ping, may take."""
SHORTEST_MS: Final = 100
"""The least silence that is answered with a ping, whatever hello says."""


class Heartbeat:
    """Counts the silence of one connection; times in ms."""

    def __init__(self) -> None:
        """Nothing was heard; the first ``tick`` begins to count."""
        self._heartbeat_ms: int | None = None
        self._heard_at: int | None = None
        self._pinged = False

    def greeted(self, heartbeat_ms: int) -> None:
        """Hello was heard: from now on this much silence is answered with a ping."""
        self._heartbeat_ms = max(SHORTEST_MS, heartbeat_ms)

    def heard(self, now: int) -> None:
        """Any frame counts as life."""
        self._heard_at, self._pinged = now, False

    @property
    def due(self) -> int | None:
        """When to ``tick`` at the latest; None: now."""
        if self._heard_at is None:
            return None
        patience = ANSWER_MS if self._pinged or self._heartbeat_ms is None else self._heartbeat_ms
        return self._heard_at + patience

    def tick(self, now: int) -> bool:
        """Whether to ping now.

        Raises:
            Ended: it has been silent for too long.
        """
        if self.due is None:
            self._heard_at = now
        if self.due is None or now < self.due:
            return False
        if self._heartbeat_ms is None:
            raise Ended("the coordinator said nothing")
        if self._pinged:
            raise Ended("the coordinator does not answer")
        self._heard_at, self._pinged = now, True
        return True

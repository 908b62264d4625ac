"""Who is here: keys proven on open connections, told to those who share a session with them; never stored (§2.6).

    authenticate, the end of a connection ─▶ key online or not ─▶ presence {stream, key, online, signs}

At most one notification for a key in each second; what changes within it is told at its end, if it still differs.
Presence authorises nothing: consent is a statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire import frames

from .hub import Hub

PAUSE_SECONDS: Final = 1.0
Later: TypeAlias = Callable[[float, Callable[[], None]], object]


class Attendance:
    """How many connections have proven each key, and what was last told about it."""

    def __init__(self, hub: Hub, later: Later | None = None) -> None:
        """Tell the listeners of ``hub``; ``later(seconds, call)`` is the event loop's by default."""
        self._hub = hub
        self._later = later
        self._connections: dict[XOnlyKey, int] = {}
        self._told: dict[XOnlyKey, bool] = {}

    def online(self, keys: Iterable[XOnlyKey]) -> list[XOnlyKey]:
        """Those of ``keys`` that are here."""
        return [key for key in keys if key in self._connections]

    def come(self, keys: Iterable[XOnlyKey]) -> int:
        """A connection has proven ``keys`` that it had not proven before; how many were told."""
        told = 0
        for key in keys:
            self._connections[key] = self._connections.get(key, 0) + 1
            if self._connections[key] == 1:
                told += self._changed(key)
        return told

    def go(self, keys: Iterable[XOnlyKey]) -> None:
        """A connection that had proven ``keys`` has ended."""
        for key in keys:
            self._connections[key] -= 1
            if not self._connections[key]:
                del self._connections[key]
                self._changed(key)

    def _changed(self, key: XOnlyKey) -> int:
        return self._tell(key) if key not in self._told else 0

    def _tell(self, key: XOnlyKey) -> int:
        """Tell what is true now, and look again after the pause; how many were told."""
        online, told = key in self._connections, 0
        self._told[key] = online
        for stream, outboxes in self._hub.listeners(key):
            said = {"stream": stream.hex(), "key": key.hex(), "online": online, "signs": False}
            frame = frames.notification("presence", said)
            for outbox in outboxes:
                outbox.tell_presence(stream, key, frame)
            told += len(outboxes)
        later = self._later or asyncio.get_running_loop().call_later
        later(PAUSE_SECONDS, lambda: self._look_again(key))
        return told

    def _look_again(self, key: XOnlyKey) -> None:
        told = self._told.pop(key)
        if told != (key in self._connections):
            self._tell(key)

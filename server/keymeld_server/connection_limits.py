"""How many connections there may be, in all and from each address."""

from __future__ import annotations

from collections import Counter

from keymeld_protocol.wire.connection import Close

from .config import ServerConfig


class ConnectionLimits:
    """The connections of all listeners; Unix sockets have no address."""

    def __init__(self, config: ServerConfig) -> None:
        """Nobody is here."""
        self._config = config
        self._all = 0
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str | None) -> Close | None:
        """Count a connection, or say why it cannot stay; Unix sockets have no address."""
        full = self._all >= self._config.connections_max
        if full or (address is not None and self._by_address[address] >= self._config.connections_per_address):
            return Close.TOO_MANY_CONNECTIONS
        self._all += 1
        if address is not None:
            self._by_address[address] += 1
        return None

    def leave(self, address: str | None) -> None:
        """A connection that was counted has ended."""
        self._all -= 1
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

"""The enclaves that have announced themselves: which are known, which are here, and which signings wait for them.

announce ─▶ known (stored) ─▶ here while its connection lasts ─▶ the signings that waited are looked at again
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keymeld_protocol.values import Id, XOnlyKey

from .store.port import EnclaveRow, Store


class Enclaves:
    """Every enclave of this coordinator."""

    def __init__(self, store: Store) -> None:
        """Nobody is known before `load`."""
        self._store = store
        self.known: dict[XOnlyKey, EnclaveRow] = {}
        self.here: frozenset[XOnlyKey] = frozenset()
        self._connections: dict[XOnlyKey, int] = {}
        self._waiting: dict[Id, frozenset[XOnlyKey]] = {}
        self._unseen: set[Id] = set()

    async def load(self, streams: Iterable[Id]) -> None:
        """Remember who announced himself before; ``streams`` may wait for any of them.

        Raises:
            StoreFailed: the database did not answer.
        """
        self.known.update((row.identity, row) for row in await self._store.enclaves())
        self._unseen = set(streams)

    async def announce(self, row: EnclaveRow) -> None:
        """Keep what an enclave says of itself.

        Raises:
            StoreFailed: it could not be stored.
        """
        await self._store.save_enclave(row)
        self.known[row.identity] = row

    def come(self, key: XOnlyKey) -> list[Id]:
        """A connection has announced ``key``; gives the signings that may go on now."""
        self._connections[key] = self._connections.get(key, 0) + 1
        if self._connections[key] > 1:
            return []
        self.here |= {key}
        waiting = [stream for stream, missing in self._waiting.items() if key in missing]
        unseen, self._unseen = self._unseen, set()
        return [*waiting, *unseen]

    def go(self, key: XOnlyKey) -> None:
        """A connection that had announced ``key`` has ended."""
        self._connections[key] -= 1
        if not self._connections[key]:
            del self._connections[key]
            self.here -= {key}

    def wait(self, stream: Id, missing: frozenset[XOnlyKey]) -> None:
        """``stream`` waits for the enclaves ``missing``; for nobody if there are none."""
        self._unseen.discard(stream)
        if missing:
            self._waiting[stream] = missing
        else:
            self._waiting.pop(stream, None)

    def listing(self) -> list[dict[str, Any]]:
        """What `enclaves` answers: public, or sealed by the enclave itself."""
        return [
            {
                "identity": row.identity.hex(),
                "announced_at": row.announced_at_ms,
                "online": row.identity in self.here,
                "capacity": int(row.capacity),
                "document": row.document.decode() if row.document is not None else None,
            }
            for row in self.known.values()
        ]

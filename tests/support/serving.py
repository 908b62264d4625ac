"""A coordinator with real sockets and a real database, for the length of a block.

async with serving(tmp_path) as app, dial(app.url) as alice: …
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from keymeld_server.app import Coordinator, running
from keymeld_server.config import ServerConfig
from keymeld_server.observe import Metrics

from .peer import PATIENCE_S


class Ears(Metrics):
    """Metrics that a test can wait for."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        super().__init__()
        self.ends: asyncio.Queue[int] = asyncio.Queue()

    def closed(self, code: int) -> None:
        """A connection was closed by us."""
        super().closed(code)
        self.ends.put_nowait(code)

    async def end(self) -> int:
        """Wait for the next one."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.ends.get()


def config_in(folder: Path, **settings: Any) -> ServerConfig:
    """Settings for a coordinator that keeps everything in ``folder``."""
    chosen: dict[str, Any] = {"listen_port": 0, "database": folder / "log.sqlite", **settings}
    return ServerConfig(**chosen)


@asynccontextmanager
async def serving(folder: Path, metrics: Metrics | None = None, **settings: Any) -> AsyncIterator[Coordinator]:
    """A coordinator over the database in ``folder``; what was stored there before is still there."""
    async with running(config_in(folder, **settings), metrics=metrics or Ears()) as app:
        yield app


async def until(true: Callable[[], object]) -> None:
    """Let everybody else have his turn until ``true()`` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


async def http_get(port: int, path: str) -> tuple[int, str]:
    """Status and body of a plain HTTP request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_S):
        answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body

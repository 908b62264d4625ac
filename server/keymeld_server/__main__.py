"""The `keymeld-server` command: settings in, a coordinator until SIGTERM or SIGINT.

    keymeld-server --database FILE ──▶ serves
    keymeld-server new-epoch --database FILE ──▶ the log, put back from a backup, begins a new epoch; ends

Exit codes: 0 drained, 1 it could not start (the log, an address), 2 a setting is wrong.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sqlite3
import sys
from typing import Final

from keymeld_host import logs
from keymeld_host.settings import BadSetting

from .app import serve
from .config import ServerConfig, load
from .store.port import StoreError
from .store.sqlite.schema import begin_epoch

NEW_EPOCH: Final = "new-epoch"

GC_THRESHOLDS: Final = (50_000, 20, 100)
"""Sessions and records hold no cycles: to look for them as often as Python does costs pauses of 100 ms."""

SAFE_MESSAGES: Final = (OSError, sqlite3.Error)
"""Errors that quote names of files and tables, and nothing that peers have said: a log line may show their words."""


def main() -> int:
    """Run the coordinator, or begin a new epoch of its log; gives the exit code."""
    argv = sys.argv[1:]
    try:
        if argv[:1] == [NEW_EPOCH]:
            return _begin_epoch(load(argv[1:]))
        config = load(argv)
        logs.setup(__package__, config.log_format, config.log_level, friendly=SAFE_MESSAGES)
        gc.set_threshold(*GC_THRESHOLDS)
        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            runner.run(_until_told(config))
    except BadSetting as problem:
        return _complain(2, problem)
    except (StoreError, OSError) as problem:
        return _complain(1, problem)
    return 0


async def _until_told(config: ServerConfig) -> None:
    """Serve until one of the signals that mean *stop*."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(config, stop)


def _begin_epoch(config: ServerConfig) -> int:
    epoch = begin_epoch(config.database)
    print(f"{config.database}: epoch {epoch.hex()} begins")
    return 0


def _fast_loop() -> type[asyncio.AbstractEventLoop] | None:
    """Take uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def _complain(code: int, problem: Exception) -> int:
    """Say what went wrong, without our own words for the wire and without the system's numbers."""
    told = problem.message if isinstance(problem, StoreError) else getattr(problem, "strerror", None) or problem
    print(f"keymeld-server: {told}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

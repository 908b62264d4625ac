"""The `keymeld-server` command: settings in, a coordinator until SIGTERM or SIGINT.

    keymeld-server --database FILE ──▶ serves
    keymeld-server new-epoch --database FILE ──▶ the log, put back from a backup, begins a new epoch; ends

Exit codes: 0 drained, 1 it could not start (the log, an address), 2 a setting is wrong.

What serves is imported when the settings are read and right: ``--help`` does without.
"""

from __future__ import annotations

import gc
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from keymeld_host import logs
from keymeld_host.settings import BadSetting

from .config import ServerConfig, load

if TYPE_CHECKING:
    import asyncio

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
            return _run(load(argv[1:]), _begin_epoch)
        return _run(load(argv), _serve)
    except BadSetting as problem:
        return _complain(2, problem)
    except OSError as problem:
        return _complain(1, problem.strerror or problem)


def _run(config: ServerConfig, action: Callable[[ServerConfig], None]) -> int:
    """Do what was asked for; a store that cannot be used ends it."""
    from .store.port import StoreError

    try:
        action(config)
    except StoreError as problem:
        return _complain(1, problem.message)
    return 0


def _serve(config: ServerConfig) -> None:
    import asyncio

    logs.setup(__package__, config.log_format, config.log_level, friendly=SAFE_MESSAGES)
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(_until_told(config))


async def _until_told(config: ServerConfig) -> None:
    """Serve until one of the signals that mean *stop*."""
    import asyncio

    from .app import serve

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(config, stop)


def _begin_epoch(config: ServerConfig) -> None:
    from .store.sqlite.schema import begin_epoch

    epoch = begin_epoch(config.database)
    print(f"{config.database}: epoch {epoch.hex()} begins")


def _fast_loop() -> type[asyncio.AbstractEventLoop] | None:
    """Take uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def _complain(code: int, told: object) -> int:
    """Say what went wrong, without our own words for the wire and without the system's numbers."""
    print(f"keymeld-server: {told}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

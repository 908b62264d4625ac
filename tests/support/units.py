"""A stand-in for systemctl, for pages that say how services are started: ``python units.py start|stop|restart NAME …``.

It runs what a unit's ExecStart says, waits for the ready line as a person would look for it, and stops with SIGTERM.
KEYMELD_UNITS names the folder of the unit files; logs and process ids are kept there too.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path
from typing import Final

STOP_S: Final = 30


def start(units: Path, name: str) -> None:
    """Start a service and wait until it says that it is ready.

    Raises:
        SystemExit: it ended before it was; its log is shown.
    """
    unit = ConfigParser(interpolation=None)
    unit.read_string((units / f"{name}.service").read_text())
    service = unit["Service"]
    with (units / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            shlex.split(service["ExecStart"]), cwd=service["WorkingDirectory"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
    (units / f"{name}.pid").write_text(str(process.pid))
    assert process.stdout is not None
    if not process.stdout.readline().startswith(f"{name} ready".encode()):
        sys.exit(f"{name} did not start:\n{(units / f'{name}.log').read_text()}")


def stop(units: Path, name: str) -> None:
    """Stop a service, if it runs, and wait for its end.

    Raises:
        SystemExit: it does not end.
    """
    pid = units / f"{name}.pid"
    with suppress(FileNotFoundError, ProcessLookupError):
        handle = os.pidfd_open(int(pid.read_text()))
        pid.unlink()
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], STOP_S)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            sys.exit(f"{name} did not stop")


def main(verb: str, *names: str) -> None:
    """Do what systemctl does."""
    units = Path(os.environ["KEYMELD_UNITS"])
    for name in names:
        if verb in ("stop", "restart"):
            stop(units, name)
        if verb in ("start", "restart"):
            start(units, name)


if __name__ == "__main__":
    main(*sys.argv[1:])

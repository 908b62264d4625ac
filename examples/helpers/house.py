"""A house for a story: one coordinator and its enclaves, as real processes that are started, killed and restarted.

    async with House(enclaves=2) as house:        temporary folder: SQLite, keys, the enclaves' socket
        house.url                                 ws://127.0.0.1:PORT, the same after every restart
        house.enclaves[0].identity                what its operator reads off, for `Trust.of`
        await house.coordinator.kill()            kill -9
        await house.coordinator.start()           on the same files

    keymeld-server  ◀── unix socket ──  keymeld-enclave 1, 2, …
         ▲ ws://127.0.0.1:PORT
       people

Nobody waits by the clock: a process is started when it has printed its ready line.  Whatever happens, also Ctrl-C,
every process is ended and the folder removed.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

START_S: Final = 30
"""Seconds a process may take until it is ready; a slow machine needs some, a healthy one a fraction of one."""

STOP_S: Final = 10
"""Seconds a process may take to end after SIGTERM."""

_LOG_LINES: Final = 400


class NotStarted(Exception):
    """A process ended, or said nothing, before it was ready; the message ends with what it printed last."""


class Process:
    """A program that prints ``NAME ready …`` when it is; its output is kept for whoever asks why."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str] | None = None) -> None:
        """Nothing is started yet; ``module`` is what ``python -m`` runs, ``name`` how its ready line begins."""
        self.name = name
        self.ready = ""
        self.environment = dict(environment or {})
        self._module = module
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._awaited: list[tuple[str, asyncio.Future[str]]] = []

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def log(self) -> list[str]:
        """The latest lines that it printed, over all its starts."""
        return list(self._log)

    def prints(self, text: str) -> asyncio.Future[str]:
        """The next line that it prints, from now on, with ``text`` in it: an event to wait for."""
        line: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._awaited.append((text, line))
        return line

    def arguments(self) -> Sequence[str]:
        """The flags of the next start."""
        return ()

    async def start(self) -> None:
        """Start it and wait for its ready line.

        Raises:
            NotStarted: it ended first, or took too long; it does not run.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, *self.arguments(),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
            start_new_session=True,  # Ctrl-C is ours to handle: the story ends in order
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read(self._process, ready))
        try:
            async with asyncio.timeout(START_S):
                self.ready = await ready
        except TimeoutError:
            await self.kill()
            raise self._not_started(f"was not ready after {START_S} s") from None
        except EOFError:
            code = await self._process.wait()
            raise self._not_started(f"ended with exit code {code} before it was ready") from None
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> int:
        """SIGTERM, as an operator would, and wait for the end; gives the exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> int:
        """Kill -9: no goodbye, nothing flushed; gives the exit code."""
        return await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> int:
        """Send a signal and wait."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(how)
        return await self.gone()

    async def gone(self) -> int:
        """Wait for the end of one that was told to end; one that does not is killed. Gives the exit code."""
        if self._process is None:
            return 0
        try:
            async with asyncio.timeout(STOP_S):
                code = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            code = await self._process.wait()
        if self._reader is not None:
            await self._reader
        return code

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Future[str]) -> None:
        """Keep what it prints; the ready line wakes who waits for it, and so does the end."""
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self._log.append(line)
            self._tell(line)
            if not ready.done() and line.startswith(f"{self.name} ready"):
                ready.set_result(line)
        if not ready.done():
            ready.set_exception(EOFError())

    def _tell(self, line: str) -> None:
        """Wake those who wait for such a line."""
        for text, future in self._awaited:
            if text in line and not future.done():
                future.set_result(line)
        self._awaited = [(text, future) for text, future in self._awaited if not future.done()]

    def _not_started(self, why: str) -> NotStarted:
        printed = "\n".join(f"    {line}" for line in self.log[-20:]) or "    (it printed nothing)"
        return NotStarted(f"{self.name} {why}. It printed last:\n{printed}")


class Coordinator(Process):
    """A ``keymeld-server`` on SQLite in ``folder``; takes a free port and keeps it over restarts."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """``settings`` are further ones by their names, such as ``{"grace_min_ms": "500"}``."""
        super().__init__("keymeld-server", "keymeld_server")
        self.database = folder / "keymeld.sqlite"
        self.socket = folder / "enclaves.sock"
        self.settings = dict(settings or {})
        self.port = 0

    @property
    def url(self) -> str:
        """Where participants dial."""
        return f"ws://127.0.0.1:{self.port}"

    def arguments(self) -> Sequence[str]:
        """The flags of ``keymeld-server``."""
        given = {
            "listen_host": "127.0.0.1", "listen_port": str(self.port),
            "database": str(self.database), "enclave_socket": str(self.socket), **self.settings,
        }  # fmt: skip
        return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]

    async def start(self) -> None:
        """Start it; the port it took is kept for the next start."""
        await super().start()
        found = re.search(r"ws://[^\s/]*:([0-9]+)", self.ready)
        if found is None:
            raise self._not_started(f"did not say its port in {self.ready!r}")
        self.port = int(found[1])


class Enclave(Process):
    """A ``keymeld-enclave`` whose identity is in a key file of ``folder``, so that it survives restarts."""

    def __init__(self, folder: Path, number: int, socket: Path) -> None:
        """It dials the coordinator's ``socket``."""
        super().__init__("keymeld-enclave", "keymeld_enclave")
        self.key_file = folder / f"enclave-{number}.key"
        self.socket = socket

    @property
    def identity(self) -> str:
        """Its identity key (hex), as it printed it when it was ready."""
        found = re.search(r"\b[0-9a-f]{64}\b", self.ready)
        if found is None:
            raise self._not_started(f"did not say its identity in {self.ready!r}")
        return found[0]

    def arguments(self) -> Sequence[str]:
        """The flags of ``keymeld-enclave``."""
        return ["--coordinator", f"unix:{self.socket}", "--key-file", str(self.key_file)]


class House:
    """A coordinator with its enclaves; used as an asynchronous context manager."""

    def __init__(self, enclaves: int = 1, settings: Mapping[str, str] | None = None) -> None:
        """``settings`` go to the coordinator; nothing is started yet."""
        self._temporary = TemporaryDirectory(prefix="keymeld-")
        self.folder = Path(self._temporary.name)
        self.coordinator = Coordinator(self.folder, settings)
        self.enclaves = [Enclave(self.folder, n, self.coordinator.socket) for n in range(1, enclaves + 1)]

    @property
    def url(self) -> str:
        """Where participants dial."""
        return self.coordinator.url

    @property
    def processes(self) -> list[Process]:
        """All of them, the coordinator first."""
        return [self.coordinator, *self.enclaves]

    async def start(self) -> None:
        """Start what does not run: the coordinator, then the enclaves all at once.

        Raises:
            NotStarted: one of them did not.
        """
        if not self.coordinator.running:
            await self.coordinator.start()
        await asyncio.gather(*(enclave.start() for enclave in self.enclaves if not enclave.running))

    async def __aenter__(self) -> Self:
        """Start everything; what was started is ended if the rest fails."""
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """End everything."""
        await self.close()

    async def close(self) -> None:
        """End every process, enclaves first, and remove the folder; closing twice is fine."""
        await asyncio.gather(*(enclave.kill() for enclave in self.enclaves))
        await self.coordinator.kill()
        self._temporary.cleanup()

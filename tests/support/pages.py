"""Pages whose code is run: fenced blocks are read from the markdown, and run against real processes in a new folder.

page ──▶ fences: (language, body) …     sh, python: run · toml, ini: loaded · others, and no word: to be looked at
quick_start ──▶ play/ with a coordinator and an enclave, where the README's commands expect them
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from examples.helpers.house import Coordinator, Enclave

from .vectors import ROOT

PATIENCE_S: Final = 120
PORT: Final = "8765"
"""The coordinator's port as pages write it; tests put a free one in its place."""

_FENCE: Final = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(page: str) -> list[tuple[str, str]]:
    """Every fenced block of a page (its path in the repository), in order: its language and what is in it."""
    return _FENCE.findall((ROOT / page).read_text("utf-8"))


def blocks(page: str, language: str) -> list[str]:
    """A page's fenced blocks of ``language``, in order."""
    return [body for found, body in fences(page) if found == language]


def block(page: str, language: str) -> str:
    """The page's only fenced block of ``language``."""
    (found,) = blocks(page, language)
    return found


@asynccontextmanager
async def quick_start() -> AsyncIterator[tuple[Path, Coordinator, Enclave]]:
    """Terminals 1 and 2 of the README: a server and an enclave whose files lie where the commands look for them."""
    with TemporaryDirectory(prefix="readme-") as home:
        play = Path(home) / "play"
        play.mkdir()
        (Path(home) / "examples").symlink_to(ROOT / "examples")
        coordinator = Coordinator(play)
        enclave = Enclave(play, 1, coordinator.socket)
        enclave.key_file = play / "keymeld-enclave.key"
        try:
            await coordinator.start()
            await enclave.start()
            yield play, coordinator, enclave
        finally:
            await enclave.kill()
            await coordinator.kill()


async def run(folder: Path, *command: str, said: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed; ``said`` is typed at its questions. Gives what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={**os.environ, "PATH": path, **(environment or {})},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate(said.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{out.decode()}\n{err.decode()}"
    return out.decode()

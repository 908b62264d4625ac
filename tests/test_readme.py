"""The README's commands do what it says: they are read from it and run, on a free port in a new folder."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from examples.helpers.house import Coordinator, Enclave
from tests.support.vectors import ROOT

README = (ROOT / "README.md").read_text()
PATIENCE_S = 120


def block(language: str) -> str:
    """The README's only code block of ``language``."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return str(found)


@asynccontextmanager
async def quick_start() -> AsyncIterator[tuple[Path, Coordinator, Enclave]]:
    """Terminals 1 and 2: a server and an enclave whose files lie where the commands look for them."""
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


async def run(folder: Path, *command: str, said: str) -> str:
    """Run a command that must succeed; ``said`` is typed at its questions."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={**os.environ, "PATH": path},
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


@pytest.mark.asyncio
@pytest.mark.processes
async def test_the_commands_by_hand_end_with_a_verified_log() -> None:
    async with quick_start() as (play, coordinator, _):
        here = f'keymeld() {{ command keymeld --server {coordinator.url} "$@"; }}'
        told = await run(play, "bash", "-euo", "pipefail", "-c", f"exec < <(yes)\n{here}\n{block('sh')}", said="")
        assert "safe to fund" in told
        assert (play / "log.jsonl").exists()


@pytest.mark.asyncio
@pytest.mark.processes
async def test_the_python_program_prints_a_verified_signature() -> None:
    async with quick_start() as (play, coordinator, enclave):
        program = block("python").replace("ws://127.0.0.1:8765", coordinator.url)
        told = await run(play, sys.executable, "-c", program, said=f"{enclave.identity}\n")
        assert "safe to fund" in told and "signing.confirm" in told

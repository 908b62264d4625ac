"""README.md: what it tells a newcomer to type works as it stands there."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from examples.house import House
from tests.support.vectors import ROOT

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]

README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    """The one block of README.md that is written in ``language``."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return str(found)


def instead(text: str, old: str, new: str) -> str:
    """``text`` with its one ``old`` replaced: the coordinator of a test has a port of its own."""
    assert text.count(old) == 1
    return text.replace(old, new)


async def run(house: House, *command: str, input: str = "") -> str:
    """Run a command beside the server's and the enclave's files; gives what it printed."""
    play = house.folder / "play"
    play.mkdir()
    (house.folder / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *command, cwd=play,
        env={**os.environ, "PATH": path, "KEYMELD_ENCLAVE_KEY_FILE": str(house.enclaves[0].key_file)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(input.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    """Terminals 1 and 2."""
    async with House(enclaves=1) as house:
        yield house


async def test_the_quick_start_ends_with_a_transaction_and_a_log_that_holds(house: House) -> None:
    told = await run(house, "bash", "-euc", instead(block("sh"), "-q create", f"-q create --server {house.url}"))
    for line in ("safe to fund", "transaction 0  02000000000101", "each with its proof of possession"):
        assert line in told
    assert told.endswith("This log holds, as far as it was checked.\n")


async def test_the_python_program_ends_with_signatures(house: House) -> None:
    program = instead(block("python"), "ws://127.0.0.1:8765", house.url)
    told = await run(house, sys.executable, "-c", program, input=f"{house.enclaves[0].identity}\n")
    assert "safe to fund" in told and "signing.confirm" in told and "Signature(" in told.splitlines()[-1]

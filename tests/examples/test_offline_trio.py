"""examples/offline_trio.py: the demo tells its story to the end, and leaves nothing behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.vectors import ROOT

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]

STORY = [
    "The house opens: a coordinator at ws://127.0.0.1:",
    "Alice     opens “treasury”",
    "Bob       joins with a fresh key",
    "safe to fund: slots 0, 1 and 2 confirmed by their participants",
    "All three disconnect",
    "The chain pays 50 BTC to that address",
    '▸ slot 0 "Alice" asks for a signature of slots 0, 1 and 2',
    "Pays       2.00000000 BTC (200,000,000 sat)  to bcrt1p",
    "Sighash ",
    '▸ slot 1 "Bob" approves',
    "sends nonces for slot 2",
    "sends nonces and partial signatures in one for slots 0 and 1",
    "signs for slot 2",
    "Alice     has verified the signature",
    "The chain refuses a copy",
    "The chain accepts the transaction in block 102",
]


async def demo(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start the demo with ``folder`` for everything temporary."""
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env={"TMPDIR": str(folder), "PATH": "", "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the address of a Unix socket holds 107 bytes."""
    with TemporaryDirectory(prefix="trio-") as path:
        yield Path(path)


@pytest.mark.parametrize("arguments", [["-m", "examples.offline_trio"], ["examples/offline_trio.py"]], ids=" ".join)
async def test_the_demo_tells_the_whole_story_in_order(arguments: list[str], folder: Path) -> None:
    process = await demo(folder, *arguments)
    out, err = await process.communicate()
    told, at = out.decode(), 0
    assert (process.returncode, err.decode()) == (0, "")
    for line in STORY:
        assert line in told[at:], f"{line!r} is missing, or too early, in\n{told}"
        at = told.index(line, at)
    assert "\x1b" not in told
    assert os.listdir(folder) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_demo_cleans_up(how: signal.Signals, folder: Path) -> None:
    process = await demo(folder, "-m", "examples.offline_trio")
    assert process.stdout is not None
    async for line in process.stdout:
        if b"opens" in line:
            process.send_signal(how)
            break
    out, err = await process.communicate()
    assert (process.returncode, "every process is stopped" in err.decode()) == (130, True)
    assert b"accepts the transaction" not in out
    assert os.listdir(folder) == []

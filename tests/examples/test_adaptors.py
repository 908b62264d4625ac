"""The stories of adaptor signatures: each is run as a reader runs it, tells all of it, and leaves nothing behind."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.vectors import ROOT

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]

STORIES = {
    "adaptor_swap": [
        "Alice     prepares to pay 1 gold",
        "Bob       prepares to pay 20 silver",
        "Alice     draws a secret, and tells Bob its point",
        "Bob       reads what Alice asks for, and approves",
        "Cannot be mined before block 678",
        "completes only with the secret of",
        "gold can be paid",
        "Alice     reads what Bob asks for, and approves",
        "silver can be paid",
        "Alice     pays the gold; the chain takes no refund before block 678",
        "Bob       pays the silver; the chain takes no refund before block 390",
        "Alice     completes the claim; the silver chain accepts it",
        "Bob       finds the secret in her signature on the silver chain",
        "Bob       completes the claim; the gold chain accepts it",
    ],
    "adaptor_and_or": [
        "completes only with all of the secrets of",
        "completes only with any one of the secrets of",
        "a pre-signature for the price and two for the deposit",
        "gives the deposit back in block 203, and refuses to pay the price with it",
        "Bob       reads off the chain that it was the notary who spoke",
        "The chain pays the price in block 204",
    ],
    "dlc": [
        "Oracle    announces a match: home, draw, away",
        "Mona      asks for all 7 signatures in one request",
        "Carol     reads it, finds what was agreed, and approves",
        "All four  have verified three pre-signatures and four signatures",
        "Mona      pays the pot of 3 BTC",
        "Oracle    attests “draw”",
        "The chain refuses “home”",
        "The chain refuses “away”",
        "The chain accepts “draw” and its split in block 103",
        "0.05999600 BTC to Mona",
        "1.46990200 BTC to Bob",
        "1.46990200 BTC to Carol",
        "Everybody has gone",
    ],
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the address of a Unix socket holds 107 bytes."""
    with TemporaryDirectory(prefix="story-") as path:
        yield Path(path)


@pytest.mark.parametrize("name", STORIES)
async def test_the_story_is_told_to_its_end(name: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, f"examples/{name}.py", cwd=ROOT, env={"TMPDIR": str(folder), "PATH": "", "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    told, at = out.decode(), 0
    assert (process.returncode, err.decode()) == (0, "")
    for line in STORIES[name]:
        assert line in told[at:], f"{line!r} is missing, or too early, in\n{told}"
        at = told.index(line, at)
    assert os.listdir(folder) == []

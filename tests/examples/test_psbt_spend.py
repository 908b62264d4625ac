"""examples/psbt_spend.py: a watch-only wallet's PSBT goes round and ends in a block."""

import io

import pytest

from examples.helpers.minutes import Minutes
from examples.psbt_spend import tell

STORY = [
    "hold a key together, safe to fund",
    "tr(musig(",
    "sees three coins, and makes a PSBT (version 2,",
    "asks for the 3 inputs that the group can sign",
    "(not this group's)",
    "the friend's input is still open",
    "The chain accepts the transaction in block 405",
]


@pytest.mark.processes
@pytest.mark.asyncio
async def test_the_psbt_comes_back_signed_and_the_chain_accepts_it() -> None:
    out = io.StringIO()
    await tell(Minutes(out))
    told, at = out.getvalue(), 0
    for line in STORY:
        assert line in told[at:], f"{line!r} is missing, or too early, in\n{told}"
        at = told.index(line, at)

"""examples/batch.py and examples/subsets.py: each tells its story to the end, and consensus code agrees."""

import io

import pytest

from examples import batch, subsets
from examples.minutes import Minutes

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]


async def test_twenty_inputs_are_signed_in_one_request() -> None:
    told = io.StringIO()
    await batch.tell(Minutes(told))
    assert "has verified 20 signatures" in told.getvalue()
    assert "accepts the transaction in block" in told.getvalue()


async def test_subsets_spend_their_own_coins_and_nobody_alone_without_his_yes() -> None:
    told = io.StringIO()
    await subsets.tell(Minutes(told))
    for slots in ("[0, 1, 2]", "[0, 1]", "[1, 2]", "[2]"):
        assert f"accepts what slots {slots} spent" in told.getvalue()
    assert "Bob       is refused by his own enclave: alone_not_allowed" in told.getvalue()

"""examples/batch.py, subsets.py and treasury_policy.py: each tells its story to the end, and consensus code agrees."""

import io

import pytest

from examples import batch, subsets, treasury_policy
from examples.helpers.minutes import Minutes

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


async def test_a_treasury_pays_the_rent_and_everybody_reads_why_it_pays_nothing_else() -> None:
    told = io.StringIO()
    await treasury_policy.tell(Minutes(told))
    lines = told.getvalue().splitlines()
    assert any("accepts the rent in block" in line for line in lines)
    for code in ("amount_not_allowed", "output_not_allowed", "blind_not_allowed"):
        readers = [line.split()[2] for line in lines if f"reads {code}: slot 0: " in line]
        assert readers == ["Alice", "Bob", "Carol"]

"""confirming.py: what was completed is confirmed unasked, and what does not hold never is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Keygen
from keymeld_client.confirming import confirm_completed
from keymeld_protocol.errors import Blamed
from tests.client.house import House, house

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


async def test_a_roster_that_does_not_hold_is_a_problem_and_the_others_are_confirmed(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm, problem = Keygen.confirm, Blamed("shared_key", (0, 1), "two slots share a signing key")

    async def confirmed(keygen: Keygen) -> None:
        if keygen.id == bad.id:
            raise problem
        await confirm(keygen)

    monkeypatch.setattr(Keygen, "confirm", confirmed)
    async with home.person("alice", auto_confirm=False) as alice:
        bad, good = [await alice.create_keygen(1, network="regtest") for _ in range(2)]
        for keygen in (bad, good):
            await keygen.join()
            await keygen.completed()
        assert bad.unconfirmed() == good.unconfirmed() == (0,)
        task = asyncio.create_task(confirm_completed(alice))
        await alice.ledger.until(good.id, lambda _: not good.unconfirmed() or None)
        assert alice.problems == (problem,) and bad.unconfirmed() == (0,)
    await task  # which ends with the client


async def test_who_does_not_want_that_confirms_himself(home: House) -> None:
    async with home.person("alice", auto_confirm=False) as alice, home.person("bob") as bob:
        mine, theirs = [await person.create_keygen(1, network="regtest") for person in (alice, bob)]
        for keygen in (mine, theirs):
            await keygen.join()
            await keygen.completed()
        await bob.ledger.until(theirs.id, lambda _: not theirs.unconfirmed() or None)
        assert mine.unconfirmed() == (0,)
        await mine.confirm()
        assert mine.unconfirmed() == ()

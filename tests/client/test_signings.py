"""signings.py: the words about a signing, by the clock of whoever says them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Rule
from keymeld_client.clock import now_ms
from keymeld_client.signing_view import SigningView
from keymeld_protocol.errors import Blamed, Refused
from keymeld_protocol.wire.shapes import CLOCKS_APART_MS, REQUEST_LIFE_MS
from tests.client.house import NONE, SELF, House, gather, heard, house
from tests.support.coordinator import secret_of

pytestmark = pytest.mark.asyncio
MESSAGE = secret_of("message")


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


async def test_a_yes_lasts_as_long_as_was_said_by_the_clock_of_who_says_it(home: House) -> None:
    behind, noon = 30_000, now_ms()
    bobs = home.person("bob", now=lambda: noon - behind)
    async with home.person("alice") as alice, bobs as bob:
        mine, _ = await gather(alice, bob, rules=(Rule(approval="none", delay_ms=600_000), SELF))
        seen = await heard(bob, await mine.request(messages=[MESSAGE]))
        await seen.approve(until_ms=60_000)
        assert seen.state.consent.approvals[1] == noon - behind + 60_000


async def test_who_lives_in_the_past_approves_nothing_that_would_live_too_long_for_him(home: House) -> None:
    behind = 0
    bobs = home.person("bob", now=lambda: now_ms() - behind)
    async with home.person("alice") as alice, bobs as bob:
        mine, _ = await gather(alice, bob)
        seen = await heard(bob, await mine.request(messages=[MESSAGE], expires_in_ms=REQUEST_LIFE_MS))
        behind = 2 * CLOCKS_APART_MS
        with pytest.raises(Blamed, match="expires_too_late"):
            await seen.approve()
        assert 1 not in seen.state.consent.approvals
        behind = 0
        await seen.approve()
        assert len(await seen.signatures()) == 1


async def test_looking_says_nothing(home: House) -> None:
    """Whatever a view can do leaves the log as it was."""
    assert not {"approve", "reject", "cancel"} & set(vars(SigningView))
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, SELF))
        signing = await mine.request(messages=[MESSAGE])
        before = signing.heard.chain.hash
        assert signing.summary() and signing.mine and signing.holdouts() == (1,) and not signing.awaits_me()
        assert signing.judgement() == [] and signing.ending is None
        assert (await heard(bob, signing)).awaits_me() and signing.heard.chain.hash == before
        await (await heard(bob, signing)).reject()
        with pytest.raises(Refused, match="has had its say"):
            await (await heard(bob, signing)).reject()

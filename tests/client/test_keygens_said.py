"""A participant's words in a keygen: how to join as one value, and a request that is looked at before it is said."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Allow, Choice
from keymeld_client.shown.telling import BLIND
from keymeld_protocol.errors import Refused
from tests.client.house import NONE, House, gather, house
from tests.support.coordinator import secret_of

pytestmark = pytest.mark.asyncio
MESSAGE = secret_of("message")


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


async def test_a_request_may_be_drafted_looked_at_and_said_later(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        draft = mine.draft(messages=[MESSAGE], memo="a login")
        assert any(line.startswith(BLIND) for line in map(str.strip, draft.lines)) and mine.signings() == ()
    async with home.person("alice") as alice, home.person("bob"):
        signing = await alice.keygen(mine.id).say(draft)
        assert signing.summary()[-len(draft.lines) :] == list(draft.lines)
        assert signing.plan is draft.plan and len(await signing.signatures()) == 1


async def test_a_request_that_was_drafted_before_somebody_left_is_not_said(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, theirs = await gather(alice, bob, rules=(NONE, NONE))
        draft = mine.draft(messages=[MESSAGE])
        await theirs.leave()
        await alice.ledger.until(mine.id, lambda _: bool(mine.state.left) or None)
        with pytest.raises(Refused, match="slot 1 left this group"):
            await mine.say(draft)
        assert mine.signings() == ()


async def test_a_word_that_asks_for_nothing_is_no_request(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        with pytest.raises(TypeError, match="mesages"):
            mine.draft(mesages=[MESSAGE])  # type: ignore[call-arg]


async def test_how_to_join_may_be_said_once_and_otherwise_in_a_word(home: House) -> None:
    async with home.person("alice") as alice:
        choice = Choice(rule=NONE, label="Alice", allow=Allow(max_fee=1000, no_blind=True))
        keygen = await alice.create_keygen(2, network="regtest")
        assert [await keygen.join(0, choice), await keygen.join(1, choice, label="Alice too")] == [0, 1]
        assert [card.label for card in (await keygen.completed()).cards] == ["Alice", "Alice too"]
        assert {join.rule for join in keygen.state.joins} == {NONE}

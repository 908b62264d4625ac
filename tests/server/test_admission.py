"""What this operator asks of a statement before the machines do."""

from pathlib import Path

import pytest

from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.wire.payloads import WalletOpen
from keymeld_protocol.wire.statements import Statement, make
from tests.support.build import HOUR, xonly
from tests.support.coordinator import key_of
from tests.support.line import Line

pytestmark = pytest.mark.asyncio

TOKEN = "a token of sixteen characters or more"


async def refusal(line: Line, said: Statement, token: str | None = None) -> tuple[Reason, str | None, int | None]:
    """Reason, field and limit of a refusal."""
    with pytest.raises(WireError) as refused:
        await (await line.sessions.submit(said, token))
    return refused.value.reason, refused.value.field, refused.value.limit


async def test_a_keygen_that_names_another_coordinator_is_refused() -> None:
    line = Line()
    create = line.cast().create(line.time(), coordinator=xonly(key_of("another")))
    assert await refusal(line, create) == (Reason.NOT_ALLOWED, "coordinator", None)


async def test_a_keygen_has_at_most_the_configured_slots() -> None:
    line = Line(slots_max=2)
    assert await refusal(line, line.cast(slots=3).create(line.time())) == (Reason.OVER_LIMIT, "slots", 2)


async def test_a_keygen_has_at_most_the_configured_subsets() -> None:
    line = Line(subsets_max=1)
    create = line.cast().create(line.time(), subsets=((0,), (1,)))
    assert await refusal(line, create) == (Reason.OVER_LIMIT, "subsets", 1)


async def test_a_keygen_collects_joins_for_a_limited_time() -> None:
    line = Line(keygen_life_ms=HOUR)
    create = line.cast().create(line.time(), expires_at=line.time() + HOUR + 1)
    assert await refusal(line, create) == (Reason.OVER_LIMIT, "expires_at", HOUR)


@pytest.mark.parametrize(
    ("limit", "told"), [(720 * HOUR, "30 days"), (HOUR, "1 hour"), (90_000, "90 seconds"), (1_500, "1500 ms")]
)
async def test_a_limit_of_time_is_told_as_a_span(limit: int, told: str) -> None:
    line = Line(keygen_life_ms=limit)
    with pytest.raises(WireError, match=f"^over_limit .*expires_at: at most {told} ahead here$"):
        await (await line.sessions.submit(line.cast().create(line.time(), expires_at=line.time() + limit + 1)))


async def test_attack_64_a_request_from_before_the_key_was_complete_is_refused() -> None:
    line = Line()
    cast = await line.completed()
    log = line.store.logs[cast.stream]
    for record in log[:-1]:
        request = cast.request(record.hash, line.roster(cast), line.time())
        assert await refusal(line, request) == (Reason.WRONG_STATE, "after", None)
    last = cast.request(log[-1].hash, line.roster(cast), line.time())
    assert (await line.say(last)).offset == 1


async def test_a_request_has_at_most_the_configured_items() -> None:
    line = Line(items_max=2)
    request = line.request(await line.completed(), items=3)
    assert await refusal(line, request) == (Reason.OVER_LIMIT, "items", 2)


async def test_a_request_lives_for_a_limited_time() -> None:
    line = Line(request_life_ms=HOUR)
    request = line.request(await line.completed(), expires_at=line.time() + HOUR + 1)
    assert await refusal(line, request) == (Reason.OVER_LIMIT, "expires_at", HOUR)


async def test_a_request_asks_for_a_grace_within_the_configured_range() -> None:
    line = Line(grace_min_ms=1_000, grace_max_ms=2_000)
    cast = await line.completed()
    assert await refusal(line, line.request(cast, grace_ms=2_001)) == (Reason.OVER_LIMIT, "grace_ms", 2_000)
    assert await refusal(line, line.request(cast, grace_ms=999)) == (Reason.OVER_LIMIT, "grace_ms", 1_000)


async def test_a_key_opens_a_limited_number_of_sessions_at_a_time() -> None:
    line = Line(open_sessions_per_key=1)
    cast = await line.completed()
    first = await line.requested(cast, expires_at=line.time() + 1)
    second = line.request(cast, sealed=b"another body")
    assert await refusal(line, second) == (Reason.OVER_LIMIT, "by", 1)
    line.time.wait(1)
    await line.look(first.id)
    assert (await line.say(second)).offset == 1


async def test_a_completed_keygen_does_not_count() -> None:
    line = Line(open_sessions_per_key=1)
    for salt in (b"1", b"2"):
        cast = line.cast(salt.decode())
        await line.say(cast.create(line.time()))
        assert line.app._admission._open == {xonly(cast.creator): {cast.stream}}
        for slot in range(2):
            await line.say(cast.join(slot, line.hash(cast.stream)))
        assert line.app._admission._open == {}


async def test_strangers_need_a_token_where_tokens_are_asked_for(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# of the operator\n{TOKEN}\n")
    tokens.chmod(0o600)
    line = Line(access_tokens_file=tokens)
    create = line.cast().create(line.time())
    assert await refusal(line, create) == (Reason.NOT_ALLOWED, "token", None)
    assert (await refusal(line, create, "a wrong one"))[1] == "token"
    assert (await (await line.sessions.submit(create, TOKEN))).offset == 1


async def test_a_wallet_needs_a_token_too_and_a_member_none(tmp_path: Path) -> None:
    line = Line()
    cast = await line.completed()
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    tokens.chmod(0o600)
    line = line.restart(access_tokens_file=tokens)
    owner = key_of("owner")
    assert (await refusal(line, make(WalletOpen(v=1, by=xonly(owner)), owner.sign)))[1] == "token"
    await line.sessions.get(cast.stream)
    assert (await line.say(line.request(cast))).offset == 1

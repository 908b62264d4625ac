"""Adaptor items among people: what is asked and shown, what comes of it, and the secret that a signature gives away."""

from collections.abc import AsyncIterator
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace as replaced

from keymeld_client import Adaptor, NeedsSecret
from keymeld_client.said.asking import make_body
from keymeld_client.shown.audit import Report
from keymeld_client.shown.log import export_log, verify_log
from keymeld_client.shown.results import results_of
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import Blamed
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.values import PlainKey
from keymeld_protocol.wire.frames import wire_head
from tests.client.coins import payment, psbt
from tests.client.house import NONE, House, gather, heard, house
from tests.client.paper import GROUP_SECRET, Reader, Tale
from tests.support.coordinator import secret_of

MESSAGE = secret_of("message")
SECRETS = [secret_of(f"lock {i}") for i in range(3)]
POINTS = tuple(PlainKey(Secret(secret).point) for secret in SECRETS)
SINGLE, EITHER = Adaptor(mode="single", points=POINTS[:1]), Adaptor(mode="or", points=POINTS)


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


@pytest.mark.asyncio
async def test_a_locked_payment_is_completed_by_who_has_the_secret_and_tells_it_to_the_others(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob)
        coins = [(50_000, mine.roster.script()), (70_000, mine.roster.script())]
        signing = await mine.request(transactions=[payment(coins, 100_000)], adaptor=SINGLE)
        seen = await heard(bob, signing)
        assert sum(f"completes only with the secret of {POINTS[0].hex()}" in line for line in seen.summary()) == 2
        await seen.approve()
        with pytest.raises(NeedsSecret, match=POINTS[0].hex()):
            await signing.signatures()
        with pytest.raises(NeedsSecret):
            await signing.transactions(SECRETS[1:])
        (raw,), (signed,) = await signing.transactions(SECRETS), await signing.psbts(secrets=SECRETS)
        assert raw == signed.final
        (published, _), (halves, _) = await signing.signatures(SECRETS), await seen.results()
        assert isinstance(halves, tuple) and [half.extract(published) for half in halves] == SECRETS[:1]


@pytest.mark.asyncio
async def test_of_several_points_any_one_completes_its_own(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        signing = await mine.request(messages=[MESSAGE], adaptor=EITHER)
        (halves,) = await signing.results()
        assert isinstance(halves, tuple) and [half.points for half in halves] == [(point,) for point in POINTS]
        for secret in SECRETS:
            (signature,) = await signing.signatures([secret])
            assert verify(signature, MESSAGE, mine.roster.output)


@pytest.mark.asyncio
async def test_two_enclaves_presign_a_psbt_for_everybody(home: House) -> None:
    await home.enclave("second")
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        both = Adaptor(mode="and", points=POINTS)
        signing = await mine.request(psbts=[psbt([(50_000, mine.roster.script())], 40_000)], adaptor=both)
        seen = await heard(bob, signing)
        with pytest.raises(NeedsSecret) as missing:
            await seen.transactions(secrets=SECRETS[:2])
        assert missing.value.points == (POINTS[2],)
        for secrets, final in ((SECRETS[:2], False), (SECRETS, True)):
            (signed,) = await seen.psbts(secrets=secrets)
            assert (signed.final is not None) == final


@pytest.mark.asyncio
async def test_a_psbt_that_no_secret_completes_leaves_the_others_final(home: House) -> None:
    locks = (None, *(Adaptor(mode="single", points=(point,)) for point in POINTS[:2]))
    async with home.person("alice") as alice, home.person("bob") as bob:
        mine, _ = await gather(alice, bob, rules=(NONE, NONE))
        spends = [payment([(50_000, mine.roster.script())], amount) for amount in (40_000, 30_000, 20_000)]
        body = make_body(mine.roster, spends, [], "", None)
        items = tuple(replaced(item, adaptor=lock) for item, lock in zip(body.items, locks, strict=True))
        signing = await mine.request(body=replaced(body, items=items))
        for secrets, final in (([], [True, False, False]), (SECRETS[1:], [True, False, True])):
            assert [psbt.final is not None for psbt in await signing.psbts(secrets=secrets)] == final
        assert await signing.transactions(SECRETS) == tuple(
            [psbt.final for psbt in await signing.psbts(secrets=SECRETS)]
        )


# On paper ---------------------------------------------------------------------------------------------------------


class Locked(Tale):
    """Alice and Bob, and a signing of a message that is locked to any one of three points."""

    def __init__(self) -> None:
        super().__init__()
        body = make_body(self.alice.roster(self.keygen), [], [MESSAGE, MESSAGE], "", None, adaptor=EITHER)
        self.signing = self.alice.request(self.keygen, *body.items)
        self.world.run()
        self.bob.approve(self.signing)
        self.world.run()


@pytest.fixture(scope="module")
def tale() -> Locked:
    return Locked()


def results(tale: Locked, heard: Replay) -> tuple[object, ...]:
    roster, group = tale.alice.roster(tale.keygen), tale.alice.groups[tale.keygen]
    assert isinstance(heard.state, SigningState)
    plan = plan_of(heard.state, tale.alice.heard(tale.signing).records[0].statement, roster, group)
    return results_of(heard, plan, roster, group)


def without_values(tale: Locked) -> Replay:
    """The same log after the blobs of all but its last contribution were deleted."""
    heard = copy(tale.alice.heard(tale.signing))
    heard.records = [*(record.without_blobs(("values",)) for record in heard.records[:-1]), heard.records[-1]]
    return heard


def test_pre_signatures_come_from_the_last_word_when_the_other_contributions_are_gone(tale: Locked) -> None:
    whole = results(tale, tale.alice.heard(tale.signing))
    assert results(tale, without_values(tale)) == whole
    assert [len(each) for each in whole if isinstance(each, tuple)] == [3, 3]


def test_pre_signatures_of_another_place_are_not_shown(tale: Locked) -> None:
    heard, group = without_values(tale), tale.alice.groups[tale.keygen]
    last = heard.records[-1].statement
    entries = tale.alice.told(tale.signing)
    swapped = contributions.encode((entries[1], entries[0], *entries[2:]))
    sealed = group.seal("signing.contribute", "values", tale.signing, last.payload.by, swapped)
    heard.records[-1] = replace(heard.records[-1], statement=replace(last, blobs=(sealed,)))
    with pytest.raises(Blamed, match="bad_signature, slots 0 and 1: item 0, point 0"):
        results(tale, heard)


def test_an_exported_log_tells_of_pre_signatures(tale: Locked) -> None:
    reader = Reader(tale)
    for stream in (tale.keygen, tale.signing):
        reader.subscribed(stream, head=wire_head(tale.head(stream)))
        reader.hear(stream)
    report: Report = verify_log(export_log(reader.wallet, tale.signing), GROUP_SECRET)
    told = "\n".join(report.lines())
    assert report.ok and report.signatures == () and "6 pre-signatures, under the key and message" in told
    assert "completes only with any one of the secrets of" in told
    reader.wallet._passing = True
    reader.wallet.close()

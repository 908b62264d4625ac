"""Stories of one member with a key of one slot, brought along, who signs and leaves, at a real coordinator."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import NotTrusted, Rule, Trust, WalletError
from keymeld_client.said import choosing, joining
from keymeld_client.said.choosing import Allow
from keymeld_protocol.curve import ecdsa
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import BadInput, Refused
from tests.client.house import House, house
from tests.support.coordinator import secret_of

pytestmark = pytest.mark.asyncio
NONE = Rule(approval="none")
MESSAGE, OTHER = secret_of("message"), secret_of("other")


@pytest.fixture
def key() -> Secret:
    """A key from before."""
    return Secret(secret_of("a key from before"))


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


async def test_a_key_brought_along_signs_schnorr_and_ecdsa(home: House, key: Secret) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(1, network="regtest", tweak="none")
        await keygen.join(rule=NONE, key=key.buffer)
        await keygen.safe()
        assert keygen.roster.cards[0].pubkey == key.point and keygen.roster.output == key.point[1:]
        signing = await keygen.request(messages=[MESSAGE], ecdsa=[OTHER])
        schnorr, classic = await signing.signatures()
        assert verify(schnorr, MESSAGE, key.point[1:]) and ecdsa.verify(classic, OTHER, key.point)
        assert f"Message 2 of 2 (ECDSA)  {OTHER.hex()}" in signing.summary()
        assert sum("BLIND" in line for line in signing.summary()) == 2


async def test_a_key_is_sealed_once_unless_its_owner_insists(home: House, key: Secret) -> None:
    async with home.person("alice") as alice:
        first, second = [await alice.create_keygen(1, network="regtest") for _ in range(2)]
        await first.join(key=key.buffer)
        with pytest.raises(WalletError, match="sealed before"):
            await second.join(key=key.buffer)
        assert second.slots == ()
        await second.join(key=key.buffer, again=True)
        assert (await second.completed()).cards[0].pubkey == key.point


async def test_a_key_that_is_none_joins_nothing(home: House) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(1, network="regtest")
        with pytest.raises(BadInput, match="key: must be 32 bytes, not zero"):
            await keygen.join(key=bytes(32))
        assert keygen.slots == () and keygen.heard.chain.offset == 1


@pytest.mark.parametrize(
    ("trusted", "rule", "refused"), [(True, NONE, Refused), (False, None, NotTrusted), (True, None, None)]
)
async def test_every_copy_of_a_key_is_wiped_whatever_stands_in_the_way(
    home: House, key: Secret, trusted: bool, rule: Rule | None, refused: type[Exception] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    copies: list[Secret] = []

    def copied(secret: bytes) -> Secret:
        copies.append(Secret(secret))
        return copies[-1]

    for module in (choosing, joining):
        monkeypatch.setattr(module, "Secret", copied)
    async with home.person("alice", trust=home.trust if trusted else Trust(frozenset())) as alice:
        keygen = await alice.create_keygen(1, network="regtest", open_tickets=True)
        with pytest.raises(refused) if refused else nullcontext():
            await keygen.join(rule=rule, key=key.buffer)
    assert len(copies) == (1 if refused else 2) and any(key.buffer)
    assert not any(any(copy.buffer) for copy in copies)


async def test_a_group_may_have_members_who_bring_their_keys(home: House, key: Secret) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(2, network="regtest")
        await keygen.join(0, rule=NONE)
        await keygen.join(1, rule=NONE, key=key.buffer)
        await keygen.safe()
        (signature,) = await (await keygen.request(messages=[MESSAGE])).signatures()
        assert verify(signature, MESSAGE, keygen.roster.output)
        assert keygen.roster.cards[1].pubkey == key.point
        with pytest.raises(BadInput, match="only a key of one slot signs ECDSA"):
            await keygen.request(ecdsa=[MESSAGE])


# Leaving


async def test_a_member_leaves_and_nothing_is_signed_any_more(home: House, key: Secret) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(1, network="regtest")
        await keygen.join(rule=NONE, key=key.buffer)
        await keygen.safe()
        waits = await alice.create_keygen(1, network="regtest")
        with pytest.raises(Refused, match="only a completed one"):
            await waits.leave()
        assert await keygen.leave() == (0,)
        await keygen.wiped()
        assert keygen.state.phase == "closed" and not keygen.safety.safe
        with pytest.raises(Refused, match="slot 0 left"):
            await keygen.request(messages=[MESSAGE])
        with pytest.raises(Refused, match="no slot here that could leave"):
            await keygen.leave()


async def test_one_of_two_leaves_and_the_other_signs_alone(home: House) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(2, network="regtest", subsets=((0,),))
        for slot in range(2):
            await keygen.join(slot, rule=NONE, allow=Allow(alone=True, alone_blind=True))
        await keygen.safe()
        assert await keygen.leave(1) == (1,)
        await keygen.wiped()
        assert "slot 1 left" in str(keygen.safety) and keygen.unconfirmed() == ()
        assert keygen.safety_of(0).safe, "it does not need slot 1"
        (signature,) = await (await keygen.request(messages=[MESSAGE], subset=0)).signatures()
        assert verify(signature, MESSAGE, keygen.roster.keyagg(0).output)


async def test_a_wallet_that_comes_later_reads_what_was_signed_before_all_left(home: House, key: Secret) -> None:
    async with home.person("alice") as alice:
        keygen = await alice.create_keygen(1, network="regtest")
        await keygen.join(rule=NONE, key=key.buffer)
        await keygen.completed()
        signing = await keygen.request(messages=[MESSAGE])
        signatures = await signing.signatures()
        await signing.ended()
        await keygen.leave()
        await keygen.wiped()
    for path in (home.folder / "alice" / "streams").iterdir():
        path.unlink()
    async with home.person("alice") as alice:
        await alice.ledger.until(signing.id, lambda heard: heard.caught_up or None)
        assert await alice.signing(signing.id).signatures() == signatures
        assert alice.keygen(keygen.id).roster.hash == keygen.state.roster

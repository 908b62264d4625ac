"""Stories of one member with a key of one slot, his own from before, at a real coordinator."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Rule, WalletError
from keymeld_protocol import ecdsa
from keymeld_protocol.errors import BadInput
from keymeld_protocol.schnorr import verify
from keymeld_protocol.secp256k1 import Secret
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

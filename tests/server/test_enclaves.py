"""enclaves.py: known for good, here while a connection lasts; whoever waits for one is looked at when it comes."""

import pytest

from keymeld_protocol.values import Id, XOnlyKey
from keymeld_server.enclaves import Enclaves
from keymeld_server.store.port import EnclaveRow
from tests.support.build import xonly
from tests.support.coordinator import key_of, secret_of
from tests.support.memory_store import MemoryStore

VAULT, TOWER = (xonly(key_of(name)) for name in ("vault", "tower"))
ONE, TWO = Id(secret_of("one")), Id(secret_of("two"))


def row(key: XOnlyKey, document: bytes | None = None) -> EnclaveRow:
    """What an enclave says of itself."""
    return EnclaveRow(key, 1_000, "7", document)


@pytest.fixture
def enclaves() -> Enclaves:
    return Enclaves(MemoryStore())


def test_who_comes_is_here_until_the_last_of_its_connections_ends(enclaves: Enclaves) -> None:
    enclaves.come(VAULT)
    enclaves.come(VAULT)
    enclaves.go(VAULT)
    assert enclaves.here == {VAULT}
    enclaves.go(VAULT)
    assert enclaves.here == frozenset()


def test_whoever_waited_for_an_enclave_is_looked_at_when_it_comes(enclaves: Enclaves) -> None:
    enclaves.wait(ONE, frozenset({VAULT, TOWER}))
    enclaves.wait(TWO, frozenset({TOWER}))
    assert enclaves.come(VAULT) == [ONE]
    assert enclaves.come(TOWER) == [ONE, TWO]


def test_a_second_connection_is_no_news(enclaves: Enclaves) -> None:
    enclaves.wait(ONE, frozenset({VAULT}))
    assert (enclaves.come(VAULT), enclaves.come(VAULT)) == ([ONE], [])


def test_who_waits_no_longer_is_not_looked_at(enclaves: Enclaves) -> None:
    enclaves.wait(ONE, frozenset({VAULT}))
    enclaves.wait(ONE, frozenset())
    assert enclaves.come(VAULT) == []


@pytest.mark.asyncio
async def test_after_a_restart_every_stream_that_was_not_looked_at_may_wait_for_the_first_who_comes() -> None:
    enclaves = Enclaves(MemoryStore())
    await enclaves.load([ONE, TWO])
    enclaves.wait(ONE, frozenset({TOWER}))
    assert enclaves.come(VAULT) == [TWO]
    assert enclaves.come(TOWER) == [ONE]


@pytest.mark.asyncio
async def test_who_has_announced_himself_is_known_to_the_next_coordinator_and_not_here() -> None:
    store = MemoryStore()
    before = Enclaves(store)
    await before.announce(row(VAULT, b"a document"))
    before.come(VAULT)
    after = Enclaves(store)
    await after.load([])
    told = {"identity": VAULT.hex(), "announced_at": 1_000, "capacity": 7, "document": "a document"}
    assert before.listing() == [told | {"online": True}]
    assert after.listing() == [told | {"online": False}]


@pytest.mark.asyncio
async def test_an_enclave_without_a_document_is_listed_without_one(enclaves: Enclaves) -> None:
    await enclaves.announce(row(TOWER))
    assert [each["document"] for each in enclaves.listing()] == [None]

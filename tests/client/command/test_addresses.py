"""command/addresses.py: what is told beside an address, before anybody sends coins there."""

from collections.abc import Iterator

import pytest

from keymeld_client.command.addresses import _told
from keymeld_client.keygens import Keygen
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk
from tests.support.world import NONE, World


@pytest.fixture
def keygen() -> Iterator[Keygen]:
    """A group of two that all have confirmed, with subsets of one and of both."""
    tale = Tale.__new__(Tale)
    tale.world = world = World()
    members = tale.alice, tale.bob = world.member("alice"), world.member("bob")
    tale.keygen = world.gather(members, at=world.enclave("vault"), rule=NONE, subsets=((1,), (0, 1)))
    reader = Reader(tale)
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    yield at_desk(reader).keygen(tale.keygen)
    reader.wallet.close()


@pytest.mark.parametrize(("subset", "warned"), [(None, False), (0, True), (1, False)])
def test_the_address_of_one_slot_alone_is_told_to_need_its_participants_yes(
    keygen: Keygen, subset: int | None, warned: bool
) -> None:
    told = [str(line) for line in _told(keygen, subset)]
    assert told[0].startswith("safe to fund")
    assert any(line.startswith("ALONE: slot 1 signs alone only if") for line in told) is warned

"""signing_view.py: what a request would sign, what may still be said to it, and what came of it; from the log alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from keymeld_client.errors import SigningEnded, WalletError
from keymeld_client.signings import Signing
from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.errors import Refused
from keymeld_protocol.machines.signing import SigningPhase
from keymeld_protocol.member.plan import Item
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk
from tests.support.world import MESSAGE, NONE, SELF, World


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody with a ticket who has heard the keygen."""
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        yield reader


@pytest.fixture
def signing(reader: Reader, tale: Tale) -> Signing:
    """The signing, to its end, at that person's desk."""
    reader.subscribed(tale.signing)
    reader.hear(tale.signing)
    return at_desk(reader).signing(tale.signing)


async def turns() -> None:
    """Let everybody else have his turn, more than once."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_would_be_signed_is_computed_from_the_sealed_body(signing: Signing) -> None:
    (item,) = signing.plan.items
    assert isinstance(item, Item) and item.message == MESSAGE
    assert signing.plan.body.memo == "rent" and signing.phase is SigningPhase.COMPLETED


def test_it_knows_its_keygen_and_that_a_stranger_did_not_ask_for_it(signing: Signing, tale: Tale) -> None:
    assert signing.keygen.id == tale.keygen
    assert not signing.mine and not signing.awaits_me() and signing.holdouts() == ()


def test_what_is_completed_has_no_bad_ending_and_nobody_is_at_fault(signing: Signing) -> None:
    assert signing.ending is None and signing.judgement() == [] and signing.judged().at_fault == ()


def test_a_keygen_is_no_signing(reader: Reader, tale: Tale) -> None:
    with pytest.raises(WalletError, match="is no signing"):
        at_desk(reader).signing(tale.keygen).state  # noqa: B018


@pytest.mark.asyncio
async def test_signatures_are_given_when_they_are_there_and_verify(reader: Reader, tale: Tale) -> None:
    wires = tale.wires(tale.signing)
    reader.hear(tale.signing, wires[:-2])
    signing = at_desk(reader).signing(tale.signing)
    waiting = asyncio.create_task(signing.signatures())
    await turns()
    assert not waiting.done()
    reader.hear(tale.signing, wires[-2:])
    (signature,) = await waiting
    assert verify(signature, MESSAGE, signing.keygen.roster.keyagg().output)
    assert await signing.transactions() == ()


@pytest.mark.asyncio
async def test_who_follows_is_given_every_record_and_then_the_end(signing: Signing, tale: Tale) -> None:
    offsets = [record.offset async for record in signing]
    assert offsets == list(range(1, len(tale.wires(tale.signing)) + 1))
    assert await signing.ended() is SigningPhase.COMPLETED


@pytest.mark.asyncio
async def test_who_sits_in_no_slot_has_no_say(signing: Signing) -> None:
    for word in (signing.approve, signing.reject, signing.cancel):
        with pytest.raises(Refused):
            await word()


@pytest.mark.asyncio
async def test_a_request_that_was_taken_back_ends_the_waiting_with_its_end() -> None:
    tale = Tale.__new__(Tale)
    tale.world = world = World()
    tale.alice, tale.bob = world.member("alice"), world.member("bob")
    tale.keygen = world.gather([tale.alice, tale.bob], at=world.enclave("vault"), rule=[NONE, SELF])
    tale.signing = tale.alice.request(tale.keygen, MESSAGE)
    world.run()
    tale.alice.cancel(tale.signing)
    world.run()
    with Reader(tale).closing() as reader:
        reader.hear(tale.keygen)
        wires = tale.wires(tale.signing)
        reader.hear(tale.signing, wires[:-1])
        signing = at_desk(reader).signing(tale.signing)
        assert signing.holdouts() == (1,) and signing.ending is None
        waiting = asyncio.create_task(signing.signatures())
        await turns()
        assert not waiting.done()
        reader.hear(tale.signing, wires[-1:])
        with pytest.raises(SigningEnded) as caught:
            await waiting
        assert (caught.value.phase, caught.value.at_fault) == ("cancelled", ())
        assert str(signing.ending) == str(caught.value)

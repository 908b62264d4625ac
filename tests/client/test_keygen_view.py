"""keygen_view.py: what a keygen's log says to a wallet that takes part in it or only looks on; and waiting for more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from keymeld_client import keygen_view
from keymeld_client.errors import KeygenEnded, WalletError
from keymeld_client.keygens import Keygen
from keymeld_protocol.errors import Blamed, Refused
from keymeld_protocol.member.roster_digits import roster_digits
from keymeld_protocol.values import Hash, Id
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk
from tests.support.coordinator import secret_of
from tests.support.world import HOUR, NONE, World


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody with a ticket who has heard nothing yet."""
    with Reader(tale).closing() as reader:
        yield reader


@pytest.fixture
def keygen(reader: Reader, tale: Tale) -> Keygen:
    """The keygen, completed and confirmed, at that person's desk."""
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    return at_desk(reader).keygen(tale.keygen)


def story(until: int | None = None) -> Tale:
    """A keygen of two in which only Alice has joined, told as far as that."""
    tale = Tale.__new__(Tale)
    tale.world = World()
    vault, tale.alice = tale.world.enclave("vault"), tale.world.member("alice")
    invitation = tale.alice.create(2)
    tale.keygen = invitation.keygen
    tale.alice.join(invitation, 0, vault.key, NONE)
    tale.world.run()
    if until is not None:
        tale.world.wait(until)
    return tale


async def turns() -> None:
    """Let everybody else have his turn, more than once."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_members_sealed_is_opened_and_computed_here(keygen: Keygen, tale: Tale) -> None:
    roster = tale.alice.roster(tale.keygen)
    assert (keygen.label, keygen.terms.network) == ("alice", "regtest")
    assert keygen.roster == roster and keygen.address == roster.address()
    assert keygen.safety.safe and keygen.safety.by_enclave == (0, 1)


def test_roster_digits_are_those_of_the_roster_and_computed_where_they_are_shown(
    keygen: Keygen, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Hash] = []

    def counted(roster: Hash) -> str:
        asked.append(roster)
        return roster_digits(roster)

    monkeypatch.setattr(keygen_view, "roster_digits", counted)
    assert keygen.safety.safe and keygen.address and keygen.label and asked == []
    assert keygen.roster_digits == roster_digits(keygen.roster.hash) and asked == [keygen.roster.hash]


def test_who_only_looks_on_sits_nowhere_and_holds_no_tickets(keygen: Keygen) -> None:
    assert (keygen.slots, keygen.unconfirmed()) == ((), ())
    with pytest.raises(WalletError, match="only the wallet that created"):
        keygen.tickets  # noqa: B018


def test_signings_are_those_of_this_keygen(keygen: Keygen, reader: Reader, tale: Tale) -> None:
    assert keygen.signings() == ()
    reader.subscribed(tale.signing)
    reader.hear(tale.signing)
    assert [signing.id for signing in keygen.signings()] == [tale.signing]


def test_there_is_no_keygen_without_a_ticket_for_it(reader: Reader) -> None:
    with pytest.raises(WalletError, match="holds no ticket"):
        at_desk(reader).keygen(Id(secret_of("another"))).entry  # noqa: B018


def test_a_signing_is_no_keygen(keygen: Keygen, reader: Reader, tale: Tale) -> None:
    reader.subscribed(tale.signing)
    reader.hear(tale.signing)
    with pytest.raises(WalletError, match="is no keygen"):
        at_desk(reader).keygen(tale.signing).state  # noqa: B018


def test_a_ticket_whose_secret_is_not_the_sessions_opens_nothing_and_blames_nobody(tale: Tale) -> None:
    with Reader(tale).closing() as reader:
        entry = reader.wallet.keygen(tale.keygen)
        assert entry is not None
        entry.group_secret[:] = secret_of("another S")
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        keygen = at_desk(reader).keygen(tale.keygen)
        assert keygen.label == ""
        with pytest.raises(Blamed) as caught:
            keygen.roster  # noqa: B018
        assert (caught.value.code, caught.value.slots) == ("foreign_group_secret", ())


def test_before_everybody_has_joined_there_is_no_address() -> None:
    tale = story()
    with Reader(tale).closing() as reader:
        reader.hear(tale.keygen)
        keygen = at_desk(reader).keygen(tale.keygen)
        with pytest.raises(Refused):
            keygen.address  # noqa: B018
        assert not keygen.safety.safe


@pytest.mark.asyncio
async def test_who_waits_for_completion_is_given_the_roster_when_it_is_there(reader: Reader, tale: Tale) -> None:
    wires = tale.wires(tale.keygen)
    reader.hear(tale.keygen, wires[:1])
    keygen = at_desk(reader).keygen(tale.keygen)
    waiting = asyncio.create_task(keygen.completed())
    for wire in wires[1:]:
        await turns()
        assert waiting.done() == (keygen.state.roster is not None)
        reader.hear(tale.keygen, [wire])
    assert await waiting == tale.alice.roster(tale.keygen)


@pytest.mark.asyncio
async def test_who_waits_for_safety_waits_for_the_last_confirmation(reader: Reader, tale: Tale) -> None:
    wires = tale.wires(tale.keygen)
    last = max(i for i, wire in enumerate(wires) if "keygen.confirm" in wire.statement.payload)
    reader.hear(tale.keygen, wires[:last])
    waiting = asyncio.create_task(at_desk(reader).keygen(tale.keygen).safe())
    await turns()
    assert not waiting.done()
    reader.hear(tale.keygen, wires[last:])
    assert (await waiting).safe


@pytest.mark.asyncio
async def test_a_keygen_whose_deadline_passed_ends_the_waiting_and_names_who_was_missing() -> None:
    tale = story(until=HOUR)
    with Reader(tale).closing() as reader:
        wires = tale.wires(tale.keygen)
        reader.hear(tale.keygen, wires[:-1])
        keygen = at_desk(reader).keygen(tale.keygen)
        waiting = [asyncio.create_task(each) for each in (keygen.completed(), keygen.safe(), keygen.joined())]
        await turns()
        reader.hear(tale.keygen, wires[-1:])
        told = await asyncio.gather(*waiting[:2], return_exceptions=True)
        assert [str(error) for error in told] == ["the deadline passed; missing: slot 1"] * 2
        assert all(isinstance(error, KeygenEnded) for error in told)
        assert await waiting[2] is None, "who has joined no slot has nothing to wait for"


@pytest.mark.asyncio
async def test_who_follows_is_given_every_record_from_the_first(keygen: Keygen, tale: Tale) -> None:
    following = aiter(keygen)
    offsets = [(await anext(following)).offset for _ in tale.wires(tale.keygen)]
    assert offsets == list(range(1, len(offsets) + 1))

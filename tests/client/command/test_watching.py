"""command/watching.py: whoever is waited for is named, and with what."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keymeld_client import Keygen as Handle
from keymeld_client.command.names import Names
from keymeld_client.command.screen import Screen
from keymeld_client.command.watching import Watch, missing_in_keygen, missing_in_signing
from keymeld_client.wallet.entries import KeygenEntry
from keymeld_client.wallet.wallet import Wallet
from tests.client.house import gather, house
from tests.client.paper import GROUP_SECRET, URL, Reader, Tale
from tests.promises.desk import at_desk
from tests.support.machines import HOUR, NONE, NOON, TOWER, VAULT, Keygen, Signing, completed
from tests.support.phases import DELAY, DELAYED, SELF, asked
from tests.support.world import World

ENCLAVE = f"enclave {VAULT.key.hex()[:6]}"


def missing(stream: Keygen) -> str:
    """What is said of a keygen in which nobody has a label."""
    return missing_in_keygen(stream.state, Names.of(stream.state))


def test_an_empty_keygen_waits_for_people() -> None:
    assert missing(Keygen(3)) == "waiting for slot 0, slot 1 and slot 2 to join"


def test_who_has_joined_waits_for_the_enclave_and_not_for_himself() -> None:
    stream = Keygen(2)
    stream.hear(stream.join(0))
    assert missing(stream) == f"waiting for {ENCLAVE} to hold the key of slot 0, and for slot 1 to join"
    stream.hear(stream.accept(0))
    assert missing(stream) == "waiting for slot 1 to join"


def test_a_complete_keygen_waits_for_confirmations() -> None:
    stream = Keygen(1)
    stream.hear(stream.join(0))
    stream.hear(stream.accept(0))
    assert missing(stream) == "waiting for the confirmation of slot 0"
    stream.hear(stream.confirm(VAULT))
    assert missing(stream) == ""


def test_a_keygen_that_somebody_left_waits_for_his_enclave_and_not_for_his_confirmation() -> None:
    stream = completed(2)
    stream.hear(stream.leave(0))
    assert missing(stream) == "waiting for the confirmation of slot 1, and for the key of slot 0 to be wiped"
    stream.hear(stream.leave(1), stream.wiped(0), stream.wiped(1))
    assert missing(stream) == ""


def test_an_expired_keygen_waits_for_nobody() -> None:
    stream = Keygen(2, expires_at=NOON + HOUR)
    stream.hear(stream.device(0))
    stream.hear(stream.expired(), at=NOON + HOUR)
    assert missing(stream) == "missing: slot 1"


def awaited(stream: Signing, now: int = NOON) -> str:
    """What is said of a signing in which nobody has a label."""
    return missing_in_signing(stream.state, Names.of(stream.state.keygen), now)


def test_a_delay_waits_for_its_enclave_and_then_for_its_time_and_blames_nobody() -> None:
    stream = asked(NONE, NONE, DELAYED)
    assert awaited(stream) == f"waiting for enclave {TOWER.key.hex()[:6]} to begin a delay"
    stream.hear(stream.hears(TOWER))
    assert awaited(stream) == "waiting until 2023-11-14 22:14 UTC, as the rule of slot 2 wants it"
    assert awaited(stream, NOON + DELAY) == ""


def test_who_has_not_approved_is_named_beside_a_delay() -> None:
    stream = asked(NONE, SELF, DELAYED)
    stream.hear(stream.hears(TOWER))
    assert awaited(stream).startswith("waiting for the approval of slot 1; waiting until 2023-11-14")


def test_an_attempt_under_way_waits_for_no_clock() -> None:
    stream = asked(NONE, NONE, DELAYED)
    stream.hear(stream.hears(TOWER))
    stream.hear(stream.opening(), at=NOON + DELAY)
    assert awaited(stream) == "waiting for nonces for slot 2"


@pytest.fixture
def squatted(tmp_path: Path) -> Iterator[Handle]:
    """Alice's own view of a keygen of two: she waits for her enclave in slot 0 for a minute, and Bob takes it over."""
    tale = Tale.__new__(Tale)
    tale.world = world = World()
    vault, tale.alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    invitation = tale.alice.create(2)
    tale.keygen = invitation.keygen
    vault.leave()
    tale.alice.join(invitation, 0, vault.key, NONE)
    world.wait(61_000)
    bob.join(invitation, 0, vault.key, NONE)
    world.run()
    with Wallet.open(tmp_path / "alice") as wallet:
        wallet.identity = tale.alice.identity
        wallet.remember(KeygenEntry(tale.keygen, URL, bytearray(GROUP_SECRET)))
        reader = Reader(tale, wallet)
        reader.hear(tale.keygen)
        yield at_desk(reader).keygen(tale.keygen)


def test_a_seat_that_was_lost_is_told_once_as_news(squatted: Handle) -> None:
    watch = Watch(squatted.client, Screen())
    (told,) = watch._seats(squatted)
    assert told == str(squatted.pushed_out[0]) and "took over your join" in told
    assert watch._seats(squatted) == []


@pytest.mark.asyncio
async def test_of_a_keygen_the_signings_that_are_there_and_those_that_come_later_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(tmp_path) as home:
        await home.enclave("vault")
        async with home.person("alice") as alice:
            (keygen,) = await gather(alice, rules=(NONE,))
            before = await keygen.request(messages=[bytes(32)])
            await before.signatures()
            watch = Watch(alice, Screen())
            async with watch.shown():
                watch.follow(keygen)
                later = await keygen.request(messages=[bytes(32)], memo="later")
                await later.signatures()
                for signing in (before, later):
                    await watch.until_told(signing)
    told = capsys.readouterr().out
    for signing in (before, later):
        assert sum(signing.id.hex()[:6] in line for line in told.splitlines()) == 2, "asked for, and signed"

"""again.py: what a restored coordinator has lost is said again, each his own, and a no before anything else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from keymeld_client import Client, Keygen, Rule, Signing
from keymeld_client.errors import WaitsForLost
from keymeld_protocol.machines.signing import SigningPhase
from keymeld_protocol.peer.resuming import SessionPage
from keymeld_protocol.wire.connection import SessionInfo
from tests.client.house import NONE, SELF, House, gather, heard, house, note

pytestmark = pytest.mark.asyncio
MESSAGE = bytes(32)


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A coordinator with one enclave."""
    async with house(tmp_path) as home:
        await home.enclave("vault")
        yield home


async def listing(client: Client) -> tuple[SessionInfo, ...]:
    """How the coordinator has it, once all that could be said again was said."""
    await client.ready()
    return (await client.courier.ask("sessions", {}, SessionPage)).sessions


async def until_nothing_is_missing(client: Client, handle: Keygen | Signing) -> None:
    await client.ledger.until(handle.id, lambda _: (handle.id not in client.ledger.gone and not handle.waiting) or None)


async def nothing() -> None:
    """Says nothing again."""


async def test_a_request_and_its_yeses_come_back_by_themselves_and_are_signed(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob, home.person("carol") as carol:
        keygens = await gather(alice, bob, carol, rules=(SELF, SELF, SELF))
        await home.back_up()
        signing = await keygens[0].request(messages=[MESSAGE])
        await (await heard(bob, signing)).approve()
        await bob.ledger.until(signing.id, lambda _: len(signing.state.consent.approvals) == 2 or None)
        old = signing.heard.chain.epochs
        await home.put_back()
        theirs = await heard(carol, signing)
        there = lambda log: (log.chain.epochs != old and len(theirs.state.consent.approvals) == 2) or None  # noqa: E731
        await carol.ledger.until(signing.id, there)
        for client in (alice, bob):
            await until_nothing_is_missing(client, client.signing(signing.id))
        await theirs.approve()
        assert len(await alice.signing(signing.id).signatures()) == 1
        assert not alice.problems and not bob.problems and keygens[0].safety.safe


async def test_a_no_that_had_ended_a_signing_is_said_again(home: House) -> None:
    async with home.person("alice") as alice, home.person("carol") as carol:
        async with home.person("bob") as bob:
            keygens = await gather(alice, bob, carol, rules=(SELF, SELF, SELF))
            signing = await keygens[0].request(messages=[MESSAGE])
            await heard(bob, signing)
            await heard(carol, signing)
            await home.back_up()
            await bob.signing(signing.id).reject()
            await alice.ledger.until(signing.id, lambda _: signing.phase == SigningPhase.REJECTED or None)
        await carol.ledger.until(signing.id, lambda _: carol.signing(signing.id).phase == SigningPhase.REJECTED or None)
        await home.put_back()
        async with home.person("bob") as bob:
            (listed,) = [each for each in await listing(bob) if each.stream == signing.id]
            assert (listed.state, bob.signing(signing.id).phase) == ("rejected", SigningPhase.REJECTED)


async def test_a_cancelled_request_is_not_signed_after_a_restore(home: House) -> None:
    delayed = Rule(approval="none", delay_ms=3_600_000)
    async with home.person("alice") as alice:
        (keygen,) = await gather(alice, rules=(delayed,))
        signing = await keygen.request(messages=[MESSAGE])
        await alice.ledger.until(signing.id, lambda heard: heard.chain.offset >= 2 or None)
        await home.back_up()
        await signing.cancel()
        await home.put_back()
    async with home.person("alice") as alice:
        (listed,) = [each for each in await listing(alice) if each.stream == signing.id]
        assert (listed.state, alice.signing(signing.id).phase) == ("cancelled", SigningPhase.CANCELLED)


async def test_a_second_restore_is_answered_like_the_first(home: House) -> None:
    async with home.person("alice") as alice:
        (keygen,) = await gather(alice, rules=(SELF,))
        await home.back_up()
        await keygen.leave()
        for _ in range(2):
            await home.put_back()
            await alice.ready()
            await until_nothing_is_missing(alice, keygen)
            assert set(keygen.state.left) == {0}


async def test_a_yes_is_said_again_by_nobody_else_for_it_may_have_become_a_no(home: House) -> None:
    both = Rule(approval="quorum", threshold=2, of=(1, 2))
    async with home.person("bob") as bob:
        async with home.person("alice") as alice, home.person("carol") as carol:
            keygens = await gather(alice, bob, carol, rules=(both, NONE, NONE))
            signing = await keygens[0].request(messages=[MESSAGE])
            await heard(bob, signing)
            await home.back_up()
            await bob.signing(signing.id).approve()
            await alice.ledger.until(signing.id, lambda _: len(signing.state.consent.approvals) == 2 or None)
        await bob.signing(signing.id).reject()
    await home.put_back()
    async with home.person("alice") as alice:
        theirs = alice.signing(signing.id)
        assert theirs.waiting == "not broken, waiting for 1 statement that was lost: signing.approve of slot 1"
        assert set(theirs.state.consent.approvals) == {0}
        async with home.person("bob"):
            await alice.ledger.until(signing.id, lambda _: theirs.phase == SigningPhase.REJECTED or None)


async def test_a_join_that_this_folder_has_damaged_is_told_and_stops_nothing_else(home: House) -> None:
    async with home.person("alice") as alice:
        await home.back_up()
        (keygen,) = await gather(alice, rules=(NONE,))
        for path in (alice.wallet.folder / "joins").iterdir():
            path.write_bytes(b"torn")
        await home.put_back()
        await alice.ready()
        await alice.ledger.until(keygen.id, lambda _: keygen.id not in alice.ledger.gone or None)
        await alice.again.look()
        assert "damaged, so that join cannot be said again" in str(alice.problems[-1])
        assert "keygen.join of slot 0" in (keygen.waiting or "") and keygen.read_only is None


async def test_a_join_of_a_wallet_that_was_restored_is_told_to_be_its_old_folders(home: House) -> None:
    """What helps is that folder's file; else to go on without the join, and to join anew, with another key."""
    async with home.person("alice") as alice, home.person("bob") as bob:
        opened = await alice.create_keygen(2, network="regtest")
        await alice.ready()
        await home.back_up()
        theirs = await bob.join(opened.tickets[1], rule=NONE)
        await theirs.joined()
        kept = [(path, path.read_bytes()) for path in (bob.wallet.folder / "joins").iterdir()]
        for path, _ in kept:
            path.unlink()  # as in a folder that was made of the identity alone
        await home.put_back()
        await bob.ready()
        await bob.ledger.until(opened.id, lambda _: theirs.waiting)
        await bob.again.look()
        assert any("was said from another folder" in str(each) for each in bob.problems)
        assert "keygen.join of slot 1" in (theirs.waiting or "")
        theirs.go_without_lost()
        await theirs.join(1, rule=NONE)
        await theirs.joined()
        assert theirs.waiting is None and theirs.slots == (1,)


async def test_the_old_folders_file_is_enough_to_say_a_join_again(home: House) -> None:
    async with home.person("alice") as alice:
        opened = await alice.create_keygen(2, network="regtest")
        await home.back_up()
        await opened.join(0, rule=NONE)
        await opened.joined()
        (path,) = (alice.wallet.folder / "joins").iterdir()
        file = path.rename(alice.wallet.folder / "elsewhere")
        await home.put_back()
        await alice.ready()
        await alice.ledger.until(opened.id, lambda _: opened.waiting)
        await alice.again.look()
        file.rename(path)
    async with home.person("alice") as alice:
        await alice.ready()
        await until_nothing_is_missing(alice, alice.keygen(opened.id))
        assert alice.keygen(opened.id).slots == (0,) and not alice.problems


async def test_leaving_is_said_again_before_anything_else(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with home.person("alice") as alice:
        async with home.person("bob") as bob:
            keygens = await gather(alice, bob, rules=(NONE, NONE))
            await home.back_up()
            await keygens[1].leave()
            await alice.ledger.until(keygens[0].id, lambda _: 1 in keygens[0].state.wiped or None)
        monkeypatch.setattr(alice.again, "look", nothing)  # else she submits his leaving before this can be seen
        await home.put_back()
        await alice.ledger.until(keygens[0].id, lambda _: keygens[0].waiting)
        # where the record that Bob's leaving names survived, Alice's client may have handed it in again by now
        assert "custody.wiped of the enclave of slots 0 and 1" in (keygens[0].waiting or "")
        assert not keygens[0].safety.safe and "not broken, waiting for" in str(keygens[0].safety)
        with pytest.raises(WaitsForLost, match=r"custody\.wiped of the enclave"):
            await keygens[0].request(messages=[MESSAGE])
        async with home.person("bob"):
            await until_nothing_is_missing(alice, keygens[0])
            assert set(keygens[0].state.left) == {1} and keygens[0].state.wiped == {1}


async def test_a_whole_keygen_that_was_lost_comes_back_with_the_same_keys(home: House) -> None:
    async with home.person("alice") as alice, home.person("bob") as bob:
        await home.back_up()
        keygens = await gather(alice, bob, rules=(NONE, SELF))
        address = keygens[0].address
        await home.put_back()
        for client, keygen in zip((alice, bob), keygens, strict=True):
            await until_nothing_is_missing(client, keygen)
            await keygen.safe()
        assert keygens[0].address == address and keygens[0].roster.hash == keygens[0].state.roster
        signing = await keygens[0].request(messages=[MESSAGE])
        await (await heard(bob, signing)).approve()
        assert len(await signing.signatures()) == 1


async def test_a_request_after_a_lost_record_cannot_return_and_is_told_so(home: House) -> None:
    async with home.person("alice") as alice:
        (keygen,) = await gather(alice, rules=(SELF,))
        await home.back_up()
        for vault in home.vaults:
            vault.task.cancel()  # nothing is signed before all of it is lost
        first = await keygen.request(messages=[bytes([1]) * 32])
        await note(keygen)
        second = await keygen.request(messages=[bytes([2]) * 32])
        assert first.state.open and second.state.open
        await home.put_back()
        assert len(await first.signatures()) == 1
        await alice.ledger.until_all(lambda: second.read_only is not None)
        assert "ask for it anew" in (second.read_only or "") and second.waiting is None
        assert keygen.read_only is None and keygen.waiting is None
        assert len(await (await keygen.request(messages=[MESSAGE])).signatures()) == 1


async def test_a_join_is_said_anew_only_when_what_came_before_it_is_back(home: House) -> None:
    """Attack 60: who pretends an epoch does not have a key sealed again beside somebody else than before."""
    async with home.person("alice") as alice:
        await home.back_up()
        async with home.person("bob") as bob:
            opened = await alice.create_keygen(2, network="regtest")
            theirs = await bob.join(opened.tickets[1], rule=NONE)
            await theirs.joined()
            await alice.ledger.until(opened.id, lambda _: not opened.state.holdouts().count(1) or None)
            await opened.join(0, rule=NONE)
            await opened.safe()
        await home.put_back()
        await alice.ledger.until(opened.id, lambda _: opened.id not in alice.ledger.gone or None)
        assert opened.state.seats == (None, None) and "keygen.join of slot 1" in (opened.waiting or "")
        async with home.person("bob"):
            await until_nothing_is_missing(alice, opened)
            await opened.safe()

"""Phones that are late, new, or used twice; and a coordinator that is stopped in order."""

from signal import SIGTERM

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.wallet import Wallet
from keymeld_protocol.machines.signing import SigningPhase
from keymeld_protocol.wire.statements import Statement
from tests.stories.blow import COORDINATOR, Before, Blow, Heard, Moment, Saying
from tests.stories.stage import Scene, stage

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]


async def test_a_phone_that_was_away_for_the_whole_signing_hears_it_from_its_first_record() -> None:
    async with stage() as scene:
        await scene.play()
        carol = scene.phones[2]
        scene.notebook.resumed.clear()
        await carol.wake()
        signing = carol.signing(scene.story.signing)
        assert signing.phase == SigningPhase.COMPLETED
        (raw,) = await signing.transactions()
        assert raw == scene.story.signed
        stood = {note.stream: (note.stood > 0, note.recovered) for note in scene.notebook.resumed}
        assert stood == {scene.story.keygen: (True, True), scene.story.signing: (False, False)}


async def test_a_new_phone_with_the_old_identity_hears_everything_from_the_first_record() -> None:
    async with stage() as scene:
        await scene.play()
        carol = scene.phones[2]
        carol.forget()
        scene.notebook.resumed.clear()
        await carol.wake()
        assert {note.stood for note in scene.notebook.resumed} == {0}
        assert await carol.signing(scene.story.signing).transactions() == (scene.story.signed,)


async def test_a_signing_that_ended_is_not_asked_for_again() -> None:
    async with stage() as scene:
        await scene.play()
        alice = scene.phones[0]
        scene.notebook.resumed.clear()
        await alice.wake()
        assert {note.stream for note in scene.notebook.resumed} == {scene.story.keygen}
        assert await alice.signing(scene.story.signing).transactions() == (scene.story.signed,)


async def test_a_wallet_serves_one_client_at_a_time() -> None:
    async with stage() as scene:
        await scene.play(until="everybody_joins")
        alice = scene.phones[0]
        with pytest.raises(WalletError, match="in use by another process"):
            Wallet.open(alice.folder)
        await scene.play(since="everybody_joins")
        await alice.sleep()
        Wallet.open(alice.folder).close()


async def test_a_statement_whose_answer_was_lost_is_known_by_its_record_and_stands_once() -> None:
    async with stage() as scene:
        await scene.play(until="bob_approves")
        bob = scene.phones[1]
        scene.notebook.deaf_to = "signing.approve"
        await scene.play(since="bob_approves", until="the_enclaves_finish")
        scene.notebook.deaf_to = None
        await bob.wake()
        records = bob.signing(scene.story.signing).heard.records
        said = next(record.statement for record in records if record.statement.payload.kind == "signing.approve")
        assert not waiting(scene)
        await bob.client.say(said)
        assert not waiting(scene)
        await scene.play(since="the_enclaves_finish")
        kinds = [record.statement.payload.kind for record in bob.signing(scene.story.signing).heard.records]
        assert kinds.count("signing.approve") == 1
        await scene.require_nothing_lost()


def waiting(scene: Scene) -> tuple[Statement, ...]:
    """The statements that Bob's phone still waits to see answered."""
    bob = scene.phones[1]
    if bob.awake:
        return tuple(pending.statement for pending in bob.client.wallet.outbox())
    with Wallet.open(bob.folder) as wallet:
        return tuple(pending.statement for pending in wallet.outbox())


# A coordinator that is stopped in order -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        Before("bob_approves"),
        Saying("signing.approve"),
        Heard("signing.approve"),
        Heard("signing.contribute", "nonces"),
    ],
    ids=str,
)
async def test_a_drain_sends_everybody_away_and_they_come_back_at_once(moment: Moment) -> None:
    async with stage(Blow(moment, (COORDINATOR,), SIGTERM)) as scene:
        await scene.play()
        assert scene.notebook.closed[0] == (4200, 0)
        await scene.require_nothing_lost()


async def test_a_drained_coordinator_ends_well() -> None:
    async with stage() as scene:
        await scene.play(until="bob_approves")
        assert await scene.house.coordinator.stop() == 0

"""An attempt that is cut in two: one enclave is held still, so that another one, or the coordinator, dies in between.

Bob ─▶ coordinator ── yes ─▶ enclave 2 ── nonces ─▶ … enclave 1, the last, is held still …
                                    ✗ kill -9                 goes on ── nonces and psigs ─▶
                                    ◀── psigs are owed, the nonces are gone: signing.retry
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from examples.helpers.house import Process
from keymeld_protocol.machines.signing import SigningPhase, SigningState
from tests.stories.stage import Scene, stage

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]


@asynccontextmanager
async def an_attempt_that_waits_for_its_last_enclave() -> AsyncIterator[Scene]:
    """Enclave 2 has said its nonces; enclave 1, which goes last, is held still by a signal."""
    async with stage() as scene:
        await scene.play(until="bob_approves")
        _tell(scene.house.enclaves[0], signal.SIGSTOP)
        await scene.play(since="bob_approves", until="the_enclaves_finish")
        await _reached(scene, SigningPhase.NONCES, contributions=1)
        yield scene


async def _reached(scene: Scene, phase: SigningPhase, contributions: int) -> None:
    """Alice has heard that it stands there."""
    signing = scene.story.alice.signing(scene.story.signing)

    def look(_: object) -> bool | None:
        return (signing.phase == phase and len(signing.state.contributions) == contributions) or None

    await scene.phones[0].client.ledger.until(signing.id, look)


def _tell(process: Process, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)


async def _finish(scene: Scene) -> tuple[SigningState, list[str]]:
    """The rest of the story; gives how the signing ended, and the kinds of its records."""
    signing = scene.story.alice.signing(scene.story.signing)
    await scene.play(since="the_enclaves_finish")
    await scene.require_nothing_lost()
    return signing.state, [record.statement.payload.kind for record in signing.heard.records]


async def test_an_enclave_whose_nonces_died_with_it_asks_for_a_new_attempt() -> None:
    async with an_attempt_that_waits_for_its_last_enclave() as scene:
        first, second = scene.house.enclaves
        await second.kill()
        await second.start()
        _tell(first, signal.SIGCONT)
        state, kinds = await _finish(scene)
        assert (state.phase, state.attempt) == (SigningPhase.COMPLETED, 2)
        assert kinds.count("signing.retry") == 1


async def test_the_last_enclave_answers_no_attempt_that_another_life_has_heard() -> None:
    async with an_attempt_that_waits_for_its_last_enclave() as scene:
        await scene.house.enclaves[0].kill()
        await scene.house.enclaves[0].start()
        state, kinds = await _finish(scene)
        assert (state.phase, state.attempt) == (SigningPhase.COMPLETED, 2)
        assert kinds.count("signing.retry") == 1


async def test_both_enclaves_may_die_in_one_attempt() -> None:
    async with an_attempt_that_waits_for_its_last_enclave() as scene:
        await asyncio.gather(*(enclave.kill() for enclave in scene.house.enclaves))
        await scene.house.start()
        state, _ = await _finish(scene)
        assert state.phase == SigningPhase.COMPLETED and state.attempt >= 2


async def test_an_attempt_goes_on_where_it_stood_when_the_coordinator_died() -> None:
    async with an_attempt_that_waits_for_its_last_enclave() as scene:
        coordinator, (first, second) = scene.house.coordinator, scene.house.enclaves
        await coordinator.kill()
        found = first.prints("  connected"), second.prints("  connected")
        await coordinator.start()
        _tell(first, signal.SIGCONT)
        await asyncio.gather(*found)
        state, kinds = await _finish(scene)
        assert (state.phase, state.attempt) == (SigningPhase.COMPLETED, 1)
        assert kinds == ["signing.request", "signing.approve", *["signing.contribute"] * 3], "and not a record more"

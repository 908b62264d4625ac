"""Kill -9 of the coordinator, of each enclave and of all, at every step of the demo's story: it ends as it would have.

Between two steps everything that was killed is back before the story goes on.  In the middle of a step nobody waits:
the blow falls as a phone says or hears a statement, and the people go on as if nothing were.
"""

import pytest

from examples.offline_trio import STEPS
from tests.stories.blow import COORDINATOR, EVERYTHING, FIRST, SECOND, Before, Blow, Heard, Moment, Saying
from tests.stories.stage import stage

pytestmark = [pytest.mark.processes, pytest.mark.asyncio]

VICTIMS = ((COORDINATOR,), (FIRST,), (SECOND,), EVERYTHING)
IN_THE_MIDDLE = (
    Saying("keygen.create"), Saying("keygen.join"), Heard("keygen.join"), Heard("custody.accept"),
    Saying("keygen.confirm"), Heard("keygen.confirm"), Saying("signing.request"), Heard("signing.request"),
    Saying("signing.approve"), Heard("signing.approve"), Heard("attempt.opened"), Heard("signing.contribute", "nonces"),
    Heard("signing.contribute", "both"), Heard("signing.contribute", "psigs"), Heard("signing.confirm"),
)  # fmt: skip


def _name(value: Moment | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else "everything"
    return str(value)


async def _play(moment: Moment, victims: tuple[str, ...]) -> None:
    """The story ends with a transaction that the chain accepts: its last step raises otherwise."""
    async with stage(Blow(moment, victims)) as scene:
        await scene.play()
        assert scene.notebook.blow is not None and scene.notebook.blow.fell
        await scene.require_nothing_lost()


@pytest.mark.parametrize("victims", VICTIMS, ids=_name)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_a_kill_between_steps_changes_nothing(step: object, victims: tuple[str, ...]) -> None:
    await _play(Before(step.__name__), victims)  # type: ignore[attr-defined]


@pytest.mark.parametrize("victims", VICTIMS, ids=_name)
@pytest.mark.parametrize("moment", IN_THE_MIDDLE, ids=_name)
async def test_a_kill_in_the_middle_of_a_step_changes_nothing(moment: Moment, victims: tuple[str, ...]) -> None:
    await _play(moment, victims)

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
AS_IT_IS_SAID = ("keygen.create", "keygen.join", "keygen.confirm", "signing.request", "signing.approve")
AS_IT_IS_HEARD = (
    Heard("keygen.join"), Heard("custody.accept"), Heard("keygen.confirm"), Heard("signing.request"),
    Heard("signing.approve"), Heard("signing.contribute", "nonces"), Heard("signing.contribute", "both"),
    Heard("signing.contribute", "signatures"),
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


@pytest.mark.parametrize("victims", [(COORDINATOR,), EVERYTHING], ids=_name)
@pytest.mark.parametrize("kind", AS_IT_IS_SAID)
async def test_a_kill_as_a_word_is_said_changes_nothing(kind: str, victims: tuple[str, ...]) -> None:
    await _play(Saying(kind), victims)


@pytest.mark.parametrize("victims", VICTIMS, ids=_name)
@pytest.mark.parametrize("moment", AS_IT_IS_HEARD, ids=_name)
async def test_a_kill_as_a_record_is_heard_changes_nothing(moment: Moment, victims: tuple[str, ...]) -> None:
    await _play(moment, victims)

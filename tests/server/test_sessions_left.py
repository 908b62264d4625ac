"""The line, when members leave: their envelopes are deleted, and what needs them is refused."""

from collections.abc import Iterable

import pytest

from keymeld_protocol.errors import Reason, WireError
from keymeld_protocol.machines.signing import SigningState
from keymeld_protocol.wire.payloads import KeygenJoin, KeygenLeave
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement
from tests.support.build import Cast, say
from tests.support.line import Line

pytestmark = pytest.mark.asyncio


async def left(line: Line, cast: Cast, slot: int) -> None:
    """The participant of a slot leaves."""
    await line.say(say(cast.auth(slot), KeygenLeave, cast.stream, line.hash(cast.stream), slot=slot))


async def refused(line: Line, request: Statement) -> None:
    """A request needs a slot that has left."""
    with pytest.raises(WireError, match="left this group") as refusal:
        await line.say(request)
    assert (refusal.value.reason, refusal.value.field) == (Reason.WRONG_STATE, "slots")


def envelopes(records: Iterable[Record]) -> list[bool]:
    """For each join, in order, whether its envelope is there."""
    said = [record.statement for record in records]
    return [one.blob("envelope") is not None for one in said if isinstance(one.payload, KeygenJoin)]


async def test_attack_40_the_envelope_of_who_left_is_deleted_on_disk_and_in_memory() -> None:
    line = Line()
    cast = await line.completed()
    await left(line, cast, 0)
    session = line.sessions.live(cast.stream)
    assert session is not None
    assert envelopes(line.store.logs[cast.stream]) == [False, True]
    assert envelopes(told.record for told in session.tail) == [False, True]
    assert session.weight == sum(told.size for told in session.tail)


async def test_attack_40_an_enclave_that_comes_later_is_given_the_other_envelopes_alone() -> None:
    line = Line()
    cast = await line.completed()
    await left(line, cast, 1)
    again = line.restart()
    vault = again.peer(is_enclave=True)
    vault.prove(line.vault)
    await vault.subscribe(cast.stream)
    top = len(line.store.logs[cast.stream])
    frames = [(await vault.take())["params"]["record"]["statement"] for _ in range(top)]
    joins = [frame["blobs"] for frame in frames if "keygen.join" in frame["payload"]]
    assert [blobs[1] is not None for blobs in joins] == [True, False]


async def test_a_request_that_needs_who_left_is_refused_also_if_he_left_a_moment_ago() -> None:
    line = Line()
    cast = await line.completed()
    request = line.request(cast)
    line.store.gate.clear()
    leave = say(cast.auth(1), KeygenLeave, cast.stream, line.hash(cast.stream), slot=1)
    committed = await line.sessions.submit(leave)
    await refused(line, request)
    line.store.gate.set()
    await committed
    await refused(line, request)


async def test_a_signing_from_before_is_loaded_after_all_have_left() -> None:
    line = Line()
    cast = await line.completed()
    request = await line.requested(cast)
    for slot in (0, 1):
        await left(line, cast, slot)
    again = line.restart()
    session = await again.sessions.get(request.id)
    assert session is not None and isinstance(session.settled, SigningState)
    assert line.store.rows[cast.stream].state == "closed"

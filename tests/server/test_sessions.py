"""The line: what is decided, what is stored, and what is left when a commit fails."""

import asyncio

import pytest

from keymeld_protocol.errors import Reason, Unavailable, WireError
from keymeld_protocol.machines.keygen import KeygenPhase, KeygenState
from keymeld_protocol.machines.signing import SigningState
from keymeld_protocol.values import Hash, digest
from keymeld_protocol.wire.payloads import (
    AttemptOpened,
    CustodyReseal,
    SigningApprove,
    SigningReject,
    WalletNote,
    WalletOpen,
)
from keymeld_protocol.wire.records import Chain
from keymeld_protocol.wire.statements import Statement, make
from tests.support.build import HOUR, SELF, Cast, contribute, say, xonly
from tests.support.coordinator import key_of
from tests.support.line import Line

pytestmark = pytest.mark.asyncio


async def refusal(line: Line, said: Statement) -> tuple[Reason, str | None]:
    """Reason and field of a statement's refusal."""
    with pytest.raises(WireError) as refused:
        await line.say(said)
    return refused.value.reason, refused.value.field


# Decide, append, apply


async def test_a_statement_is_answered_with_its_place_after_the_commit() -> None:
    line = Line()
    cast = line.cast()
    place = await line.say(cast.create(line.time()))
    assert (place.session.stream, place.offset, place.known) == (cast.stream, 1, False)
    assert line.store.kinds(cast.stream) == ["keygen.create"]


async def test_nothing_moves_before_the_commit() -> None:
    line = Line()
    cast = await line.created()
    line.store.gate.clear()
    await line.sessions.submit(cast.join(0, line.hash(cast.stream)))
    session = line.sessions.live(cast.stream)
    assert session is not None and session.top == 1
    assert isinstance(session.settled, KeygenState) and session.settled.seats[0] is None
    assert isinstance(session.state, KeygenState) and session.state.seats[0] is not None


async def test_statements_are_decided_on_the_tentative_state_without_waiting() -> None:
    line = Line()
    cast = await line.created()
    line.store.gate.clear()
    answers = [await line.sessions.submit(cast.join(slot, line.hash(cast.stream))) for slot in range(2)]
    line.store.gate.set()
    assert [(await answer).offset for answer in answers] == [2, 3]
    assert line.state(cast.stream).phase == KeygenPhase.COMPLETED


async def test_a_second_join_of_a_slot_is_refused_while_the_first_is_being_committed() -> None:
    line = Line()
    cast = await line.created()
    line.store.gate.clear()
    await line.sessions.submit(cast.join(0, line.hash(cast.stream)))
    with pytest.raises(WireError) as refused:
        await line.sessions.submit(cast.join(0, line.hash(cast.stream), policy=Hash(bytes(32))))
    assert refused.value.reason is Reason.NOT_ALLOWED and "another join of this auth key" in str(refused.value)
    line.store.gate.set()


async def test_records_form_a_chain_whose_time_never_goes_back() -> None:
    line = Line()
    cast = await line.created()
    line.time.wait(-5_000)
    await line.joined(cast, 0)
    chain = Chain(cast.stream)
    for record in line.store.logs[cast.stream]:
        chain.check(record)
        chain.append(record)


async def test_a_failed_commit_drops_the_tentative_state_and_everything_decided_on_it() -> None:
    line = Line()
    cast = await line.created()
    joins = [cast.join(slot, line.hash(cast.stream)) for slot in range(2)]
    line.store.gate.clear()
    answers = [await line.sessions.submit(join) for join in joins]
    line.store.failing = True
    line.store.gate.set()
    for answer in answers:
        with pytest.raises(Unavailable):
            await answer
    line.store.failing = False
    assert [(await line.say(join)).offset for join in joins] == [2, 3]


async def test_what_was_decided_on_a_dropped_state_fails_even_if_the_store_has_recovered() -> None:
    line = Line()
    cast = await line.created()
    line.store.failing = True
    first = await line.sessions.submit(cast.join(0, line.hash(cast.stream)))
    second = await line.sessions.submit(cast.join(1, line.hash(cast.stream)))
    first.add_done_callback(lambda _: setattr(line.store, "failing", False))
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert line.store.kinds(cast.stream) == ["keygen.create"]


async def test_an_opening_whose_commit_failed_leaves_nothing() -> None:
    line = Line()
    line.store.failing = True
    cast = line.cast()
    create = cast.create(line.time())
    with pytest.raises(Unavailable):
        await line.say(create)
    line.store.failing = False
    assert await line.sessions.get(cast.stream) is None
    assert (await line.say(create)).known is False


# Known statements


async def test_a_known_statement_is_answered_with_its_place_and_stored_once() -> None:
    line = Line()
    cast = await line.created()
    join = await line.joined(cast, 0)
    again = await line.say(join)
    assert (again.offset, again.known) == (2, True)
    assert len(line.store.logs[cast.stream]) == 2


async def test_a_statement_that_is_being_committed_is_known_after_that_commit() -> None:
    line = Line()
    cast = await line.created()
    join = cast.join(0, line.hash(cast.stream))
    line.store.gate.clear()
    first, second = await line.sessions.submit(join), await line.sessions.submit(join)
    line.store.gate.set()
    assert ((await first).offset, (await second).offset, (await second).known) == (2, 2, True)


async def test_an_opening_said_twice_at_once_opens_one_session() -> None:
    line = Line()
    create = line.cast().create(line.time())
    places = await asyncio.gather(line.say(create), line.say(create))
    assert sorted(place.known for place in places) == [False, True]


async def test_a_known_opening_is_answered_after_a_restart_whatever_its_state() -> None:
    line = Line()
    cast = line.cast()
    create = cast.create(line.time())
    await line.say(create)
    line.time.wait(2 * HOUR)
    again = await line.restart().say(create)
    assert (again.offset, again.known) == (1, True)


async def test_a_known_opening_is_found_in_the_store_when_memory_has_forgotten_it() -> None:
    line = Line()
    create = line.cast().create(line.time())
    await line.say(create)
    assert (await line.restart().say(create)).known


async def test_a_known_join_is_answered_although_its_slot_is_taken() -> None:
    line = Line()
    cast = await line.created()
    join = await line.joined(cast, 0)
    await line.say(cast.accept(0, join, line.hash(cast.stream), line.vault))
    assert (await line.restart().say(join)).offset == 2


# What is refused


async def test_a_statement_for_an_unknown_stream_is_refused() -> None:
    line = Line()
    cast = line.cast()
    cast.create(line.time())
    assert await refusal(line, cast.join(0, bytes(32))) == (Reason.UNKNOWN_STREAM, "stream")


async def test_a_statement_from_another_history_is_a_fork() -> None:
    line = Line()
    cast = await line.created()
    assert await refusal(line, cast.join(0, bytes(32))) == (Reason.FORK, "after")


async def test_a_request_from_another_history_of_its_keygen_is_a_fork() -> None:
    line = Line()
    cast = await line.completed()
    request = cast.request(bytes(32), line.roster(cast), line.time())
    assert await refusal(line, request) == (Reason.FORK, "after")


async def test_a_request_for_an_unknown_keygen_is_refused() -> None:
    line = Line()
    cast = await line.completed()
    request = line.request(cast, keygen=line.cast("other").create(line.time()).id)
    assert await refusal(line, request) == (Reason.UNKNOWN_STREAM, "keygen")


async def test_a_request_that_names_a_wallet_as_its_keygen_is_refused() -> None:
    line = Line()
    cast = await line.completed()
    owner = key_of("owner")
    opening = make(WalletOpen(v=1, by=xonly(owner)), owner.sign)
    await line.say(opening)
    request = cast.request(line.hash(opening.id), line.roster(cast), line.time(), keygen=opening.id)
    assert await refusal(line, request) == (Reason.UNKNOWN_STREAM, "keygen")


async def test_a_notice_is_refused_whoever_says_it() -> None:
    line = Line()
    cast = await line.completed()
    request = await line.requested(cast)
    state = line.state(request.id)
    assert isinstance(state, SigningState)
    notice = say(
        key_of("coordinator"), AttemptOpened, request.id, line.hash(request.id), attempt=1,
        signers=({"key": xonly(line.vault), "slots": (0, 1)},),
    )  # fmt: skip
    assert await refusal(line, notice) == (Reason.NOT_ALLOWED, "kind")


async def test_a_kind_of_a_later_version_is_refused_as_unknown() -> None:
    line = Line()
    cast = await line.completed()
    sealed = {"enclave": xonly(line.vault), "envelope": digest(b"new")}
    reseal = say(cast.auth(0), CustodyReseal, cast.stream, line.hash(cast.stream), b"new", slot=0, **sealed)
    assert await refusal(line, reseal) == (Reason.UNKNOWN_KIND, "kind")


async def test_an_enclave_is_nobodys_reader() -> None:
    """Else strangers fill what it hears with keygens that have nothing to do with it."""
    line = Line()
    cast = await line.created()
    join = cast.join(0, line.hash(cast.stream), reader=xonly(line.vault))
    assert await refusal(line, join) == (Reason.NOT_ALLOWED, "reader")


async def test_a_join_sealed_to_an_enclave_that_nobody_knows_is_refused() -> None:
    line = Line()
    cast = await line.created()
    join = cast.join(0, line.hash(cast.stream), xonly(key_of("stranger")))
    assert await refusal(line, join) == (Reason.NOT_ALLOWED, "enclave")


async def test_a_refused_statement_leaves_nothing() -> None:
    line = Line()
    cast = await line.created()
    await refusal(line, cast.confirm(0, line.hash(cast.stream), line.hash(cast.stream)))
    assert len(line.store.commits) == 1


# Notices


async def test_a_request_is_one_record_and_the_log_of_its_keygen_does_not_grow() -> None:
    line = Line()
    line.arrive()
    cast = await line.completed()
    before = line.store.kinds(cast.stream)
    request = await line.requested(cast)
    assert [append.stream for append in line.store.commits[-1]] == [request.id]
    assert (line.store.kinds(request.id), line.store.kinds(cast.stream)) == (["signing.request"], before)
    assert line.store.rows[request.id].state == "nonces"


async def test_a_signing_whose_enclave_stays_away_beyond_the_grace_goes_on_when_it_arrives() -> None:
    line = Line()
    request = await line.requested(await line.completed())
    assert request.id not in line.arrive(), "its first attempt has only begun"
    line = Line()
    request = await line.requested(await line.completed())
    line.time.wait(3_000)
    assert await line.look(request.id) == []
    assert request.id in line.arrive()
    assert await line.look(request.id) == ["attempt.opened"]


async def test_a_signing_that_waited_before_a_restart_goes_on_when_its_enclave_arrives() -> None:
    line = Line()
    request = await line.requested(await line.completed())
    line = line.restart()
    line.time.wait(3_000)
    await line.app.enclaves.load(stream for stream, _ in await line.store.deadlines())
    assert request.id in line.arrive()
    assert await line.look(request.id) == ["attempt.opened"]


async def test_the_last_approval_begins_the_first_attempt() -> None:
    line = Line()
    line.arrive()
    cast = await line.completed(rule=SELF)
    request = await line.requested(cast)
    assert line.store.rows[request.id].state == "approving"
    await line.say(say(cast.auth(1), SigningApprove, request.id, line.hash(request.id)))
    assert line.store.kinds(request.id) == ["signing.request", "signing.approve"]
    assert line.store.rows[request.id].state == "nonces"


async def test_a_rejected_request_ends() -> None:
    line = Line()
    cast = await line.completed(rule=SELF)
    request = await line.requested(cast)
    await line.say(say(cast.auth(1), SigningReject, request.id, line.hash(request.id)))
    assert not line.state(request.id).open and not line.store.rows[request.id].open


async def test_one_enclave_signs_in_one_breath() -> None:
    line = Line()
    line.arrive()
    cast = await line.completed()
    request = await line.requested(cast)
    await line.say(contribute(line.vault, request.id, line.hash(request.id), slots=(0, 1)))
    assert line.store.kinds(request.id) == ["signing.request", "signing.contribute"]
    assert line.store.rows[request.id].state == "completed"


async def test_a_statement_after_the_deadline_finds_the_notice_before_it() -> None:
    line = Line()
    cast = await line.created()
    line.time.wait(2 * HOUR)
    join = cast.join(0, line.hash(cast.stream))
    assert (await refusal(line, join))[0] is Reason.WRONG_STATE
    await line.sessions.drain()
    assert line.store.kinds(cast.stream) == ["keygen.create", "keygen.expired"]


async def test_a_deadline_that_passed_while_the_coordinator_was_down_is_seen_after_it() -> None:
    line = Line()
    cast = await line.created()
    line.time.wait(2 * HOUR)
    assert await line.restart().look(cast.stream) == ["keygen.expired"]


async def test_a_look_at_a_session_for_which_nothing_is_due_says_nothing() -> None:
    line = Line()
    cast = await line.created()
    assert await line.look(cast.stream) == []


async def test_a_step_that_let_its_grace_pass_is_tried_again() -> None:
    line = Line()
    line.arrive()
    request = await line.requested(await line.completed())
    line.time.wait(3_000)
    assert await line.look(request.id) == ["attempt.opened"]


async def test_graces_run_anew_when_the_coordinator_restarts() -> None:
    line = Line()
    line.arrive()
    request = await line.requested(await line.completed())
    line.time.wait(3_000)
    line = line.restart()
    line.arrive()
    assert await line.look(request.id) == []
    line.time.wait(3_000)
    assert await line.look(request.id) == ["attempt.opened"]


# Memory and store


async def test_a_log_that_is_loaded_gives_the_state_that_was_in_memory() -> None:
    line = Line()
    line.arrive()
    cast = await line.completed()
    request = await line.requested(cast)
    fresh = line.restart()
    for stream in (request.id, cast.stream):
        session, loaded = line.sessions.live(stream), await fresh.sessions.get(stream)
        assert session is not None and loaded is not None
        assert (session.settled, session.hearers, session.top) == (loaded.settled, loaded.hearers, loaded.top)


async def test_sessions_that_nobody_asks_for_are_forgotten_and_loaded_again() -> None:
    line = Line()
    line.sessions._live_max = 2
    casts = [await line.created(f"group {i}") for i in range(5)]
    assert [line.sessions.live(cast.stream) is not None for cast in casts] == [False, False, False, True, True]
    await line.joined(casts[0], 0)
    assert line.store.kinds(casts[0].stream) == ["keygen.create", "keygen.join"]


async def test_a_session_with_a_commit_under_way_is_not_forgotten() -> None:
    line = Line()
    line.sessions._live_max = 1
    cast = await line.created("kept")
    line.store.gate.clear()
    await line.sessions.submit(cast.join(0, line.hash(cast.stream)))
    others = [await line.sessions.submit(Cast(f"c{i}", line.app.key).create(line.time())) for i in range(3)]
    assert line.sessions.live(cast.stream) is not None
    line.store.gate.set()
    await asyncio.gather(*others)


async def test_a_stored_log_that_cannot_be_is_not_used() -> None:
    line = Line()
    cast = await line.created()
    await line.joined(cast, 0)
    del line.store.logs[cast.stream][0]
    with pytest.raises(Unavailable):
        await line.restart().sessions.get(cast.stream)


async def test_two_who_ask_for_a_session_share_one_loading() -> None:
    line = Line()
    cast = await line.created()
    fresh = line.restart()
    one, two = await asyncio.gather(fresh.sessions.get(cast.stream), fresh.sessions.get(cast.stream))
    assert one is two is not None


async def test_a_head_is_signed_once_for_each_top() -> None:
    line = Line()
    cast = await line.created()
    session = line.sessions.live(cast.stream)
    assert session is not None
    assert line.sessions.head(session) is line.sessions.head(session)


async def test_a_wallet_takes_its_owners_notes() -> None:
    line = Line()
    owner = key_of("owner")
    opening = make(WalletOpen(v=1, by=xonly(owner)), owner.sign)
    await line.say(opening)
    note = say(owner, WalletNote, opening.id, line.hash(opening.id), b"sealed", note=digest(b"sealed"))
    assert (await line.say(note)).offset == 2


async def test_draining_waits_for_the_commits_under_way() -> None:
    line = Line()
    line.store.gate.clear()
    cast = line.cast()
    await line.sessions.submit(cast.create(line.time()))
    drained = asyncio.create_task(line.sessions.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    line.store.gate.set()
    await drained
    assert line.store.kinds(cast.stream) == ["keygen.create"]

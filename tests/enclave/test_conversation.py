"""conversation.py, outbox.py: what an enclave says on a connection, in which order, and how often."""

import logging

import pytest

from keymeld_enclave import outbox
from keymeld_enclave.conversation import Conversation
from keymeld_enclave.turns import Turns
from keymeld_protocol.errors import BadInput, InvalidCrypto, Reason, Refused, Unavailable
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.peer.waits import Ended
from keymeld_protocol.values import Id
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import KeygenLeave
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement, WireStatement
from tests.support.desk import Desk
from tests.support.world import HOUR, MESSAGE, NONE, SECOND, Log, Member, World


class Office:
    """A world whose only enclave talks in frames, and Alice and Bob whose keys it holds."""

    def __init__(self, **limits: int) -> None:
        self.world = World()
        self.desk = Desk(self.world, "vault", **limits)
        self.alice, self.bob = self.world.member("alice"), self.world.member("bob")
        self.group = Id(bytes(32))

    def gather(self) -> Id:
        self.desk.run()
        invitation = self.alice.create(2)
        for slot, member in enumerate((self.alice, self.bob)):
            Member.join(member, invitation, slot, self.desk.key, NONE)
        self.desk.run()
        self.desk.requests.clear()
        self.group = invitation.keygen
        return self.group

    def submitted(self) -> list[str]:
        return [r.params.statement.payload for r in self.desk.requests if r.method == "submit"]


@pytest.fixture
def office() -> Office:
    office = Office()
    office.gather()
    return office


def test_an_enclave_proves_lists_and_announces_itself() -> None:
    office = Office()
    office.desk.run()
    assert office.desk.asked == ["authenticate", "sessions", "announce"]
    assert office.desk.requests[-1].params.capacity == office.desk.agent.door.capacity
    assert office.desk.talk.ready


def test_it_takes_keys_and_signs(office: Office) -> None:
    signing = office.alice.request(office.group, MESSAGE)
    office.desk.run()
    assert office.bob.signatures(signing)


def test_after_a_restart_keygens_are_subscribed_before_signings_and_the_announcement_comes_last() -> None:
    office = Office()
    office.gather()
    office.desk.leave()
    office.alice.request(office.group, MESSAGE)
    office.desk = Desk(office.world, "vault")
    office.desk.run()
    assert office.desk.asked[:5] == ["authenticate", "sessions", "subscribe", "subscribe", "announce"]
    assert office.desk.requests[2].params.stream == office.group


def test_what_was_asked_for_before_an_enclave_had_a_connection_is_signed_in_a_second_attempt() -> None:
    office = Office()
    office.gather()
    office.desk.leave()
    signing = office.alice.request(office.group, MESSAGE)
    office.desk = Desk(office.world, "vault")
    office.desk.run()
    assert office.world.state(signing).attempt == 2
    assert office.bob.signatures(signing)


def test_after_a_lost_connection_it_resumes_from_where_it_stood(office: Office) -> None:
    office.desk.hang_up()
    office.desk.run()
    since = office.desk.requests[2].params.since
    assert since is not None
    assert since.hash == office.world.logs[office.group].chain.hash


def test_a_signing_that_ended_meanwhile_is_resumed_too_and_then_let_go(office: Office) -> None:
    office.desk.mute = True
    signing = office.alice.request(office.group, MESSAGE)
    office.desk.run()
    office.desk.leave()
    office.world.now += 2 * HOUR
    office.world.clock()
    office.desk.mute = False
    office.desk.hang_up()
    office.desk.run()
    assert "unsubscribe" in office.desk.asked
    assert signing not in office.desk.agent.hearing.streams


def test_a_keygen_that_ended_meanwhile_keeps_nobody_from_coming_back(office: Office) -> None:
    invitation = office.alice.create(2)
    Member.join(office.alice, invitation, 0, office.desk.key, NONE)
    office.desk.run()
    office.desk.leave()
    office.world.now = office.world.state(invitation.keygen).create.expires_at
    office.world.clock()
    office.desk.hang_up()
    office.desk.run()
    assert not office.world.state(invitation.keygen).open and office.desk.talk.ready
    assert "announce" in office.desk.asked


def test_a_keygen_of_which_nothing_more_can_be_read_holds_up_none_of_the_others(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, other = office.desk.outbox.record_of, office.gather()
    office.desk.leave()
    office.alice.say(other, KeygenLeave, slot=0)

    def torn(wire: WireRecord) -> Record:
        if "keygen.leave" in wire.statement.payload:
            raise BadInput(Reason.BAD_FIELD, "cannot be read")
        return read(wire)

    monkeypatch.setattr(office.desk.outbox, "record_of", torn)
    office.desk.hang_up()
    office.desk.run()
    assert office.desk.talk.ready


def comes_back(office: Office, stream: Id, told: Log) -> int:
    """The enclave connects again, and is told another log; gives until where it says that it had heard the stream."""
    office.desk.leave()
    office.world.logs[stream] = told
    office.desk.hang_up()
    office.desk.run()
    asked = [r.params for r in office.desk.requests if r.method == "subscribe" and r.params.stream == stream]
    return int(asked[0].since.offset)


def test_a_keygen_that_is_over_is_let_go_again_and_holds_up_no_announcement(office: Office) -> None:
    kept = office.world.logs[office.group].branch()
    for slot, member in enumerate((office.alice, office.bob)):
        member.say(office.group, KeygenLeave, slot=slot)
    office.desk.run()
    assert comes_back(office, office.group, kept) > kept.chain.offset
    assert office.desk.talk.ready and office.desk.asked.count("unsubscribe") == 1
    assert office.group not in office.desk.agent.hearing.streams


def test_a_signing_of_a_keygen_that_is_over_is_not_waited_for(office: Office) -> None:
    office.desk.leave()
    signing = office.alice.request(office.group, MESSAGE)
    office.alice.step()
    kept = office.world.logs[signing].branch()
    for slot, member in enumerate((office.alice, office.bob)):
        member.say(office.group, KeygenLeave, slot=slot)
    office.desk.hang_up()
    office.desk.run()
    assert office.group in office.desk.agent._memory
    office.desk.leave()
    office.world.logs[signing] = kept
    office.desk.hang_up()
    office.desk.run()
    assert office.desk.talk.ready and office.desk.agent.hearing.missing_keygens() == frozenset()
    assert "signing.contribute" not in "".join(office.submitted())


def test_a_signing_of_a_keygen_that_is_over_is_heard_no_further_than_its_request(office: Office) -> None:
    office.desk.leave()
    signing = office.alice.request(office.group, MESSAGE)
    while office.alice.step() or office.bob.step():
        pass
    office.bob.approve(signing)
    for slot, member in enumerate((office.alice, office.bob)):
        member.say(office.group, KeygenLeave, slot=slot)
    office.desk.hang_up()
    office.desk.run()
    office.desk.wait(5 * SECOND)
    heard = office.desk.agent.hearing.streams
    assert office.desk.talk.ready and all(replay.broken is None for replay in heard.values())


def test_a_signing_that_is_over_is_let_go_again_and_nothing_said(office: Office) -> None:
    signing = office.alice.request(office.group, MESSAGE)
    kept = office.world.logs[signing].branch()
    office.desk.run()
    assert office.bob.signatures(signing)
    assert comes_back(office, signing, kept) > kept.chain.offset
    assert office.desk.talk.ready and office.desk.asked.count("unsubscribe") == 1 and not office.submitted()
    assert signing not in office.desk.agent.hearing.streams


def test_long_lists_come_in_pages(office: Office) -> None:
    groups = {office.group, office.gather()}
    office.desk.page = 1
    office.desk.hang_up()
    office.desk.talk.outer.resuming.page = 1
    office.desk.run()
    assert office.desk.asked.count("sessions") == 3
    assert {r.params.stream for r in office.desk.requests if r.method == "subscribe"} == groups


def test_what_was_not_answered_is_submitted_again_byte_for_byte(office: Office) -> None:
    office.desk.mute = True
    office.alice.request(office.group, MESSAGE)
    office.desk.run()
    before = office.submitted()
    office.desk.mute = False
    office.desk.hang_up()
    office.desk.run()
    assert len(before) == 1
    assert office.submitted() == before


def test_attack_61_who_is_not_answered_says_no_more_than_he_has_room_for_and_goes_on_when_he_is(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """61: a coordinator that reads slowly, or answers nothing, fills no memory of an enclave with its own words."""
    monkeypatch.setattr(outbox, "MOST_BYTES", 16_000)
    desk = office.desk
    desk.mute = True
    signings = [office.alice.request(office.group, bytes([number]) * 32) for number in range(20)]
    desk.run()
    assert desk.outbox.is_full(len(desk.talk.outer.calls)) and len(desk.outbox.unanswered()) < len(signings)
    assert not desk.talk.waiting and len(desk.talk._turns) > 0 and not desk.talk.work(office.world.now)
    desk.mute = False
    for request in [*desk.requests]:
        desk._answer(request)
    desk.run()
    assert [office.world.state(signing).phase for signing in signings] == [SigningPhase.COMPLETED] * len(signings)
    assert desk.outbox.size == 0 == len(desk.outbox.unanswered())


def test_what_was_answered_is_not_submitted_again(office: Office) -> None:
    office.alice.request(office.group, MESSAGE)
    office.desk.run()
    office.desk.hang_up()
    office.desk.run()
    assert office.submitted() == []


def test_what_may_be_repeated_is_repeated_later_and_what_may_not_is_dropped(office: Office) -> None:
    busy = Unavailable(Reason.UNAVAILABLE, "not now")
    office.desk.refuse["submit"] = [busy]
    signing = office.alice.request(office.group, MESSAGE)
    office.desk.run()
    first = office.submitted()
    office.desk.wait(250)
    assert office.submitted()[1:] == first
    assert office.bob.signatures(signing)
    office.desk.refuse["submit"] = [Refused(Reason.WRONG_STATE, "too late")]
    office.alice.request(office.group, MESSAGE, memo="again")
    office.desk.run()
    office.desk.wait(2 * SECOND)
    assert len(office.submitted()) == 3
    assert office.desk.outbox.unanswered() == []


def test_the_coordinators_wish_when_to_come_again_is_kept(office: Office) -> None:
    later = Refused(Reason.TOO_MANY_REQUESTS, "slowly", retry_after_ms=2_500)
    office.desk.refuse["submit"] = [later]
    office.alice.request(office.group, MESSAGE)
    office.desk.run()
    office.desk.wait(2_499)
    assert len(office.submitted()) == 1
    office.desk.wait(1)
    assert len(office.submitted()) == 2


def test_each_further_failure_doubles_the_wait(office: Office) -> None:
    office.desk.refuse["submit"] = [Unavailable(Reason.UNAVAILABLE, "not now")] * 3
    office.alice.request(office.group, MESSAGE)
    office.desk.run()
    for wait, times in ((250, 2), (499, 2), (1, 3), (999, 3), (1, 4)):
        office.desk.wait(wait)
        assert len(office.submitted()) == times


def test_requests_leave_at_the_pace_that_hello_allows() -> None:
    office = Office(per_second=2)
    office.desk.run()
    assert office.desk.asked == ["authenticate", "sessions"]
    assert office.desk.talk.due == office.world.now + 500
    office.desk.wait(500)
    assert office.desk.asked == ["authenticate", "sessions", "announce"]


def test_silence_is_answered_with_a_ping_and_more_silence_with_the_end(office: Office) -> None:
    office.desk.mute = True
    office.desk.wait(19_999)
    assert "ping" not in office.desk.asked
    office.desk.wait(1)
    assert office.desk.asked[-1] == "ping"
    with pytest.raises(Ended, match="does not answer"):
        office.desk.wait(10_000)


def test_an_answered_ping_keeps_the_conversation_alive(office: Office) -> None:
    for _ in range(5):
        office.desk.wait(20_000)
    assert office.desk.asked.count("ping") == 5


def test_a_coordinator_without_a_hello_is_left() -> None:
    office = Office()
    office.desk.hang_up(hello=False)
    office.desk.wait(0)
    with pytest.raises(Ended, match="said nothing"):
        office.desk.wait(10_000)


@pytest.mark.parametrize("method", ["authenticate", "sessions", "announce"])
def test_a_coordinator_that_does_not_take_this_enclave_is_given_up(method: str) -> None:
    office = Office()
    office.desk.refuse[method] = [Refused(Reason.NOT_ALLOWED, "not here")]
    with pytest.raises(Ended, match="does not take this enclave") as ended:
        office.desk.run()
    assert ended.value.terminal


@pytest.mark.parametrize("frame", [b"nonsense", b"[]", b'{"jsonrpc":"2.0","method":"record","params":{}}'])
def test_a_coordinator_that_speaks_another_language_is_left(office: Office, frame: bytes) -> None:
    with pytest.raises(Ended, match="does not speak this protocol") as ended:
        office.desk.tell(frame)
    assert not ended.value.terminal


def test_another_version_is_given_up() -> None:
    office = Office()
    office.desk.hang_up(hello=False)
    hello = frames.notification("hello", {
        "challenge": "00" * 32, "versions": ["keymeld.v9"], "time": 0, "limits": {}, "heartbeat_ms": 1,
        "coordinator": "11" * 32, "epoch": "00" * 16,
    })  # fmt: skip
    with pytest.raises(Ended) as ended:
        office.desk.tell(hello)
    assert ended.value.terminal


def test_an_answer_that_cannot_be_read_ends_the_conversation(office: Office) -> None:
    talk = Conversation(office.desk.agent, office.desk.outbox, "unix")
    office.desk.talk = talk
    office.desk.hang_up()
    with pytest.raises(Ended, match="cannot be read"):
        for ident in (1, 2):
            office.desk.talk.take(office.world.now)
            office.desk.tell(frames.result(ident, {"sessions": 5}))


def test_unknown_notifications_and_stray_answers_are_ignored(office: Office) -> None:
    office.desk.tell(frames.notification("weather", {"sun": True}))
    office.desk.tell(frames.result(999, {}))
    office.desk.run()
    assert office.desk.talk.ready


def test_our_own_statements_are_recognised_and_not_verified_again(office: Office) -> None:
    signing = office.alice.request(office.group, MESSAGE)
    office.desk.run()
    record = office.world.logs[signing].records[-1]
    heard = office.desk.outbox.record_of(office.world.wire(record, office.desk)).statement
    assert heard is office.desk.outbox.record_of(office.world.wire(record, office.desk)).statement
    assert heard.payload.by == office.desk.key


def test_a_forged_copy_of_our_own_statement_is_verified(office: Office) -> None:
    office.alice.request(office.group, MESSAGE)
    office.desk.run()
    log = next(log for stream, log in office.world.logs.items() if stream != office.group)
    record = log.records[-1]
    wire = office.world.wire(record, office.desk)
    forged = WireStatement(wire.statement.payload, ("00" * 64,), wire.statement.blobs)
    with pytest.raises(BadInput, match="bad_signature"):
        office.desk.outbox.record_of(type(wire)(wire.epoch, wire.offset, wire.at, wire.hash, forged))


def test_a_session_that_cannot_be_served_harms_no_other(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    hear = office.desk.agent.hear

    def broken(stream: Id, record: Record) -> list[Statement]:
        if stream != office.group:
            raise InvalidCrypto("a point that is none")
        return hear(stream, record)

    with monkeypatch.context() as patch:
        patch.setattr(office.desk.agent, "hear", broken)
        office.alice.request(office.group, MESSAGE)
        office.desk.run()
    signing = office.alice.request(office.group, MESSAGE, memo="the next one")
    office.desk.run()
    assert office.bob.signatures(signing)


@pytest.mark.parametrize("room", [2_000, 4_000, 8_000])
def test_attack_61_what_had_no_room_is_heard_again_and_no_signing_before_its_keygen(office: Office, room: int) -> None:
    """61: a group that says more than can wait is heard later, and nothing of it is taken for another history."""
    desk = office.desk
    desk.waits, desk.talk._turns = True, Turns(most=room)
    signings = []
    for number in range(8):
        signings.append(office.alice.request(office.group, bytes([number]) * 32))
        desk.run()
    assert len(desk.talk._behind) > 1
    desk.waits = False
    for _ in range(100):
        desk.wait(50)
    assert [office.world.state(signing).phase for signing in signings] == [SigningPhase.COMPLETED] * 8
    assert not desk.talk._behind


def test_the_log_names_streams_and_codes_and_nothing_that_is_sealed(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("keymeld_enclave").propagate = True
    with caplog.at_level(logging.DEBUG, "keymeld_enclave"):
        office.alice.request(office.group, MESSAGE, items=2)
        office.desk.run()
    assert any(getattr(r, "fields", {}).get("code") == "bad_body" for r in caplog.records)
    assert MESSAGE.hex() not in caplog.text


def test_rights_that_end_are_the_operators_to_read_and_what_was_heard_stays(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    group = office.gather()
    position = office.desk.agent.position(group)
    with caplog.at_level(logging.INFO, "keymeld_enclave"):
        for stream in (group, Id(b"\7" * 32)):
            office.desk.tell(frames.hearing_frame(stream, whole=False))
    assert caplog.text.count("may be heard no longer") == 1
    assert office.desk.agent.position(group) == position is not None

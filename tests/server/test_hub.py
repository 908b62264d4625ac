"""Who hears a stream, from where, and what a hearer is not shown."""

from dataclasses import replace

import msgspec
import pytest

from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.values import Epoch, Hash, Id, decode_sized
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import Request, proof_message
from keymeld_protocol.wire.frames import Authenticate
from keymeld_protocol.wire.payloads import Note, SigningRequest
from keymeld_protocol.wire.records import Position, first_hash, head_is_signed
from keymeld_protocol.wire.statements import make
from keymeld_server.hub import Hub, resume
from keymeld_server.session import TAIL_RECORDS
from tests.support.build import Cast, xonly
from tests.support.coordinator import key_of
from tests.support.line import Line, PaperPeer, since

pytestmark = pytest.mark.asyncio

EARLIER = Epoch(b"another epoch...")


async def with_joins(count: int = 2, slots: int = 3) -> tuple[Line, Cast]:
    """A keygen with ``count`` joins; its top is ``count`` + 1."""
    line = Line()
    cast = await line.created(slots=slots)
    for slot in range(count):
        await line.joined(cast, slot)
    return line, cast


def creator_of(line: Line, cast: Cast) -> PaperPeer:
    """A connection that has proven the creator key."""
    peer = line.peer()
    peer.prove(cast.creator)
    return peer


# Resume


async def test_whoever_subscribes_hears_everything_from_the_first_record() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    answer = await peer.subscribe(cast.stream)
    assert (answer["top"], answer["recovered"], "reason" in answer) == (3, False, False)
    assert await peer.offsets(3) == [1, 2, 3] and await peer.silent()


async def test_whoever_resumes_hears_what_follows() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    answer = await peer.subscribe(cast.stream, since(line, cast.stream, 2))
    assert (answer["top"], answer["recovered"]) == (3, True)
    assert await peer.offsets(1) == [3] and await peer.silent()


async def test_whoever_resumes_at_the_top_hears_nothing_twice() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    assert (await peer.subscribe(cast.stream, since(line, cast.stream, 3)))["recovered"]
    assert await peer.silent()


async def test_a_live_record_comes_with_the_head_at_it_and_an_older_one_without() -> None:
    line, cast = await with_joins(1)
    peer = creator_of(line, cast)
    await peer.subscribe(cast.stream)
    told = [(await peer.take())["params"] for _ in range(2)]
    assert ["head" in each for each in told] == [False, True], "older ones come without"
    await line.joined(cast, 1)
    live = (await peer.take())["params"]
    place = {name: live["record"][name] for name in ("epoch", "offset", "hash")}
    assert place.items() <= live["head"].items()
    submitted = await peer.submit(line.store.logs[cast.stream][-1].statement)
    assert submitted["head"] == live["head"], "signed once for each commit"


async def test_a_hearers_nonce_is_in_the_head_that_answers_it() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    nonce = "07" * 32
    answer = await peer.ask("subscribe", {"stream": cast.stream.hex(), "nonce": nonce})
    head = frames.head_of(msgspec.convert(answer["head"], frames.WireHead, dec_hook=decode_sized))
    assert head.nonce is not None and head.nonce.hex() == nonce
    assert head_is_signed(cast.stream, head, line.app.key)


async def test_whoever_hears_the_first_record_alone_is_told_no_head() -> None:
    line = Line()
    cast = await line.created()
    peer = line.peer()
    answer = await peer.ask("subscribe", {"stream": cast.stream.hex(), "nonce": "07" * 32})
    assert answer["head"] is None and "head" not in (await peer.take())["params"]


async def told_rights(peer: PaperPeer) -> bool:
    frame = await peer.take()
    assert frame["method"] == "hearing"
    return bool(frame["params"]["whole"])


async def test_whose_rights_end_is_told_and_hears_nothing_more() -> None:
    line = Line()
    cast = await line.created()
    join = await line.joined(cast, 0)
    peer = line.peer()
    peer.prove(cast.invite(0))
    await peer.subscribe(cast.stream)
    assert await peer.offsets(2) == [1, 2]
    await line.say(cast.accept(0, join, line.hash(cast.stream), line.vault))
    assert await told_rights(peer) is False
    await line.joined(cast, 1)
    assert await peer.silent()


async def test_whoever_proves_a_key_late_is_told_that_more_is_open() -> None:
    line, cast = await with_joins(1)
    peer = line.peer()
    assert (await peer.subscribe(cast.stream))["reason"] == "first_record_only"
    assert await peer.offsets(1) == [1]
    peer.prove(cast.creator)
    await line.app.dispatch.authenticate(peer, Authenticate(proofs=()), Request(1, "authenticate", None))
    assert await peer.silent(), "only a request that proves something looks"
    line.app.hub.tell_open(peer.outbox, line.sessions.live(cast.stream))  # type: ignore[arg-type]
    assert await told_rights(peer) is True
    assert (await peer.subscribe(cast.stream))["top"] == 2
    assert await peer.offsets(2) == [1, 2]


async def test_whom_the_log_begins_to_concern_is_told_that_more_is_open() -> None:
    line = Line()
    cast = await line.created()
    bob, stranger = line.peer(), line.peer()
    bob.prove(cast.auth(1))
    for peer in (bob, stranger):
        await peer.subscribe(cast.stream)
        assert await peer.offsets(1) == [1]
    await line.joined(cast, 1)
    assert await told_rights(bob) is True and await bob.silent() and await stranger.silent()


async def test_what_is_unsubscribed_or_gone_is_told_nothing_more() -> None:
    line = Line()
    cast = await line.created()
    peers = [line.peer(), line.peer()]
    for peer in peers:
        peer.prove(cast.auth(1))
        await peer.subscribe(cast.stream)
        await peer.offsets(1)
    await peers[0].ask("unsubscribe", {"stream": cast.stream.hex()})
    peers[1].go()
    await line.joined(cast, 1)
    assert await peers[0].silent() and await peers[1].silent()
    assert line.app.hub._partial == {}


async def test_only_so_many_streams_are_kept_in_mind_for_one_connection() -> None:
    line = Line(subscriptions_per_connection=2)
    peer, casts = line.peer(), [await line.created(name) for name in ("a", "b", "c")]
    for cast in casts:
        await peer.subscribe(cast.stream)
        await peer.offsets(1)
    assert list(peer.outbox.partial) == [cast.stream for cast in casts[1:]]


async def test_whoever_resumes_before_the_first_record_hears_everything() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    start = {"epoch": line.store.epoch.hex(), "offset": 0, "hash": first_hash(cast.stream).hex()}
    assert (await peer.subscribe(cast.stream, start))["recovered"]
    assert await peer.offsets(3) == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hash": Hash(bytes(32))}, "fork"),
        ({"offset": 4}, "fork"),
        ({"offset": 1}, "fork"),
        ({"hash": Hash(bytes(32)), "epoch": EARLIER}, "epoch"),
        ({"offset": 4, "epoch": EARLIER}, "epoch"),
        ({"offset": 1, "epoch": EARLIER}, "epoch"),
        ({"offset": 0, "epoch": EARLIER}, "fork"),
    ],
    ids=[
        "another hash",
        "beyond the top",
        "another offset",
        "another hash in another epoch",
        "beyond the top in another epoch",
        "another offset in another epoch",
        "no stream of this name",
    ],
)
async def test_whoever_stood_elsewhere_is_told_why_and_begins_anew(changes: dict[str, object], reason: str) -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    stood = since(line, cast.stream, 3) | {k: v.hex() if isinstance(v, bytes) else v for k, v in changes.items()}
    answer = await peer.subscribe(cast.stream, stood)
    assert (answer["recovered"], answer["reason"]) == (False, reason)
    assert await peer.offsets(3) == [1, 2, 3]


async def test_whose_hash_stands_in_the_log_resumes_whatever_epoch_he_names() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    answer = await peer.subscribe(cast.stream, since(line, cast.stream, 2, epoch=EARLIER))
    assert answer["recovered"] and await peer.offsets(1) == [3]


async def test_beyond_the_top_the_epoch_is_the_stores_present_one() -> None:
    line, cast = await with_joins()
    old = line.store.epoch
    line.store.epoch = Epoch(b"after a restore.")
    fresh, lost = line.restart(), line.store.logs[cast.stream][-1]
    del line.store.logs[cast.stream][-1:]
    peer = creator_of(fresh, cast)
    for stood in (lost.position, Position(old, 9, Hash(bytes(32)))):
        answer = await peer.subscribe(cast.stream, frames.since_json(stood))
        assert answer["reason"] == "epoch" and await peer.offsets(2) == [1, 2]
    assert (await peer.subscribe(cast.stream, frames.since_json(replace(lost.position, epoch=line.store.epoch))))[
        "reason"
    ] == "fork"


async def test_a_position_that_is_only_decided_is_beyond_the_top() -> None:
    line, cast = await with_joins(1)
    session = line.sessions.live(cast.stream)
    assert session is not None
    line.store.gate.clear()
    await line.sessions.submit(cast.join(1, line.hash(cast.stream)))
    position = Position(line.store.epoch, 2 + 1, session.chain.hash)
    stood = since(line, cast.stream, 2) | {"offset": position.offset, "hash": position.hash.hex()}
    peer = creator_of(line, cast)
    assert (await peer.subscribe(cast.stream, stood))["reason"] == "fork"
    line.store.gate.set()


async def test_records_said_meanwhile_follow_without_gap_or_overlap() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    await peer.subscribe(cast.stream)
    assert await peer.offsets(1) == [1]
    await line.joined(cast, 2)
    assert await peer.offsets(3) == [2, 3, 4] and await peer.silent()


async def test_old_records_come_from_the_store_when_memory_has_let_them_go() -> None:
    line, cast = await with_joins(3)
    session = line.sessions.live(cast.stream)
    assert session is not None
    while len(session.tail) > 1:
        session.tail.popleft()
    peer = creator_of(line, cast)
    await peer.subscribe(cast.stream)
    assert await peer.offsets(4) == [1, 2, 3, 4] and await peer.silent()


async def test_a_stream_that_memory_has_forgotten_is_heard_all_the_same() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    await peer.subscribe(cast.stream)
    line.sessions._live.clear()
    assert await peer.offsets(3) == [1, 2, 3]


async def test_whoever_unsubscribes_hears_nothing_more() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    await peer.subscribe(cast.stream)
    await peer.ask("unsubscribe", {"stream": cast.stream.hex()})
    assert await peer.silent() and line.app.hub.subscriptions == 0


async def test_an_answer_leaves_before_the_records_that_it_announces() -> None:
    line, cast = await with_joins()
    peer = creator_of(line, cast)
    await peer.give("subscribe", {"stream": cast.stream.hex()})
    assert "result" in await peer.take()
    assert await peer.offsets(3) == [1, 2, 3]


# Rights


async def test_a_stranger_hears_the_first_record_only() -> None:
    line, cast = await with_joins()
    peer = line.peer()
    answer = await peer.subscribe(cast.stream)
    assert answer == {"top": 1, "recovered": False, "reason": "first_record_only", "head": None, "present": []}
    assert await peer.offsets(1) == [1] and await peer.silent()
    await line.joined(cast, 2)
    assert await peer.silent()


async def test_an_invitation_to_a_free_slot_hears_the_stream() -> None:
    line, cast = await with_joins()
    peer = line.peer()
    peer.prove(cast.invite(2))
    assert (await peer.subscribe(cast.stream))["top"] == 3


async def test_a_used_invitation_is_told_that_its_slot_is_taken() -> None:
    line = Line()
    cast = await line.completed()
    peer = line.peer()
    peer.prove(cast.invite(1))
    assert (await peer.subscribe(cast.stream))["reason"] == "slot_taken"


async def test_an_invitation_that_is_used_meanwhile_hears_nothing_more() -> None:
    line = Line()
    cast = await line.created()
    peer = line.peer()
    peer.prove(cast.invite(0))
    await peer.subscribe(cast.stream)
    assert await peer.offsets(1) == [1]
    join = await line.joined(cast, 0)
    assert await peer.offsets(1) == [2]
    await line.say(cast.accept(0, join, line.hash(cast.stream), line.vault))
    assert await told_rights(peer) is False
    assert await peer.silent() and not peer.outbox.cursors


async def test_an_envelope_goes_to_its_enclave_only() -> None:
    line = Line()
    cast = await line.created()
    await line.joined(cast, 0)
    vault, creator = line.peer(is_enclave=True), creator_of(line, cast)
    vault.prove(line.vault)
    blobs = []
    for peer in (vault, creator):
        await peer.subscribe(cast.stream)
        await peer.take()
        blobs.append((await peer.take())["params"]["record"]["statement"]["blobs"])
    assert blobs[0][0] == blobs[1][0] is not None
    assert blobs[0][1] is not None and blobs[1][1] is None


async def test_a_member_of_a_signing_hears_it() -> None:
    line = Line()
    cast = await line.completed()
    request = await line.requested(cast)
    peer = line.peer()
    peer.prove(cast.auth(1))
    assert "reason" not in await peer.subscribe(request.id)


# Following


async def test_streams_that_begin_to_concern_a_key_are_heard_by_themselves() -> None:
    line = Line()
    cast = await line.completed()
    peer = line.peer()
    peer.prove(cast.auth(1))
    await peer.ask("sessions")
    request = await line.requested(cast)
    frame = await peer.take()
    assert frame["params"]["stream"] == request.id.hex() and frame["params"]["record"]["offset"] == 1


async def test_keys_proven_after_the_listing_are_followed_too() -> None:
    line = Line()
    cast = await line.completed()
    earlier = await line.requested(cast)
    peer = line.peer()
    peer.prove(key_of("somebody"))
    assert (await peer.ask("sessions"))["sessions"] == []
    auth = cast.auth(1)
    proof = {"key": auth.key.hex(), "sig": auth.sign(proof_message(bytes(32), "ws://here", auth.key)).hex()}
    await peer.ask("authenticate", {"proofs": [proof]})
    assert await peer.silent(), "what concerned the key before is listed, and does not come by itself"
    request = await line.requested(cast, sealed=b"another")
    frame = await peer.take()
    assert (frame["method"], frame["params"]["stream"]) == ("record", request.id.hex())
    listed = (await peer.ask("sessions"))["sessions"]
    assert [row["stream"] for row in listed] == [cast.stream.hex(), earlier.id.hex(), request.id.hex()]


@pytest.mark.parametrize("params", [{"open": True}, {"limit": 1}, {"after": "00" * 32}])
async def test_no_parameter_of_a_listing_narrows_what_is_followed(params: dict[str, object]) -> None:
    line = Line()
    cast = await line.completed()
    peer = line.peer()
    peer.prove(cast.auth(0), cast.auth(1))
    await peer.ask("sessions", params)
    request = await line.requested(cast)
    assert (await peer.take())["params"]["stream"] == request.id.hex()


async def test_with_all_its_subscriptions_a_connection_finds_new_streams_by_listing() -> None:
    line = Line(subscriptions_per_connection=1)
    cast = await line.completed()
    peer = line.peer()
    peer.prove(cast.auth(0))
    await peer.ask("sessions")
    await peer.subscribe(cast.stream)
    top = line.store.rows[cast.stream].top
    assert await peer.offsets(top) == list(range(1, top + 1))
    request = await line.requested(cast)
    assert await peer.silent(), "nothing of the signing, and nothing on its keygen"
    listed = (await peer.ask("sessions"))["sessions"]
    assert [row["stream"] for row in listed] == [cast.stream.hex(), request.id.hex()]


async def test_what_is_subscribed_already_does_not_begin_anew() -> None:
    line = Line()
    cast = await line.created()
    peer = line.peer()
    peer.prove(cast.creator, cast.auth(0))
    await peer.ask("sessions")
    await peer.subscribe(cast.stream)
    assert await peer.offsets(1) == [1]
    await line.joined(cast, 0)
    assert await peer.offsets(1) == [2] and await peer.silent()


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_signing_begins_after_the_record_of_its_keygen_that_its_request_names(restarted: bool) -> None:
    """Also where the keygen has to be read from the store, batch by batch, and nothing was taken for long."""
    line = Line()
    cast = await line.completed()
    for number in range(TAIL_RECORDS + 10):
        auth, after = cast.auth(0), line.hash(cast.stream)
        note = Note(kind=f"note.n{number}", v=1, by=xonly(auth), stream=cast.stream, after=after)
        await line.say(make(note, auth.sign))
    peer = line.peer()
    peer.prove(cast.auth(0), cast.auth(1))
    await peer.ask("sessions")
    await peer.subscribe(cast.stream)
    request = await line.requested(cast)
    if restarted:
        line = line.restart()
        peer = line.peer()
        peer.prove(cast.auth(0), cast.auth(1))
        assert await line.sessions.get(request.id) is not None
        for stream in (request.id, cast.stream):  # in this order, against all advice
            await peer.give("subscribe", {"stream": stream.hex()})
        assert [len(await peer.take()) for _ in range(2)] == [3, 3]
    heard = [(await peer.take())["params"] for _ in range(len(line.store.logs[cast.stream]) + 1)]
    hashes = [told["record"]["hash"] for told in heard]
    begins = [told["stream"] for told in heard].index(request.id.hex())
    assert isinstance(request.payload, SigningRequest)
    assert hashes.index(request.payload.after.hex()) < begins and await peer.silent()


async def test_whoever_never_listed_his_sessions_is_not_followed() -> None:
    line = Line()
    cast = await line.completed()
    peer = line.peer()
    peer.prove(cast.auth(1))
    await line.requested(cast)
    assert await peer.silent()


async def test_an_enclave_hears_a_keygen_once_a_join_names_it() -> None:
    line = Line()
    vault = line.peer(is_enclave=True)
    vault.prove(line.vault)
    await vault.ask("sessions")
    cast = await line.created()
    assert await vault.silent()
    await line.joined(cast, 0)
    assert await vault.offsets(2) == [1, 2]


# Bounds


async def test_one_stream_too_many_is_refused() -> None:
    line = Line(subscriptions_per_connection=1)
    casts = [await line.created(f"group {i}") for i in range(2)]
    peer = line.peer()
    await peer.subscribe(casts[0].stream)
    peer.prove(*(cast.creator for cast in casts))
    await peer.subscribe(casts[0].stream)
    answer = await peer.subscribe(casts[1].stream)
    assert (answer["reason"], answer["limit"]) == ("over_limit", 1)


async def test_a_session_that_has_ended_makes_room_for_another() -> None:
    line = Line(subscriptions_per_connection=1)
    cast = await line.completed()
    request = await line.requested(cast, expires_at=line.time() + 1)
    line.time.wait(1)
    await line.look(request.id)
    peer = line.peer()
    peer.prove(cast.auth(0))
    await peer.subscribe(request.id)
    assert await peer.offsets(2) == [1, 2] and await peer.silent()
    assert (await peer.subscribe(cast.stream))["recovered"] is False
    assert list(peer.outbox.cursors) == [cast.stream]


async def test_a_connection_that_ends_leaves_nothing_behind() -> None:
    line, cast = await with_joins()
    hub = line.app.hub
    peer = creator_of(line, cast)
    await peer.ask("sessions")
    await peer.subscribe(cast.stream)
    peer.go()
    assert (hub.subscriptions, hub._topics, hub._followers, hub._heard_by) == (0, {}, {}, {})


async def test_subscribing_twice_begins_anew() -> None:
    line, cast = await with_joins(1)
    peer = creator_of(line, cast)
    await peer.subscribe(cast.stream)
    assert await peer.offsets(2) == [1, 2]
    await peer.subscribe(cast.stream)
    assert await peer.offsets(2) == [1, 2] and line.app.hub.subscriptions == 1


async def test_an_unknown_stream_cannot_be_unsubscribed_wrongly() -> None:
    hub, line = Hub(10), Line()
    hub.unsubscribe(line.peer().outbox, Id(bytes(32)))
    assert hub.subscriptions == 0


async def test_resume_is_refused_to_a_used_invitation() -> None:
    line = Line()
    cast = await line.completed()
    session = line.sessions.live(cast.stream)
    assert session is not None
    with pytest.raises(Refused) as refused:
        resume(session, None, {xonly(cast.invite(0))}, line.store.epoch)
    assert refused.value.reason is Reason.SLOT_TAKEN


async def test_a_stranger_with_another_key_is_no_invitation() -> None:
    line = Line()
    cast = await line.completed()
    peer = line.peer()
    peer.prove(key_of("stranger"))
    assert (await peer.subscribe(cast.stream))["reason"] == "first_record_only"

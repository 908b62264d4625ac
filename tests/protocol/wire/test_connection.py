"""Both sides of one conversation, without a socket: proofs, errors by name, limits, and what peers ignore."""

import json
from hashlib import sha256
from typing import Any

import pytest

from keymeld_protocol.curve.schnorr import Keypair, tagged_hash
from keymeld_protocol.errors import BadInput, Reason, Refused, WireError
from keymeld_protocol.values import Epoch, Salt, Signature
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import (
    Answer,
    Close,
    CoordinatorSide,
    Goodbye,
    Heard,
    Hello,
    PeerSide,
    Presence,
    Request,
    proof_message,
)
from keymeld_protocol.wire.frames import METHODS, Authenticate, Proof
from tests.support.logs import Scribe
from tests.support.machines import COORDINATOR, EPOCH, NOON, STRANGER, key_of, xonly
from tests.support.spoil import Spoilt, full, least, spoils, text

ORIGIN = "wss://meld.example"
CHALLENGE = Salt(b"c" * 32)
ALICE, BOB = key_of("alice"), key_of("bob")


def side(**limits: Any) -> CoordinatorSide:
    return CoordinatorSide(CHALLENGE, (ORIGIN, "wss://meld.example:8443"), **limits)


def hello(to: CoordinatorSide, **other: Any) -> bytes:
    greeting: dict[str, Any] = {"time": NOON, "limits": {"frame_bytes": 1}, "heartbeat_ms": 20_000}
    return to.hello(**(greeting | {"coordinator": xonly(COORDINATOR), "epoch": EPOCH} | other))


def peer(of: CoordinatorSide | None = None, origin: str = ORIGIN) -> PeerSide:
    greeted = PeerSide(origin)
    assert isinstance(greeted.receive(hello(of or side())), Hello)
    return greeted


def said(method: str, params: Any, ident: Any = 1) -> str:
    return text({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})


def problem(answer: Any) -> dict[str, Any]:
    """The error in an answer's bytes: id, reason and field."""
    assert isinstance(answer, bytes)
    told = json.loads(answer)
    return {"id": told["id"], "reason": told["error"]["data"]["reason"], "field": told["error"]["data"].get("field")}


def alive(conversation: CoordinatorSide) -> None:
    """The next good message works."""
    assert conversation.close_code is None
    assert isinstance(conversation.receive(said("ping", {}), NOON), Request)


# Requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_read(method: str) -> None:
    for params in (full(METHODS[method]), least(METHODS[method])):
        request = side().receive(said(method, params), NOON)
        assert isinstance(request, Request) and (request.ident, request.method) == (1, method)
        assert isinstance(request.params, METHODS[method])


@pytest.mark.parametrize(
    ("method", "spoilt"),
    [
        pytest.param(name, spoilt, id=f"{name}: {spoilt.what}")
        for name, shape in METHODS.items()
        for spoilt in spoils(shape)
    ],
)
def test_every_fault_is_answered_by_name_and_the_conversation_lives(method: str, spoilt: Spoilt) -> None:
    conversation = side()
    told = problem(conversation.receive(said(method, spoilt.message, ident="x"), NOON))
    assert (told["id"], told["reason"]) == ("x", "bad_field") and told["field"].startswith(spoilt.field)
    alive(conversation)


@pytest.mark.parametrize(
    ("frame", "ident", "reason", "field"),
    [
        ('{"jsonrpc":"2.0","id":1}', 1, "bad_field", "method"),
        ('{"jsonrpc":"2.0","method":"ping"}', None, "bad_field", "id"),
        ('{"jsonrpc":"2.0","result":{}}', None, "bad_field", "method"),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 1, "bad_field", "result"),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}', 1, "bad_field", "error"),
        ('{"jsonrpc":"2.0","id":1,"method":"pong"}', 1, "unknown_method", "method"),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', 1, "bad_field", "params"),
        ('{"jsonrpc":"1.0","id":1,"method":"ping"}', None, "bad_field", "jsonrpc"),
        ("[]", None, "bad_field", "frame"),
        ("nonsense", None, "bad_json", "frame"),
        (b"{}", None, "bad_json", "frame"),
    ],
)
def test_a_frame_that_is_no_request_is_answered_and_the_conversation_lives(
    frame: str | bytes, ident: int | None, reason: str, field: str
) -> None:
    conversation = side()
    assert problem(conversation.receive(frame, NOON)) == {"id": ident, "reason": reason, "field": field}
    alive(conversation)


def test_an_answer_to_the_coordinators_own_question_is_no_request() -> None:
    for answer in ('{"jsonrpc":"2.0","id":1,"result":{}}', '{"jsonrpc":"2.0","id":1,"error":{}}'):
        assert side().receive(answer, NOON) is None


# Limits -----------------------------------------------------------------------------------------------------------


def test_attack_21_requests_are_counted_and_the_bucket_fills_again() -> None:
    conversation = side(per_second=10, burst=3)
    for _ in range(3):
        assert isinstance(conversation.receive(said("ping", {}), NOON), Request)
    answer = conversation.receive(said("ping", {}, ident=9), NOON)
    told = json.loads(answer)["error"]["data"]  # type: ignore[arg-type]
    assert (told["reason"], told["limit"], told["retry_after_ms"]) == ("too_many_requests", 10, 101)
    assert problem(answer)["id"] == 9
    assert isinstance(conversation.receive(said("ping", {}), NOON + 101), Request)


@pytest.mark.parametrize("frame", ["nonsense", "[]", '{"jsonrpc":"1.0"}', b"binary", '{"jsonrpc":"2.0","id":1}'])
def test_attack_21_what_cannot_be_read_counts_as_well(frame: str | bytes) -> None:
    conversation = side(per_second=1, burst=3)
    answers = [problem(conversation.receive(frame, NOON))["reason"] for _ in range(4)]
    assert answers[3] == "too_many_requests" and "too_many_requests" not in answers[:3]


def test_the_bucket_holds_no_more_than_a_burst() -> None:
    conversation = side(per_second=1000, burst=2)
    conversation.receive(said("ping", {}), NOON)
    later = NOON + 1_000_000
    assert [isinstance(conversation.receive(said("ping", {}), later), Request) for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_fills_no_bucket() -> None:
    conversation = side(per_second=1, burst=1)
    conversation.receive(said("ping", {}), NOON)
    assert problem(conversation.receive(said("ping", {}), NOON - 10_000))["reason"] == "too_many_requests"


def test_whoever_floods_is_told_to_come_back_later() -> None:
    conversation = side(per_second=1, burst=1, max_strikes=3)
    for _ in range(3):
        assert conversation.close_code is None
        conversation.receive(said("ping", {}), NOON)
    conversation.receive(said("ping", {}), NOON)
    assert conversation.close_code is Close.TOO_MANY_REQUESTS


def test_whoever_speaks_nonsense_is_sent_away() -> None:
    conversation = side(max_strikes=3)
    for _ in range(3):
        assert conversation.close_code is None
        conversation.receive("nonsense", NOON)
    assert conversation.close_code is Close.BAD_FRAME


def test_a_wrong_field_is_no_strike() -> None:
    conversation = side(max_strikes=1)
    for _ in range(20):
        conversation.receive(said("submit", {}), NOON)
        conversation.receive(said("nonsense", {}), NOON)
    alive(conversation)


# Proofs -----------------------------------------------------------------------------------------------------------


def proof(who: Keypair, challenge: bytes = CHALLENGE, origin: str = ORIGIN, **other: Any) -> Proof:
    made = {"key": xonly(who), "sig": Signature(who.sign(proof_message(challenge, origin, who.key)))}
    return Proof(**(made | other))


def refused(conversation: CoordinatorSide, *proofs: Proof) -> WireError:
    with pytest.raises(WireError) as caught:
        conversation.authenticate(Authenticate(proofs=proofs))
    assert conversation.proven == set()
    return caught.value


def test_a_proof_signs_the_challenge_the_origin_and_the_key() -> None:
    expected = CHALLENGE + sha256(ORIGIN.encode()).digest() + ALICE.key
    assert proof_message(CHALLENGE, ORIGIN, ALICE.key) == tagged_hash("keymeld/authenticate/v1", expected)


def test_what_a_peer_proves_is_accepted() -> None:
    conversation = side()
    params = peer(conversation).authenticate([ALICE, BOB], token="guest")
    request = conversation.receive(said("authenticate", params), NOON)
    assert isinstance(request, Request)
    assert conversation.authenticate(request.params) == (xonly(ALICE), xonly(BOB))
    assert conversation.proven == {xonly(ALICE), xonly(BOB)} and conversation.token == "guest"


def test_any_origin_under_which_the_server_is_known_will_do() -> None:
    assert side().authenticate(Authenticate(proofs=(proof(ALICE, origin="wss://meld.example:8443"),)))


def test_attack_6_a_proof_for_another_connection_is_worthless() -> None:
    error = refused(side(), proof(ALICE, challenge=b"d" * 32))
    assert (error.reason, error.field) == (Reason.BAD_SIGNATURE, "proofs[0].sig")


@pytest.mark.parametrize("origin", ["wss://evil.example", "ws://meld.example", "wss://meld.example/", "unix", ""])
def test_attack_6_a_proof_relayed_from_another_origin_is_worthless(origin: str) -> None:
    assert refused(side(), proof(ALICE, origin=origin)).reason is Reason.BAD_SIGNATURE


def test_attack_6_a_proof_speaks_for_its_own_key_only() -> None:
    assert refused(side(), proof(ALICE, key=xonly(BOB))).field == "proofs[0].sig"


def test_attack_22_a_proof_that_was_overheard_opens_no_second_connection() -> None:
    first, second = side(), CoordinatorSide(Salt(b"d" * 32), (ORIGIN,))
    overheard = proof(ALICE)
    first.authenticate(Authenticate(proofs=(overheard,)))
    assert refused(second, overheard).reason is Reason.BAD_SIGNATURE


def test_all_proofs_hold_or_none_counts() -> None:
    error = refused(side(), proof(ALICE), proof(BOB, challenge=b"d" * 32))
    assert error.field == "proofs[1].sig"


def test_devices_cannot_offer_to_sign_yet() -> None:
    error = refused(side(), proof(ALICE, signs=True))
    assert isinstance(error, Refused) and error.field == "proofs[0].signs"


def test_devices_cannot_offer_to_sign_for_a_key_that_is_proven_already_either() -> None:
    conversation = side()
    conversation.authenticate(Authenticate(proofs=(proof(ALICE),)))
    with pytest.raises(Refused) as caught:
        conversation.authenticate(Authenticate(proofs=(proof(ALICE, signs=True),)))
    assert caught.value.field == "proofs[0].signs"


def test_a_bad_proof_behind_a_proven_key_is_named_by_its_place_and_nothing_counts() -> None:
    conversation = side()
    conversation.authenticate(Authenticate(proofs=(proof(ALICE),)))
    with pytest.raises(BadInput) as caught:
        conversation.authenticate(Authenticate(proofs=(proof(ALICE), proof(BOB, challenge=b"d" * 32))))
    assert caught.value.field == "proofs[1].sig" and conversation.proven == {xonly(ALICE)}


def test_attack_21_one_connection_speaks_for_so_many_keys_only() -> None:
    conversation = side(max_proven=2)
    heard_by_others = conversation.proven
    conversation.authenticate(Authenticate(proofs=(proof(ALICE), proof(BOB))))
    conversation.authenticate(Authenticate(proofs=(proof(ALICE), proof(BOB))))
    with pytest.raises(Refused) as caught:
        conversation.authenticate(Authenticate(proofs=(proof(STRANGER),)))
    assert (caught.value.reason, caught.value.limit) == (Reason.OVER_LIMIT, 2)
    assert conversation.proven is heard_by_others == {xonly(ALICE), xonly(BOB)}


def test_a_token_stays_until_another_one_is_given() -> None:
    conversation = side()
    for token, held in (("one", "one"), (None, "one"), ("two", "two")):
        conversation.authenticate(Authenticate(proofs=(), token=token))
        assert conversation.token == held


def test_nobody_proves_anything_before_the_hello() -> None:
    with pytest.raises(BadInput, match="hello"):
        PeerSide(ORIGIN).authenticate([ALICE])


# The peer's side --------------------------------------------------------------------------------------------------


def told(method: str, params: Any, **more: Any) -> bytes:
    return text({"jsonrpc": "2.0", "method": method, "params": params} | more).encode()


def test_a_peer_reads_the_hello() -> None:
    greeting = peer().greeting
    assert greeting is not None
    assert (greeting.challenge, greeting.versions) == (CHALLENGE, (frames.SUBPROTOCOL,))
    assert (greeting.time, greeting.epoch, greeting.coordinator) == (NOON, Epoch(bytes(16)), xonly(COORDINATOR))


def test_a_peer_hangs_up_on_another_version() -> None:
    greeting = json.loads(hello(side()))["params"] | {"versions": ["keymeld.v2"]}
    with pytest.raises(BadInput) as caught:
        PeerSide(ORIGIN).receive(told("hello", greeting))
    assert caught.value.reason is Reason.UNKNOWN_VERSION


def test_a_peer_ignores_members_it_does_not_know() -> None:
    greeting = json.loads(hello(side()))["params"] | {"surplus": 1, "limits": {"a_new_limit": 5}}
    assert isinstance(PeerSide(ORIGIN).receive(told("hello", greeting, surplus=[])), Hello)
    scribe = Scribe(EPOCH)
    sent = json.loads(frames.record_frame(scribe.stream, scribe.open()))
    sent["params"]["record"]["surplus"] = {}
    assert isinstance(peer().receive(json.dumps(sent)), Heard)


def test_a_peer_ignores_notifications_it_does_not_know() -> None:
    assert peer().receive(told("weather", {"sunny": True})) is None


def test_a_peer_hears_records_presence_and_goodbyes() -> None:
    scribe = Scribe(EPOCH)
    record = scribe.open()
    heard = peer().receive(frames.record_frame(scribe.stream, record))
    assert isinstance(heard, Heard)
    assert frames.record_of(heard.record) == record
    presence = peer().receive(told("presence", {"stream": "00" * 32, "key": "00" * 32, "online": True}))
    assert isinstance(presence, Presence) and presence.online and not presence.signs
    goodbye = peer().receive(told("goodbye", {"code": 4200, "reason": "draining"}))
    assert isinstance(goodbye, Goodbye) and goodbye.retry_after_ms == 0


def test_a_peer_is_asked_as_well() -> None:
    asked = peer().receive(told("attest", {"nonce": "00"}, id=3))
    assert isinstance(asked, Request) and (asked.ident, asked.method) == (3, "attest")


def test_requests_are_numbered_and_answers_find_them() -> None:
    ours = peer()
    numbers = [ours.request("ping", {})[0] for _ in range(3)]
    assert numbers == [1, 2, 3]
    answer = ours.receive(frames.result(2, {"time": 5}))
    assert isinstance(answer, Answer) and answer.ident == 2 and answer.problem is None
    assert json.loads(bytes(answer.result)) == {"time": 5}


@pytest.mark.parametrize("reason", Reason)
def test_every_error_arrives_with_its_reason(reason: Reason) -> None:
    sent = frames.error(4, Refused(reason, "no", field="slot", limit=2, retry_after_ms=3))
    answer = peer().receive(sent)
    assert isinstance(answer, Answer) and answer.ident == 4 and answer.problem is not None
    got = answer.problem
    assert (got.reason, got.message, got.field, got.limit, got.retry_after_ms) == (reason, "no", "slot", 2, 3)


def test_an_error_of_a_later_version_is_taken_as_unavailable() -> None:
    sent = json.loads(frames.error(4, Refused(Reason.GONE, "no")))
    sent["error"]["data"] |= {"reason": "too_beautiful", "surplus": 1}
    answer = peer().receive(json.dumps(sent))
    assert isinstance(answer, Answer) and answer.problem is not None
    assert answer.problem.reason is Reason.UNAVAILABLE


def test_an_error_that_answers_nothing_has_no_request() -> None:
    answer = peer().receive(frames.error(None, BadInput(Reason.BAD_JSON, "no JSON")))
    assert isinstance(answer, Answer) and answer.ident == -1


@pytest.mark.parametrize(
    "data",
    [
        "", "nonsense", "[]", "5", '{"jsonrpc":"1.0"}', '{"jsonrpc":"2.0","id":[]}',
        '{"jsonrpc":"2.0","method":"hello"}',
        '{"jsonrpc":"2.0","method":"record","params":{"stream":"00"}}', '{"jsonrpc":"2.0","id":1,"error":{}}',
        '{"jsonrpc":"2.0","id":1,"error":5}', '{"jsonrpc":"2.0","method":"presence","params":[]}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_attack_9_a_coordinator_that_does_not_speak_this_protocol_is_told_so(data: str | bytes) -> None:
    with pytest.raises(BadInput):
        peer().receive(data)

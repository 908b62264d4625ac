"""Frames: what the coordinator refuses by name, what peers ignore, and the bytes that both sides send."""

import json
from typing import Any

import orjson
import pytest
from msgspec import Raw

from keymeld_protocol.errors import BadInput, Reason, Refused
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.frames import METHODS, WireHead, WireRecord
from keymeld_protocol.wire.records import sign_head
from tests.support.logs import Scribe
from tests.support.machines import COORDINATOR
from tests.support.spoil import Spoilt, full, least, spoils, text

EVERY_METHOD = pytest.mark.parametrize("method", METHODS)
EVERY_FAULT = pytest.mark.parametrize(
    ("method", "spoilt"),
    [
        pytest.param(name, spoilt, id=f"{name}: {spoilt.what}")
        for name, shape in METHODS.items()
        for spoilt in spoils(shape)
    ],
)
SCRIBE = Scribe(Scribe.EPOCH)
RECORD = SCRIBE.open()


def refusal(method: str, params: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        frames.params_of(method, Raw(params.encode()))
    return caught.value


def unreadable(data: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        frames.decode(data, strict=True)
    return caught.value


# Parameters -------------------------------------------------------------------------------------------------------


@EVERY_METHOD
def test_parameters_come_back_as_they_were(method: str) -> None:
    for params in (full(METHODS[method]), least(METHODS[method])):
        assert isinstance(frames.params_of(method, Raw(text(params).encode())), METHODS[method])


@EVERY_FAULT
def test_every_fault_of_every_parameter_is_refused_by_its_name(method: str, spoilt: Spoilt) -> None:
    error = refusal(method, text(spoilt.message))
    assert error.reason is Reason.BAD_FIELD
    assert error.field is not None and error.field.startswith(spoilt.field)


@pytest.mark.parametrize(
    ("method", "name"),
    [("subscribe", "since"), ("subscribe", "nonce"), ("sessions", "after"), ("authenticate", "token"),
     ("announce", "document")],
)  # fmt: skip
def test_an_optional_parameter_is_left_out_and_never_null(method: str, name: str) -> None:
    error = refusal(method, text(full(METHODS[method]) | {name: None}))
    assert (error.reason, error.field) == (Reason.BAD_FIELD, name)


def test_a_blob_that_is_not_there_is_null_all_the_same() -> None:
    given = {"statement": {"payload": "{}", "signatures": [], "blobs": [None]}}
    assert frames.params_of("submit", Raw(text(given).encode())).statement.blobs == (None,)


@EVERY_METHOD
def test_parameters_that_are_no_object_are_refused(method: str) -> None:
    for params in ("[]", "null", "1", '"x"', "true"):
        assert refusal(method, params).field == "params"
    for params in ("{", "nonsense"):
        assert (refusal(method, params).reason, refusal(method, params).field) == (Reason.BAD_JSON, "params")


@pytest.mark.parametrize("method", ["", "Submit", "submit ", "rpc.discover", "__init__", "record"])
def test_an_unknown_method_is_told_as_one(method: str) -> None:
    error = refusal(method, "{}")
    assert (error.reason, error.field) == (Reason.UNKNOWN_METHOD, "method")


def test_parameters_may_be_left_out_where_none_are_needed() -> None:
    assert frames.params_of("ping", Raw()) == frames.NoParams()
    with pytest.raises(BadInput, match="statement: is missing"):
        frames.params_of("submit", Raw())


# Frames -----------------------------------------------------------------------------------------------------------

HONEST: dict[str, Any] = {"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {}}


def test_a_frame_is_read() -> None:
    frame = frames.decode(text(HONEST), strict=True)
    assert (frame.id, frame.method) == (7, "ping")


@pytest.mark.parametrize("ident", [0, 2**53 - 1, "", "x" * 64])
def test_an_id_is_a_number_or_a_short_text(ident: object) -> None:
    assert frames.decode(text(HONEST | {"id": ident}), strict=True).id == ident


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("jsonrpc", 2), ("jsonrpc", "1.0"), ("jsonrpc", "2.0\n"), ("jsonrpc", None), ("id", -1), ("id", 2**53),
        ("id", 1.5), ("id", True), ("id", []), ("id", {}), ("id", "x" * 65), ("method", 5), ("method", []),
        ("method", "x" * 65),
    ],
)  # fmt: skip
def test_a_member_that_breaks_its_rule_is_named(member: str, value: object) -> None:
    error = unreadable(text(HONEST | {member: value}))
    assert (error.reason, error.field) == (Reason.BAD_FIELD, member)


def test_a_frame_says_its_version() -> None:
    assert unreadable('{"id":1,"method":"ping"}').field == "jsonrpc"


def test_the_coordinator_refuses_members_that_it_does_not_know_and_peers_ignore_them() -> None:
    strange = text(HONEST | {"surplus": [1, {"deep": None}]})
    assert unreadable(strange).field == "surplus"
    assert frames.decode(strange, strict=False).id == 7


@pytest.mark.parametrize("data", ["[]", "null", "1", '"x"', "true", f"[{text(HONEST)}]"])
def test_what_is_no_object_is_no_frame(data: str) -> None:
    error = unreadable(data)
    assert (error.reason, error.field) == (Reason.BAD_FIELD, "frame")


@pytest.mark.parametrize(
    "data",
    ["", " ", "{", "}", "{}{}", text(HONEST) + "x", '{"id":\ud800}', '{"\\ud800":1}', "NaN", "[" * 100_000, "{" * 9],
)
def test_what_is_no_json_is_no_frame(data: str) -> None:
    assert unreadable(data).reason in (Reason.BAD_JSON, Reason.BAD_FIELD)


def test_attack_9_deep_nesting_crashes_nobody() -> None:
    deep = "[" * 50_000 + "]" * 50_000
    for data in (f'{{"jsonrpc":"2.0","id":1,"params":{deep}}}', f'{{"jsonrpc":"2.0","id":{deep}}}'):
        unreadable(data)
    with pytest.raises(BadInput):
        frames.convert(Raw(deep.encode()), dict)


def test_attack_21_an_error_repeats_nothing_that_a_stranger_wrote() -> None:
    for strange in ("x" * 100_000, "\u001b[2J\u202e", "a - at `$.b", ""):
        error = unreadable(json.dumps(HONEST | {strange: 1}))
        assert len(frames.error(None, error)) < 300 and "\\u" not in str(frames.error(None, error))


# What both sides send ---------------------------------------------------------------------------------------------


def test_a_request_an_answer_and_a_notification_are_json_rpc() -> None:
    assert json.loads(frames.request(7, "ping", {})) == HONEST
    assert json.loads(frames.result(7, {"time": 5})) == {"jsonrpc": "2.0", "id": 7, "result": {"time": 5}}
    assert json.loads(frames.notification("hello", {})) == {"jsonrpc": "2.0", "method": "hello", "params": {}}


def test_an_error_carries_its_reason_and_what_there_is_to_say() -> None:
    problem = Refused(Reason.OVER_LIMIT, "too many", field="by", limit=5, retry_after_ms=9)
    told = json.loads(frames.error("x", problem, position={"offset": 4}))
    assert told["id"] == "x" and told["error"]["code"] == Reason.OVER_LIMIT.code
    assert told["error"]["data"] == {
        "reason": "over_limit", "repeatable": True, "field": "by", "limit": 5, "retry_after_ms": 9,
        "position": {"offset": 4},
    }  # fmt: skip


def test_an_error_says_nothing_that_is_not_known() -> None:
    told = json.loads(frames.error(None, BadInput(Reason.BAD_JSON, "no JSON")))
    assert told["id"] is None and told["error"]["data"] == {"reason": "bad_json", "repeatable": False}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_travels(reason: Reason) -> None:
    told = json.loads(frames.error(1, Refused(reason, "no")))["error"]
    assert (told["code"], told["data"]["reason"]) == (reason.code, reason.value)


def test_a_record_comes_back_from_its_notification() -> None:
    sent = json.loads(frames.record_frame(SCRIBE.stream, RECORD))
    assert sent["params"]["stream"] == SCRIBE.stream.hex()
    wire = frames.convert(Raw(orjson.dumps(sent["params"]["record"])), WireRecord)
    assert frames.record_of(wire) == RECORD


def test_the_json_of_a_record_is_made_once() -> None:
    record = SCRIBE.note()
    assert "json" not in record.__dict__
    first = frames.record_json(record)
    assert frames.record_json(record) == first == record.__dict__["json"]


def test_a_record_without_an_envelope_is_not_confused_with_the_whole_one() -> None:
    note = SCRIBE.note()
    whole = frames.record_json(note)
    assert frames.record_json(note.without_blobs(("note",))) != whole


@pytest.mark.parametrize("spoilt", list(spoils(WireRecord)), ids=lambda s: s.what)
def test_a_record_with_a_fault_is_refused_by_a_peer_unless_it_is_a_surplus(spoilt: Spoilt) -> None:
    if spoilt.field == "surplus":
        frames.convert(Raw(text(spoilt.message).encode()), WireRecord)
        return
    with pytest.raises(BadInput) as caught:
        frames.convert(Raw(text(spoilt.message).encode()), WireRecord)
    assert caught.value.field is not None and caught.value.field.startswith(spoilt.field)


def test_a_head_and_a_position_come_back() -> None:
    head = sign_head(SCRIBE.stream, RECORD, COORDINATOR.sign)
    assert frames.head_of(frames.convert(Raw(orjson.dumps(frames.head_json(head))), WireHead)) == head
    since = frames.params_of("subscribe", Raw(orjson.dumps({
        "stream": SCRIBE.stream.hex(), "since": frames.since_json(RECORD.position)
    }))).since  # fmt: skip
    assert (since.epoch, since.offset, since.hash) == (RECORD.epoch, RECORD.offset, RECORD.hash)


def test_a_statement_travels_in_a_submit() -> None:
    params = {"statement": frames.statement_json(RECORD.statement.wire)}
    assert frames.params_of("submit", Raw(orjson.dumps(params))).statement == RECORD.statement.wire


def test_an_answer_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput):
        frames.convert(Raw(), WireHead)
    with pytest.raises(BadInput) as caught:
        frames.convert(Raw(b"{"), WireHead)
    assert caught.value.field == "result"

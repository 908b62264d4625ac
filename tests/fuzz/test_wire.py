"""Frames, statements and both sides of a conversation, fed with what strangers might send."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from keymeld_protocol.errors import BadInput, Refused, WireError
from keymeld_protocol.values import Salt
from keymeld_protocol.wire import frames, payloads, statements
from keymeld_protocol.wire.connection import Answer, CoordinatorSide, PeerSide, Placed, Request, SessionInfo, Subscribed
from keymeld_protocol.wire.frames import WireHead, WireRecord
from keymeld_protocol.wire.statements import WireStatement
from tests.support.wire import wire

from .spoilt import QUICK, SLOW, either, seeds, texts

REQUESTS = seeds("frames", "methods", "request")
TOLD = (
    wire("frames")["hello"]["frame"], *seeds("frames", "methods", "response"),
    *seeds("frames", "notifications", "frame"), *seeds("frames", "errors", "frame"),
)  # fmt: skip
PAYLOADS = seeds("statements", "statements", "payload")
SAID = tuple(
    json.dumps({name: case[name] for name in ("payload", "signatures", "blobs")})
    for case in wire("statements")["statements"]
)
RECORDS = tuple(json.dumps(record) for record in wire("records")["records"])


@QUICK
@given(texts((*REQUESTS, *TOLD)), st.booleans())
def test_a_frame_is_read_or_refused(text: str, strict: bool) -> None:
    either(BadInput, frames.decode, text, strict=strict)


@QUICK
@given(texts((*REQUESTS, *TOLD)).map(lambda text: text.encode("utf-8", "surrogatepass")), st.booleans())
def test_a_frame_of_bytes_is_read_or_refused(raw: bytes, strict: bool) -> None:
    either(BadInput, frames.decode, raw, strict=strict)


@QUICK
@given(st.sampled_from([*frames.METHODS, "nothing"]), texts([json.dumps(json.loads(r)["params"]) for r in REQUESTS]))
def test_parameters_of_a_method_are_read_or_refused(method: str, text: str) -> None:
    either(BadInput, frames.params_of, method, Raw(text.encode("utf-8", "surrogatepass")))


@QUICK
@given(
    st.sampled_from([Subscribed, Placed, SessionInfo, WireRecord, WireHead]),
    texts([json.dumps(json.loads(text).get("result", {})) for text in TOLD] + list(RECORDS)),
)
def test_a_result_is_read_or_refused(kind: type[object], text: str) -> None:
    either(BadInput, frames.convert, Raw(text.encode("utf-8", "surrogatepass")), kind)


@QUICK
@given(texts(PAYLOADS))
def test_a_payload_that_is_read_has_no_other_spelling(text: str) -> None:
    payload = either(BadInput, payloads.parse, text)
    assert payload is None or payloads.encode(payload) == text


@SLOW
@given(texts(SAID), st.booleans())
def test_a_statement_that_is_read_is_said_as_it_came(text: str, verified: bool) -> None:
    said = either(BadInput, frames.convert, Raw(text.encode("utf-8", "surrogatepass")), WireStatement)
    read = None if said is None else either(BadInput, statements.parse, said, verified=verified)
    assert read is None or read.wire == said


@SLOW
@given(texts(RECORDS))
def test_a_record_that_is_read_is_told_as_it_came(text: str) -> None:
    told = either(BadInput, frames.convert, Raw(text.encode("utf-8", "surrogatepass")), WireRecord)
    record = None if told is None else either(BadInput, frames.record_of, told)
    assert record is None or frames.convert(Raw(frames.record_json(record)), WireRecord) == told


@QUICK
@given(st.lists(texts(REQUESTS), min_size=1, max_size=5), st.lists(st.integers(0, 10_000), min_size=5, max_size=5))
def test_a_coordinator_answers_every_frame_and_closes_with_its_own_code(frames_: list[str], pauses: list[int]) -> None:
    side = CoordinatorSide(Salt(bytes(32)), ("wss://keymeld.example",), per_second=2, burst=3, max_strikes=2)
    now = 0
    for text, pause in zip(frames_, pauses, strict=False):
        now += pause
        heard = side.receive(text, now)
        assert heard is None or isinstance(heard, Request) or refused(heard)
        if isinstance(heard, Request) and heard.method == "authenticate":
            either(WireError, side.authenticate, heard.params)
            assert not side.proven, "nobody's proof is for this challenge"


def refused(answer: bytes) -> bool:
    """Whether a peer reads a refusal in it."""
    told = PeerSide("wss://keymeld.example").receive(answer)
    return isinstance(told, Answer) and isinstance(told.problem, Refused)


@QUICK
@given(st.binary(max_size=50))
def test_a_coordinator_reads_no_binary_frame(raw: bytes) -> None:
    side = CoordinatorSide(Salt(bytes(32)), ())
    answer = side.receive(raw, 0)
    assert isinstance(answer, bytes) and refused(answer)


@QUICK
@given(st.lists(texts(TOLD), min_size=1, max_size=4))
def test_a_peer_hears_an_event_or_that_this_is_not_the_protocol(told: list[str]) -> None:
    side = PeerSide("wss://keymeld.example")
    for text in told:
        either(BadInput, side.receive, text)
    assert side.greeting is None or frames.SUBPROTOCOL in side.greeting.versions


@pytest.mark.parametrize("text", [*REQUESTS, *TOLD])
def test_every_seed_is_read_as_it_is(text: str) -> None:
    """Otherwise nothing above would come far."""
    assert frames.decode(text, strict=False).jsonrpc == "2.0"

"""tests/vectors/wire: every file says what the code does, and `make vectors` writes the same bytes again."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from keymeld_protocol.curve.schnorr import tagged_hash, verify
from keymeld_protocol.errors import BadInput, BrokenLog, Fork, Reason
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing import SigningPhase, SigningState
from keymeld_protocol.member.roster import read_roster
from keymeld_protocol.values import Epoch, Id, Salt, Signature, XOnlyKey, decode_sized, to_base64url
from keymeld_protocol.wire import frames, payloads, statements
from keymeld_protocol.wire.connection import CoordinatorSide, PeerSide, proof_message
from keymeld_protocol.wire.frames import METHODS, Authenticate, Proof, WireHead, WireRecord, head_of, record_of
from keymeld_protocol.wire.records import Chain, Record, first_hash, head_is_signed, head_message
from tests.support.vectors import ROOT, WIRE
from tests.support.wire import HEX, each, refusal, wire

# The files themselves -------------------------------------------------------------------------------------------


def test_make_vectors_writes_the_same_bytes_again(tmp_path: Path) -> None:
    program = f"import pathlib; from tests.vectors.make_wire import write; write(pathlib.Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=300)
    again = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    committed = {file.name: file.read_bytes() for file in WIRE.glob("*.json")}
    assert sorted(again) == sorted(committed)
    assert [name for name in again if again[name] != committed[name]] == []


@pytest.mark.parametrize("file", sorted(WIRE.glob("*.json")), ids=lambda file: file.stem)
def test_a_file_is_ascii_and_says_what_it_is(file: Path) -> None:
    assert file.read_bytes().isascii()
    assert len(json.loads(file.read_bytes())["comment"]) > 20


# statements.json ------------------------------------------------------------------------------------------------


def test_every_kind_has_a_statement() -> None:
    kinds = [one["kind"] for one in wire("statements")["statements"]]
    assert [kind for kind in kinds if not kind.startswith("note.")] == list(payloads.KINDS)


@each("statements", "statements")
def test_a_statement_verifies(one: Any) -> None:
    said = statements.parse(statements.to_wire({name: one[name] for name in ("payload", "signatures", "blobs")}))
    assert said.id == tagged_hash("keymeld/statement/v1", one["payload"].encode()) == HEX(one["id"])
    assert [key.hex() for key in said.payload.signed_by()] == one["signed_by"]
    assert payloads.encode(said.payload) == one["payload"]


@each("statements", "refused_payloads")
def test_a_payload_is_refused(one: Any) -> None:
    assert refusal(payloads.parse, one["payload"]) == (one["reason"], one["field"])


@each("statements", "refused_statements")
def test_a_statement_is_refused(one: Any) -> None:
    assert refusal(lambda: statements.parse(statements.to_wire(one["statement"]))) == (one["reason"], one["field"])


@each("statements", "longest_blobs")
def test_a_blob_is_as_long_as_its_field_allows_and_no_longer(one: Any) -> None:
    blobs = [*one["statement"]["blobs"]]
    blobs[one["blob"]] = to_base64url(bytes(one["zeros"]))
    told = statements.to_wire({**one["statement"], "blobs": blobs})
    if "limit" not in one:
        assert statements.parse(told).blobs[one["blob"]] == bytes(one["zeros"])
        return
    with pytest.raises(BadInput) as refused:
        statements.parse(told)
    assert (refused.value.reason, refused.value.field, refused.value.limit) == (
        one["reason"], one["field"], one["limit"],
    )  # fmt: skip


# records.json ---------------------------------------------------------------------------------------------------


def records(raw: Any) -> list[Record]:
    """Parsed records."""
    return [record_of(msgspec_convert(one, WireRecord)) for one in raw]


def msgspec_convert(raw: Any, kind: Any) -> Any:
    """JSON as decoded, to a wire type."""
    return frames.convert(Raw(json.dumps(raw).encode()), kind)


def test_the_chain_verifies() -> None:
    vector, chain = wire("records"), Chain(Id.from_hex(wire("records")["stream"]))
    assert first_hash(chain.stream) == HEX(vector["hash_0"])
    for record, ident in zip(records(vector["records"]), vector["ids"], strict=True):
        assert record.statement.id == HEX(ident)
        chain.check(record)
        chain.append(record)


def test_the_heads_are_signed() -> None:
    vector = wire("records")
    stream, key = Id.from_hex(vector["stream"]), XOnlyKey.from_hex(vector["coordinator"])
    for raw in vector["heads"]:
        head = head_of(msgspec_convert(raw, WireHead))
        assert head_message(stream, head.position, head.at, head.nonce) == HEX(raw["message"])
        assert head_is_signed(stream, head, key)


@each("records", "broken")
def test_a_broken_chain_stops_where_it_breaks(one: Any) -> None:
    chain, place = Chain(Id.from_hex(wire("records")["stream"])), 0
    with pytest.raises(BrokenLog) as caught:
        for record in records(one["records"]):
            place += 1
            chain.check(record)
            chain.append(record)
    assert (place, isinstance(caught.value, Fork)) == (one["fails_at_place"], one["verdict"] == "fork")


# frames.json ----------------------------------------------------------------------------------------------------

ORIGIN = wire("frames")["proofs"][0]["origin"]


def coordinator_side(challenge: str) -> CoordinatorSide:
    """A coordinator that was dialled as the vectors say."""
    return CoordinatorSide(Salt.from_hex(challenge), (ORIGIN,))


def test_a_peer_reads_hello() -> None:
    peer = PeerSide(ORIGIN)
    peer.receive(wire("frames")["hello"]["frame"])
    assert peer.greeting is not None and peer.greeting.challenge.hex() == wire("frames")["proofs"][0]["challenge"]


@each("frames", "proofs")
def test_a_proof_holds_or_not(one: Any) -> None:
    assert sha256(one["origin"].encode()).hexdigest() == one["origin_hash"]
    message = proof_message(HEX(one["challenge"]), one["origin"], HEX(one["key"]))
    assert verify(HEX(one["sig"]), message, HEX(one["key"])) is one["holds"]
    assert (message.hex() == one["message"]) is one["holds"]


def test_a_coordinator_takes_the_proof_for_its_origin_alone() -> None:
    one, key = wire("frames")["proofs"][0], XOnlyKey.from_hex(wire("frames")["proofs"][0]["key"])
    said = Authenticate(proofs=(Proof(key=key, sig=Signature.from_hex(one["sig"])),))
    assert coordinator_side(one["challenge"]).authenticate(said) == (key,)
    elsewhere = CoordinatorSide(Salt.from_hex(one["challenge"]), ("wss://evil.example",))
    assert refusal(elsewhere.authenticate, said) == ("bad_signature", "proofs[0].sig")


def test_every_method_has_a_request() -> None:
    assert {one["method"] for one in wire("frames")["methods"]} == set(METHODS)


@each("frames", "methods")
def test_a_request_and_its_answer_are_read(one: Any) -> None:
    request = coordinator_side("00" * 32).receive(one["request"], 0)
    assert not isinstance(request, bytes) and request is not None and request.method == one["method"]
    answer: Any = PeerSide(ORIGIN).receive(one["response"])
    assert answer.ident == request.ident


@each("frames", "notifications")
def test_a_notification_is_read_or_ignored(one: Any) -> None:
    event = PeerSide(ORIGIN).receive(one["frame"])
    assert (event is None) is (one["method"] == "weather")


def test_every_reason_has_an_error() -> None:
    assert [one["reason"] for one in wire("frames")["errors"]] == [reason.value for reason in Reason]


@each("frames", "errors")
def test_an_error_is_read(one: Any) -> None:
    answer: Any = PeerSide(ORIGIN).receive(one["frame"])
    assert answer.problem.reason == one["reason"]
    assert json.loads(one["frame"])["error"]["code"] == one["code"] == Reason(one["reason"]).code


@each("frames", "refused")
def test_a_frame_is_refused(one: Any) -> None:
    answer = coordinator_side("00" * 32).receive(one["frame"], 0)
    assert isinstance(answer, bytes)
    told = json.loads(answer)
    data = told["error"]["data"]
    assert (data["reason"], data.get("field"), told["id"]) == (one["reason"], one["field"], one["id"])


# log.json -------------------------------------------------------------------------------------------------------


@cache
def replayed() -> tuple[Replay, ...]:
    """The log's streams, verified record by record."""
    coordinator, found = XOnlyKey.from_hex(wire("log")["coordinator"]), list[Replay]()
    for raw in wire("log")["streams"]:
        keygen = found[0] if found else None
        replay = Replay(Id.from_hex(raw["stream"]), keygen, coordinator=coordinator)
        for record in records(raw["records"]):
            replay.hear(record)
        replay.check_head(head_of(msgspec_convert(raw["head"], WireHead)))
        found.append(replay)
    return tuple(found)


def test_the_log_replays_to_its_ends() -> None:
    states = [replay.state for replay in replayed()]
    assert [str(getattr(state, "phase", None)) for state in states] == ["completed"] * 3
    assert [str(getattr(state, "phase", None)) for state in states] == [raw["state"] for raw in wire("log")["streams"]]


def test_the_log_has_a_signing_by_one_enclave_and_one_by_two() -> None:
    states = [replay.state for replay in replayed()[1:]]
    assert [len(state.signers) for state in states if isinstance(state, SigningState)] == [1, 2]
    assert all(isinstance(state, SigningState) and state.phase is SigningPhase.COMPLETED for state in states)


@each("log", "requests")
def test_attack_64_a_request_stands_or_falls_with_where_it_was_asked(one: Any) -> None:
    (record,) = records([one["record"]])
    heard, verdict = Replay(record.statement.id, replayed()[0]), "taken"
    try:
        heard.hear(record)
    except BrokenLog as error:
        verdict = "fork" if isinstance(error, Fork) else "broken"
    assert verdict == one["verdict"]


def test_the_logs_signatures_verify() -> None:
    for signed in wire("log")["signatures"]:
        for item in signed["items"]:
            assert verify(HEX(item["signature"]), HEX(item["message"]), HEX(item["output"]))


def test_the_logs_members_read_its_roster_and_address() -> None:
    keygen, vector = replayed()[0], wire("log")
    group = GroupKey(HEX(vector["S"]), Salt(HEX(wire("sealing")["salt"])))
    roster = read_roster(keygen, group)
    assert (roster.hash.hex(), roster.address()) == (vector["roster"], vector["address"])


def test_sized_values_are_what_the_log_says() -> None:
    assert decode_sized(Epoch, wire("log")["epoch"]) == replayed()[0].chain.epoch
    with pytest.raises(BadInput):
        msgspec_convert({"epoch": wire("log")["epoch"].upper()}, WireRecord)

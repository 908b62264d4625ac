"""frames.json: each method's request and answer, notifications, an error for each reason, refused frames."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.values import Salt, XOnlyKey
from keymeld_protocol.wire import frames
from keymeld_protocol.wire.connection import CoordinatorSide, PeerSide, proof_message
from keymeld_protocol.wire.frames import head_json, record_frame, since_json, statement_json
from keymeld_protocol.wire.records import first_hash, sign_head
from keymeld_server.config import ServerConfig

from . import cast
from .cast import commented, secret_of
from .chance import Chance
from .story import tell

ORIGIN = "wss://keymeld.example"


def frames_json() -> Any:
    """A conversation, frame by frame."""
    with Chance("frames"):
        return commented(
            "Frames as texts. A reader must not depend on the order of members in a frame (only payloads have one "
            "spelling). 'id' of an error is null where the request could not be read.",
            hello=_hello(), proofs=_proofs(), methods=_methods(), notifications=_notifications(), errors=_errors(),
            refused=[commented(why, frame=text, reason=r, field=f, id=i) for why, text, r, f, i in _refused()],
        )  # fmt: skip


def _side() -> CoordinatorSide:
    return CoordinatorSide(Salt(secret_of("challenge")), (ORIGIN,))


def _hello() -> dict[str, Any]:
    frame = _side().hello(
        time=cast.NOON, limits=ServerConfig().limits_for_hello(), heartbeat_ms=20_000,
        coordinator=XOnlyKey(cast.COORDINATOR.key), epoch=cast.EPOCH,
    )  # fmt: skip
    return commented("the first frame, said by the coordinator", frame=frame.decode())


def _proofs() -> list[dict[str, Any]]:
    """Proofs for each kind of origin; the last were made for another place."""
    key, challenge = cast.auth_of(0, tell().keygen.stream), secret_of("challenge")
    made = []
    for origin in (ORIGIN, "ws://127.0.0.1:8765", "ws://[::1]:8765", "unix", "vsock"):
        message = proof_message(challenge, origin, key.key)
        made.append(commented(
            f"dialled as {origin}", origin=origin, challenge=challenge, origin_hash=sha256(origin.encode()).digest(),
            key=key.key, message=message, sig=key.sign(message), holds=True,
        ))  # fmt: skip
    good = made[0]
    return [
        *made,
        good | {"comment": "relayed: the coordinator is dialled as another origin", "origin": "wss://evil.example",
                "origin_hash": sha256(b"wss://evil.example").hexdigest(), "holds": False},
        good | {"comment": "another connection's challenge", "challenge": secret_of("another challenge").hex(),
                "holds": False},
        good | {"comment": "another key", "key": cast.COORDINATOR.key.hex(), "holds": False},
    ]  # fmt: skip


def _methods() -> list[dict[str, Any]]:
    """Every method with a request that works and its answer."""
    story, peer, side = tell(), PeerSide(ORIGIN), _side()
    peer.receive(_hello()["frame"])
    alice, log = cast.auth_of(0, story.keygen.stream), story.together
    head = head_json(sign_head(log.stream, log.records[1], cast.COORDINATOR.sign))
    nonce = Salt(secret_of("hearer's nonce"))
    fresh = head_json(sign_head(log.stream, log.records[1], cast.COORDINATOR.sign, cast.NOON + 60_000, nonce))
    proven = peer.authenticate([alice])
    approve, position = log.records[1].statement, log.records[0].position
    enclave = {"identity": cast.key_of("enclave one").key.hex(), "announced_at": cast.NOON, "online": True,
               "capacity": 10_000, "document": None}  # fmt: skip
    row = {"stream": log.stream.hex(), "kind": "signing", "state": "approving", "top": 2}
    subscribed = {"top": 2, "recovered": True, "head": head, "present": [alice.key.hex()]}
    answers: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("prove a key", "authenticate", proven, {"keys": [alice.key.hex()]}),
        ("say a statement", "submit", {"statement": statement_json(approve.wire)},
         {"stream": log.stream.hex(), "offset": 2, "head": head}),
        ("hear a stream from where it stood, with a head that is signed now", "subscribe",
         {"stream": log.stream.hex(), "since": since_json(position), "nonce": nonce.hex()},
         subscribed | {"head": fresh}),
        ("hear a stream from its first record, with the head that was signed as it was committed", "subscribe",
         {"stream": log.stream.hex()}, subscribed | {"recovered": False}),
        ("stood in another history", "subscribe",
         {"stream": log.stream.hex(), "since": since_json(position) | {"hash": "00" * 32}},
         subscribed | {"recovered": False, "reason": "fork"}),
        ("stood in another history, of another epoch", "subscribe",
         {"stream": log.stream.hex(), "since": since_json(position) | {"epoch": "00" * 16, "hash": "00" * 32}},
         subscribed | {"recovered": False, "reason": "epoch"}),
        ("another epoch is no other history: the hash is what counts", "subscribe",
         {"stream": log.stream.hex(), "since": since_json(position) | {"epoch": "00" * 16}}, subscribed),
        ("before the first record there is one hash, and any epoch", "subscribe",
         {"stream": log.stream.hex(), "since": {"epoch": "00" * 16, "offset": 0, "hash": first_hash(log.stream).hex()}},
         subscribed),
        ("no right to hear more than the first record", "subscribe", {"stream": log.stream.hex()},
         {"top": 1, "recovered": False, "reason": "first_record_only", "head": None, "present": []}),
        ("hear it no longer", "unsubscribe", {"stream": log.stream.hex()}, {}),
        ("the streams of the proven keys", "sessions", {"open": True, "limit": 100},
         {"sessions": [row | {"keygen": story.keygen.stream.hex(), "hash": log.chain.hashes[1].hex()}]}),
        ("the enclaves of this coordinator", "enclaves", {}, {"enclaves": [enclave]}),
        ("an enclave is here", "announce", {"capacity": 10_000}, {}),
        ("is anybody there", "ping", {}, {"time": cast.NOON}),
    ]  # fmt: skip
    made = [_exchange(peer, side, *answer) for answer in answers]
    return [*made, _attest(peer)]


def _exchange(peer: PeerSide, side: CoordinatorSide, why: str, method: str, params: dict[str, Any],
              result: dict[str, Any]) -> dict[str, Any]:  # fmt: skip
    number, frame = peer.request(method, params)
    assert not isinstance(side.receive(frame.decode(), cast.NOON), bytes), frame
    return commented(why, method=method, request=frame.decode(), response=frames.result(number, result).decode())


def _attest(peer: PeerSide) -> dict[str, Any]:
    """The one method that this version answers with an error."""
    params = {"enclave": cast.key_of("enclave one").key.hex(), "nonce": secret_of("caller's nonce").hex()}
    number, frame = peer.request("attest", params)
    problem = Refused(Reason.UNAVAILABLE, "attestation is not offered by this version")
    return commented("a fresh attestation document: not offered yet", method="attest", request=frame.decode(),
                     response=frames.error(number, problem).decode())  # fmt: skip


def _notifications() -> list[dict[str, Any]]:
    story = tell()
    key, record = cast.auth_of(0, story.keygen.stream).key, story.together.records[1]
    presence = {"stream": story.together.stream.hex(), "key": key.hex(), "online": True, "signs": False}
    bye = {"code": 4200, "reason": "draining", "retry_after_ms": 0}
    hidden = story.keygen.records[1].without_blobs(("envelope",))
    made = [
        ("a record as it is said, with the head at it", "record",
         record_frame(story.together.stream, record, sign_head(story.together.stream, record, cast.COORDINATOR.sign))),
        ("a record that a peer catches up with", "record", record_frame(story.together.stream, record)),
        ("a join, for whom its envelope is not", "record", record_frame(story.keygen.stream, hidden)),
        ("somebody came", "presence", frames.notification("presence", presence)),
        ("a seat was taken over: nothing more of this stream follows", "hearing",
         frames.hearing_frame(story.together.stream, whole=False)),
        ("a further key was proven: subscribe again", "hearing",
         frames.hearing_frame(story.together.stream, whole=True)),
        ("the coordinator is about to close", "goodbye", frames.notification("goodbye", bye)),
        ("members that a peer does not know are ignored", "goodbye",
         frames.notification("goodbye", bye | {"mood": "sad"})),
        ("a notification that a peer does not know is ignored", "weather", frames.notification("weather", {})),
    ]  # fmt: skip
    return [commented(why, method=method, frame=frame.decode()) for why, method, frame in made]


def _errors() -> list[dict[str, Any]]:
    """One error frame for each reason, with all the members that data may have."""
    found = []
    for number, reason in enumerate(Reason):
        problem = Refused(reason, f"what {reason.value} says to people", field="slot", limit=7, retry_after_ms=250)
        frame = frames.error(number, problem).decode()
        found.append(
            commented(
                "repeating may help" if reason.repeatable else "repeating never helps",
                reason=reason.value,
                code=reason.code,
                repeatable=reason.repeatable,
                frame=frame,
            )
        )
    return found  # fmt: skip


def _refused() -> list[tuple[str, str, str, str | None, int | str | None]]:
    """Comment, frame, reason, field, id of the answer."""
    good = '{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}'
    stream = "ab" * 32
    return [
        ("no JSON", "ping", "bad_json", "frame", None),
        ("no text", "", "bad_json", "frame", None),
        ("an array: batches are not spoken", f"[{good}]", "bad_field", "frame", None),
        ("another version of JSON-RPC", good.replace("2.0", "1.0"), "bad_field", "jsonrpc", None),
        ("jsonrpc is missing", good.replace('"jsonrpc":"2.0",', ""), "bad_field", "jsonrpc", None),
        ("an unknown member", good[:-1] + ',"token":"x"}', "bad_field", "token", None),
        ("no id", good.replace('"id":1,', ""), "bad_field", "id", None),
        ("an id of null", good.replace('"id":1', '"id":null'), "bad_field", "id", None),
        ("a fraction as id", good.replace('"id":1', '"id":1.5'), "bad_field", "id", None),
        ("an id that is too long", good.replace('"id":1', f'"id":"{"x" * 65}"'), "bad_field", "id", None),
        ("no method", good.replace('"method":"ping",', ""), "bad_field", "method", 1),
        ("a request with a result", good[:-1] + ',"result":{}}', "bad_field", "result", 1),
        ("an unknown method", good.replace("ping", "pong"), "unknown_method", "method", 1),
        ("an id may be text", good.replace('"id":1', '"id":"a"').replace("ping", "Ping"), "unknown_method", "method",
         "a"),
        ("an unknown parameter", good.replace("{}", '{"x":1}'), "bad_field", "x", 1),
        ("params as an array", good.replace("{}", "[]"), "bad_field", "params", 1),
        ("a parameter is missing", good.replace("ping", "subscribe"), "bad_field", "stream", 1),
        ("a stream in upper case", _call("subscribe", {"stream": stream.upper()}), "bad_field", "stream", 1),
        ("a stream that is too short", _call("subscribe", {"stream": stream[2:]}), "bad_field", "stream", 1),
        ("since without its hash", _call("subscribe", {"stream": stream, "since": {"epoch": "00" * 16, "offset": 1}}),
         "bad_field", "since.hash", 1),
        ("a nonce that is too short", _call("subscribe", {"stream": stream, "nonce": "ab"}), "bad_field", "nonce", 1),
        ("a since of null", _call("subscribe", {"stream": stream, "since": None}), "bad_field", "since", 1),
        ("a token of null", _call("authenticate", {"proofs": [], "token": None}), "bad_field", "token", 1),
        ("65 proofs: a fault of form", _call("authenticate", {"proofs": [{"key": stream, "sig": "00" * 64}] * 65}),
         "bad_field", "proofs", 1),
        ("a limit of 0", _call("sessions", {"limit": 0}), "bad_field", "limit", 1),
        ("a limit of 1001", _call("sessions", {"limit": 1001}), "bad_field", "limit", 1),
        ("a statement as text", _call("submit", {"statement": "x"}), "bad_field", "statement", 1),
        ("a statement without signatures", _call("submit", {"statement": {"payload": "{}", "blobs": []}}), "bad_field",
         "statement.signatures", 1),
        ("a proof without its signature", _call("authenticate", {"proofs": [{"key": stream}]}), "bad_field",
         "proofs[0].sig", 1),
        ("a capacity of 0", _call("announce", {"capacity": 0}), "bad_field", "capacity", 1),
    ]  # fmt: skip


def _call(method: str, params: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

"""Frames: JSON-RPC 2.0 texts on the socket, and the typed parameters of every method (§2.2, §2.5).

    {"jsonrpc":"2.0","id":7,"method":"submit","params":{"statement":{…}}}      request
    {"jsonrpc":"2.0","id":7,"result":{"stream":"…","offset":4,"head":{…}}}     its answer
    {"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"…","data":{"reason":"bad_field","field":"slot",…}}}
    {"jsonrpc":"2.0","method":"record","params":{"stream":"…","record":{…}}}   notification

The coordinator is strict: unknown methods, fields, types and lengths are refused with an error that names the field.
Peers are lenient: they ignore members that they do not know.  No batch arrays.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

import msgspec
import orjson
from msgspec import Meta, Raw

from ..errors import BadInput, Reason, WireError, bad_field
from ..values import Epoch, Hash, Id, Salt, Signature, XOnlyKey, decode_sized
from .records import Head, Position, Record
from .shapes import Shape, members_of, split_complaint
from .statements import Statement, WireStatement, parse

SUBPROTOCOL: Final = "keymeld.v1"
FRAME_BYTES: Final = 1024 * 1024
PEER_FRAME_BYTES: Final = 2 * FRAME_BYTES
"""What peers accept, whatever their coordinator's limit: a record is longer than the frame that submitted it (§2.7)."""
MAX_PROOFS: Final = 64

JsonId = int | str
Token = Annotated[str, Meta(max_length=512)]


class Frame(msgspec.Struct, forbid_unknown_fields=True):
    """Any frame as the coordinator reads it."""

    jsonrpc: Annotated[str, Meta(pattern=r"\A2\.0\Z")]
    id: Annotated[int, Meta(ge=0, le=2**53 - 1)] | Annotated[str, Meta(max_length=64)] | None = None
    method: Annotated[str, Meta(max_length=64)] | None = None
    params: Raw = Raw()
    result: Raw = Raw()
    error: Raw = Raw()


class LenientFrame(Frame, forbid_unknown_fields=False):
    """Any frame as a peer reads it: members it does not know are ignored."""


class Proof(Shape, frozen=True, kw_only=True):
    """This connection speaks for ``key``; ``signs``: this device will contribute for it."""

    key: XOnlyKey
    sig: Signature
    signs: bool = False


class Authenticate(Shape, frozen=True, kw_only=True):
    """What this connection may hear; ``token``: the operator's permission to open sessions."""

    proofs: Annotated[tuple[Proof, ...], Meta(max_length=MAX_PROOFS)]
    token: Token | None = None


class Submit(Shape, frozen=True, kw_only=True):
    """The only way to change anything."""

    statement: WireStatement


class Since(Shape, frozen=True, kw_only=True):
    """Where a hearer stood when it last heard the stream."""

    epoch: Epoch
    offset: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    hash: Hash


class Subscribe(Shape, frozen=True, kw_only=True):
    """Hear a stream, from ``since`` or from its first record; the head of the answer is signed over ``nonce``."""

    stream: Id
    since: Since | None = None
    nonce: Salt | None = None


class Unsubscribe(Shape, frozen=True, kw_only=True):
    """Hear a stream no longer."""

    stream: Id


class ListSessions(Shape, frozen=True, kw_only=True):
    """The streams that concern the proven keys, in the order of their names."""

    open: bool = False
    after: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class NoParams(Shape, frozen=True, kw_only=True):
    """A method without parameters."""


class Attest(Shape, frozen=True, kw_only=True):
    """Ask an enclave for a fresh attestation document that carries ``nonce``."""

    enclave: XOnlyKey
    nonce: Salt


class Announce(Shape, frozen=True, kw_only=True):
    """An enclave says that it is there, how many keys it can hold, and (when it has one) its document."""

    capacity: Annotated[int, Meta(ge=1, le=10_000_000)]
    document: Annotated[str, Meta(max_length=32 * 1024)] | None = None


METHODS: Final[dict[str, type[Shape]]] = {
    "authenticate": Authenticate,
    "submit": Submit,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "sessions": ListSessions,
    "enclaves": NoParams,
    "attest": Attest,
    "announce": Announce,
    "ping": NoParams,
}


class WireRecord(msgspec.Struct, frozen=True):
    """A record as it lies in a frame or an exported log."""

    epoch: Epoch
    offset: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    at: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    hash: Hash
    statement: WireStatement


class WireHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A signed head as it lies in a frame or an exported log."""

    epoch: Epoch
    offset: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    hash: Hash
    at: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    nonce: Salt | None = None
    sig: Signature


_strict = msgspec.json.Decoder(Frame)
_lenient = msgspec.json.Decoder(LenientFrame)
_params = {name: msgspec.json.Decoder(shape, dec_hook=decode_sized) for name, shape in METHODS.items()}


def decode(data: str | bytes, *, strict: bool) -> Frame:
    """Read one frame; ``strict`` as the coordinator does (§2.2).

    Raises:
        BadInput: ``bad_json`` for what is no JSON object, ``bad_field`` for a member of the wrong type.
    """
    try:
        return (_strict if strict else _lenient).decode(data)
    except msgspec.ValidationError as error:
        raise bad_field(*_complaint(error, "frame")) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadInput(Reason.BAD_JSON, "the frame is not a JSON object", field="frame") from None


def params_of(method: str, params: Raw) -> Any:
    """The typed parameters of ``method``.

    Raises:
        BadInput: ``unknown_method``, or ``bad_field`` naming the field and its rule.
    """
    decoder = _params.get(method)
    if decoder is None:
        raise BadInput(Reason.UNKNOWN_METHOD, "no such method", field="method")
    try:
        _refuse_null(params)
        return decoder.decode(params or b"{}")
    except msgspec.ValidationError as error:
        raise bad_field(*_complaint(error, "params")) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadInput(Reason.BAD_JSON, "params are not a JSON object", field="params") from None


def _refuse_null(params: Raw) -> None:
    """An optional parameter is absent, never null (§1.3).

    Raises:
        BadInput: naming the first one that is null.
    """
    if b"null" in bytes(params):
        for name, value in members_of(params).items():
            if bytes(value) == b"null":
                raise bad_field(
                    name if name.isidentifier() else "params", "is left out where it has nothing to say, never null"
                )


def _complaint(error: msgspec.ValidationError, whole: str) -> tuple[str, str]:
    """Field and rule; ``whole`` is what is wrong when no single field is."""
    field, rule = split_complaint(error)
    return (whole if field == "payload" else field), rule


T = TypeVar("T")


def convert(raw: Raw, kind: type[T]) -> T:
    """Turn a raw member of a frame into ``kind``; unknown members are ignored where ``kind`` allows.

    Raises:
        BadInput: it does not fit.
    """
    try:
        return msgspec.json.decode(raw or b"null", type=kind, dec_hook=decode_sized)
    except msgspec.ValidationError as error:
        raise bad_field(*_complaint(error, "result")) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadInput(Reason.BAD_JSON, "the result is not JSON", field="result") from None


def request(ident: JsonId, method: str, params: dict[str, Any]) -> bytes:
    """A request frame."""
    return orjson.dumps({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})


def result(ident: JsonId, value: dict[str, Any]) -> bytes:
    """The answer to a request."""
    return orjson.dumps({"jsonrpc": "2.0", "id": ident, "result": value})


def notification(method: str, params: dict[str, Any]) -> bytes:
    """A frame that wants no answer."""
    return orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params})


def error(ident: JsonId | None, problem: WireError, position: dict[str, Any] | None = None) -> bytes:
    """The answer to a request that failed; ``ident`` is null when the request could not be read."""
    data: dict[str, Any] = {"reason": problem.reason.value, "repeatable": problem.reason.repeatable}
    for name in ("field", "limit", "retry_after_ms"):
        if (value := getattr(problem, name)) is not None:
            data[name] = value
    if position is not None:
        data["position"] = position
    body = {"code": problem.reason.code, "message": problem.message, "data": data}
    return orjson.dumps({"jsonrpc": "2.0", "id": ident, "error": body})


def record_json(record: Record) -> bytes:
    """A record's JSON, made once and kept beside the record: fan-out sends the same bytes to everybody."""
    cached = record.__dict__.get("json")
    if cached is None:
        statement = record.statement.wire
        cached = orjson.dumps(
            {
                "epoch": record.epoch.hex(),
                "offset": record.offset,
                "at": record.at,
                "hash": record.hash.hex(),
                "statement": {
                    "payload": statement.payload,
                    "signatures": statement.signatures,
                    "blobs": statement.blobs,
                },
            }
        )
        record.__dict__["json"] = cached
    return bytes(cached)


def record_frame(stream: Id, record: Record, head: Head | None = None) -> bytes:
    """The notification that carries ``record``, and the signed ``head`` at it where it is the latest one."""
    told: dict[str, Any] = {"stream": stream.hex(), "record": orjson.Fragment(record_json(record))}
    return notification("record", told if head is None else told | {"head": head_json(head)})


def hearing_frame(stream: Id, whole: bool) -> bytes:
    """The notification that ``stream`` begins, or ends, to be open to a connection as a ``whole`` (§4.4)."""
    return notification("hearing", {"stream": stream.hex(), "whole": whole})


def record_of(wire: WireRecord, own: Statement | None = None, *, verified: bool = False) -> Record:
    """A record whose statement has been parsed and whose signatures hold; its place is for the chain to check.

    One that is byte for byte the hearer's ``own`` is taken for it.  ``verified`` skips the signatures of what the
    hearer's own checkpoint covers (§4.6).

    Raises:
        BadInput: the statement breaks a rule.
    """
    known = own is not None and own.wire == wire.statement
    statement = own if known and own is not None else parse(wire.statement, verified=verified)
    return Record(wire.epoch, wire.offset, wire.at, wire.hash, statement)


def statement_json(statement: WireStatement) -> dict[str, Any]:
    """A statement's members, for ``submit``."""
    return {"payload": statement.payload, "signatures": statement.signatures, "blobs": statement.blobs}


def head_json(head: Head) -> dict[str, Any]:
    """A head's members."""
    told = {"epoch": head.epoch.hex(), "offset": head.offset, "hash": head.hash.hex(), "at": head.at}
    nonce = {"nonce": head.nonce.hex()} if head.nonce is not None else {}
    return told | nonce | {"sig": head.signature.hex()}


def head_of(wire: WireHead) -> Head:
    """A head, not yet verified."""
    return Head(wire.epoch, wire.offset, wire.hash, wire.at, wire.sig, wire.nonce)


def wire_head(head: Head) -> WireHead:
    """A head as it comes out of a frame."""
    here = head.position
    return WireHead(
        epoch=here.epoch, offset=here.offset, hash=here.hash, at=head.at, nonce=head.nonce, sig=head.signature
    )


def since_json(position: Position) -> dict[str, Any]:
    """A position's members, for ``subscribe``."""
    return {"epoch": position.epoch.hex(), "offset": position.offset, "hash": position.hash.hex()}

"""Every message, and every way to spoil it: made from the types themselves, so that a new kind is covered by itself.

    full(KeygenJoin)              {"kind": "keygen.join", "v": 1, "by": "3f…", …}    every field present, all valid
    least(KeygenJoin)             the same without what may be absent
    for spoilt in spoils(KeygenJoin): …      what, the field that must be named, and the object

Keys and hashes follow from the place where they stand.  ``AGREED`` names the few fields whose values must agree with
one another: a kind with such a rule of its own needs a line there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from msgspec import inspect

from keymeld_protocol.values import Sized
from keymeld_protocol.wire import payloads, statements
from keymeld_protocol.wire.shapes import Payload
from keymeld_protocol.wire.statements import Statement

ALL: dict[str, type[Any]] = {**payloads.KINDS, "note.*": payloads.Note}
"""Every kind of payload, notes among them."""

AGREED: dict[str, dict[str, Any]] = {
    "Rule": {"approval": "quorum", "threshold": 1, "of": [0, 1]},
    "KeygenCreate": {"subsets": [[0, 1]]},
    "KeygenJoin": {"custody": "sealed"},
    "SigningContribute": {"step": "both"},
    "AttemptOpened": {"last": sha256(b"signers[0].key").hexdigest()},
    "Note": {"kind": "note.hello"},
}
LEAST: dict[str, dict[str, Any]] = {
    "Rule": {"approval": "none"},
    "KeygenJoin": {"custody": "device"},
    "SigningContribute": {"step": "nonces"},
}
"""The same for messages without their optional fields."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Spoilt:
    """A message with one fault: ``what`` it is, the ``field`` that an error must name, and the message."""

    what: str
    field: str
    message: dict[str, Any]


def text(message: Any) -> str:
    """JSON without spaces, fields in their order."""
    return json.dumps(message, separators=(",", ":"))


def full(kind: type[Any]) -> dict[str, Any]:
    """A valid message of ``kind`` with every field."""
    return _struct(_info(kind), "", AGREED, optional=True)


def least(kind: type[Any]) -> dict[str, Any]:
    """A valid message of ``kind`` with the fields that it must have."""
    return _struct(_info(kind), "", LEAST | {"Note": AGREED["Note"]}, optional=False)


def sample(kind: type[Any]) -> Statement:
    """A statement of ``kind`` that is in its one spelling and says nothing to anybody; its signatures are empty."""
    payload: Payload = payloads.parse(text(least(kind)))  # type: ignore[assignment]
    blobs = (None,) * len(payload.blob_digests())
    ident = statements.statement_id(payloads.encode(payload))
    return Statement(payloads.encode(payload), payload, ident, (), blobs)


def fields(kind: type[Any]) -> list[str]:
    """The names of the fields of ``kind``, its tag first."""
    info = _info(kind)
    return ([info.tag_field] if info.tag_field else []) + [field.encode_name for field in info.fields]


def spoils(kind: type[Any]) -> Iterator[Spoilt]:
    """Every fault of a single field: missing, unknown, wrong type, length, case, range, word, order."""
    message, info = full(kind), _info(kind)
    yield from _spoil_struct(message, (), info)


def _info(kind: type[Any]) -> inspect.StructType:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return info


# What is valid ----------------------------------------------------------------------------------------------------


def _struct(info: inspect.StructType, path: str, agreed: dict[str, Any], *, optional: bool) -> dict[str, Any]:
    made: dict[str, Any] = {info.tag_field: info.tag} if info.tag_field else {}
    given = agreed.get(info.cls.__name__, {})
    for field in info.fields:
        name = field.encode_name
        if name in given:
            made[name] = given[name]
        elif field.required or optional:
            made[name] = _value(field.type, f"{path}.{name}".lstrip("."), agreed, optional=optional)
    return made


def _value(kind: inspect.Type, path: str, agreed: dict[str, Any], *, optional: bool) -> Any:
    match _solid(kind):
        case inspect.StructType() as info:
            return _struct(info, path, agreed, optional=optional)
        case inspect.CustomType(cls=cls) if issubclass(cls, Sized):
            return (sha256(path.encode()).hexdigest() * 3)[: 2 * cls.size]
        case inspect.IntType(ge=ge):
            return ge or 0
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.BoolType():
            return True
        case inspect.StrType():
            return "word"
        case inspect.VarTupleType(item_type=item):
            if isinstance(item, inspect.IntType):
                return [0, 1]
            count = 2 if isinstance(item, inspect.CustomType) else 1
            return [_value(item, f"{path}[{i}]", agreed, optional=optional) for i in range(count)]
        case other:
            raise NotImplementedError(f"{path}: {other}")


def _solid(kind: inspect.Type) -> inspect.Type:
    """The type of a field that may be absent or null."""
    if isinstance(kind, inspect.UnionType):
        (solid,) = (t for t in kind.types if not isinstance(t, inspect.NoneType))
        return solid
    return kind


# What is not ------------------------------------------------------------------------------------------------------


def _spoil_struct(message: dict[str, Any], path: Path, info: inspect.StructType) -> Iterator[Spoilt]:
    yield _with(message, (*path, "surplus"), 1, "an unknown field")
    for field in info.fields:
        here = (*path, field.encode_name)
        if field.required:
            yield _without(message, here)
        yield from _spoil(message, here, _solid(field.type))


def _spoil(message: dict[str, Any], path: Path, kind: inspect.Type) -> Iterator[Spoilt]:
    for what, value in _bad(kind, _at(message, path)):
        yield _with(message, path, value, what)
    match kind:
        case inspect.StructType():
            yield from _spoil_struct(message, path, kind)
        case inspect.VarTupleType(item_type=item):
            yield from _spoil(message, (*path, 0), _solid(item))


def _bad(kind: inspect.Type, good: Any) -> Iterator[tuple[str, Any]]:
    """Values that break the rule of ``kind``, each with a word for it."""
    for what, value in (("an object", {}), ("a list", []), ("a text", "?"), ("a number", 5), ("a yes", True)):
        if type(value) is not type(good):
            yield f"{what} instead", value
    match kind:
        case inspect.CustomType():
            yield from _bad_hex(good)
        case inspect.IntType(ge=ge, lt=lt, le=le):
            yield "too small", (ge or 0) - 1
            yield "too large", lt if lt is not None else (le or 2**53 - 1) + 1
            yield "far too large", 2**64
            yield "a fraction", good + 0.5
            yield "a float", float(good)
        case inspect.LiteralType(values=values):
            yield "none of its words", values[0] + 1 if isinstance(values[0], int) else str(values[0]).upper()
        case inspect.StrType(max_length=longest, pattern=pattern):
            if longest is not None:
                yield "too long", "x" * (longest + 1)
            if pattern is not None:
                yield "against its pattern", "Not.A Word"
                yield "with a line break", f"{good}\n"
        case inspect.VarTupleType(item_type=item, min_length=least_, max_length=most):
            yield from _bad_list(item, good, least_, most)


def _bad_hex(good: str) -> Iterator[tuple[str, str]]:
    yield "empty", ""
    yield "one byte short", good[:-2]
    yield "half a byte short", good[:-1]
    yield "one byte long", good + "00"
    yield "in upper case", good[:-2] + "AB"
    yield "not hex", good[:-1] + "g"
    yield "with a prefix", "0x" + good[2:]


def _bad_list(item: inspect.Type, good: list[Any], shortest: int | None, longest: int | None) -> Iterator[Any]:
    if shortest:
        yield "empty", []
    if longest is not None:
        yield "too many", [*good, *[good[0]] * longest]
    if isinstance(item, inspect.IntType):
        yield "falling", [1, 0]
        yield "repeated", [0, 0]


def _at(message: Any, path: Path) -> Any:
    for step in path:
        message = message[step]
    return message


def _with(message: dict[str, Any], path: Path, value: Any, what: str) -> Spoilt:
    spoilt = deepcopy(message)
    _at(spoilt, path[:-1])[path[-1]] = value
    return Spoilt(f"{name(path)} {what}", name(path), spoilt)


def _without(message: dict[str, Any], path: Path) -> Spoilt:
    spoilt = deepcopy(message)
    del _at(spoilt, path[:-1])[path[-1]]
    return Spoilt(f"{name(path)} missing", name(path), spoilt)


def name(path: Path) -> str:
    """How errors write a path: ``signers[0].slots``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


__all__ = ["ALL", "Spoilt", "fields", "full", "least", "sample", "spoils", "text"]

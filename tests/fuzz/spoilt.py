"""Bytes as a stranger might send them: valid vectors, spoilt one to four times; and a word for what must come of them.

texts(seeds)   JSON with values replaced, repeated, moved, nested, renamed; or any other text, surrogates included
raws(seeds)    bytes flipped, cut, inserted, repeated, and spliced from two seeds
either(BadInput, parse, data)     the value, or None where it is refused with that error; anything else is a fault
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from keymeld_protocol.errors import KeymeldError
from tests.support.wire import wire
from tests.world.profile import profile

T = TypeVar("T")

QUICK: settings = profile(60)
"""For parsers that take microseconds."""

SLOW: settings = profile(20)
"""For those that compute on the curve or read whole PSBTs."""

DEEP = 3_000
"""Levels of nesting that no parser follows."""

HUGE: Sequence[int | float] = (
    -1, 2**16, 2**31, 2**32, 2**53 - 1, 2**53, 2**63, 2**64, 2**256, 10**400, -(2**63), 0.5, 1.0, 1e22, float("inf"),
)  # fmt: skip
WORDS: Sequence[str] = (
    "", "\0", "\ud800", "é", "e\u0301", "\u202e", "00", "00" * 31, "00" * 32, "ff" * 32, "00" * 33, "02" + "ff" * 32,
    "AA", "AA==", "a" * 5000,
)  # fmt: skip

atoms: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.sampled_from(HUGE), st.integers(), st.sampled_from(WORDS),
    st.text(st.characters(), max_size=20), st.just([]), st.just({}),
)  # fmt: skip


def either(refusal: type[KeymeldError], call: Callable[..., T], *args: Any, **options: Any) -> T | None:
    """What ``call`` gives, or None if it refuses as it says that it may."""
    try:
        return call(*args, **options)
    except refusal:
        return None


@cache
def seeds(file: str, *path: str) -> tuple[Any, ...]:
    """The last member of ``path`` of every case in a list of our own vectors, where a case has it."""
    *way, name = path
    found = wire(file)
    for part in way:
        found = found[part]
    return tuple(case[name] for case in found if case.get(name) is not None)


def texts(valid: Sequence[str]) -> st.SearchStrategy[str]:
    """One of ``valid`` (JSON), spoilt; now and then as it is, or a text of another kind."""
    surgery = st.builds(_operated, st.sampled_from(valid), st.lists(_operations, min_size=1, max_size=4))
    nested = st.sampled_from(["[" * DEEP, '{"a":' * DEEP, '{"params":' + "[" * DEEP + "]" * DEEP + "}"])
    return st.one_of(surgery, spelled(valid), st.sampled_from(valid), nested, st.text(st.characters(), max_size=40))


def spelled(valid: Sequence[str]) -> st.SearchStrategy[str]:
    """One of ``valid`` with characters removed, repeated, replaced or inserted; of surrogates, too."""
    edits = st.tuples(st.floats(0, 1), st.integers(0, 3), st.text(st.characters(), max_size=3))
    return st.builds(_edited, st.sampled_from(valid), st.lists(edits, max_size=3))


def raws(valid: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of ``valid``, spoilt byte by byte; or two of them in one; or anything."""
    edits = st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=4))
    edited = st.builds(_edited, st.sampled_from(valid), st.lists(edits, max_size=4))
    spliced = st.builds(_spliced, st.sampled_from(valid), st.sampled_from(valid), st.floats(0, 1), st.floats(0, 1))
    return st.one_of(edited, spliced, st.binary(max_size=200))


def _edited(whole: Any, edits: list[tuple[float, int, Any]]) -> Any:
    """Text or bytes: at each place what follows is overwritten, cut away, repeated, or moved behind an insertion."""
    for where, how, put in edits:
        at = int(where * len(whole))
        head, tail = whole[:at], whole[at:]
        whole = (head + put + tail[len(put) :], head, head + tail[:9] + tail, head + put + tail)[how]
    return whole


def _spliced(one: bytes, other: bytes, where: float, there: float) -> bytes:
    return one[: int(where * len(one))] + other[int(there * len(other)) :]


_operations = st.tuples(
    st.integers(min_value=0), st.sampled_from(["put", "drop", "twice", "wrap", "rename", "swap"]), atoms
)


def _operated(text: str, operations: list[tuple[int, str, Any]]) -> str:
    """JSON with operations carried out on members that numbers pick; JSON in strings is opened like all the rest."""
    tree = _opened(json.loads(text))
    for pick, how, value in operations:
        places = list(_places(tree))
        if places:
            holder, key = places[pick % len(places)]
            _operate(holder, key, how, value)
    return json.dumps(_closed(tree), separators=(",", ":"), ensure_ascii=False)


class _Quoted(dict[str, Any]):
    """An object that stood in a string."""


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        return _Quoted(_opened(json.loads(value)))
    if isinstance(value, dict):
        return {name: _opened(member) for name, member in value.items()}
    return [_opened(member) for member in value] if isinstance(value, list) else value


def _closed(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {name: _closed(member) for name, member in value.items()}
        return json.dumps(plain, separators=(",", ":")) if isinstance(value, _Quoted) else plain
    return [_closed(member) for member in value] if isinstance(value, list) else value


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of every object and list, as what holds it and where."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _operate(holder: Any, key: Any, how: str, value: Any) -> None:
    """Carry out one operation on the member of ``holder`` at ``key``."""
    if how == "put":
        holder[key] = value
    elif how == "wrap":
        holder[key] = [holder[key]]
    elif how == "drop":
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[key] if how == "twice" else value)
    elif how == "swap":
        holder[key] = holder.pop(key)
    else:
        holder[f"{key}{value}" if how == "rename" else f"{key}2"] = holder[key]

"""Reading the wire vectors: one file at a time, one test for each case in it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from keymeld_protocol.errors import WireError

from .vectors import WIRE

HEX = bytes.fromhex


@cache
def wire(name: str) -> Any:
    """One file of vectors."""
    return json.loads((WIRE / f"{name}.json").read_bytes())


def each(name: str, *path: str) -> pytest.MarkDecorator:
    """Parametrize ``one`` over a list in a file; comments name the cases."""
    found = wire(name)
    for part in path:
        found = found[part]
    return pytest.mark.parametrize("one", found, ids=[one.get("kind", one["comment"]) for one in found])


def refusal(call: Any, *args: Any) -> tuple[str, str | None]:
    """The reason and the field with which a call refuses."""
    with pytest.raises(WireError) as caught:
        call(*args)
    return caught.value.reason.value, caught.value.field

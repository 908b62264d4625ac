"""The examples in protocol/README.md and docs/client.md: copied from the wire vectors, never written by hand.

<!-- example keygen.join -->
```json
{"kind":"keygen.join",…                   what stands here is replaced
```
<!-- end -->
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"(<!-- example (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, wire: Path) -> str:
    """``text`` with the body of every example block made from the vectors in ``wire``.

    Raises:
        KeyError: a block names an example that the vectors do not have.
    """
    found = examples(wire)
    return _BLOCK.sub(lambda block: f"{block[1]}```json\n{found[block[2]]}\n```\n{block[3]}", text)


def names(text: str) -> list[str]:
    """The names of the example blocks in ``text``, in order."""
    return [block[2] for block in _BLOCK.finditer(text)]


def examples(wire: Path) -> dict[str, str]:
    """Every example by name: kinds, and some frames, records and plaintexts."""
    statements = _read(wire, "statements")["statements"]
    frames, log = _read(wire, "frames"), _read(wire, "log")
    found = {one["kind"]: _wrapped(one["payload"]) for one in statements}
    for one in reversed(frames["methods"]):
        found[f"method.{one['method']}"] = f"{_shortened(one['request'])}\n{_shortened(one['response'])}"
    for one in reversed(frames["notifications"]):
        found[f"notification.{one['method']}"] = _shortened(one["frame"])
    found["hello"] = _wrapped(frames["hello"]["frame"])
    found["error"] = _wrapped(next(one["frame"] for one in frames["errors"] if one["reason"] == "slot_taken"))
    found["record"] = _wrapped(_dumps(log["streams"][1]["records"][1]))
    for one in reversed(_read(wire, "contents")["contents"]):
        found[f"content.{one['shape']}"] = _wrapped(one["text"])
    digits = _read(wire, "roster")["digits"][0]
    found["roster.digits"] = f"{digits['roster']}\n{digits['digits']}"
    for one in _read(wire, "tickets")["tickets"][:1]:
        found["ticket"] = f"{one['text']}\n{one['https']}"
    return found


def _read(wire: Path, name: str) -> Any:
    return json.loads((wire / f"{name}.json").read_bytes())


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _shortened(frame: str) -> str:
    """A frame whose long texts are cut: its shape is what matters."""
    return _dumps(_cut(json.loads(frame)))


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value]
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 24 else value


def _wrapped(text: str) -> str:
    """A text broken after commas for the page; in the original it is one line."""
    lines, line = [], ""
    for part in re.split(r"(?<=,)(?=[\"{\[])", text):
        if line and len(line) + len(part) > 118:
            lines.append(line)
            line = ""
        line += part
    return "\n".join([*lines, line])

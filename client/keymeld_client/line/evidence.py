"""What broke a stream's log, in a form that fits into a file: for its owner, and for anybody he wants to convince.

Ours is the latest record that was verified, with the coordinator's signed head if there is one; theirs is the record or
head that contradicts it.  Two heads signed for one offset, or a statement said after a hash that is in nobody's chain,
convict whoever signed them.
"""

from __future__ import annotations

from keymeld_protocol.errors import BadInput, BrokenLog, Fork
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.wire.frames import WireHead, WireRecord, head_json, head_of, record_json
from keymeld_protocol.wire.records import Head, Record
from keymeld_protocol.wire.statements import check_signatures

Theirs = Record | WireRecord | WireHead | None


def describe(heard: Replay, error: BrokenLog, our_head: Head | None, theirs: Theirs) -> dict[str, object]:
    """The evidence, as JSON; ``fork`` says that the session stays read-only until its owner removes the file."""
    return {
        "why": str(error),
        "fork": isinstance(error, Fork),
        "ours": _ours(heard),
        "our_head": head_json(our_head) if our_head else None,
        "theirs": _told(theirs),
    }


def _ours(heard: Replay) -> str | None:
    """Our latest record; none whose signatures do not hold, which a checkpoint does not show (§4.6)."""
    if not heard.records:
        return None
    latest = heard.records[-1]
    try:
        check_signatures(latest.statement)
    except BadInput:
        return None
    return record_json(latest).decode()


def _told(theirs: Theirs) -> object:
    """What the other side said."""
    if isinstance(theirs, Record):
        return record_json(theirs).decode()
    if isinstance(theirs, WireHead):
        return head_json(head_of(theirs))
    if theirs is None:
        return None
    return {
        "offset": theirs.offset,
        "hash": theirs.hash.hex(),
        "payload": theirs.statement.payload,
        "signatures": list(theirs.statement.signatures),
    }

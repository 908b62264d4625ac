"""faults.json: who is at fault in each log, found in nothing but the log and the group secret (§11.5)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from keymeld_client.shown.blame import judge_signing
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.roster import read_roster
from keymeld_protocol.values import Id, XOnlyKey, decode_sized
from keymeld_protocol.wire.frames import WireRecord, record_of
from tests.support.vectors import ROOT
from tests.support.wire import HEX, each, wire
from tests.vectors.wire_faults import judged


def heard(stream: str, records: list[Any], keygen: Replay | None = None) -> Replay:
    """A log, verified."""
    replay = Replay(Id.from_hex(stream), keygen, XOnlyKey(HEX(wire("faults")["coordinator"])))
    for one in records:
        replay.hear(record_of(msgspec.convert(one, WireRecord, dec_hook=decode_sized)))
    return replay


@each("faults", "signings")
def test_who_is_at_fault_is_found_as_it_is_written(one: Any) -> None:
    home = wire("faults")
    keygen = heard(home["keygen"], home["records"])
    assert keygen.as_keygen is not None
    create = keygen.as_keygen.create
    group = GroupKey.open_group(HEX(home["S"]), create.salt, create.group)
    found = judged(judge_signing(heard(one["signing"], one["records"], keygen), read_roster(keygen, group), group))
    assert found == {name: one[name] for name in ("faults", "refusal", "has_cause", "unread")}


def test_every_row_of_blame_convicts_somebody() -> None:
    law = (ROOT / "protocol" / "README.md").read_text("utf-8").partition("## 11.5 ")[2].partition("\n# ")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", law, re.MULTILINE))
    assert len(named) == 9
    found = {fault["code"] for one in wire("faults")["signings"] for fault in one["faults"]}
    assert named | {"bad_request", "without_cause"} == found

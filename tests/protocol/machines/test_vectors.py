"""machines.json, due.json: both machines played as it is written, with every row of their rules among it."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from keymeld_protocol.errors import WireError
from keymeld_protocol.machines.streams import MACHINES, step
from keymeld_protocol.values import Epoch, XOnlyKey
from keymeld_protocol.wire.records import Chain
from tests.support.vectors import ROOT
from tests.support.wire import HEX, each, wire
from tests.vectors import traces, wire_due
from tests.vectors.diagrams import tag_of

EPOCH = Epoch(HEX(wire("machines")["epoch"]))


class Played:
    """A stream, told by payloads and times."""

    def __init__(self, keygen: Played | None = None) -> None:
        self.keygen = keygen
        self.heard: Any = None
        self.chain: Chain | None = None

    @classmethod
    def of(cls, log: list[Any], keygen: Played | None = None) -> Played:
        played = cls(keygen)
        for one in log:
            played.hear(one)
        return played

    def hear(self, one: Any) -> None:
        """Take a step; whoever refuses changes nothing."""
        said = traces.unsigned(one["payload"])
        chain = self.chain or Chain(said.id)
        record = chain.next(EPOCH, one["at"], said)
        assert record.at == one["at"], "no clock goes back"
        if self.heard is None:
            self.heard = traces.opened(self.keygen, said, one["at"])  # type: ignore[arg-type]
        else:
            traces.stood(self.heard, chain, said)
            self.heard = step(self.heard, record)
        chain.append(record)
        self.chain = chain


def home(file: str, one: Any) -> Played | None:
    """The keygen of a signing."""
    return Played.of(wire(file)["logs"][one["keygen"]]) if "keygen" in one else None


@pytest.mark.parametrize(
    "one", [pytest.param(one, id=one["comment"]) for kind in ("keygens", "signings") for one in wire("machines")[kind]]
)
def test_a_stream_is_played_as_it_is_written(one: Any) -> None:
    played = Played(home("machines", one))
    for each_step in one["steps"]:
        if "refused" in each_step:
            before = played.heard
            with pytest.raises(WireError) as caught:
                played.hear(each_step)
            assert traces.answer(caught.value) == each_step["refused"] and played.heard is before
            continue
        for _ in range(each_step.get("times", 1)):
            played.hear(each_step)
        if "state" in each_step:
            assert traces.told(played.heard) == each_step["state"], each_step.get("comment")


@each("machines", "openings")
def test_a_stream_is_opened_as_it_is_written(one: Any) -> None:
    played = Played(home("machines", one))
    if "refused" in one:
        with pytest.raises(WireError) as caught:
            played.hear(one)
        assert traces.answer(caught.value) == one["refused"]
    else:
        played.hear(one)
        assert traces.told(played.heard) == one["state"]


def test_the_tables_are_those_of_the_machines() -> None:
    for table, machine in zip(wire("machines")["tables"], MACHINES, strict=True):
        leads = {(m["state"], m["kind"], lead["state"]) for m in table["moves"] for lead in m["leads"]}
        own = {(str(phase), tag_of(kind), str(to)) for (phase, kind), m in machine.table.items() for to in m.leads}
        assert leads == own and table["machine"] == machine.name


@pytest.mark.parametrize("kind", ["keygen", "signing"])
def test_every_lead_of_a_table_is_taken_in_what_is_played(kind: str) -> None:
    taken = set()
    for one in wire("machines")[f"{kind}s"]:
        told = [(s["payload"], s["state"]["state"]) for s in one["steps"] if "state" in s and "times" not in s]
        for (_, before), (payload, after) in pairwise(told):
            taken.add((before, json.loads(payload)["kind"], after))
    table = next(table for table in wire("machines")["tables"] if table["machine"] == kind)
    assert {(m["state"], m["kind"], lead["state"]) for m in table["moves"] for lead in m["leads"]} <= taken


def rows(clause: str) -> Counter[tuple[str, str]]:
    """How many rows of a clause's table answer a kind with a word."""
    text = (ROOT / "protocol" / "README.md").read_text("utf-8").partition(f"## {clause} What each kind asks for")[2]
    found, kinds = Counter[tuple[str, str]](), list[str]()
    for cells in re.findall(r"^\| (.*?)\| (.*) \| (.*) \|$", text.partition("\n## ")[0], re.MULTILINE)[2:]:
        kinds = re.findall(r"`([\w.*]+)`", cells[0]) or kinds
        for word in re.findall(r"`([a-z_]+)`", cells[2].partition(" with ")[0]):
            found.update((kind.replace("*", ""), word) for kind in kinds)
    return found


@pytest.mark.parametrize(("clause", "kind"), [("6.2", "keygen"), ("7.2", "signing")])
def test_every_row_of_a_machines_rules_is_refused_once_and_taken_once(clause: str, kind: str) -> None:
    played = wire("machines")
    steps = [each_step for one in played[f"{kind}s"] for each_step in one["steps"]] + played["openings"]
    refused, taken = Counter[tuple[str, str]](), set[str]()
    for each_step in steps:
        said = re.sub(r"^note\..*", "note.", json.loads(each_step["payload"])["kind"])
        if "refused" in each_step:
            refused[said, each_step["refused"]["reason"]] += 1
        else:
            taken.add(said)
    wanted = rows(clause)
    assert len(wanted) > 20, "the table was read"
    assert {row: count for row, count in wanted.items() if refused[row] < count} == {}
    assert {said for said, _ in wanted} <= taken


@pytest.mark.parametrize(
    ("kind", "reason"), [("keygen.join", "not_allowed"), ("signing.request", "wrong_state")], ids=["join", "request"]
)
def test_where_the_speaker_of_a_join_and_of_a_request_stood_is_judged(kind: str, reason: str) -> None:
    played = wire("machines")
    steps = [each_step for one in played["keygens"] for each_step in one["steps"]] + played["openings"]
    said = [each_step.get("refused", {}) for each_step in steps if json.loads(each_step["payload"])["kind"] == kind]
    assert {"reason": reason, "field": "after"} in said and {} in said


@each("due", "streams")
def test_what_is_due_is_said_as_it_is_written(one: Any) -> None:
    played = Played.of(one["log"], home("due", one))
    assert played.heard is not None
    for asked in one["asked"]:
        here = frozenset(XOnlyKey(HEX(key)) for key in asked["here"])
        found = wire_due.answers(played.heard, asked["at"], here, asked["up_since"])
        assert found == {name: asked[name] for name in ("due", "deadline", "awaited")}, asked["comment"]

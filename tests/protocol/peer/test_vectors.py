"""tests/vectors/wire/peer.json: what every peer does alike, told in numbers."""

import re
from typing import Any

import pytest

from keymeld_protocol.peer.waits import Backoff, Ended
from tests.support.played import played
from tests.support.vectors import ROOT
from tests.support.wire import each, wire


@each("peer", "waits")
def test_a_peer_waits_as_it_is_written(one: Any) -> None:
    numbers = iter(one["random"])
    backoff = Backoff(lambda: next(numbers))
    for end in one["ends"]:
        ended = Ended("because", end["code"], end["retry_after_ms"])
        assert backoff.after(ended, end["stood_ms"]) == end["wait_ms"]
    assert list(numbers) == []


def test_every_close_code_of_the_specification_is_waited_for_as_its_row_says() -> None:
    table = (ROOT / "protocol" / "README.md").read_text("utf-8").partition("## 2.8 ")[2].partition("## 2.9 ")[0]
    rows = dict(re.findall(r"^\| (4\d\d\d) \|.*\| ([^|:]*)[^|]* \|$", table, re.MULTILINE))
    first = {str(end["code"]): end["wait_ms"] for one in wire("peer")["waits"] for end in one["ends"][:1]}
    assert len(rows) == 11 and rows.keys() <= first.keys()
    assert {code: "never" if first[code] is None else "later" if first[code] else "at once" for code in rows} == rows


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(one, id=one["comment"])
        for kind in ("pacing", "heartbeat", "resuming")
        for one in wire("peer")[kind]
    ],
)
def test_a_conversation_is_held_as_it_is_written(one: Any) -> None:
    assert played(one) == {name: one[name] for name in ("sent", "ready_at", "lost_at")}

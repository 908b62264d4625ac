"""resume.json: where a subscription goes on, and what a connection hears, as it is written (§4.3, §4.4)."""

from __future__ import annotations

from typing import Any

import pytest

from keymeld_protocol.values import Epoch, XOnlyKey
from tests.support.wire import HEX, wire
from tests.vectors.wire_resume import ANYBODY, answered, keygen_of, session_of_log, session_of_rows, since_of

MEMBERS = ("recovered", "reason", "first", "last", "refused")


def asked(kind: str) -> pytest.MarkDecorator:
    """Every question to every log."""
    cases = [(log, one) for log in wire("resume")[kind] for one in log["asked"]]
    return pytest.mark.parametrize(("log", "one"), cases, ids=[one["comment"] for _, one in cases])


def expected(one: Any) -> Any:
    return {name: one[name] for name in MEMBERS if name in one}


@asked("answers")
def test_a_subscription_goes_on_as_it_is_written(log: Any, one: Any) -> None:
    found = answered(session_of_rows(log), since_of(one["since"]), {ANYBODY}, Epoch.from_hex(log["epoch"]))
    assert found == expected(one)


@asked("rights")
def test_a_connection_hears_what_its_keys_may_as_it_is_written(log: Any, one: Any) -> None:
    home = keygen_of(wire("resume")["logs"][log["keygen"]]) if "keygen" in log else None
    proven = {XOnlyKey(HEX(key)) for key in one["proven"]}
    session = session_of_log(log["log"], home)
    assert answered(session, since_of(one["since"]), proven, session.epoch) == expected(one)


def test_every_answer_is_there() -> None:
    found = wire("resume")
    told = [one for kind in ("answers", "rights") for log in found[kind] for one in log["asked"]]
    reasons = {one.get("reason") or one.get("refused", {}).get("reason") for one in told}
    assert reasons == {None, "epoch", "fork", "first_record_only", "slot_taken"}

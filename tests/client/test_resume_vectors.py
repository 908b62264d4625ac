"""resume.json: what a client makes of a log that is told anew, and what it says again, as it is written (§4.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.restored import restored
from tests.support.wire import each, wire

FOUND = ("fork", "shared", "cannot_return", "lost", "said", "may_be_signed")
RULES = [
    "keygen.create back", "keygen.join back", "custody.accept back", "custody.refuse back", "keygen.confirm back",
    "keygen.leave back", "signing.heard back", "signing.refuse back",
    "keygen.create waited_for", "keygen.join waited_for", "custody.accept waited_for", "custody.refuse waited_for",
    "custody.wiped waited_for", "keygen.release waited_for", "keygen.confirm waited_for", "keygen.leave waited_for",
    "signing.request waited_for", "signing.approve waited_for", "signing.reject waited_for",
    "signing.cancel waited_for", "signing.heard waited_for", "signing.refuse waited_for",
    "attempt.opened not_waited_for", "note.hello not_waited_for",
    "signing.contribute not_waited_for", "signing.retry not_waited_for",
    "keygen.join not_waited_for", "custody.accept not_waited_for", "custody.refuse not_waited_for",
    "keygen.release not_waited_for", "keygen.confirm not_waited_for", "signing.approve not_waited_for",
    "signing.request not_waited_for",
]  # fmt: skip
"""What the vectors have to show at least once (§4.3)."""


def kind(one: Any, offset: int) -> str:
    return str(json.loads(one["before"][offset - 1]["payload"])["kind"])


@each("resume", "anew")
def test_a_log_that_is_told_anew_is_judged_and_mended_as_it_is_written(one: Any) -> None:
    assert restored(one) == {name: one[name] for name in FOUND if name in one}


@pytest.mark.parametrize("rule", RULES)
def test_of_every_kind_it_is_shown_what_becomes_of_it(rule: str) -> None:
    assert rule in {
        f"{kind(one, each['offset'])} {each['is']}" for one in wire("resume")["anew"] for each in one.get("lost", ())
    }


def test_what_is_said_again_is_said_as_the_same_bytes_and_with_another_after() -> None:
    said = [
        (kind(one, each["offset"]), "payload" in each) for one in wire("resume")["anew"] for each in one.get("said", ())
    ]
    assert {("keygen.create", False), ("keygen.join", False), ("keygen.join", True), ("signing.request", False)} <= {
        *said
    }
    assert {kind for kind, anew in said if anew} >= {
        "signing.reject",
        "signing.cancel",
        "keygen.leave",
        "keygen.release",
    }


def test_what_is_said_anew_is_the_same_but_for_its_after() -> None:
    for one in wire("resume")["anew"]:
        for again in one.get("said", ()):
            if "payload" in again:
                old, new = json.loads(one["before"][again["offset"] - 1]["payload"]), json.loads(again["payload"])
                assert old.pop("after") != new.pop("after") and old == new


def test_a_fork_and_a_request_that_cannot_return_are_shown() -> None:
    found = wire("resume")["anew"]
    assert sum("fork" in one for one in found) == 4 and sum("cannot_return" in one for one in found) == 1

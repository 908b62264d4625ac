"""http.py: plain requests get plain answers, and a handshake goes on."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from keymeld_server.door.http import answer
from keymeld_server.observe import Metrics


def asked(path: str, *, ready: bool = True, **headers: str) -> Response | None:
    """The answer to a request."""
    return answer(Request(path, Headers(headers)), Metrics(), ready=ready)


@pytest.mark.parametrize(
    ("path", "ready", "status"),
    [("/healthz", True, 200), ("/healthz", False, 200), ("/readyz", True, 200), ("/readyz", False, 503)],
)
def test_it_lives_also_while_it_is_not_ready(path: str, ready: bool, status: int) -> None:
    told = asked(path, ready=ready)
    assert told is not None and told.status_code == status


def test_metrics_are_told_as_prometheus_reads_them() -> None:
    told = asked("/metrics")
    assert told is not None and b"# HELP keymeld_" in told.body and "version=" in told.headers["Content-Type"]


def test_anything_else_is_told_what_this_is() -> None:
    told = asked("/")
    assert told is not None and told.status_code == 404 and b"WebSocket" in told.body


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade"])
def test_a_handshake_goes_on(connection: str) -> None:
    assert asked("/", Connection=connection) is None


def test_every_answer_ends_the_connection_and_stays_in_no_cache() -> None:
    told = asked("/healthz")
    assert told is not None
    assert (told.headers["Connection"], told.headers["Cache-Control"]) == ("close", "no-store")
    assert told.headers["Content-Length"] == str(len(told.body))

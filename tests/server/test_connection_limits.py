"""connection_limits.py: so many connections in all, so many from each address; who was refused is not counted."""

from pathlib import Path

import pytest

from keymeld_protocol.wire.connection import Close
from keymeld_server.connection_limits import ConnectionLimits
from tests.support.serving import config_in

FULL = Close.TOO_MANY_CONNECTIONS


@pytest.fixture
def limits() -> ConnectionLimits:
    """Three in all, two from each address."""
    return ConnectionLimits(config_in(Path("/nowhere"), connections_max=3, connections_per_address=2))


def test_one_address_leaves_room_for_others(limits: ConnectionLimits) -> None:
    assert [limits.enter("a") for _ in range(3)] == [None, None, FULL]
    assert limits.enter("b") is None


def test_when_all_are_taken_nobody_enters_not_even_by_a_unix_socket(limits: ConnectionLimits) -> None:
    assert [limits.enter(address) for address in ("a", "b", "c", "d", None)] == [None, None, None, FULL, FULL]


def test_a_unix_socket_has_no_address_to_be_counted_by(limits: ConnectionLimits) -> None:
    assert [limits.enter(None) for _ in range(4)] == [None, None, None, FULL]


def test_who_leaves_makes_room_and_who_was_refused_took_none(limits: ConnectionLimits) -> None:
    assert [limits.enter("a") for _ in range(4)] == [None, None, FULL, FULL]
    limits.leave("a")
    assert [limits.enter("a"), limits.enter("a")] == [None, FULL]


def test_an_address_that_has_gone_takes_no_memory(limits: ConnectionLimits) -> None:
    for address in ("a", None):
        assert limits.enter(address) is None
        limits.leave(address)
    assert not limits._by_address and limits._all == 0

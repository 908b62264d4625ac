"""connection_limits.py: so many connections in all, so many from each address; who is refused takes nobody's place."""

from pathlib import Path

import pytest

from keymeld_server.door.connection_limits import ConnectionLimits, Entrance
from tests.support.serving import config_in

SERVED, TOLD, CUT = Entrance


@pytest.fixture
def limits() -> ConnectionLimits:
    """Three in all, two from each address; two more of each are told."""
    return ConnectionLimits(config_in(Path("/nowhere"), connections_max=3, connections_per_address=2))


def test_one_address_leaves_room_for_others(limits: ConnectionLimits) -> None:
    assert [limits.enter("a") for _ in range(3)] == [SERVED, SERVED, TOLD]
    assert limits.enter("b") is SERVED


def test_when_all_are_taken_nobody_enters_not_even_by_a_unix_socket(limits: ConnectionLimits) -> None:
    assert [limits.enter(address) for address in ("a", "b", "c", "d", None)] == [SERVED] * 3 + [TOLD] * 2


def test_a_unix_socket_has_no_address_to_be_counted_by(limits: ConnectionLimits) -> None:
    assert [limits.enter(None) for _ in range(4)] == [SERVED] * 3 + [TOLD]


def test_a_crowd_of_refusals_is_cut_off_without_a_word(limits: ConnectionLimits) -> None:
    assert [limits.enter("a") for _ in range(6)] == [SERVED] * 2 + [TOLD] * 2 + [CUT] * 2
    limits.leave("a", CUT)
    assert limits.enter("b") is SERVED and limits.count == 5


def test_who_leaves_makes_room_and_who_was_refused_took_none(limits: ConnectionLimits) -> None:
    assert [limits.enter("a") for _ in range(4)] == [SERVED, SERVED, TOLD, TOLD]
    limits.leave("a", SERVED)
    assert limits.enter("a") is SERVED
    limits.leave("a", TOLD)
    assert limits.enter("a") is TOLD


def test_an_address_that_has_gone_takes_no_memory(limits: ConnectionLimits) -> None:
    for address in ("a", None):
        assert limits.enter(address) is SERVED
        limits.leave(address, SERVED)
    assert limits.count == 0 and not any(crowd.by_address for crowd in limits._crowds.values())


def test_who_shares_an_address_is_counted_with_it(limits: ConnectionLimits) -> None:
    assert limits.from_address("a") == limits.from_address(None) == 1
    for _ in range(2):
        limits.enter("a")
        limits.enter(None)
    assert limits.from_address("a") == 2 and limits.from_address(None) == 1

"""Who is here, told to those who share a session, and not too often."""

from collections.abc import Callable

import pytest

from keymeld_server.presence import PAUSE_SECONDS, Attendance
from tests.support.build import Cast, xonly
from tests.support.line import Line, PaperPeer

pytestmark = pytest.mark.asyncio


class Waits:
    """Calls that wait for their time, which comes when a test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Remember a call."""
        assert seconds == PAUSE_SECONDS
        self.calls.append(call)

    def pass_(self) -> None:
        """The pause is over."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


async def scene() -> tuple[Cast, PaperPeer, Attendance, Waits]:
    """Bob listens to a keygen; Alice is a member of it."""
    line, waits = Line(), Waits()
    presence = Attendance(line.app.hub, waits.later)
    cast = await line.completed()
    bob = line.peer()
    bob.side.proven.add(xonly(cast.auth(1)))
    await bob.subscribe(cast.stream)
    await bob.offsets(5)
    return cast, bob, presence, waits


async def told(peer: PaperPeer) -> list[bool]:
    """The presence that waits for a peer."""
    return [(await peer.take())["params"]["online"] for _ in list(peer.outbox._presence)]


async def test_a_member_who_comes_is_announced() -> None:
    cast, bob, presence, _ = await scene()
    presence.come([xonly(cast.auth(0))])
    frame = await bob.take()
    assert frame["params"] == {
        "stream": cast.stream.hex(), "key": cast.auth(0).key.hex(), "online": True, "signs": False,
    }  # fmt: skip


async def test_a_member_who_goes_is_announced_after_the_pause() -> None:
    cast, bob, presence, waits = await scene()
    alice = [xonly(cast.auth(0))]
    presence.come(alice)
    assert await told(bob) == [True]
    presence.go(alice)
    assert await told(bob) == []
    waits.pass_()
    assert await told(bob) == [False]


async def test_who_goes_and_comes_back_within_the_pause_was_never_away() -> None:
    cast, bob, presence, waits = await scene()
    alice = [xonly(cast.auth(0))]
    presence.come(alice)
    await told(bob)
    presence.go(alice)
    presence.come(alice)
    waits.pass_()
    assert await told(bob) == [] and not waits.calls


async def test_a_second_connection_changes_nothing() -> None:
    cast, bob, presence, waits = await scene()
    alice = [xonly(cast.auth(0))]
    presence.come(alice)
    await told(bob)
    waits.pass_()
    presence.come(alice)
    presence.go(alice)
    assert await told(bob) == [] and presence.online(alice) == alice


async def test_a_stranger_is_announced_to_nobody() -> None:
    line = Line()
    _, bob, presence, _ = await scene()
    presence.come([line.app.key])
    assert await told(bob) == []


async def test_whoever_hears_the_first_record_only_learns_nothing() -> None:
    line, waits = Line(), Waits()
    presence = Attendance(line.app.hub, waits.later)
    cast = await line.completed()
    stranger = line.peer()
    await stranger.subscribe(cast.stream)
    presence.come([xonly(cast.auth(0))])
    assert await told(stranger) == []


async def test_nobody_is_announced_to_a_session_that_has_ended() -> None:
    line, waits = Line(), Waits()
    presence = Attendance(line.app.hub, waits.later)
    cast = await line.completed()
    request = await line.requested(cast, expires_at=line.time() + 1)
    bob = line.peer()
    bob.side.proven.add(xonly(cast.auth(1)))
    await bob.subscribe(request.id)
    line.time.wait(1)
    await line.look(request.id)
    presence.come([xonly(cast.auth(0))])
    assert await told(bob) == []

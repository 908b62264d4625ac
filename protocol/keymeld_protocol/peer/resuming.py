"""From hello to ready: a peer proves its keys, finds its sessions and goes on where each stood (§2.1, §4.3).

    hello ▶ authenticate … ▶ [what was never answered] ▶ sessions, by pages ▶ subscribe keygens
          ▶ each answered and caught up ▶ subscribe signings ▶ announce ▶ its answer ▶ ready
                                                             ▶ each answered ──────▶ ready     where nobody announces

Whoever proves no key has no list of sessions.  A keygen or signing that is refused, or that the coordinator cannot give
now, holds up none of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from ..curve.schnorr import Keypair
from ..errors import Reason, Refused, WireError
from ..values import Id, Salt
from ..wire.connection import Heard, Hello, PeerSide, Presence, SessionInfo, Subscribed
from ..wire.frames import MAX_PROOFS, since_json
from ..wire.records import Position
from .calls import Calls

PAGE: Final = 1000
"""Sessions that are asked for together: as many as a page may have."""
MOST_LISTED: Final = 1_000_000
"""Sessions that are asked for in all, where an inner half has no other bound."""


class SessionPage(msgspec.Struct, frozen=True):
    """The answer to ``sessions``."""

    sessions: tuple[SessionInfo, ...]


class SessionList:
    """The sessions that a coordinator has listed so far, each once; of a list without an end the first ``most``."""

    def __init__(self, most: int = MOST_LISTED) -> None:
        self._most = most
        self._found: dict[Id, SessionInfo] = {}
        self._last: Id | None = None

    def take(self, page: SessionPage, asked: int) -> bool:
        """Take a page of which ``asked`` sessions were asked for; whether there is another one.

        Raises:
            Refused: ``over_limit``: it tells what was told already, or more than there is room for.
        """
        known = len(self._found)
        self._found.update((info.stream, info) for info in page.sessions)
        self._last = page.sessions[-1].stream if page.sessions else self._last
        if len(page.sessions) != asked:
            return False
        if len(self._found) == known or len(self._found) > self._most:
            told = f"it lists sessions without an end: the first {len(self._found):,} are looked at, and no others"
            raise Refused(Reason.OVER_LIMIT, told, field="sessions", limit=self._most)
        return True

    @property
    def after(self) -> dict[str, str]:
        """What asks for the next page."""
        return {} if self._last is None else {"after": self._last.hex()}

    def sessions(self) -> list[SessionInfo]:
        """All of them, in their order."""
        return list(self._found.values())


class InnerHalf(Protocol):
    """What a peer knows and decides behind its conversation; all of it is called while a frame is handled."""

    only_open: bool = False
    """Whether sessions that have ended are not asked for."""
    most_listed: int = MOST_LISTED
    """How many sessions are looked at; of more than that `refused` hears, and the first ones are gone on with."""
    token: str | None = None
    """The operator's permission, told with the proofs."""

    def keys(self, hello: Hello) -> Sequence[Keypair]:
        """The coordinator has greeted: the keys to prove."""

    def authenticated(self) -> None:
        """Every key is proven: time to say again what was never answered."""
        return

    def keygens(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """The keygens to subscribe, after the coordinator ``listed`` the sessions that concern the keys."""

    def signings(self, listed: Sequence[SessionInfo]) -> Iterable[Id]:
        """The signings to subscribe, once the keygens have caught up."""

    def position(self, stream: Id) -> Position | None:
        """Where ``stream``, which is about to be subscribed, stands; None: hear it from its first record."""

    def nonce(self) -> Salt | None:
        """What the head of the next stream that is subscribed is to be signed over (§4.2); None: whatever is there."""
        return None

    def subscribed(self, stream: Id, answer: Subscribed, nonce: Salt | None) -> None:
        """``stream`` will be heard, its records follow; ``nonce`` is what was given with the request."""

    def not_subscribed(self, stream: Id, problem: WireError) -> None:
        """``stream`` will not be heard."""

    def caught_up(self, stream: Id) -> bool:
        """Whether enough of a keygen that was subscribed has come to go on with its signings."""
        return True

    def announcement(self) -> dict[str, Any] | None:
        """What is announced when everything was subscribed; None: nothing."""
        return None

    def not_resumed(self, problem: WireError) -> None:
        """The coordinator refuses keys, sessions or announcement: raise the `Ended` that follows."""

    def put_off(self, problem: WireError) -> None:
        """The coordinator wants to be asked again later, for one of these."""
        return

    def refused(self, method: str, problem: WireError) -> None:
        """A request that nobody waits for was refused."""
        return

    def hear(self, heard: Heard) -> None:
        """A record has come."""

    def presence(self, told: Presence) -> None:
        """Somebody has come or gone."""
        return

    def rights(self, stream: Id, *, whole: bool) -> None:
        """``stream`` begins to be open as a whole, and is subscribed anew; or it ends to be, and nothing follows."""
        return


class Resuming:
    """Walks from hello to ``ready``; ``follows``: new sessions are heard by themselves from now on."""

    def __init__(self, side: PeerSide, calls: Calls, inner: InnerHalf, page: int = PAGE) -> None:
        """Nothing is asked before `begin`; ``page`` is how many sessions are asked for together."""
        self.begun = self.follows = self.ready = False
        self.page = page
        self._side, self._calls, self._inner = side, calls, inner
        self._listed = SessionList(inner.most_listed)
        self._subscribed: set[Id] = set()
        self._unanswered: set[Id] = set()
        self._behind: set[Id] = set()
        self._next: Callable[[], None] | None = None

    def begin(self, hello: Hello) -> None:
        """Prove the keys; requests are handled in order, so what needs a proof may wait for its answer alone."""
        self.begun = True
        keys, inner = self._inner.keys(hello), self._inner
        proofs, proves = proofs_of(self._side, keys, inner.token), bool(keys)
        waiting = len(proofs)

        def proven(_: object = None) -> None:
            nonlocal waiting
            waiting -= 1
            if waiting <= 0:
                inner.authenticated()
                self._list() if proves else self._subscribe_keygens()

        for proof in proofs:
            self._ask("authenticate", proof, proven)
        if not proofs:
            proven()

    def _ask(self, method: str, params: dict[str, Any], then: Callable[[Any], None], kind: Any = None) -> None:
        inner = self._inner
        self._calls.ask(method, params, then, kind, refused=inner.not_resumed, put_off=inner.put_off)

    def _list(self) -> None:
        """The next page of sessions."""
        only_open = {"open": True} if self._inner.only_open else {}
        self.follows = True
        self._ask("sessions", {**only_open, "limit": self.page, **self._listed.after}, self._take_page, SessionPage)

    def _take_page(self, page: SessionPage) -> None:
        try:
            goes_on = self._listed.take(page, self.page)
        except Refused as problem:
            goes_on = False
            self._inner.refused("sessions", problem)
        self._list() if goes_on else self._subscribe_keygens()

    def _subscribe_keygens(self) -> None:
        self._subscribe_all(self._inner.keygens(self._listed.sessions()), self._subscribe_signings)

    def _subscribe_signings(self) -> None:
        """Last come the signings; whoever announces himself is ready when that is answered, which is after them."""
        announcement = self._inner.announcement()
        self._subscribe_all(self._inner.signings(self._listed.sessions()), self._come if announcement is None else None)
        if announcement is not None:
            self._ask("announce", announcement, self._come)

    def _come(self, _: object = None) -> None:
        self.ready, self._listed = True, SessionList()

    # Streams

    def _subscribe_all(self, streams: Iterable[Id], then: Callable[[], None] | None) -> None:
        """Subscribe ``streams``, and do ``then`` when each has been answered and caught up."""
        wanted = list(streams)
        self._behind, self._next = set(wanted), then
        for stream in wanted:
            self.subscribe(stream)
        for stream in wanted:
            self.settle(stream)
        self._go_on()

    def subscribe(self, stream: Id, *, anew: bool = False, then: Callable[[], None] = lambda: None) -> None:
        """Hear a stream from where its verified part ends: once on a connection, unless ``anew``.

        ``then`` is done when that was answered, also with a refusal.
        """
        if stream in self._subscribed and not anew:
            return
        self._subscribed.add(stream)
        self._unanswered.add(stream)
        position, inner = self._inner.position(stream), self._inner
        since = {"since": since_json(position)} if position is not None else {}
        nonce = inner.nonce()
        fresh = {"nonce": nonce.hex()} if nonce is not None else {}

        def subscribed(answer: Subscribed) -> None:
            self._unanswered.discard(stream)
            inner.subscribed(stream, answer, nonce)
            then()
            self.settle(stream)

        def refused(problem: WireError) -> None:
            self._unanswered.discard(stream)
            inner.not_subscribed(stream, problem)
            then()
            self._leave_behind(stream)

        def put_off(problem: WireError) -> None:
            if problem.reason is Reason.UNAVAILABLE:
                self._leave_behind(stream)

        params = {"stream": stream.hex(), **since, **fresh}
        self._calls.ask("subscribe", params, subscribed, Subscribed, refused=refused, put_off=put_off)

    def knows(self, stream: Id) -> bool:
        """Whether ``stream`` was asked for on this connection."""
        return stream in self._subscribed

    def unsubscribe(self, stream: Id) -> None:
        """Hear a stream no longer; nobody waits for it any more."""
        self._subscribed.discard(stream)
        self._calls.ask("unsubscribe", {"stream": stream.hex()})
        self.give_up(stream)

    def give_up(self, stream: Id) -> None:
        """Whatever becomes of ``stream``, it holds up none of the others."""
        self._leave_behind(stream)

    def settle(self, stream: Id) -> None:
        """Something came of ``stream``: go on if it was the last one that was waited for."""
        if stream in self._behind and stream not in self._unanswered and self._inner.caught_up(stream):
            self._leave_behind(stream)

    def _leave_behind(self, stream: Id) -> None:
        self._behind.discard(stream)
        self._go_on()

    def _go_on(self) -> None:
        if not self._behind and self._next is not None:
            then, self._next = self._next, None
            then()


def proofs_of(side: PeerSide, keys: Sequence[Keypair], token: str | None = None) -> list[dict[str, Any]]:
    """The parameters that prove ``keys`` on this connection, as many at a time as a frame may hold.

    Raises:
        BadInput: the coordinator has not said hello.
    """
    starts = range(0, max(len(keys), 1 if token else 0), MAX_PROOFS)
    return [side.authenticate(list(keys[start : start + MAX_PROOFS]), token) for start in starts]

"""What an enclave remembers of streams that are over here, so that no other history of them is ever heard (§11.2).

    taken part in ──▶ hold a keygen, take a signing    a place; where there is none, the new one is refused
    ended, broken ──▶ bury      the last position, until it expires by our own clock
    all have left ──▶ bury      for good: the keys stay wiped, and its signings need no remembering any more
    told again    ──▶ is_over   the same history moves nothing; another one is a ``Fork``, and told to the operator

Strangers push nothing out: whoever has no key here has no place here, a keygen has ``OWN`` places for signings that
nobody else takes, and beyond these all keygens share ``COMMON`` ones.  A place is left when the request has expired.
Keygens that are closed for good need no place: beyond ``CLOSED`` of them those of longest ago are remembered by a
`Sieve`, as over and no more than that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from keymeld_protocol.errors import Fork
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire.records import Position, Record, record_hash
from keymeld_protocol.wire.shapes import CLOCKS_APART_MS, REQUEST_LIFE_MS

from .sieve import Sieve

CLOSED: Final = 65_536
"""Keygens closed for good of which the last position is remembered, too: 500 bytes for each."""
OWN: Final = 32
"""Signings of one keygen, open or remembered, that need no place among the common ones."""
COMMON: Final = 524_288
"""Signings beyond these, of all keygens together: 700 bytes for each that is remembered, 6 a second of a day's life."""


@dataclass(slots=True)
class Trace:
    """Where a stream stood as it was over; ``until`` (ms): None for good.  ``told``: the operator knows of a fork."""

    position: Position
    until: int | None
    keygen: Id | None
    told: bool

    def meet(self, stream: Id, record: Record) -> None:
        """A record of this history is nothing new; one that follows it moves the position and nothing else.

        Raises:
            Fork: it is of another history, or of one that is told again from before its end.
        """
        here = self.position
        if record.offset < here.offset:
            raise Fork(f"{stream.hex()} was over at offset {here.offset}, and is told again from {record.offset}")
        if record.offset == here.offset and record.hash != here.hash:
            raise Fork(f"offset {record.offset} of {stream.hex()}, where it was over, has two hashes")
        if record.offset == here.offset + 1:
            after = record_hash(here.hash, record.epoch, record.offset, record.at, record.statement.id)
            if record.hash != after:
                raise Fork(f"offset {record.offset} of {stream.hex()} does not follow what was heard")
            self.position = record.position


class Memory:
    """The streams that are over, and the places of those that will be.

    ``key`` is the enclave's identity, ``now`` its own time (ms); ``concern`` hears of forks, once for each stream.
    """

    def __init__(
        self, key: XOnlyKey, now: Callable[[], int], concern: Callable[[str], None], *,
        closed: int = CLOSED, own: int = OWN, common: int = COMMON,
    ) -> None:  # fmt: skip
        self._key, self._now, self._concern = key, now, concern
        self._most_closed, self._own, self._common = closed, own, common
        self._over: dict[Id, Trace] = {}
        self._held: dict[Id, set[Id]] = {}
        self._expiring: list[tuple[int, Id]] = []
        self._closed: OrderedDict[Id, None] = OrderedDict()
        self._sieve = Sieve()
        self._shared = 0

    def __contains__(self, stream: Id) -> bool:
        """Whether a stream is over here, and matters still."""
        self._forget_expired()
        return stream in self._over or (stream in self._sieve and stream not in self._held)

    # Places

    def hold(self, keygen: Id) -> None:
        """Take part in a keygen; how many there are is bounded by the keys (`door`)."""
        self._held.setdefault(keygen, set())

    def holds(self, keygen: Id) -> bool:
        """Whether we have taken part in it, and so listen to no other history."""
        return keygen in self._held

    def take(self, keygen: Id, signing: Id) -> bool:
        """Take part in a signing of a keygen whose keys are here; False: there is no place, and it is refused."""
        if keygen in self:
            return False
        taken = self._held.setdefault(keygen, set())
        if signing not in taken:
            if len(taken) >= self._own and self._shared >= self._common:
                return False
            self._shared += len(taken) >= self._own
            taken.add(signing)
        return True

    # What is over

    def bury(self, heard: Replay) -> bool:
        """Listen to no other history of a stream that is over here, while it could matter; False: we took no part."""
        if isinstance(heard.state, SigningState):
            return self._bury_signing(heard, heard.state)
        return isinstance(heard.state, KeygenState) and self._bury_keygen(heard, heard.state)

    def _bury_signing(self, heard: Replay, state: SigningState) -> bool:
        """Until it expires; one that lived too long to be signed (§11.2) no longer than any other."""
        if not state.keygen.slots_at(self._key) or not self.take(state.parent, heard.stream):
            return False
        until = min(state.request.expires_at, self._now() + REQUEST_LIFE_MS + CLOCKS_APART_MS)
        self._keep(heard, until, state.parent)
        return True

    def _bury_keygen(self, heard: Replay, state: KeygenState) -> bool:
        """For good where all have left (§6.5); what was remembered of its signings is not needed any more."""
        if not state.slots_at(self._key) or not (state.left or heard.stream in self._held):
            return False
        taken = self._held.pop(heard.stream, set())
        self._shared -= max(0, len(taken) - self._own)
        for signing in taken:
            self._over.pop(signing, None)
        if len(self._expiring) > 2 * len(self._over) + 64:
            self._expiring = sorted(each for each in self._expiring if each[1] in self._over)
        self._keep(heard, None if state.left else state.create.expires_at, None)
        if state.left:
            self._close(heard.stream)
        return True

    def _close(self, keygen: Id) -> None:
        """Remember a keygen for good; of those of longest ago no more than that they are over."""
        self._closed[keygen] = None
        while len(self._closed) > self._most_closed:
            oldest, _ = self._closed.popitem(last=False)
            self._sieve.add(oldest)
            self._over.pop(oldest, None)

    def _keep(self, heard: Replay, until: int | None, keygen: Id | None) -> None:
        position = heard.chain.position
        assert position is not None
        self._over[heard.stream] = Trace(position, until, keygen, told=heard.broken is not None)
        if until is not None:
            heappush(self._expiring, (until, heard.stream))

    # What is told again

    def position(self, stream: Id) -> Position | None:
        """Where a stream stood that is over."""
        return self._over[stream].position if stream in self and stream in self._over else None

    def is_over(self, stream: Id, record: Record) -> bool:
        """Whether the stream of a record is over: it moves nothing, and the operator is told of another history."""
        if stream not in self:
            return False
        try:
            if stream in self._over:
                self._over[stream].meet(stream, record)
        except Fork as error:
            self._tell(stream, str(error))
        return True

    def is_over_at(self, stream: Id, top: int) -> bool:
        """Whether a stream that stands at ``top`` is over; one that has become shorter is told again, too."""
        here = self.position(stream)
        if here is not None and top < here.offset:
            self._tell(stream, f"{stream.hex()} was over at offset {here.offset}, and stands at {top} now")
        return stream in self

    def _tell(self, stream: Id, why: str) -> None:
        trace = self._over[stream]
        if not trace.told:
            trace.told = True
            self._concern(f"another history is not listened to: {why}")

    def _forget_expired(self) -> None:
        """Forget what cannot matter any more, by our own clock alone; its place is free."""
        while self._expiring and self._expiring[0][0] <= self._now():
            _, stream = heappop(self._expiring)
            trace = self._over.pop(stream, None)
            if trace is None:
                continue
            if trace.keygen is not None and stream in (taken := self._held.get(trace.keygen, set())):
                taken.remove(stream)
                self._shared -= len(taken) >= self._own

"""The coordinator's signed words on where streams stand: which are believed, and how old the latest is (§4.2).

    answers a nonce, or of a record not heard yet ──▶ verified at once ──┐
    pushed with a record or an answer, and agrees ──▶ verified when it matters ─┴─▶ kept, unless older than the one kept
    names another hash than was verified ──▶ verified at once: signed, it convicts; unsigned, it breaks the stream

A head matters when its age is shown, when it becomes evidence, before the client says anything, and when it stops: then
it is stored too.  Where none was verified for a while, one is before another follows it: no forged one displaces it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Id, Salt
from keymeld_protocol.wire.connection import Subscribed
from keymeld_protocol.wire.records import Head

from ..wallet.wallet import Wallet

PROVEN_AGAIN_MS: Final = 1_000
"""How long (ms) heads may follow one another of which none was verified."""
STORED_AGAIN_MS: Final = 3_600_000
"""How much later (ms) a head of the same record must be to be stored once more."""


class Heads:
    """The heads of one wallet's streams; ``now`` is the clock (ms)."""

    def __init__(self, wallet: Wallet, now: Callable[[], int]) -> None:
        self._wallet, self._now = wallet, now
        self._kept: dict[Id, tuple[Head, int]] = {}
        self._told: dict[Id, Head] = {}
        self._ahead: dict[Id, Head] = {}
        self._stored: dict[Id, Head] = {}

    def take(self, heard: Replay, head: Head, *, pushed: bool = False, stored: bool = False) -> None:
        """Take a head of ``heard``; ``pushed``: it answers no nonce, and need not be verified yet.

        Raises:
            Fork: it convicts the coordinator.
            BrokenLog: nobody signed it, or it is of another epoch.
        """
        if heard.state is None or head.offset > heard.chain.offset:
            if _is_newer(head, self._ahead.get(heard.stream)):
                self._ahead[heard.stream] = head
        elif pushed and heard.agrees(head):
            if _is_newer(head, told := self._told.get(heard.stream)):
                kept = self._kept.get(heard.stream)
                if told is not None and (kept is None or self._now() >= kept[1] + PROVEN_AGAIN_MS):
                    self.prove(heard)
                self._told[heard.stream] = head
        else:
            heard.check_head(head)
            if stored:
                self._stored[heard.stream] = head
            self._keep(heard.stream, head)

    def waiting(self, heard: Replay) -> Head | None:
        """The head that waited for the records which are here now; it waits no longer."""
        ahead = self._ahead.get(heard.stream)
        return self._ahead.pop(heard.stream) if ahead is not None and ahead.offset <= heard.chain.offset else None

    def prove(self, heard: Replay) -> None:
        """Verify the latest head that was pushed, and keep it.

        Raises:
            BrokenLog: nobody signed it.
        """
        head = self._told.pop(heard.stream, None)
        if head is not None:
            heard.check_head(head)
            self._keep(heard.stream, head)

    def kept(self, stream: Id) -> Head | None:
        """The latest head that was verified."""
        found = self._kept.get(stream)
        return found[0] if found is not None else None

    def age_ms(self, stream: Id) -> int | None:
        """How long ago it was signed: by its own time, or since it came where that is longer; None: there is none."""
        found = self._kept.get(stream)
        return max(0, self._now() - min(found[0].at, found[1])) if found is not None else None

    def forget(self, stream: Id) -> None:
        """The history of ``stream`` that the heads were of, also those that wait, is another one now."""
        for heads in (self._kept, self._told, self._ahead, self._stored):
            heads.pop(stream, None)

    def _keep(self, stream: Id, head: Head) -> None:
        kept, stored = self.kept(stream), self._stored.get(stream)
        if not _is_newer(head, kept):
            return
        self._kept[stream] = (head, self._now())
        if stored is None or head.offset > stored.offset or head.at >= stored.at + STORED_AGAIN_MS:
            self._wallet.append_head(stream, head)
            self._stored[stream] = head


def answers(answer: Subscribed, nonce: Salt | None) -> bool:
    """Whether the head of an answer was signed after ``nonce`` was drawn, and is of its latest record (§4.2)."""
    if nonce is None or answer.reason == "first_record_only":
        return True
    return answer.head is not None and (answer.head.nonce, answer.head.offset) == (nonce, answer.top)


def _is_newer(head: Head, other: Head | None) -> bool:
    """Whether ``head`` takes the place of ``other``: never of one further on, nor of one that was signed later."""
    return other is None or (head.offset, head.at) >= (other.offset, other.at)

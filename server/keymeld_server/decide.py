"""DECIDE: a statement, and whatever time and presence call for, become records on the tentative state.

    what is due now ─▶ the statement ─▶ what is due then               all of it one decision, one commit
      keygen.expired     its record        attempt.opened
      signing.expired

Nothing here waits: statements of a stream are decided one after another.  The machines in ``keymeld_protocol`` say what
is allowed; this file says when the coordinator speaks, and signs what it says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.errors import WireError
from keymeld_protocol.machines.streams import as_keygen, machine_of
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.shapes import Payload
from keymeld_protocol.wire.statements import Statement

from .session import Part, Session

PAUSE_S: Final = 3.0
"""Who has not looked at the time for so long did not run."""


@dataclass
class Decision:
    """What one decision adds to its stream, if anything; ``problem`` is why its statement was refused."""

    part: Part | None = None
    offset: int = 0
    problem: WireError | None = None


class Decider:
    """The coordinator's own keypair and its sense of time."""

    def __init__(self, keypair: Keypair, up_since: int, ticks: Callable[[], float] = lambda: 0.0) -> None:
        """Speak with ``keypair``; graces run anew from ``up_since`` (ms), the start of this coordinator.

        ``ticks`` is a clock (s) that nobody sets and that goes on while the process does not run.
        """
        self._keypair = keypair
        self.key = XOnlyKey(keypair.key)
        self.up_since = up_since
        self._ticks, self._awake_at = ticks, ticks()

    def wake(self, now: int) -> None:
        """It is ``now`` (ms), as is told every second: after a pause, in which nobody was heard, graces run anew.

        A snapshot, a closed lid and a stopped process are no absence of anybody else (§7.3).
        """
        ticks = self._ticks()
        if ticks > self._awake_at + PAUSE_S:
            self.up_since = now
        self._awake_at = ticks

    def decide(
        self,
        session: Session,
        said: Statement,
        now: int,
        here: frozenset[XOnlyKey],
        parent: Session | None = None,
    ) -> Decision:
        """Decide ``said`` at ``now`` (ms); ``here`` are the enclaves connected, ``parent`` the keygen of a request.

        A refused statement leaves the notices that time called for.
        """
        self.wake(now)
        at, decision = max(now, session.chain.at), Decision()
        self._say_due(session, at, here)
        try:
            self._say(session, said, at, parent)
        except WireError as problem:
            decision.problem = problem
        else:
            decision.offset = session.chain.offset
            self._say_due(session, at, here)
        decision.part = self._part(session, at)
        return decision

    def look(self, session: Session, now: int, here: frozenset[XOnlyKey]) -> Decision:
        """Say what is due at ``now`` (ms), if anything (§7.3)."""
        self.wake(now)
        at = max(now, session.chain.at)
        self._say_due(session, at, here)
        return Decision(self._part(session, at))

    def deadline(self, session: Session, now: int) -> int | None:
        """When the clock has to look at ``session`` again (ms), later than ``now``."""
        return session.state.deadline(self.up_since, now) if session.state is not None else None

    def waits_for(self, session: Session, now: int, here: frozenset[XOnlyKey]) -> frozenset[XOnlyKey]:
        """The enclaves without which an attempt that is due cannot be opened."""
        return session.state.awaited(now, self.up_since) - here if session.state is not None else frozenset()

    def is_due(self, session: Session, now: int, here: frozenset[XOnlyKey]) -> bool:
        """Whether `look` would say something at ``now`` (ms): an enclave may have come while a commit was under way."""
        return self._notice(session, max(now, session.chain.at), here) is not None

    def _say(self, session: Session, said: Statement, at: int, parent: Session | None) -> None:
        """The statement's record."""
        session.say(said, at, as_keygen(parent.state) if parent is not None else None)

    def _say_due(self, session: Session, at: int, here: frozenset[XOnlyKey]) -> None:
        while (notice := self._notice(session, at, here)) is not None:
            session.say(self._sign(notice), at)

    def _notice(self, session: Session, at: int, here: frozenset[XOnlyKey]) -> Payload | None:
        """What the machine of this stream calls for."""
        state = session.state
        due = machine_of(state).due(state, at, here, self.up_since) if state is not None else None
        return due.payload(self.key, session.stream, session.chain.hash) if due is not None else None

    def _sign(self, notice: Payload) -> Statement:
        return statements.make(notice, self._keypair.sign)

    def _part(self, session: Session, at: int) -> Part | None:
        """What was said, if anything was."""
        return session.part(self.deadline(session, at)) if session.has_said else None

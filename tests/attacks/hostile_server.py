"""A coordinator with a part of its honesty taken out, as a process of its own.

    KEYMELD_HOSTILE=skip-approvals python -m tests.attacks.hostile_server …        then as keymeld-server

    skip-approvals   opens an attempt behind every request, as if every rule were met
    invent           writes an approval of its own making behind every request
    alter            sends every approval with another time than it was stored with
    reorder          sends a signing's second record as its third, and the third as its second
    fork             shows enclaves a history of each signing that is a millisecond younger, chained and signed anew

All else is the real server: its store, its sockets, its line.  Only tests start it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.machines import consent
from keymeld_protocol.machines.consent import Verdict
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wire import frames, statements
from keymeld_protocol.wire.payloads import AttemptOpened, SigningApprove, SigningRequest
from keymeld_protocol.wire.records import Chain, Head, Record
from keymeld_protocol.wire.statements import Statement
from keymeld_server import __main__ as server
from keymeld_server.admission import Admission
from keymeld_server.decide import Decider
from keymeld_server.enclaves import Enclaves
from keymeld_server.session import Session, Told

Frame = Callable[[Told, Collection[XOnlyKey], Head | None], bytes]
HONEST: Frame = Told.frame
SIGNINGS: set[Id] = set()


def skip_approvals() -> None:
    """Behind each request stands an attempt that the coordinator has opened."""

    def open_it(decider: Decider, session: Session) -> Statement:
        state: Any = session.state
        opened = AttemptOpened(
            v=1, by=decider.key, stream=session.stream, after=session.chain.hash, attempt=1,
            signers=state.signers, last=state.last,
        )  # fmt: skip
        return statements.make(opened, decider._keypair.sign)

    _write_behind_requests(open_it)


def invent() -> None:
    """Behind each request stands an approval by a key that the coordinator has drawn."""

    def approve(decider: Decider, session: Session) -> Statement:
        nobody = Keypair.generate()
        yes = SigningApprove(v=1, by=XOnlyKey(nobody.key), stream=session.stream, after=session.chain.hash)
        return statements.make(yes, nobody.sign)

    _write_behind_requests(approve)


def _write_behind_requests(make: Callable[[Decider, Session], Statement]) -> None:
    """Take every rule for met, and write this behind each request, whatever the machine says of it."""
    consent.evaluate = lambda *_: Verdict.MET
    say = Decider._say

    def lying(self: Decider, session: Session, said: Any, at: int, parent: Any) -> None:
        say(self, session, said, at, parent)
        if isinstance(said.payload, SigningRequest):
            record = session.chain.next(session.epoch, at, make(self, session))
            session.chain.append(record)
            session._said.append(record)

    Decider._say = lying  # type: ignore[method-assign]


def alter() -> None:
    """Every approval was said a second later than it was."""

    def lie(record: Record) -> Record:
        yes = isinstance(record.statement.payload, SigningApprove)
        return replace(record, at=record.at + 1000) if yes else record

    _send(lambda told, proven: lie(told.record))


def reorder() -> None:
    """In each signing the second record is sent as the third."""
    places = {2: 3, 3: 2}

    def lie(told: Told, proven: Collection[XOnlyKey]) -> Record:
        record = told.record
        return replace(record, offset=places.get(record.offset, record.offset)) if _is_signing(told) else record

    _send(lie)


def fork() -> None:
    """Enclaves are shown signings that begin a millisecond later; whatever they say is taken into the other branch."""
    enclaves: set[XOnlyKey] = set()
    chains: dict[Id, Chain] = {}
    shown: dict[tuple[Id, int], Record] = {}
    come = Enclaves.come

    def remember(self: Enclaves, key: XOnlyKey) -> list[Id]:
        enclaves.add(key)
        return come(self, key)

    def lie(told: Told, proven: Collection[XOnlyKey]) -> Record:
        record, place = told.record, (told._stream, told.record.offset)
        if not _is_signing(told) or enclaves.isdisjoint(proven):
            return record
        if place not in shown:
            chain = chains.setdefault(told._stream, Chain(told._stream))
            shown[place] = chain.next(record.epoch, record.at + 1, record.statement)
            chain.append(shown[place])
        return shown[place]

    Enclaves.come = remember  # type: ignore[method-assign]
    Admission.check = lambda *_: None  # type: ignore[method-assign]
    _send(lie)


def _is_signing(told: Told) -> bool:
    """Whether a record is of a signing's stream."""
    if isinstance(told.record.statement.payload, SigningRequest):
        SIGNINGS.add(told._stream)
    return told._stream in SIGNINGS


def _send(lie: Callable[[Told, Collection[XOnlyKey]], Record]) -> None:
    """Send a lie in every record's place."""

    def frame(self: Told, proven: Collection[XOnlyKey], head: Head | None = None) -> bytes:
        record = lie(self, proven)
        return HONEST(self, proven, head) if record is self.record else frames.record_frame(self._stream, record)

    Told.frame = frame  # type: ignore[method-assign]


MODES: dict[str, Callable[[], None]] = {
    "skip-approvals": skip_approvals, "invent": invent, "alter": alter, "reorder": reorder, "fork": fork,
}  # fmt: skip

if __name__ == "__main__":
    MODES[os.environ["KEYMELD_HOSTILE"]]()
    sys.exit(server.main())

"""One keygen as an enclave serves it: its keys, its roster, and the room that it takes (§11.2).

join for us ▶ answer     a place for the key, the envelope, the terms ▶ held, and what was read is let go
            ▶ the last   the roster that our answer completes is confirmed with it, in one breath
completed   ▶ signer     every card verified, once ▶ the cards are let go, and a roster that fails stays failed
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from copy import copy
from typing import Final

from keymeld_protocol.errors import Blamed
from keymeld_protocol.machines.keygen import Seat
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.streams import step
from keymeld_protocol.member.roster import Roster, read_roster
from keymeld_protocol.member.signer import MemberSigner
from keymeld_protocol.member.speaker import Speaker
from keymeld_protocol.wire.payloads import (
    CustodyAccept,
    CustodyRefuse,
    CustodyWiped,
    KeygenConfirm,
    KeygenCreate,
    KeygenJoin,
    SigningContribute,
    SigningHeard,
    SigningRequest,
)
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import Statement

from .custody import Custody, Unacceptable
from .door import Door
from .memory import Memory

CHILD: Final = 300
"""Bytes that one own script takes that was computed."""
FULL: Final = "this enclave holds as many keys as it can"
NO_ROOM: Final = "this keygen takes more room than this enclave has for it"


_READ_AGAIN: Final = (KeygenCreate, KeygenJoin, SigningRequest, SigningContribute, SigningHeard)


def needed_later(record: Record) -> bool:
    """Whether an enclave keeps a record once it was verified: what only moves the state is not read again."""
    return isinstance(record.statement.payload, _READ_AGAIN)


def forget_superseded(heard: Replay, state: KeygenState) -> None:
    """Keep nothing of joins that fill no slot, while a keygen is told and later."""
    seats = {seat.id for seat in state.seats if seat is not None}
    joins = heard.records[1:]
    if len(joins) > len(seats):
        for record in joins:
            if record.statement.id not in seats:
                heard.forget(record.statement.id)


class Group:
    """One keygen as this enclave serves it; ``concern`` hears why a roster is not confirmed."""

    def __init__(
        self, custody: Custody, door: Door, memory: Memory, speaker: Speaker, concern: Callable[[str], None]
    ) -> None:
        self.custody = custody
        self._door, self._memory, self._speaker, self._concern = door, memory, speaker, concern
        self._said: set[Hashable] = set()
        self._roster: Roster | None = None
        self._signer: MemberSigner | None = None
        self._failed: Unacceptable | None = None

    # What is owed

    def owed(self, state: KeygenState) -> Iterator[Statement]:
        """What is to be said to the keygen where it stands now, each thing once.

        Raises:
            Unacceptable: it takes more room than it may have; it is served no longer.
        """
        heard, ours = self.custody.heard, state.slots_at(self._speaker.key)
        self.custody.drop_superseded()
        self._hold()
        if self.places and not self._weigh():
            raise Unacceptable("over_limit", NO_ROOM)
        for slot in state.unwiped():
            if slot in ours and self._first_time(("wiped", slot)):
                self._leave(slot)
                yield self._speaker.say(heard, CustodyWiped, slot=slot)
        joined = ((slot, seat) for slot in ours if (seat := state.seats[slot]) is not None and not seat.ready)
        answers = [self._answer(slot, seat) for slot, seat in joined if self._first_time(seat.id)]
        yield from answers
        if answers and None not in state.seats:
            yield from self._confirm_ahead(answers)
        unread = self._roster is not None or not set(ours).isdisjoint(state.unconfirmed())
        if state.roster is not None and unread:
            yield from self._confirm(state)

    def _first_time(self, what: Hashable) -> bool:
        """Whether this has not been said yet by this process."""
        fresh = what not in self._said
        self._said.add(what)
        return fresh

    def _answer(self, slot: int, seat: Seat) -> Statement:
        """Accept a join whose envelope holds, refuse any other with a code (§11.2, §11.3)."""
        heard = self.custody.heard
        try:
            self._take(slot, seat)
        except Unacceptable as error:
            detail = self._speaker.detail(self.custody.group, "custody.refuse", heard.stream, error.message)
            return self._speaker.say(heard, CustodyRefuse, slot=slot, join=seat.id, code=error.code, **detail)
        return self._speaker.say(heard, CustodyAccept, slot=slot, join=seat.id)

    def _confirm_ahead(self, answers: Iterable[Statement]) -> Iterator[Statement]:
        """Confirm the roster that our ``answers`` complete; one that does not hold is told when it is in the log."""
        heard = self.custody.heard
        ahead, epoch = copy(heard), heard.records[0].epoch  # whichever; no machine looks at it
        for answer in answers:
            ahead.state = step(ahead.state, heard.chain.next(epoch, heard.chain.at, answer))
        state = ahead.as_keygen
        if state is None or state.roster is None:
            return
        try:
            self._roster = read_roster(ahead, self.custody.take_all(), self.custody.terms)
        except (Blamed, Unacceptable):
            return
        self._first_time(("confirm", state.roster))
        yield self._speaker.say(heard, KeygenConfirm, roster=state.roster)

    def _confirm(self, state: KeygenState) -> Iterator[Statement]:
        """Confirm a roster that verifies; one that does not is told to the operator, and confirmed by nobody here."""
        heard, first = self.custody.heard, self._first_time(("confirm", state.roster))
        try:
            self.signer()
        except Unacceptable as error:
            if first:
                self._concern(f"keygen {heard.stream.hex()} is not confirmed: {error}")
            return
        if first:
            yield self._speaker.say(heard, KeygenConfirm, roster=state.roster)

    # Keys and room

    @property
    def places(self) -> frozenset[int]:
        """The slots whose keys are held, or were accepted by an earlier process of ours, which the log tells."""
        state, ours = self.custody.state, self.custody.slots
        accepted = (slot for slot in ours if (seat := state.seats[slot]) is not None and seat.ready)
        return frozenset(self.custody.held).union(slot for slot in accepted if slot not in state.left)

    @property
    def is_guest(self) -> bool:
        """Whether no join of it was ever taken: then no history of it binds us, and it may have to go."""
        return not self.places and not self._memory.holds(self.custody.heard.stream)

    def _take(self, slot: int, seat: Seat) -> None:
        """Take the key of a join that names us.

        Raises:
            Unacceptable: there is no place for it, or its envelope, the terms or the card do not hold.
        """
        keygen = self.custody.heard.stream
        try:
            if not self._door.take(keygen, slot):
                raise Unacceptable("over_limit", FULL)
            self.custody.take(slot)
            self.custody.heard.let_go(seat.id, "envelope")
            if not self._weigh():
                self.custody.drop(slot)
                raise Unacceptable("over_limit", NO_ROOM)
        except Unacceptable:
            self._hold()
            raise
        self._hold()

    def _hold(self) -> None:
        """Take the places of our keys, and give back those of keys that are not held any more."""
        keygen, places = self.custody.heard.stream, self.places
        self._door.hold(keygen, places)
        if places:
            self._memory.hold(keygen)

    def _weigh(self) -> bool:
        """Count the room that this keygen takes; False: it is more than it may have.

        A key that is complete, which may be paid to, is counted whatever there is: only its own scripts are let go, and
        computed again when they are needed.
        """
        own = None if self._signer is None else self._signer.roster.own
        heard, size = self.custody.heard, self.custody.heard.size + self.custody.size
        if self._door.weigh(heard.stream, heard.stream, size + (0 if own is None else CHILD * own.computed)):
            return True
        if self.custody.state.roster is None:
            return False
        if own is not None:
            own.forget()
        self._door.count(heard.stream, heard.stream, size)
        return True

    def signer(self) -> MemberSigner:
        """The signer of a completed keygen, its roster verified, once.

        Raises:
            Unacceptable: an envelope or the roster does not hold.
        """
        if self._failed is not None:
            raise self._failed.with_traceback(None)
        if self._signer is None:
            group, roster = self.custody.take_all(), self._roster
            try:
                if roster is None or roster.hash != self.custody.state.roster:
                    roster = read_roster(self.custody.heard, group, self.custody.terms)
            except Blamed as error:
                self._failed = Unacceptable(error.code, error.message)
                raise self._failed from None
            finally:
                self._let_go_of_cards()
            self._roster, self._signer = None, MemberSigner(self.custody, roster)
        return self._signer

    def _let_go_of_cards(self) -> None:
        for seat in self.custody.state.seats:
            if seat is not None:
                self.custody.heard.let_go(seat.id, "card")

    def _leave(self, slot: int) -> None:
        """Wipe the key of a slot that left, and the sums that hold it."""
        self.custody.leave(slot)
        self._hold()
        if self._signer is not None:
            self._signer.wipe()

    def wipe(self) -> None:
        """Wipe every key of this keygen."""
        self.custody.wipe()
        if self._signer is not None:
            self._signer.wipe()
            self._signer = None

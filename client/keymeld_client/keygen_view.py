"""A keygen as its log shows it: who sits where, what the keys come to, and waiting until they do.

joined ─▶ completed ─▶ safe                  each waits until it is true, or tells why it never will be
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from keymeld_protocol.errors import InvalidCrypto, KeymeldError
from keymeld_protocol.keys.ticket import Ticket
from keymeld_protocol.machines.keygen import KeygenPhase, KeygenState
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.member.roster import Roster, Safety, read_terms, safety
from keymeld_protocol.member.roster_digits import roster_digits
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wording import slots_told

from .errors import KeygenEnded, WalletError
from .handle import Handle
from .line.lost import told_leavings
from .said.creating import tickets_of
from .shown.seats import UNHEARD, Lost, Mine, has_joined, lost_joins, refilled_seats, safety_for, waiting_joins
from .wallet.entries import KeygenEntry

if TYPE_CHECKING:
    from .signings import Signing


class KeygenView(Handle):
    """What can be known of a keygen, without saying a word in it."""

    WHAT = "keygen"

    # What is known now ------------------------------------------------------------------------------------------

    @property
    def entry(self) -> KeygenEntry:
        """What the wallet remembers.

        Raises:
            WalletError: nothing.
        """
        entry = self.client.wallet.keygen(self.id)
        if entry is None:
            raise WalletError("this wallet holds no ticket for that keygen")
        return entry

    @property
    def state(self) -> KeygenState:
        """Where it stands: phase, seats, holdouts().

        Raises:
            WalletError: nothing was heard yet, or it is no keygen.
        """
        state = self.heard.as_keygen
        if state is None:
            raise WalletError("this session is no keygen")
        return state

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots in which this wallet sits."""
        keys = self.client.auth_keys(self.id)
        return tuple(s for s, seat in enumerate(self.state.seats) if seat is not None and seat.join.by == keys[s])

    @property
    def _own(self) -> Mine:
        """This wallet's part in it."""
        return Mine(self.client.auth_keys(self.id), self.entry, self.opened)

    @property
    def opened(self) -> bool:
        """Whether this wallet opened it: its creator key says so."""
        return self.client.ledger.own.opened(self.state.create)

    @property
    def lost(self) -> tuple[Lost, ...]:
        """Every join of this wallet that does not fill its slot, and was not given up (`Keygen.confirm`), by slot."""
        return lost_joins(self.heard, self.state, self.client.group(self.id), self._own)

    @property
    def pushed_out(self) -> tuple[Lost, ...]:
        """The same without those that this wallet released itself: as long as there is one, no address is safe."""
        return tuple(lost for lost in self.lost if not lost.by_us)

    @property
    def named(self) -> tuple[str, ...]:
        """The seats of others that were filled anew after this wallet had joined, in words; shown beside an address."""
        return refilled_seats(self.heard, self.state, self._own)

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """The creator's invitations, one for each slot, or the single open one; each is a secret.

        Raises:
            WalletError: another wallet created this keygen.
        """
        return tickets_of(self.client.wallet, self.entry, self.state.create)

    @property
    def terms(self) -> Terms:
        """Label, network and tweak; the label is a stranger's text: print it with ``quoted``.

        Raises:
            Blamed: they do not open or parse.
        """
        return read_terms(self.heard, self.client.group(self.id))

    @property
    def label(self) -> str:
        """The creator's name for it; "" if the terms do not open."""
        try:
            return self.terms.label
        except (KeymeldError, InvalidCrypto):
            return ""

    @property
    def roster(self) -> Roster:
        """Every member's verified card, and the keys they come to.

        Raises:
            Refused: the keygen is not completed.
            Blamed: a card does not hold; names the slots.
        """
        return self.client.roster(self.id)

    @property
    def address(self) -> str:
        """The group's taproot address, computed here; show it with `safety` beside it.

        Raises:
            Refused, Blamed: as `roster`.
        """
        return self.roster.address()

    @property
    def safety(self) -> Safety:
        """Whether the address may be funded, in words by ``str``, and what is to be ``named`` beside it.

        Not while the log is read-only, nor without us, nor while a join of ours was pushed out.
        """
        return self.safety_of(None)

    def safety_of(self, subset: int | None) -> Safety:
        """The same of the address of a subset (None: of the group).

        Raises:
            BadInput: there is no such subset.
        """
        judged = safety(self.state, self.client.now(), subset)
        joined, seated = has_joined(self.heard, self._own), bool(self.slots)
        trouble = self.read_only or self.waiting or told_leavings(self.client.ledger.lost_leavings(self.id))
        return safety_for(judged, trouble, joined, seated, self.lost, self.named)

    @property
    def roster_digits(self) -> str:
        """What members compare by telephone: five groups of four characters (§6.4); `roster.hash` is for programs.

        The first time takes 32 MiB and about a tenth of a second: ask for it where it is shown.

        Raises:
            Refused, Blamed: as `roster`.
        """
        return roster_digits(self.roster.hash)

    def unconfirmed(self) -> tuple[int, ...]:
        """The own slots, of those that have not left, whose participant has not confirmed yet."""
        seats = self.state.seats
        here = [slot for slot in self.slots if slot not in self.state.left]
        return tuple(s for s in here if (seat := seats[s]) is not None and seat.confirmed != "participant")

    def signings(self) -> tuple[Signing, ...]:
        """The signings of this keygen that were heard, oldest request first."""
        return tuple(s for s in self.client.signings() if s.state.request.keygen == self.id)

    # What waits -------------------------------------------------------------------------------------------------

    async def joined(self, slot: int | None = None) -> None:
        """Until ``slot`` is ready that this wallet joined (None: every one).

        Raises:
            JoinRefused: an enclave refused, the creator released the slot, or somebody took it over.
            KeygenEnded: the deadline passed.
            ReadOnly: the log broke.
        """
        await self.client.ledger.until(self.id, lambda _: self._ready(slot) or None)

    async def completed(self) -> Roster:
        """Until every slot is ready; gives the verified roster.

        Raises:
            KeygenEnded: the deadline passed.
            Blamed: a card does not hold; names the slots.
            ReadOnly: the log broke.
        """

        def look(_: Replay) -> bool | None:
            self._check_alive()
            return self.state.roster is not None or None

        await self.client.ledger.until(self.id, look)
        return self.roster

    async def safe(self) -> Safety:
        """Until every slot has confirmed the same roster.

        Raises:
            KeygenEnded, Blamed, ReadOnly: as `completed`.
            JoinRefused: it never will be: a join of ours was pushed out, and `confirm` was not told to do without.
            WalletError: it never will be: we sit in no slot, or a device would have to sign.
        """
        await self.completed()
        if self.read_only is None and self.waiting is None and (why := self.safety.trouble) is not None:
            for lost in self.pushed_out:
                if lost.code != UNHEARD:
                    raise lost.error()
            raise WalletError(why)
        return await self.client.ledger.until(self.id, lambda _: now if (now := self.safety).safe else None)

    async def wiped(self) -> None:
        """Until the enclaves have wiped the keys of all own slots that have left.

        Raises:
            ReadOnly: the log broke.
        """
        await self.client.ledger.until(self.id, lambda _: not set(self.slots) & set(self.state.unwiped()) or None)

    def __aiter__(self) -> AsyncIterator[Record]:
        """Every verified record from the first, then live, across reconnects; never ends by itself."""
        return self.client.ledger.follow(self.id)

    def _check_alive(self) -> None:
        if self.state.phase == KeygenPhase.EXPIRED:
            raise KeygenEnded(f"the deadline passed; missing: {slots_told(self.state.holdouts())}")

    def _ready(self, slot: int | None) -> bool:
        """Whether all joined slots are ready, or this one; raises what stands in the way for good."""
        self._check_alive()
        for lost in self.lost:
            if slot in (None, lost.slot):
                raise lost.error()
        waiting = waiting_joins(self.heard, self.state, self._own)
        return slot not in waiting if slot is not None else not waiting

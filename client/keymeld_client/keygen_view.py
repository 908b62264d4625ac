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
from keymeld_protocol.plaintext.contents import Terms
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wording import slots_told

from .errors import KeygenEnded, WalletError
from .handle import Handle
from .said.creating import tickets_of
from .shown.seats import is_seated, safety_for
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
        state, identity = self.state, self.client.wallet.identity
        keys = {slot: identity.auth(self.id, slot).key for slot in self.entry.slots}
        return tuple(s for s, key in keys.items() if (seat := state.seats[s]) is not None and seat.join.by == key)

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """The creator's invitations, one for each slot, or the single open one; each is a secret.

        Raises:
            WalletError: another wallet created this keygen.
        """
        return tickets_of(self.entry, len(self.state.seats))

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
        """Whether the address may be funded, in words by ``str``; not while the log is read-only, nor without us."""
        return self.safety_of(None)

    def safety_of(self, subset: int | None) -> Safety:
        """The same of the address of a subset (None: of the group).

        Raises:
            BadInput: there is no such subset.
        """
        return safety_for(safety(self.state, self.client.now(), subset), self.read_only, self.entry.slots, self.slots)

    @property
    def roster_digits(self) -> str:
        """The roster's first 80 bits as five groups of four hex digits: members compare them by telephone.

        Raises:
            Refused, Blamed: as `roster`.
        """
        digits = self.roster.hash.hex()
        return " ".join(digits[i : i + 4] for i in range(0, 20, 4))

    def unconfirmed(self) -> tuple[int, ...]:
        """The own slots, of those that have not left, whose participant has not confirmed yet."""
        seats = self.state.seats
        here = [slot for slot in self.slots if slot not in self.state.left]
        return tuple(s for s in here if (seat := seats[s]) is not None and seat.confirmed != "participant")

    def signings(self) -> tuple[Signing, ...]:
        """The signings of this keygen that were heard, oldest request first."""
        return tuple(s for s in self.client.signings() if s.state.request.keygen == self.id)

    # What waits -------------------------------------------------------------------------------------------------

    async def joined(self) -> None:
        """Until every slot that this wallet joined is ready.

        Raises:
            JoinRefused: an enclave refused, the creator released the slot, or somebody took it over.
            KeygenEnded: the deadline passed.
            ReadOnly: the log broke.
        """
        await self.client.ledger.until(self.id, lambda _: self._ready() or None)

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
            JoinRefused, WalletError: it never will be: somebody else sits in our place, or a device would have to sign.
        """
        await self.completed()
        if self.read_only is None and (why := self.safety.trouble) is not None:
            self._ready()
            raise WalletError(why)
        return await self.client.ledger.until(self.id, lambda _: self.safety if self.safety.safe else None)

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

    def _ready(self) -> bool:
        """Whether all joined slots are ready; raises what stands in the way for good."""
        self._check_alive()
        identity, entry = self.client.wallet.identity, self.entry
        joins = [(slot, XOnlyKey(identity.auth(self.id, slot).key), entry.generations[slot]) for slot in entry.slots]
        group = self.client.group(self.id)
        return all(is_seated(self.heard, self.state, group, *join) for join in joins)

"""A keygen as its participant sees it: join, wait, confirm, show the address, ask for signatures.

    client.create_keygen ─▶ tickets ─▶ join ─▶ joined ─▶ completed ─▶ confirm (by itself) ─▶ safe ─▶ request … leave

A handle holds no state: all of it is in the client's verified log, and whatever is shown was computed from there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from keymeld_protocol.body import Adaptor, Body
from keymeld_protocol.contents import Terms
from keymeld_protocol.errors import InvalidCrypto, KeymeldError, Reason, Refused, WireError
from keymeld_protocol.keygen import KeygenState, Phase
from keymeld_protocol.payloads import KeygenConfirm, KeygenLeave, KeygenRelease
from keymeld_protocol.plan import needed_slots
from keymeld_protocol.records import Record
from keymeld_protocol.replay import Replay
from keymeld_protocol.roster import Roster, Safety, read_terms
from keymeld_protocol.secp256k1 import Bytes
from keymeld_protocol.shapes import Custody, Rule, Said
from keymeld_protocol.statements import make
from keymeld_protocol.ticket import Ticket
from keymeld_protocol.tweaks import Steps
from keymeld_protocol.values import Id, XOnlyKey
from keymeld_protocol.wording import slots_told

from .asking import Unsigned, life_of, make_body, make_request, requester
from .entries import KeygenEntry
from .errors import KeygenEnded, WalletError
from .joining import NOTHING, Allow, Choice, bring, check_choice, make_join, tickets_of
from .ledger import now_ms
from .seats import is_seated, safety_for

if TYPE_CHECKING:
    from .client import Client
    from .signings import Signing


class Keygen:
    """One keygen that this wallet takes part in; compare by ``id``."""

    def __init__(self, client: Client, stream: Id) -> None:
        """Use `Client.keygen`, `Client.create_keygen` or `Client.join`."""
        self.client = client
        self.id = stream

    def __repr__(self) -> str:
        """Its name and where it stands."""
        heard = self.client.ledger.replay(self.id)
        phase = heard.state.phase if heard is not None and isinstance(heard.state, KeygenState) else "not heard"
        return f"<Keygen {self.id.hex()[:12]} {phase}>"

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
    def heard(self) -> Replay:
        """The verified log so far.

        Raises:
            WalletError: nothing was heard yet.
        """
        heard = self.client.ledger.replay(self.id)
        if heard is None:
            raise self.client.ledger.refused.get(self.id) or WalletError("nothing was heard of this keygen yet")
        return heard

    @property
    def state(self) -> KeygenState:
        """Where it stands: phase, seats, holdouts().

        Raises:
            WalletError: nothing was heard yet, or it is no keygen.
        """
        state = self.heard.state
        if not isinstance(state, KeygenState):
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
        """Label, network and tweak; the label is a stranger's text: print it with ``printable``.

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
        return safety_for(self.state, self.read_only, self.entry.slots, self.slots)

    @property
    def roster_digits(self) -> str:
        """The roster's first 80 bits as five groups of four hex digits: members compare them by telephone.

        Raises:
            Refused, Blamed: as `roster`.
        """
        digits = self.roster.hash.hex()
        return " ".join(digits[i : i + 4] for i in range(0, 20, 4))

    @property
    def read_only(self) -> str | None:
        """Why nothing is said here any more, or None."""
        return self.client.ledger.trouble(self.id)

    @property
    def head_age_ms(self) -> int | None:
        """How long ago the coordinator last signed where this stream stands; None if never."""
        return self.client.ledger.head_age_ms(self.id)

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

    def __aiter__(self) -> AsyncIterator[Record]:
        """Every verified record from the first, then live, across reconnects; never ends by itself."""
        return self.client.ledger.follow(self.id)

    def _check_alive(self) -> None:
        if self.state.phase == Phase.EXPIRED:
            raise KeygenEnded(f"the deadline passed; missing: {slots_told(self.state.holdouts())}")

    def _ready(self) -> bool:
        """Whether all joined slots are ready; raises what stands in the way for good."""
        self._check_alive()
        identity, entry = self.client.wallet.identity, self.entry
        joins = [(slot, XOnlyKey(identity.auth(self.id, slot).key), entry.generations[slot]) for slot in entry.slots]
        group = self.client.group(self.id)
        return all(is_seated(self.heard, self.state, group, *join) for join in joins)

    # What is said -----------------------------------------------------------------------------------------------

    async def join(self, slot: int | None = None, *, custody: Custody = "sealed", rule: Rule | None = None,
                   enclave: XOnlyKey | None = None, label: str = "", allow: Allow = NOTHING,
                   key: Bytes | None = None, again: bool = False) -> int:  # fmt: skip
        """Join ``slot`` (None: the first free one that a ticket of this wallet is for); gives the slot.

        The default rule is ``self``: this participant's own yes. A slot that was refused is joined anew with this too;
        every join makes a fresh key, or takes ``key`` (32 secret bytes, which the caller wipes) instead. A key brought
        along is sealed once, unless ``again`` insists; the wallet remembers that it was, and not the key.

        Raises:
            BadInput: ``key`` is no secret key, or custody would lose it.
            WalletError: ``key`` was sealed before, or no ticket for the slot is held.
            NotTrusted: no trusted enclave is there; nothing was sealed.
            Refused: the slot is taken, the keygen no longer collects, or the choice would be unsafe.
            ReadOnly: the log broke.
        """
        heard = self.client.ledger.require(self.id)
        chosen = self._free_slot(slot)
        brought = None if key is None else bring(key, again, custody)
        wish = Choice(chosen, custody, rule or Rule(approval="self"), None, label, allow)
        check_choice(self.state, self.terms, wish)  # terms that do not open are refused before a key is made
        if custody == "sealed":
            key = await self.client.choose_enclave(enclave)
            wish = Choice(chosen, custody, wish.rule, key, label, allow)
        with self.client.wallet.identity.auth(self.id, chosen) as auth:
            await self.client.courier.prove([auth])
        statement = make_join(self.client.wallet, self.entry, heard, self.client.group(self.id), wish, brought)
        await self.client.say(statement)
        return chosen

    def _free_slot(self, wanted: int | None) -> int:
        """The slot to join.

        Raises:
            Refused: it is taken, there is none, or the keygen no longer collects.
        """
        state, entry = self.state, self.entry
        if state.phase != Phase.COLLECTING:
            raise Refused(Reason.WRONG_STATE, f"the keygen is {state.phase}; nobody can join any more", field="kind")
        slots = range(len(state.seats)) if wanted is None else [wanted]
        invited = [s for s in slots if 0 <= s < len(state.seats) and entry.invites(s)]
        own = [s for s in invited if s in entry.slot_secrets] or invited
        free = [s for s in own if (seat := state.seats[s]) is None or (not seat.ready and s in entry.slots)]
        if not free:
            why = "is taken" if invited else "is not one that this wallet has a ticket for"
            raise Refused(Reason.SLOT_TAKEN, f"slot {'any' if wanted is None else wanted} {why}", field="slot")
        return free[0]

    async def confirm(self) -> None:
        """Verify the roster and say so, for each own slot that has not; a client that is online does it by itself.

        Raises:
            Refused: the keygen is not completed.
            Blamed: the roster does not hold; nothing was said.
            ReadOnly: the log broke.
        """
        self.client.ledger.require(self.id)
        roster = self.roster
        for slot in self.unconfirmed():
            await self._say_once(slot, KeygenConfirm, roster=roster.hash)

    def unconfirmed(self) -> tuple[int, ...]:
        """The own slots, of those that have not left, whose participant has not confirmed yet."""
        seats = self.state.seats
        here = [slot for slot in self.slots if slot not in self.state.left]
        return tuple(s for s in here if (seat := seats[s]) is not None and seat.confirmed != "participant")

    async def _say_once(self, speaker: int, kind: type[Said], **fields: Any) -> None:
        """Say it as the participant of this slot; that it was said already is as good."""
        heard = self.client.ledger.require(self.id)
        with self.client.wallet.identity.auth(self.id, speaker) as auth:
            said = kind(v=1, by=XOnlyKey(auth.key), stream=self.id, after=heard.chain.hash, **fields)
            statement = make(said, auth.sign)
        try:
            await self.client.say(statement)
        except WireError as problem:
            if problem.reason is not Reason.ALREADY_SAID:
                raise

    async def release(self, slot: int, code: str = "released") -> None:
        """Free a slot that a squatter or a dead enclave holds; only the creator can, while joins are collected.

        Raises:
            Refused: not the creator, nobody sits there, or the keygen no longer collects.
            ReadOnly: the log broke.
        """
        heard = self.client.ledger.require(self.id)
        state, salt = self.state, self.entry.salt
        seat = state.seats[slot] if 0 <= slot < len(state.seats) else None
        if salt is None or seat is None:
            why = "only the creator releases a slot" if salt is None else f"nobody sits in slot {slot}"
            raise Refused(Reason.NOT_ALLOWED, why, field="slot")
        with self.client.wallet.identity.creator(salt) as creator:
            by, after = XOnlyKey(creator.key), heard.chain.hash
            said = KeygenRelease(v=1, by=by, stream=self.id, after=after, slot=slot, join=seat.id, code=code)
            statement = make(said, creator.sign)
        await self.client.say(statement)

    async def leave(self, slot: int | None = None) -> tuple[int, ...]:
        """Take back ``slot`` (None: every own one), for good; gives the slots. `wiped` then waits for their enclaves.

        The envelope is deleted, the enclave wipes the key, and nothing that needs the slot is signed any more; the
        other members stay. Coins that only the whole group can spend are then lost: move them first.

        Raises:
            Refused: the keygen is not completed, or there is no own slot that has not left.
            ReadOnly: the log broke.
        """
        if self.state.roster is None:
            raise Refused(Reason.WRONG_STATE, f"the keygen is {self.state.phase}; only a completed one can be left")
        leaving = tuple(s for s in self.slots if slot in (None, s) and s not in self.state.left)
        if not leaving:
            raise Refused(Reason.WRONG_STATE, "this wallet has no slot here that could leave", field="slot")
        for each in leaving:
            await self._say_once(each, KeygenLeave, slot=each)
        return leaving

    async def wiped(self) -> None:
        """Until the enclaves have wiped the keys of all own slots that have left.

        Raises:
            ReadOnly: the log broke.
        """
        await self.client.ledger.until(self.id, lambda _: not set(self.slots) & set(self.state.unwiped()) or None)

    async def request(self, *, transactions: Sequence[Unsigned] = (), psbts: Sequence[bytes] = (),
                      messages: Sequence[bytes] = (), ecdsa: Sequence[bytes] = (), memo: str = "",
                      subset: int | None = None, tweaks: Steps | None = None, adaptor: Adaptor | None = None,
                      body: Body | None = None, expires_in_ms: int | None = None,
                      grace_ms: int = 3000) -> Signing:  # fmt: skip
        """Ask for signatures: every input of ``transactions`` and ``psbts`` that we can sign, every blind message.

        Inputs are those of the group, its subsets and their children; ``subset`` asks for that subset's alone, and
        ``tweaks`` for exactly one key (`child_steps`). PSBTs are raw or base64; they may hint at children beyond the
        gap limit. ``ecdsa`` are messages that a key list of one signs with ECDSA. With an ``adaptor`` all are
        pre-signatures that its secrets complete. ``body`` replaces all of that for whoever builds items himself. The
        request lives a day, or so much longer as rules make it wait.

        Raises:
            BadInput: there is nothing to sign, a PSBT contradicts itself, or an item breaks its rule.
            Refused: the keygen is not completed, no own slot takes part, a slot that is needed has left, or the request
                would end before it may be signed.
            Blamed: the roster does not hold.
            ReadOnly: the log broke.
        """
        heard = self.client.ledger.require(self.id)
        roster = self.roster
        body = body or make_body(roster, transactions, messages, memo, subset, psbts, ecdsa, tweaks, adaptor)
        slot, made = requester(roster, body, self.slots)
        self.state.require_present(needed_slots(made))
        now, joins = now_ms(), self.state.joins
        life = life_of({each: joins[each].rule for each in needed_slots(made)}, expires_in_ms, now)
        with self.client.wallet.identity.auth(self.id, slot) as auth:
            statement = make_request(
                heard, roster, self.client.group(self.id), auth, made, expires_at=now + life, grace_ms=grace_ms
            )  # fmt: skip
        await self.client.say(statement)
        return self.client.signing(statement.id, made)

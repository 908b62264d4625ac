"""A keygen as its participant takes part in it: join, confirm, release, ask for signatures, leave.

    client.create_keygen ─▶ tickets ─▶ join ─▶ joined ─▶ completed ─▶ confirm (by itself) ─▶ safe ─▶ request … leave

What can be known of it without a word, and waiting for it, is in `KeygenView`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from keymeld_protocol.errors import Reason, Refused, WireError, bad_field
from keymeld_protocol.machines.keygen import KeygenPhase
from keymeld_protocol.plaintext.body import Body
from keymeld_protocol.values import XOnlyKey
from keymeld_protocol.wire.payloads import KeygenConfirm, KeygenLeave, KeygenRelease
from keymeld_protocol.wire.shapes import Said
from keymeld_protocol.wire.statements import make

from .keygen_view import KeygenView
from .restoring import require_unseated
from .said.asking import Asking, make_body
from .said.choosing import USUAL, Choice, Wish, check_choice
from .said.drafting import Draft, make_draft, make_request, require_current
from .said.joining import make_join
from .shown.seats import said_joins

if TYPE_CHECKING:
    from .signings import Signing


class Keygen(KeygenView):
    """One keygen that this wallet takes part in; compare by ``id``.  `Client.keygen` and `Client.join` give it."""

    async def join(self, slot: int | None = None, choice: Choice = USUAL, **wish: Unpack[Wish]) -> int:
        """Join ``slot`` (None: the first free one that a ticket of this wallet is for); gives the slot.

        How is said by a `Choice`, in keywords, or by both: keywords win. The default rule is ``self``: this
        participant's own yes. A slot that was refused is joined anew with this too; every join makes a fresh key, or
        takes ``key`` (32 secret bytes, which the caller wipes) instead. A key brought along is sealed once, unless
        ``again`` insists; the wallet remembers that it was, and not the key.

        Raises:
            BadInput: ``key`` is no secret key, or custody would lose it.
            WalletError: ``key`` was sealed before, or no ticket for the slot is held.
            NotTrusted: no trusted enclave is there; nothing was sealed.
            Refused: the slot is taken, or this wallet's already; the keygen no longer collects; or the choice would be
                unsafe.
            ReadOnly: the log broke.
        """
        heard = self.client.ledger.require(self.id)
        choice, taken = choice.but(wish), self._free_slot(slot)
        # before a key is made: terms that do not open are refused too
        check_choice(self.state, self.terms, taken, choice, self.slots)
        enclave = await self.client.choose_enclave(choice.enclave) if choice.custody == "sealed" else None
        with self.client.wallet.identity.auth(self.id, taken) as auth:
            await self.client.courier.prove([auth])
        sealed = replace(choice, enclave=enclave)
        statement = make_join(self.client.wallet, self.entry, heard, self.client.group(self.id), taken, sealed)
        await self.client.say(statement)
        return taken

    def _free_slot(self, wanted: int | None) -> int:
        """The slot to join.

        Raises:
            Refused: it is taken, also by this wallet, there is none, or the keygen no longer collects.
        """
        state, entry, mine = self.state, self.entry, self.slots
        invites, said = self.client.ledger.own.invites, {*entry.slots, *mine}
        slots = range(len(state.seats)) if wanted is None else [wanted]
        invited = [s for s in slots if 0 <= s < len(state.seats) and invites(entry, state.create, s)]
        named = [s for s in invited if s in entry.slot_secrets] or invited
        free = [s for s in named if (seat := state.seats[s]) is None or (not seat.ready and s in said)]
        if not free:
            require_unseated([s for s in named if s in mine])
        if state.phase != KeygenPhase.COLLECTING:
            raise Refused(Reason.WRONG_STATE, f"the keygen is {state.phase}; nobody can join any more", field="kind")
        if not free:
            why = "is taken" if invited else "is not one that this wallet has a ticket for"
            raise Refused(Reason.SLOT_TAKEN, f"slot {'any' if wanted is None else wanted} {why}", field="slot")
        return free[0]

    async def confirm(self, without: Collection[int] = ()) -> None:
        """Verify the roster and say so, for each own slot that has not; a client that is online does it by itself.

        Nothing is confirmed while a join of this wallet was pushed out of its slot (§6.3). ``without`` names such
        slots of which that was meant: the wallet remembers that it does without them.

        Raises:
            PushedOut: a join does not fill its slot; says who did it, when and with which code.
            BadInput: this wallet was not pushed out of a slot that ``without`` names.
            Refused: the keygen is not completed.
            Blamed: the roster does not hold; nothing was said.
            ReadOnly: the log broke.
        """
        self.client.ledger.require(self.id)
        roster = self.roster
        self._do_without(without)
        for slot in self.unconfirmed():
            await self._say_once(slot, KeygenConfirm, roster=roster.hash)

    def _do_without(self, slots: Collection[int]) -> None:
        """Give up what was pushed out of ``slots``, and see that no other join was pushed out.

        Raises:
            PushedOut: one was.
            BadInput: none was, of a slot that is named.
        """
        pushed, entry = {lost.slot: lost for lost in self.pushed_out}, self.entry
        for slot in slots:
            if slot not in pushed and slot not in entry.given_up:
                raise bad_field("without", f"this wallet was not pushed out of slot {slot}")
        for slot, lost in pushed.items():
            if slot not in slots:
                raise lost.error()
        if pushed:
            self.client.wallet.give_up(self.id, {slot: said_joins(self.heard, self._own, slot) for slot in pushed})

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
        state, salt = self.state, self.state.create.salt
        seat = state.seats[slot] if 0 <= slot < len(state.seats) else None
        if not self.opened or seat is None:
            why = f"nobody sits in slot {slot}" if self.opened else "only the creator releases a slot"
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

    def draft(self, *, body: Body | None = None, expires_in_ms: int | None = None, grace_ms: int = 3000,
              **asking: Unpack[Asking]) -> Draft:  # fmt: skip
        """Draft a request for signatures: every own input of ``transactions`` and ``psbts``, and every message.

        Show its ``lines``, then `say` it: nothing is computed a second time, and what was shown is what is sealed.

        Inputs are those of the group, its subsets and their children; ``subset`` asks for that subset's alone, and
        ``tweaks`` for exactly one key (`child_steps`). PSBTs are raw or base64; they may hint at children beyond the
        gap limit. ``messages`` are blind; ``ecdsa`` are those that a key list of one signs with ECDSA. With an
        ``adaptor`` all are pre-signatures that its secrets complete. ``memo`` says why, to members. ``body`` replaces
        all of that for whoever builds items himself. The request lives a day, or so much longer as rules make it wait.

        Raises:
            BadInput: there is nothing to sign, a PSBT contradicts itself, or an item breaks its rule.
            Refused: the keygen is not completed, no own slot takes part in all of it, a yes would count for one key
                list and not for another, a needed slot has left, or the request would end before it may be signed.
            Blamed: the roster does not hold, or nothing of it can be signed.
            ReadOnly: the log broke.
        """
        self.client.ledger.require(self.id)
        body = body or make_body(self.roster, **asking)
        return make_draft(
            self.state, self.roster, self.slots, body, life_ms=expires_in_ms, grace_ms=grace_ms, now=self.client.now()
        )

    async def say(self, draft: Draft) -> Signing:
        """Ask for the signatures that were drafted.

        Raises:
            Refused: the draft is another keygen's or wallet's, somebody has left since it was made, or the time of a
                rule is over.
            ReadOnly: the log broke.
        """
        heard, now = self.client.ledger.require(self.id), self.client.now()
        with self.client.wallet.identity.auth(self.id, draft.asks) as auth:
            require_current(draft, self.state, self.roster, XOnlyKey(auth.key), now)
            statement = make_request(heard, draft, self.client.group(self.id), auth, now)
        await self.client.say(statement)
        return self.client.signing(statement.id, draft.plan)

    async def request(self, *, body: Body | None = None, expires_in_ms: int | None = None, grace_ms: int = 3000,
                      **asking: Unpack[Asking]) -> Signing:  # fmt: skip
        """Ask for signatures without looking at them first: `draft` and `say` in one, with what they raise."""
        return await self.say(self.draft(body=body, expires_in_ms=expires_in_ms, grace_ms=grace_ms, **asking))

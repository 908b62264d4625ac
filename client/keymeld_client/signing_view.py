"""A signing as its log shows it: what it would sign, who is missing, what came of it, and waiting until it has.

asked for ─▶ summary ─▶ … ─▶ ended ─▶ results, signatures, transactions, PSBTs: verified here, not believed
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from keymeld_protocol.curve.secp256k1 import Bytes
from keymeld_protocol.errors import Blamed
from keymeld_protocol.machines.signing import SigningPhase, SigningState
from keymeld_protocol.member.plan import Plan, plan_of
from keymeld_protocol.plaintext.body import SignInput
from keymeld_protocol.two_threads import BIG_BATCH
from keymeld_protocol.values import Hash, Id, Signature
from keymeld_protocol.wire.records import Record

from .errors import SIGNED_ALL_THE_SAME, SigningEnded, WalletError
from .handle import Handle
from .shown.blame import Judgement, judge_signing
from .shown.endings import ended, tell_judgement
from .shown.presigned_before import may_hide
from .shown.results import ItemResult, all_signed, psbts_of, results_of, signed_so_far
from .shown.telling import PRESIGNED, lines_of_request, name_of

if TYPE_CHECKING:
    from keymeld_protocol.bitcoin.psbt import Signed

    from .client import Client
    from .keygens import Keygen


class SigningView(Handle):
    """What can be known of a signing, without saying a word in it."""

    WHAT = "signing"

    def __init__(self, client: Client, stream: Id, plan: Plan | None = None) -> None:
        """``plan`` if it was asked for here, and need not be planned again."""
        super().__init__(client, stream)
        self._plan = plan
        self._judged: tuple[int, Judgement] | None = None
        self._results: tuple[Hash, tuple[ItemResult, ...]] | None = None

    # What is known now ------------------------------------------------------------------------------------------

    @property
    def state(self) -> SigningState:
        """Where it stands.

        Raises:
            WalletError: nothing was heard yet, or it is no signing.
        """
        state = self.heard.as_signing
        if state is None:
            raise WalletError("this session is no signing")
        return state

    @property
    def phase(self) -> SigningPhase:
        """Where it stands, in one word."""
        return self.state.phase

    @property
    def keygen(self) -> Keygen:
        """The keygen whose key signs."""
        return self.client.keygen(self.state.request.keygen)

    @property
    def plan(self) -> Plan:
        """What would be signed: every key and message, computed here from the sealed body.

        Raises:
            Blamed: the body does not hold.
        """
        if self._plan is None:
            keygen = self.state.request.keygen
            opening = self.heard.records[0].statement
            self._plan = plan_of(self.state, opening, self.client.roster(keygen), self.client.group(keygen))
        return self._plan

    @property
    def mine(self) -> bool:
        """Whether this wallet asked for it."""
        return self.state.consent.requester in self.keygen.slots

    def holdouts(self) -> tuple[int, ...]:
        """The slots that are missing for the next step."""
        return self.state.holdouts()

    def awaits_me(self) -> bool:
        """Whether a yes of this wallet is one that the signing waits for."""
        state = self.state
        return state.phase == SigningPhase.APPROVING and bool(set(state.holdouts()) & set(self.keygen.slots))

    def summary(self) -> list[str]:
        """What it would do, in lines that a person can approve; safe to print.

        Raises:
            Blamed: the body does not hold.
        """
        keygen = self.keygen
        lines = list(lines_of_request(self.state, self.plan, keygen.roster, keygen.state.left))
        return lines + [line for each in self._hiding() for line in (PRESIGNED, f"  in signing {each.id.hex()}")]

    def _hiding(self) -> list[SigningView]:
        """The signings of this keygen that may have left somebody with a pre-signature of what this one locks."""
        if not self.plan.locked:
            return []
        others = (each for each in self.client.signings() if each.id != self.id and each.state.may_be_held)
        return [each for each in others if each.state.request.keygen == self.keygen.id and each._may_hide(self.plan)]

    def _may_hide(self, asked: Plan) -> bool:
        """Whether it may have left somebody with a pre-signature of what ``asked`` locks."""
        try:
            mine = self.plan
        except Blamed:
            return False  # no enclave signs what does not hold
        keygen = self.state.request.keygen
        return may_hide(self.heard, mine, asked, self.client.roster(keygen), self.client.group(keygen))

    # What comes of it -------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[Record]:
        """Every verified record from the first, then live, across reconnects; ends when the signing has ended.

        Raises:
            ReadOnly: the log broke.
        """
        async for record in self.client.ledger.follow(self.id):
            yield record
            heard = self.heard
            if not self.state.open and record.offset >= heard.chain.offset:
                return

    async def ended(self) -> SigningPhase:
        """Until nothing can happen any more; gives how it ended.

        Raises:
            ReadOnly: the log broke.
        """
        return await self.client.ledger.until(self.id, lambda _: None if self.state.open else self.phase)

    async def results(self) -> tuple[ItemResult, ...]:
        """For each item, in order, its signature or why there is none; verified here, not believed.

        Of an item with adaptor points it is a tuple of `Presigned`: one, or of an ``or`` one for each point.

        Raises:
            SigningEnded: it ended without signatures; names code, who refused and who is at fault, and warns if it may
                be signed.
            Blamed: it is completed and what the signers sent does not verify; names who is at fault.
            ReadOnly: the log broke.
        """
        if await self.ended() is not SigningPhase.COMPLETED:
            raise await asyncio.to_thread(self._ended)  # judging a big batch takes its time
        try:
            return await self._verified()
        except Blamed as error:
            raise await asyncio.to_thread(self._at_fault, error) from None

    async def signatures(self, secrets: Sequence[Bytes] = ()) -> tuple[Signature, ...]:
        """One signature for each item, in order; verified here, not believed.

        Items with adaptor points are completed with those of ``secrets`` (32 bytes each) that fit.

        Raises:
            NeedsSecret: an item has adaptor points, and none of ``secrets`` completes it.
            InvalidCrypto: one of ``secrets`` is none.
            SigningEnded: it ended without signatures; names code and slots, and warns if it may be signed.
            Blamed: an item failed, or what the signers sent does not verify; names code and slots.
            ReadOnly: the log broke.
        """
        return all_signed(await self.results(), secrets)

    async def _verified(self) -> tuple[ItemResult, ...]:
        """The results as the log stands, verified once; a big batch on a thread, so that the event loop stays free.

        Raises:
            Blamed: something is missing or does not verify.
        """
        items, keygen, at = self.state.request.items, self.state.request.keygen, self.heard.chain.hash
        if self._results is not None and self._results[0] == at:
            return self._results[1]
        roster, group = self.client.roster(keygen), self.client.group(keygen)

        def work() -> tuple[ItemResult, ...]:
            return results_of(self.heard, self.plan, roster, group)

        big = items > BIG_BATCH or sum(len(item.adaptors) for item in self.plan.items) > BIG_BATCH
        self._results = at, await asyncio.to_thread(work) if big else work()
        return self._results[1]

    def judged(self) -> Judgement:
        """Who is at fault for what does not hold in this signing, recomputed here; nobody's accusation is believed."""
        offset, keygen = self.heard.chain.offset, self.state.request.keygen
        if self._judged is None or self._judged[0] != offset:
            try:
                judged = judge_signing(self.heard, self.client.roster(keygen), self.client.group(keygen))
            except Blamed:
                judged = Judgement()  # without a roster that holds there is nothing to recompute
            self._judged = offset, judged
        return self._judged[1]

    def judgement(self) -> list[str]:
        """The same in lines for people, safe to print; none if nothing is amiss."""
        judged = self.judged()
        spoilt = self.phase == SigningPhase.COMPLETED and any(f.attempt == self.state.attempt for f in judged.faults)
        return [*tell_judgement(judged, self._name), *([SIGNED_ALL_THE_SAME] if spoilt else [])]

    @property
    def ending(self) -> SigningEnded | None:
        """How it ended without signatures: code, who refused, who is at fault; None: it has not."""
        return None if self.state.open or self.phase == SigningPhase.COMPLETED else self._ended()

    def _ended(self) -> SigningEnded:
        return ended(self.heard, self.judged(), self.client.group(self.state.request.keygen), self._name)

    def _name(self, slot: int) -> str:
        return name_of(self.client.roster(self.state.request.keygen), slot)

    def _at_fault(self, error: Blamed) -> Blamed:
        """Why what completed it does not verify, and whose fault that is."""
        judged, told = self.judged(), self.judgement() or [error.message, SIGNED_ALL_THE_SAME]
        nobody = () if judged.unread is not None else error.slots  # what is withheld convicts nobody
        return Blamed(error.code, judged.at_fault or nobody, "; ".join(told))

    async def transactions(self, secrets: Sequence[Bytes] = ()) -> tuple[bytes, ...]:
        """The finished transactions with their witnesses, in the order of the request, ready for the network.

        Raises:
            SigningEnded, NeedsSecret, InvalidCrypto, Blamed, ReadOnly: as `signatures`.
        """
        signatures, plan = await self.signatures(secrets), self.plan
        witnesses: list[dict[int, bytes]] = [{} for _ in plan.spends]
        for item, signature in zip(plan.body.items, signatures, strict=True):
            if isinstance(item, SignInput):
                witnesses[item.transaction][item.input] = signature
        return tuple(spend.finalize(found) for spend, found in zip(plan.spends, witnesses, strict=True))

    async def psbts(self, given: Sequence[bytes] = (), secrets: Sequence[Bytes] = ()) -> tuple[Signed, ...]:
        """One PSBT for each transaction, in order, with the signatures in it; and the final transaction when complete.

        What failed, or none of ``secrets`` (32 bytes each) completes, is left out: its transaction is not final. The
        signatures go into the PSBT among ``given`` (raw or base64) that is of the same transaction, all else in it
        untouched; without one into a fresh PSBT, which a Combiner merges with others.

        Raises:
            BadInput: one of ``given`` is no PSBT of this signing.
            SigningEnded, InvalidCrypto, Blamed, ReadOnly: as `results`, and `signatures` about secrets.
        """
        signatures = signed_so_far(await self.results(), secrets)
        return await asyncio.to_thread(psbts_of, signatures, self.plan, given)  # a thousand take a second

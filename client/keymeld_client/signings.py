"""A signing as its participant takes part in it: say yes, say no, take back what was asked for.

Nothing is approved that was not read here first.  What can be known of it, and what comes of it, is in `SigningView`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from keymeld_protocol.errors import Blamed, Reason, Refused
from keymeld_protocol.values import Hash, XOnlyKey
from keymeld_protocol.wire.payloads import SigningApprove, SigningCancel, SigningReject
from keymeld_protocol.wire.shapes import CLOCKS_APART_MS, REQUEST_LIFE_MS, Said
from keymeld_protocol.wire.statements import make

from .signing_view import SigningView


class Signing(SigningView):
    """One signing of a keygen that this wallet takes part in; compare by ``id``.

    `Client.signing`, `Client.signings` and `Keygen.request` give it.
    """

    async def approve(self, until_ms: int | None = None) -> None:
        """Say yes with every own slot whose yes is missing; ``until_ms``: for how long, from now (else until it ends).

        A coordinator can withhold a later no: a short ``until_ms`` bounds that.

        Raises:
            Blamed: the body does not hold, or the request would live too long; nothing was said.
            Refused: nobody waits for this wallet's yes, or it has said no before.
            ReadOnly: the log broke.
        """
        self.client.ledger.require(self.id)
        self.plan  # noqa: B018 - a yes covers what was read here (§11.1)
        now, consent = self.client.now(), self.state.consent
        until = None if until_ms is None else now + until_ms
        self._check_life(now)
        slots = self._speakers([slot for slot in consent.approvals if consent.counts(slot, now)])
        waited_for = [slot for slot in slots if slot in self.state.holdouts()]

        def yes(by: XOnlyKey, after: Hash) -> Said:
            return SigningApprove(v=1, by=by, stream=self.id, after=after, until=until)

        await self._say(waited_for or slots, yes)

    async def reject(self) -> None:
        """Say no, for good, with every own slot.

        Raises:
            Refused: the signing has ended, or this wallet has said no before.
            ReadOnly: the log broke.
        """
        await self._say(self._speakers(()), lambda by, after: SigningReject(v=1, by=by, stream=self.id, after=after))

    async def cancel(self) -> None:
        """Take the request back, as long as nobody has sent a psig; only who asked can.

        Raises:
            Refused: another wallet asked, or somebody may hold a signature.
            ReadOnly: the log broke.
        """
        own = [slot for slot in self.keygen.slots if slot == self.state.consent.requester]
        if not own:
            raise Refused(Reason.NOT_ALLOWED, "only the requester cancels", field="by")
        await self._say(own, lambda by, after: SigningCancel(v=1, by=by, stream=self.id, after=after))

    def _check_life(self, now: int) -> None:
        """A yes ends with its request, which lives at most 7 days: by our own clock, not by the coordinator's (§11.1).

        Raises:
            Blamed: ``expires_too_late``.
        """
        if self.state.request.expires_at > now + REQUEST_LIFE_MS + CLOCKS_APART_MS:
            asked = (self.state.consent.requester,)
            raise Blamed("expires_too_late", asked, "by this machine's clock it would live longer than 7 days")

    def _speakers(self, spoken: Iterable[int]) -> list[int]:
        """The own slots that have neither said no nor are among ``spoken``.

        Raises:
            Refused: there is none.
        """
        done = set(self.state.consent.rejected) | set(spoken)
        slots = [slot for slot in self.keygen.slots if slot not in done]
        if not slots:
            raise Refused(Reason.ALREADY_SAID, "this wallet has had its say about this request", field="by")
        return slots

    async def _say(self, slots: list[int], word: Callable[[XOnlyKey, Hash], Said]) -> None:
        """Say one word for each slot, as long as the signing goes on."""
        keygen = self.state.request.keygen
        for number, slot in enumerate(slots):
            heard = self.client.ledger.require(self.id)
            if number and not self.state.open:
                return
            with self.client.wallet.identity.auth(keygen, slot) as auth:
                statement = make(word(XOnlyKey(auth.key), heard.chain.hash), auth.sign)
            await self.client.say(statement)

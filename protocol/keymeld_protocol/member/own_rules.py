"""The rules of the slots that are ours, by our own clock: nobody else's word or clock shortens a delay (§7.4).

a delay of ours ▶ begins with our own word in the log, once the request was verified
our turn        ▶ each rule, for each key list that its slot is in ─┬─▶ met by all
                                                                    ├─▶ time alone is missing: asked again later
                                                                    └─▶ else refused: rule_not_met
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import Blamed
from ..machines import consent
from ..machines.consent import Consent, Verdict
from ..machines.signing_state import SigningState
from ..wire.payloads import SigningHeard
from ..wire.shapes import CLOCKS_APART_MS, REQUEST_LIFE_MS, Rule
from ..wording import slots_told
from .holder import KeyHolder


class OwnRules:
    """What the rules of a holder's slots say of one signing; ``now`` is its own time (ms)."""

    def __init__(self, holder: KeyHolder) -> None:
        self._holder = holder
        self._heard_at: int | None = None

    def note(self, said: SigningHeard) -> None:
        """When our delays began is what we said ourselves, in this life or another one."""
        if said.by == self._holder.key:
            self._heard_at = said.at

    def unheard(self, state: SigningState) -> bool:
        """Whether a delay of ours waits for our word that it has begun."""
        return not set(self._holder.slots).isdisjoint(state.unheard())

    def met(self, state: SigningState, key_lists: Iterable[frozenset[int]], now: int) -> bool:
        """Whether the rule of each of our slots is met, for each key list that holds it; False: not before its time.

        Raises:
            Blamed: ``expired``; or ``rule_not_met``, and time alone will not change that.
        """
        if state.request.expires_at <= now:
            raise Blamed("expired", (), "the request has expired by the signer's own clock")
        said, ours = self._consent(state), set(self._holder.slots)
        asked = [(key_list, slot) for key_list in key_lists for slot in sorted(ours & key_list)]
        ripe = [_is_ripe(self._holder.policy(slot).rule, slot, key_list, said, now) for key_list, slot in asked]
        return all(ripe)

    def _consent(self, state: SigningState) -> Consent:
        """What was said, our delays as we began them ourselves."""
        heard = {} if self._heard_at is None else dict.fromkeys(self._holder.slots, self._heard_at)
        return replace(state.consent, heard=heard)


def _is_ripe(rule: Rule, slot: int, key_list: frozenset[int], said: Consent, now: int) -> bool:
    """Whether a slot's rule is met; False: its time has not come.

    Raises:
        Blamed: ``rule_not_met``.
    """
    verdict = consent.evaluate(rule, slot, key_list, said, now)
    ripe = consent.ripe_at(rule, slot, said)
    early = verdict is Verdict.WAITING and ripe is not None and now < ripe
    if verdict is not Verdict.MET and not early:
        told = f"is not met by {slots_told(sorted(key_list))}, who would sign"
        raise Blamed("rule_not_met", (slot,), f"the rule of slot {slot} {told}")
    return not early


def check_life(state: SigningState, now: int) -> None:
    """A request lives at most 7 days by our own clock too, whatever ``at`` the coordinator gave its records.

    Raises:
        Blamed: ``expires_too_late``.
    """
    if state.request.expires_at > now + REQUEST_LIFE_MS + CLOCKS_APART_MS:
        raise Blamed("expires_too_late", (), "the request would live longer than 7 days")

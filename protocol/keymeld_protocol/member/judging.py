"""A request as a holder of keys judges it, once, and plans it as often as it is needed (§10.9, §11.2).

    body here ─▶ plan ─▶ judged by every policy of ours ─▶ Ruling, or Blamed      kept for as long as it waits
                   └────▶ items ─▶ `Plans`                                         kept for a while
    attempt, and neither items nor body are here ─▶ Unplanned ─▶ heard again ─▶ planned again

A request that waits costs its verdict and no more.  One body gives one plan, and the request names its digest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ..errors import Blamed, KeymeldError
from ..keys.sealing import GroupKey
from ..machines.replay import Replay
from ..machines.signing_state import SigningState
from ..plaintext.contributions import Failed
from .holder import KeyHolder, needed
from .plan import Plan, Planned, plan_of
from .plans import Plans
from .policies import judged
from .roster import Roster


class Unplanned(KeymeldError):
    """The plan was let go of, and the body with it: the request has to be heard again."""


class Ruling(NamedTuple):
    """What came of judging a request: how many places it has, and which items we do not sign."""

    places: int
    forbidden: Mapping[int, Failed]


class Judging:
    """One request: its verdict, and its items."""

    def __init__(self, heard: Replay, holder: KeyHolder, roster: Roster, plans: Plans) -> None:
        self._heard, self._holder, self._roster, self._plans = heard, holder, roster, plans
        self._found: Ruling | Blamed | None = None
        self._told_again = False

    @property
    def _state(self) -> SigningState:
        state = self._heard.as_signing
        assert state is not None
        return state

    @property
    def group(self) -> GroupKey:
        """What opens the members' words.

        Raises:
            Blamed: ``not_ours``: every slot that we held has left.
        """
        if self._holder.group is None:
            raise Blamed("not_ours", (), "no key of this keygen is held here")
        return self._holder.group

    @property
    def is_judged(self) -> bool:
        """Whether `verdict` has its answer."""
        return self._found is not None

    @property
    def places(self) -> int:
        """How many signatures and pre-signatures it takes, once it was judged."""
        return self._found.places if isinstance(self._found, Ruling) else 0

    def verdict(self, left: Collection[int]) -> Ruling:
        """What our policies say of the request; found out once, however often it is asked.

        Of a slot that has ``left`` no policy is asked, and nobody signs for it.  Who leaves later changes no judgement:
        he could as well leave once it is signed.

        Raises:
            Blamed: the body does not hold, or a policy forbids all of it.
            NotYet: one piece of it was done.
        """
        if self._found is None:
            try:
                made = self._plan()
                present = [slot for slot in needed(self._holder, self._state.request) if slot not in left]
                policies = {slot: self._holder.policy(slot) for slot in present}
                found = judged(made, self._state.consent.requester, policies, self._roster, left)
                self._found = Ruling(sum(len(item.adaptors) for item in made.items), found.forbidden)
            except Blamed as error:
                self._found = error
            self._let_go()
        if isinstance(self._found, Blamed):
            raise self._found.with_traceback(None)
        return self._found

    def items(self) -> tuple[Planned, ...]:
        """The items of a request that was judged.

        Raises:
            Unplanned: they are not kept any more, and neither is the body.
            Blamed: ``missing_blob``: it was told again, without its body.
            NotYet: one piece of it was done.
        """
        items = self._plans.get(self._heard.stream)
        if items is not None:
            return items
        if self._heard.records[0].statement.blob("body") is None and not self._told_again:
            raise Unplanned(self._heard.stream.hex())
        made = self._plan()
        self._told_again = False
        self._let_go()
        return made.items

    def told_again(self) -> None:
        """The request was heard again, with its body if the coordinator has it still."""
        self._told_again = True

    def close(self) -> None:
        """It is over."""
        self._plans.drop(self._heard.stream)

    def _plan(self) -> Plan:
        """The plan, from the body that is here; its transactions, which take ten times their bytes, are not kept."""
        made = plan_of(self._state, self._heard.records[0].statement, self._roster, self.group)
        self._plans.keep(self._heard.stream, made.items)
        return made

    def _let_go(self) -> None:
        self._holder.let_go(self._heard, self._heard.records[0], "body")

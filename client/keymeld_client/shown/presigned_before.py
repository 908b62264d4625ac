"""Pre-signatures that an earlier signing may have left with somebody, and with nobody else (§10.7).

earlier signing: psigs were sent, no result ──▶ somebody may hold R'‖s' of this ──▶ warn who approves it again

Out of what he publishes, who has only the pre-signature of the later signing never takes the secret.
"""

from __future__ import annotations

from keymeld_protocol.errors import Blamed
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.member.plan import Plan
from keymeld_protocol.member.roster import Roster

from .results import ItemError, results_of


def may_hide(heard: Replay, earlier: Plan, asked: Plan, roster: Roster, group: GroupKey) -> bool:
    """Whether a signing, of plan ``earlier``, may have left a pre-signature of what ``asked`` locks; it is not here."""
    state = heard.as_signing
    both = earlier.locked & asked.locked
    if state is None or not state.may_be_held or not both:
        return False
    if state.phase is not SigningPhase.COMPLETED:
        return True
    try:
        results = results_of(heard, earlier, roster, group)
    except Blamed:
        return True
    return any(isinstance(result, ItemError) and result.by_word for result in results)

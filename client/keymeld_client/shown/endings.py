"""How a signing ended without signatures, in words: who refused, and who is at fault.

    the signing failed (bad_psig): the enclave of slot 1 "Bob" sent a bad partial signature (item 3); the enclave of
    slot 0 "Alice" refused because of it; it may be signed all the same: treat its coins as spent

What a judgement proves takes the place of what a refusal says; where nothing is proven, its own words stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.printable import printable
from keymeld_protocol.wire.payloads import SigningRefuse

from ..errors import SigningEnded
from .blame import Fault, Judgement, Refusal
from .seats import detail_of

Namer = Callable[[int], str]
"""Gives the name of a slot, safe to print."""

_WILL: Final = frozenset({SigningPhase.REJECTED, SigningPhase.CANCELLED})
"""Ends that somebody wanted."""


def ended(heard: Replay, judged: Judgement, group: GroupKey, name: Namer) -> SigningEnded:
    """How a signing ended that is not completed."""
    state = heard.as_signing
    assert state is not None, "a signing"
    if state.phase in _WILL:
        judged = Judgement()
    code = state.code or state.phase.value
    slots = state.blamed or (tuple(sorted(state.consent.rejected)) if state.phase == SigningPhase.REJECTED else ())
    told = tuple(tell_judgement(judged, name))
    return SigningEnded(
        state.phase.value, code, slots, _detail(heard, group), state.may_be_signed, judged.at_fault, told
    )


def _detail(heard: Replay, group: GroupKey) -> str:
    """The sealed reason of the refusal that ended it, if there is one and it opens; notes may follow it."""
    refusals = [record for record in heard.records if isinstance(record.statement.payload, SigningRefuse)]
    return detail_of(refusals[-1], group) if refusals else ""


def tell_judgement(judged: Judgement, name: Namer) -> Iterator[str]:
    """Who is at fault, and whether who refused had cause to; no lines if nothing is amiss."""
    last = max((fault.attempt for fault in judged.faults), default=0)
    for fault in judged.faults:
        before = "" if fault.attempt == last else f", in attempt {fault.attempt}"
        yield f"{_who(fault, name)} {_did(fault, judged.refusal)}{before}"
    if judged.refusal is not None and judged.has_cause:
        yield f"the enclave of {_names(judged.refusal.slots, name)} refused because of it"
    elif judged.refusal is not None and judged.refusal.accuses and judged.unread is not None:
        who = f"the enclave of {_names(judged.refusal.slots, name)} refused"
        yield f"{who}; nobody can tell here why: the sealed values of offset {judged.unread} are missing"


def _who(fault: Fault, name: Namer) -> str:
    return ("" if fault.code == "bad_request" else "the enclave of ") + _names(fault.slots, name)


def _did(fault: Fault, refusal: Refusal | None) -> str:
    if fault.code == "without_cause" and refusal is not None:
        return f"refused with {refusal.code}, but everything that was sent verifies: it is at fault itself"
    where = f" ({printable(fault.where)})" if fault.where else ""
    return _DID.get(fault.code, fault.code) + where


def _names(slots: tuple[int, ...], name: Namer) -> str:
    """Slots in words: ``slot 0 "Alice" and slot 2 "Carol"``."""
    *most, last = map(name, slots)
    return f"{', '.join(most)} and {last}" if most else last


_DID: Final = {
    "bad_request": "asked for what does not hold",
    "bad_values": "sent what cannot be read",
    "said_twice": "sent two values where one belongs",
    "failed_late": "failed an item whose nonce others may have answered",
    "missing_nonce": "sent no nonce",
    "bad_nonce": "sent a bad nonce",
    "bad_proof": "sent a nonce that does not prove itself",
    "missing_psig": "sent no partial signature",
    "bad_psig": "sent a bad partial signature",
    "bad_signature": "sent no signature that verifies",
}
"""What somebody did, by the code of his fault."""

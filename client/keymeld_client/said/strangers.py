"""Can this be signed without me, by people I do not know?  Asked before a key is sealed under open tickets (§9.3).

    rule, of, requesters, custody ─┐
    seats as the log shows them ───┼─▶ the slots whose yes would do: no own seat, nor one that is named and taken
    whether tickets are open ──────┘

An open ticket sits in any free slot, and takes over one whose key no enclave holds yet.  Known are the wallet's own
seats, and those that ``requesters`` names and that are ready: whoever names a slot has looked who sits there.  The
slots of a quorum are a number more than a name, so they count for nothing by themselves.

Neither a delay nor the ends of a rule help: until then nobody asks for an own yes.  Subsets need not be asked about:
whom they hold is in the whole group too, and in one of the own slot alone only its owner can ask (§7.4).
"""

from __future__ import annotations

from collections.abc import Collection

from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.plaintext.policy import Policy
from keymeld_protocol.wire.shapes import CustodyKind


def strangers(
    state: KeygenState, slot: int, custody: CustodyKind, policy: Policy, own: Collection[int] = ()
) -> tuple[int, ...]:
    """The slots by whose word alone, all of them strangers', the key of ``slot`` would sign; none if it would not.

    ``own`` are the slots in which this wallet sits already.
    """
    if not state.create.open or custody != "sealed":
        return ()
    every = range(len(state.seats))
    named = {each for each in policy.requesters or () if (seat := state.seats[each]) is not None and seat.ready}
    unknown = frozenset(every) - {slot, *own} - named
    askers = unknown.intersection(every if policy.requesters is None else policy.requesters)
    voters = _voters(policy, askers, unknown)
    return tuple(sorted(askers | voters)) if askers and voters else ()


def _voters(policy: Policy, askers: frozenset[int], unknown: frozenset[int]) -> frozenset[int]:
    """Who of the unknown says the yes that the rule waits for; nobody if they are too few."""
    rule = policy.rule
    if rule.approval == "none":
        return askers
    voters = unknown.intersection(rule.of or ())
    return voters if len(voters) >= (rule.threshold or 1) else frozenset()

"""machines.json: both machines as tables, and played: who may say what when, and where it leads (§6, §7)."""

from __future__ import annotations

from typing import Any

from keymeld_protocol.errors import WireError
from keymeld_protocol.machines.machine import Machine
from keymeld_protocol.machines.streams import MACHINES
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import COORDINATOR, EPOCH, Keygen
from tests.vectors.diagrams import phases_of, tag_of

from . import traces
from .cast import commented, plain
from .keygen_traces import keygen_traces
from .signing_traces import openings, signing_traces


def machines_json() -> Any:
    """Tables, what opens a stream, and whole streams."""
    played = {"openings": [_opening(*one) for one in openings()], "signings": signing_traces()}
    logs = traces.shared(*played.values())
    return commented(
        "The machines, without signatures and blobs: payloads with the times of their records, all of one epoch. "
        "Records are chained as in §4.1. In a state, a kind that its table does not name is wrong_state; 'when' "
        "says which of several it is. A step is taken, and 'state' is what everybody computes then, or is "
        "'refused' and changes nothing; 'times' is how often it is said, with one id, which no real stream takes "
        "twice. What the 'after' of a join or of a "
        "request names is judged too (§6.2, §7.2). 'keygen' says which of the logs is that of a signing's keygen. "
        "The state of a keygen: 'slots' has the current join of each, null where it is free, 'ready', and "
        "'confirmed' by 'participant', 'enclave' or nobody; 'freed' has every refusal and release so far, in "
        "order, and is never cut; 'left' and 'wiped' the slots of which that was said; 'roster' is null before the "
        "keygen is completed. That of a signing: 'attempt' is 0 before the first; 'may_be_signed' is §7.1's; "
        "'yes' has the end of each slot's latest yes, also where it has passed, "
        "and none of a slot that is in 'no'; 'delays' when the delay of a slot began; 'owed' which "
        "step each signer owes now; 'holdouts' in APPROVING, of each needed rule but none that has fewer yeses than "
        "it needs (ripe or not, a yes that has ended still counting), the voters in the key list that have said "
        "neither yes nor no; in NONCES and PSIGS the slots of who owes a step; else nobody. 'retry': a signer has "
        "asked for another attempt than this one; not where that ended the signing. "
        "'code' and 'blamed' are those of FAILED: a refusal's code and slots, or too_many_attempts and "
        "the holdouts with who asked (§7.3).",
        coordinator=COORDINATOR.key, epoch=plain(EPOCH),
        tables=[_table(machine) for machine in MACHINES],
        logs=logs, keygens=keygen_traces(), **played,
    )  # fmt: skip


def _table(machine: Machine[Any]) -> dict[str, Any]:
    """Every entry of a machine's table."""
    leads = [
        {"state": str(phase), "kind": tag_of(kind), "leads": [_lead(to, when) for to, when in move.leads.items()]}
        for (phase, kind), move in machine.table.items()
    ]
    begins = [_lead(to, when) for to, when in machine.begins.items()]
    states = [str(phase) for phase in phases_of(machine)]
    return {"machine": machine.name, "opens": tag_of(machine.opens), "begins": begins, "states": states, "moves": leads}


def _lead(to: Any, when: str) -> dict[str, str]:
    return {"state": str(to)} | ({"when": when} if when else {})


def _opening(comment: str, keygen: Keygen | None, said: Statement, at: int) -> dict[str, Any]:
    """A stream's first statement."""
    log = {} if keygen is None else {"keygen": traces.log_of(keygen)}
    return commented(comment, **log, **traces.step(at, said), **opened(keygen, said, at))


def opened(keygen: Keygen | None, said: Statement, at: int) -> dict[str, Any]:
    """What comes of a stream's first statement."""
    try:
        return {"state": traces.told(traces.opened(keygen, said, at))}
    except WireError as error:
        return {"refused": traces.answer(error)}

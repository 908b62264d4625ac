"""due.json: what a coordinator says of its own, and when: time, presence, and what the log allows (§7.3)."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.machines.keygen_state import KeygenState
from keymeld_protocol.machines.machine import Due
from keymeld_protocol.machines.streams import machine_of
from keymeld_protocol.wire.shapes import MAX_ATTEMPTS, Rule
from tests.support.machines import (
    COORDINATOR,
    EPOCH,
    GRACE,
    HOUR,
    NOON,
    TOWER,
    VAULT,
    Keygen,
    Signing,
    Stream,
    key_list,
    key_of,
)
from tests.support.phases import DELAY, DELAYED, SELF, asked, psigs, signed, sixteenth, three

from . import traces
from .cast import commented, plain

Question = tuple[str, int, tuple[Keypair, ...], int]
"""A comment, the time (ms), the enclaves that are connected, and since when the coordinator runs (ms)."""

END = NOON + HOUR
BOTH, CASTLE = (VAULT, TOWER), key_of("castle")


def due_json() -> Any:
    """Streams, and what is due in each at several times."""
    cases = [_case(*one) for one in _streams()]
    return commented(
        "Logs as in machines.json, and what is asked of each: at a time 'at', with the enclaves in 'here' connected, "
        "by a coordinator that runs since 'up_since'. 'due' is the notice that it says, null for none; 'deadline' is "
        "the next moment after 'at' at which the end of a request, a grace or the ripeness of a rule passes, whether "
        "or not that changes anything, null in an end and once it has expired; 'awaited' are all signers of the "
        "attempt that the log allows now, here or not, else nobody; 'last' is null where the notice has none. A "
        "coordinator may choose another 'last'; these have that of a first attempt (§7.3).",
        coordinator=COORDINATOR.key, epoch=plain(EPOCH), logs=traces.shared(cases), streams=cases,
    )  # fmt: skip


def _case(comment: str, stream: Stream, *questions: Question) -> dict[str, Any]:
    home = {"keygen": traces.log_of(stream.keygen)} if isinstance(stream, Signing) else {}
    return commented(
        comment, **home, log=traces.log_of(stream), asked=[_asked(stream.heard, *one) for one in questions]
    )


def _asked(state: Any, comment: str, at: int, here: tuple[Keypair, ...], up_since: int) -> dict[str, Any]:
    enclaves = sorted(key.key.hex() for key in here)
    return commented(comment, at=at, here=enclaves, up_since=up_since, **answers(state, at, key_list(*here), up_since))


def answers(state: Any, at: int, here: Any, up_since: int) -> dict[str, Any]:
    """What the machine says."""
    due = machine_of(state).due(state, at, here, up_since)
    return {
        "due": None if due is None else _notice(due),
        "deadline": state.deadline(up_since, at),
        "awaited": sorted(key.hex() for key in state.awaited(at, up_since)),
    }


def _notice(due: Due) -> dict[str, Any]:
    """A notice without what its place in the log adds."""
    fields: dict[str, Any] = dict(due.fields)
    if "signers" in fields:
        fields["signers"] = [{"key": each.key.hex(), "slots": list(each.slots)} for each in fields["signers"]]
    return {"kind": str(due.kind.__struct_config__.tag), **plain(fields)}


def later_steps() -> Signing:
    """Three signers; the last one has answered two seconds after the request, and the two others owe something."""
    stream = three()
    for who, step, after in ((TOWER, "nonces", 500), (CASTLE, "nonces", 1000), (VAULT, "both", 2000)):
        stream.hear(stream.contribute(who, step), at=NOON + after)
    return stream


def _streams() -> list[Any]:
    """Every state in which something is due, or is not yet."""
    collecting, complete = Keygen(2).fill(0), Keygen(2).fill(0, 1)
    assert isinstance(collecting.heard, KeygenState)
    waiting, approved = asked(SELF, SELF), asked(SELF, SELF)
    approved.hear(approved.approve(1, until=NOON + 1000))
    later = Rule(approval="none", not_before=NOON + DELAY)
    timed, one = asked(later), asked(later, slots=2)
    shut = asked(structs.replace(DELAYED, not_after=NOON + GRACE))
    delayed = asked(DELAYED)
    delayed.hear(delayed.hears(VAULT))
    open_, gone = asked(), asked()
    gone.hear(gone.retry(TOWER))
    late, third, fourth = asked(), later_steps(), later_steps()
    late.hear(late.contribute(TOWER, "nonces"), at=NOON + 1000)
    fourth.hear(fourth.contribute(CASTLE, "psigs"), at=NOON + 2500)
    last, ended = sixteenth(), asked()
    ended.hear(ended.cancel())
    return [
        ("a keygen that collects joins", collecting, ("before its end", END - 1, (), 0), ("at its end", END, BOTH, 0)),
        ("a keygen that is complete has no end", complete, ("ever", END, BOTH, 0)),
        ("a request that needs nobody else: its attempt is open", asked(), ("both enclaves are here", NOON, BOTH, 0),
         ("nobody is", NOON, (), 0), ("it expires", END, BOTH, 0)),
        ("a rule that time alone meets", timed, ("too early", NOON + DELAY - 1, BOTH, 0),
         ("now", NOON + DELAY, BOTH, 0), ("one enclave is away", NOON + DELAY, (VAULT,), 0)),
        ("the same for two slots of one enclave: nobody goes last", one, ("it is here", NOON + DELAY, (VAULT,), 0)),
        ("a request that waits for a yes", waiting, ("without it", NOON, BOTH, 0), ("it expires", END, (), 0)),
        ("with a yes that ends before the grace of its attempt does", approved, ("before that", NOON + 999, BOTH, 0),
         ("the grace is over, and the rules are met no longer", NOON + GRACE, BOTH, 0)),
        ("a delay that has not begun, with a not_after", shut, ("it waits, and time brings nothing", NOON, BOTH, 0),
         ("at not_after", NOON + GRACE, BOTH, 0), ("after it no attempt can open, and nobody says so", NOON + GRACE + 1,
         BOTH, 0), ("it expires", END, BOTH, 0)),
        ("a delay that has begun", delayed, ("while it lasts", NOON + DELAY - 1, BOTH, 0),
         ("it is over", NOON + DELAY, BOTH, 0)),
        ("an attempt under way", open_, ("before the grace has passed", NOON + GRACE - 1, BOTH, 0),
         ("it has passed", NOON + GRACE, BOTH, 0), ("and a signer is away", NOON + GRACE, (TOWER,), 0),
         ("of a coordinator that has just begun it runs anew", NOON + GRACE, BOTH, NOON + GRACE - 1)),
        ("a signer's nonces are gone", gone, ("at once", NOON, BOTH, 0), ("but not without it", NOON, (VAULT,), 0)),
        ("psigs are awaited", psigs(), ("before the grace has passed", NOON + 1, BOTH, 0),
         ("it has passed", NOON + GRACE, BOTH, 0)),
        ("nonces have come later: only the last owes something", late,
         ("the first step's grace", NOON + GRACE, BOTH, 0), ("the grace of this step", NOON + GRACE + 1000, BOTH, 0)),
        ("psigs are awaited, of two", third, ("the grace of the step before", NOON + GRACE + 1000, BOTH, 0),
         ("the grace of this step", NOON + GRACE + 2000, (*BOTH, CASTLE), 0)),
        ("only who finishes owes something", fourth, ("the step before", NOON + GRACE + 2000, (*BOTH, CASTLE), 0),
         ("the grace of this step", NOON + GRACE + 2500, (*BOTH, CASTLE), 0)),
        ("it is completed", signed(), ("whenever", END, BOTH, 0)),
        (f"attempt {MAX_ATTEMPTS}", last, ("its grace has not passed", last.now - 1, BOTH, 0),
         ("it has passed", last.now, BOTH, 0)),
        ("an end", ended, ("whenever", END, BOTH, 0)),
    ]  # fmt: skip

"""The keygens of machines.json: every row of the keygen machine's rules (§6.2), once refused and once taken."""

from __future__ import annotations

from functools import partial
from typing import Any

from keymeld_protocol.machines.keygen import REPLACE_AFTER_MS
from keymeld_protocol.values import Hash, digest
from keymeld_protocol.wire.shapes import MAX_JOINS, MAX_NOTES, Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import COORDINATOR, HOUR, NOON, STRANGER, TOWER, VAULT, Keygen, xonly

from .traces import Trace, spoilt

LATER = NOON + REPLACE_AFTER_MS


def keygen_traces() -> list[dict[str, Any]]:
    """All of them."""
    made = (_joins, _held_back, _takeover, _custody, _deadline, _confirms, _leaving, _device, _closed, _many_joins,
            _many_notes)  # fmt: skip
    return [make().vector() for make in made]


def another(keygen: Keygen, slot: int, number: int, **fields: Any) -> Statement:
    """A join of the slot's own participant that is not his first."""
    return keygen.join(slot, policy=Hash(digest(b"policy %d" % number)), **fields)


def _joins() -> Trace:
    """Who may sit where, and with which keys."""
    keygen = Keygen(2)
    trace = Trace("joins: the ticket, the slot, and whose keys are in them", keygen)
    invite = xonly(keygen.cast.invite(1))
    trace.refuses("with another slot's invite key", keygen.join(0, invite=invite))
    trace.refuses("a slot that is not there", spoilt(keygen.join(0), slot=2))
    trace.refuses("by the creator key", keygen.join_by("group creator", 0))
    trace.refuses("the enclave is the coordinator", keygen.join(0, enclave=COORDINATOR))
    trace.refuses(
        "a quorum of slots that are not there", keygen.join(0, Rule(approval="quorum", threshold=1, of=(0, 2)))
    )
    trace.takes("Alice joins, and waits for her enclave", keygen.join(0))
    trace.refuses("by the enclave that a current join names", keygen.join_by("vault", 1, enclave=TOWER))
    trace.refuses("by the auth key of another slot", keygen.join_by("group auth 0", 1))
    trace.refuses("the enclave is another slot's auth key", keygen.join(1, enclave=keygen.auth(0)))
    trace.refuses("somebody else, before sixty seconds have passed", keygen.join_by("mallory", 0), at=LATER - 1)
    trace.takes("a join that is not ready is replaced by its own key at once", another(keygen, 0, 1), at=NOON)
    trace.takes("a device joins, and is ready", keygen.device(1))
    trace.refuses("a slot that is ready is taken", keygen.join_by("mallory", 1))
    trace.takes("the enclave accepts, and the keygen is completed", keygen.accept(0))
    trace.refuses("nobody joins a completed keygen", keygen.join_by("mallory", 1))
    return trace


def _held_back() -> Trace:
    """Joins that name a record before their speaker's latest join, or that one itself (§6.2)."""
    keygen = Keygen(2)
    early, stale = another(keygen, 0, 1), keygen.join_by("mallory", 0)
    trace = Trace("a join that was held back is not brought to life: its 'after' is judged", keygen)
    trace.takes("Alice joins", keygen.join(0))
    trace.refuses("what she had said before that", early)
    after = another(keygen, 0, 2)
    trace.takes("Bob joins, in his own slot", keygen.join(1))
    trace.takes("a join of hers after her latest one, though another record came since", after)
    trace.takes("her enclave refuses it: the slot is free", keygen.refuse(0))
    trace.refuses("nor does a join that is gone bring an earlier one to life", early)
    trace.takes("somebody else need not have heard hers", stale)
    trace.takes("she comes back over his, after sixty seconds", another(keygen, 0, 3), at=LATER)
    return trace


def _takeover() -> Trace:
    keygen = Keygen(1)
    keygen.hear(keygen.join(0))
    first = keygen.state.seats[0]
    assert first is not None
    trace = Trace("a slot that waits for a dead enclave is taken over after sixty seconds", keygen)
    trace.takes("by somebody else who has the ticket", keygen.join_by("mallory", 0, enclave=TOWER), at=LATER)
    trace.refuses("the enclave accepts the join that was replaced", keygen.accept(0, VAULT, first.id), at=LATER)
    trace.refuses("and refuses it", keygen.refuse(0, VAULT, first.id), at=LATER)
    trace.refuses("the creator releases the join that was replaced", keygen.release(0, join=first.id), at=LATER)
    trace.takes("the other enclave accepts", keygen.accept(0, TOWER), at=LATER)
    return trace


def _custody() -> Trace:
    keygen = Keygen(2)
    trace = Trace("enclaves accept and refuse, the creator releases", keygen)
    trace.refuses("nothing sits there", keygen.accept(0))
    trace.takes("Alice joins", keygen.join(0))
    trace.refuses("a slot that is not there is accepted", keygen.accept(2, VAULT))
    trace.refuses("refused", keygen.refuse(2, VAULT))
    trace.refuses("released", keygen.release(2))
    trace.refuses("by another enclave", keygen.accept(0, TOWER))
    trace.refuses("refused by another enclave", keygen.refuse(0, TOWER))
    trace.refuses("released by the slot's own participant", keygen.release(0, keygen.auth(0)))
    trace.takes("her enclave refuses: the slot is free", keygen.refuse(0))
    trace.takes("she joins again", another(keygen, 0, 1))
    trace.takes("her enclave accepts", keygen.accept(0))
    trace.refuses("twice", keygen.accept(0))
    trace.refuses("and refuses what it has accepted", keygen.refuse(0))
    trace.refuses("nobody confirms yet", keygen.confirm(keygen.auth(0)))
    trace.takes("the creator releases a slot that is ready", keygen.release(0))
    trace.takes("a third join", another(keygen, 0, 2))
    trace.takes("from whom nobody has heard says a note", keygen.note(keygen.auth(0)))
    trace.refuses("a stranger's note", keygen.note(STRANGER))
    return trace


def _deadline() -> Trace:
    keygen = Keygen(1)
    end = keygen.state.create.expires_at
    trace = Trace("the end of the time for joining", keygen)
    trace.takes("Alice joins", keygen.join(0))
    trace.refuses("before its time", keygen.expired(), at=end - 1)
    trace.refuses("by somebody else", keygen.expired(STRANGER), at=end)
    trace.refuses("from then on nobody joins", another(keygen, 0, 1), at=end)
    trace.refuses("nor accepts", keygen.accept(0), at=end)
    trace.takes("but members say notes", keygen.note(keygen.auth(0)), at=end)
    trace.takes("the coordinator's notice", keygen.expired(), at=end)
    trace.refuses("an end is an end", keygen.expired(), at=end)
    trace.takes("in which notes are still said", keygen.note(keygen.auth(0), "late"), at=end)
    return trace


def _confirms() -> Trace:
    keygen = Keygen(3).fill(0, 1, 2)
    trace = Trace("who confirms for whom: slots 0 and 1 are at one enclave, slot 2 at another", keygen)
    trace.refuses("another roster", keygen.confirm(keygen.auth(0), Hash(bytes(32))))
    trace.refuses("a stranger", keygen.confirm(STRANGER))
    trace.takes("Alice, for her slot", keygen.confirm(keygen.auth(0)))
    trace.refuses("twice", keygen.confirm(keygen.auth(0)))
    trace.takes("her enclave, for the other slot that it holds", keygen.confirm(VAULT))
    trace.refuses("it has nothing new to say", keygen.confirm(VAULT))
    trace.takes("Bob's own word replaces his enclave's", keygen.confirm(keygen.auth(1)))
    trace.refuses("the keygen expires no more", keygen.expired(), at=NOON + HOUR)
    trace.refuses("and nobody releases a slot", keygen.release(0), at=NOON + HOUR)
    return trace


def _leaving() -> Trace:
    keygen = Keygen(2)
    keygen.hear(keygen.device(1))
    keygen.fill(0)
    trace = Trace("members leave: slot 0 is at an enclave, slot 1 on a device", keygen)
    trace.refuses("a slot that is not there", keygen.leave(2, keygen.auth(0)))
    trace.refuses("somebody else's slot", keygen.leave(0, keygen.auth(1)))
    trace.refuses("a key is wiped of whoever has not left", keygen.wiped(0))
    trace.refuses("of a slot that is not there", keygen.wiped(2, VAULT))
    trace.takes("Alice leaves", keygen.leave(0))
    trace.refuses("twice", keygen.leave(0))
    trace.refuses("another enclave wipes her key", keygen.wiped(0, TOWER))
    trace.takes("her enclave says that it has", keygen.wiped(0))
    trace.refuses("twice", keygen.wiped(0))
    trace.takes("the last one leaves: closed", keygen.leave(1))
    trace.refuses("nobody leaves what is closed", keygen.leave(1))
    trace.refuses("or confirms it", keygen.confirm(keygen.auth(1)))
    return trace


def _device() -> Trace:
    keygen = Keygen(1)
    trace = Trace("a device completes a keygen", keygen)
    trace.takes("by its join", keygen.device(0))
    return trace


def _closed() -> Trace:
    keygen = Keygen(1).fill(0)
    trace = Trace("who leaves last is waited for until his key is wiped", keygen)
    trace.takes("Alice leaves: closed", keygen.leave(0))
    trace.takes("her enclave has wiped her key", keygen.wiped(0))
    return trace


def _many_joins() -> Trace:
    keygen = Keygen(2)
    trace = Trace("as many joins as one slot sees, and one more; the other slot has its own number", keygen)
    trace.takes(
        "joins of one slot, each after the one that it replaces",
        *(partial(another, keygen, 0, i) for i in range(MAX_JOINS)),
    )
    trace.refuses("one too many", another(keygen, 0, MAX_JOINS))
    trace.takes("the other slot", keygen.join(1))
    return trace


def _many_notes() -> Trace:
    keygen = Keygen(2).fill(0, 1)
    trace = Trace("as many notes as one slot says, and one more; 'times' is how often a payload is said", keygen)
    trace.takes("notes of slot 0", keygen.note(keygen.auth(0)), times=MAX_NOTES)
    trace.refuses("one too many", keygen.note(keygen.auth(0), "once_more"))
    trace.takes("slot 1 has its own number", keygen.note(keygen.auth(1)))
    return trace

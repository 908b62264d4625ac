"""What is looked at of the signing machine: rules in several mixes, everybody who could speak, every kind (§7).

    small("quorum")      few enough places for every run
    large("quorum")      three attempts, and every voice: `make model`

Alice, Bob and Carol sit in slots 0, 1 and 2 and Alice asks; the vault holds slots 0 and 1, the tower slot 2, unless a
mix says otherwise.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.machines.signing_state import (
    ENDS,
    SigningPhase,
    SigningState,
    expected,
    nonces_hash,
    signers_of,
)
from keymeld_protocol.values import XOnlyKey, digest
from keymeld_protocol.wire.payloads import (
    AttemptOpened,
    Note,
    SigningApprove,
    SigningCancel,
    SigningContribute,
    SigningExpired,
    SigningHeard,
    SigningRefuse,
    SigningReject,
    SigningRetry,
)
from keymeld_protocol.wire.shapes import MAX_ATTEMPTS, Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import (
    COORDINATOR,
    GRACE,
    HOUR,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Keygen,
    Signing,
    key_list,
    key_of,
    xonly,
)
from tests.support.phases import DELAYED, SELF, quorum

from .explored import NOWHERE, Bounds, Step, says, unsigned

NONE: Final = Rule(approval="none")
UNTIL: Final = NOON + GRACE + 1
"""When a yes ends that is said for a while."""
SOON: Final = Rule(approval="none", delay_ms=GRACE, not_after=NOON + GRACE)
WINDOW: Final = Rule(approval="self", not_before=NOON + GRACE, not_after=NOON + GRACE + 1)
MOMENTS: Final = (NOON, NOON + GRACE - 1, NOON + GRACE, UNTIL, NOON + 60_000, NOON + HOUR)
"""Just before and at a grace, when a yes ends, when a delay does, and the end of the request."""


@dataclass(frozen=True)
class Mix:
    """Rules by slot; whose members say yes and no, and ``briefly`` whether also for a while; up to which attempt."""

    rules: tuple[Rule, ...]
    voices: tuple[int, ...]
    briefly: bool = False
    attempts: int = 1
    begin: int = 0
    moments: tuple[int, ...] = MOMENTS
    enclaves: tuple[Keypair, ...] = (VAULT, VAULT, TOWER)

    @property
    def slots(self) -> int:
        """How many there are."""
        return len(self.rules)

    def keygen(self) -> Keygen:
        """A completed one with these rules, each slot at its enclave."""
        keygen = Keygen(self.slots)
        for slot, rule in enumerate(self.rules):
            keygen.hear(keygen.join(slot, rule, self.enclaves[slot]))
            keygen.hear(keygen.accept(slot, self.enclaves[slot]))
        return keygen


CASTLE: Final = key_of("castle")
FEW: Final = (NOON, NOON + GRACE, NOON + HOUR)
MIXES: Final = {
    "none": Mix((NONE,) * 3, voices=(0,), attempts=2, moments=FEW),
    "self": Mix((NONE, SELF, SELF), voices=(1, 2), moments=FEW),
    "quorum": Mix((quorum(2, 0, 1, 2),) * 3, voices=(1, 2), moments=(NOON, NOON + HOUR)),
    "for a while": Mix((NONE, SELF, NONE), voices=(1,), briefly=True, attempts=2, moments=(NOON, UNTIL, NOON + HOUR)),
    "delay": Mix((NONE, NONE, DELAYED), voices=(0, 2)),
    "ends soon": Mix((NONE, SOON, NONE), voices=(1,)),
    "window": Mix((NONE, WINDOW, NONE), voices=(1,)),
    "three": Mix((NONE,) * 3, voices=(), moments=(NOON, NOON + HOUR), enclaves=(VAULT, CASTLE, TOWER)),
    "alone": Mix((NONE, SELF), voices=(0, 1), attempts=2),
    "sixteenth": Mix((NONE,) * 3, voices=(0,), attempts=MAX_ATTEMPTS, begin=MAX_ATTEMPTS - 2, moments=FEW),
}
"""By name; what is `FEW` has no clock but the grace."""


def small(name: str) -> Bounds:
    """One mix, in a second or two."""
    return bounds(MIXES[name])


def large(name: str) -> Bounds:
    """One mix, with every voice at every moment and one attempt more."""
    mix = MIXES[name]
    attempts = min(mix.attempts + 1, MAX_ATTEMPTS)
    return bounds(replace(mix, voices=tuple(range(mix.slots)), briefly=True, attempts=attempts, moments=MOMENTS))


def bounds(mix: Mix) -> Bounds:
    """What is looked at of a mix."""
    keygen = mix.keygen()
    root = Signing(keygen).state
    root = replace(root, attempt=mix.begin or root.attempt)
    everybody, vault = key_list(*mix.enclaves), key_list(VAULT)
    return Bounds(
        roots=(root,), moments=mix.moments, same=same, require=require, here=(frozenset(), vault, everybody),
        words=lambda state: words(state, keygen, mix), within=lambda state: state.attempt <= mix.attempts,
    )  # fmt: skip


def same(state: SigningState) -> Hashable:
    """What a state is, without where in the log it was said and how often somebody has spoken."""
    if state.phase in ENDS:
        return (state.phase, state.attempt, state.psig_sent, state.psig_owed, state.code, state.blamed)
    said = tuple(sorted((c.by, c.step, c.id) for c in state.contributions))
    yes, no = tuple(sorted(state.consent.approvals.items())), state.consent.rejected
    heard = tuple(sorted(state.consent.heard.items()))
    attempt = (state.attempt, state.last, state.step_since, state.retry, state.psig_sent, state.psig_owed, said)
    return (state.phase, attempt, yes, no, heard)


# Who says what --------------------------------------------------------------------------------------------------


def words(state: SigningState, keygen: Keygen, mix: Mix) -> Iterator[Statement]:
    """Whatever anybody could say: members, enclaves, the coordinator, a stranger; each of them every kind."""
    members = [keygen.auth(slot) for slot in range(mix.slots)]
    silent = [member for slot, member in enumerate(members) if slot not in mix.voices]
    enclaves = list(dict.fromkeys((*mix.enclaves, TOWER)))
    everybody = [*members, *enclaves, COORDINATOR, STRANGER]
    for who in everybody:
        if who not in silent:
            yield from votes(state, who, mix)
        yield from enclaves_words(state, who, who in enclaves)
        yield from coordinators_words(state, who, mix)
        yield says(who, SigningCancel, state.stream)
    yield unsigned(Note, xonly(STRANGER), state.stream, ("kind", "note.word"))


def votes(state: SigningState, who: Keypair, mix: Mix) -> Iterator[Statement]:
    """A member's word: for good, for a while, no."""
    yield says(who, SigningApprove, state.stream)
    if mix.briefly:
        yield says(who, SigningApprove, state.stream, until=UNTIL)
    yield says(who, SigningReject, state.stream)


def enclaves_words(state: SigningState, who: Keypair, enclave: bool) -> Iterator[Statement]:
    """A signer's word about this attempt; an enclave says it about another one, too."""
    stream, attempt = state.stream, max(1, state.attempt)
    for about in (attempt, attempt % MAX_ATTEMPTS + 1) if enclave else (attempt,):
        yield from contributions(state, who, about, enclave and about == attempt)
        yield says(who, SigningRetry, stream, attempt=about)
        yield says(who, SigningRefuse, stream, attempt=about % MAX_ATTEMPTS, slots=(0,), code="rule_not_met")
    for slots in ((0,), (2,)):
        yield says(who, SigningRefuse, stream, attempt=state.attempt, slots=slots, code="rule_not_met")
    yield says(who, SigningHeard, stream, at=NOON)


def contributions(state: SigningState, who: Keypair, attempt: int, all_steps: bool) -> Iterator[Statement]:
    """Every step over these nonces; nonces of two kinds, and a psig that answers others than the log holds."""
    slots = next((s.slots for s in state.signers if s.key == who.key), (0,))
    answered, foreign = nonces_hash(state), NOWHERE
    choices: list[tuple[str, Any, bytes]] = [
        ("nonces", None, b"one"), ("nonces", None, b"other"), ("both", answered, b"one"), ("both", foreign, b"one"),
        ("psigs", answered, b"one"), ("psigs", foreign, b"one"), ("signatures", None, b"one"),
        ("signatures", answered, b"one"), ("signatures", foreign, b"one"),
    ]  # fmt: skip
    for step, answers, values in choices if all_steps else choices[:1]:
        over = {} if answers is None else {"over": answers}
        fields = {"attempt": attempt, "slots": slots, "step": step, "values": digest(values)}
        yield says(who, SigningContribute, state.stream, **fields, **over)


def coordinators_words(state: SigningState, who: Keypair, mix: Mix) -> Iterator[Statement]:
    """Notices, by whoever says them: the next attempt or another one, with either enclave last or with none."""
    yield says(who, SigningExpired, state.stream)
    signers = signers_of(state)
    following = state.attempt + 1
    lasts = [None, *(signer.key for signer in signers)] if who is COORDINATOR else [signers[0].key]
    for last in lasts if following <= min(mix.attempts, MAX_ATTEMPTS) else ():
        named = {} if last is None else {"last": last}
        yield says(who, AttemptOpened, state.stream, attempt=following, signers=signers, **named)
    if who is COORDINATOR and following > 1:
        yield says(who, AttemptOpened, state.stream, attempt=state.attempt, signers=signers, last=signers[0].key)


# What must hold -------------------------------------------------------------------------------------------------


def require(step: Step) -> None:
    """On every step.

    Raises:
        AssertionError: something that must not happen has.
    """
    before, after, kind = step.before, step.after, step.said.payload.kind
    if before.phase in ENDS:
        assert kind.startswith("note.") and replace(after, words=before.words) == before, "an end moves"
    assert before.attempt <= after.attempt <= before.attempt + 1, "an attempt goes back, or one is left out"
    assert after.psig_sent or not before.psig_sent, "a psig is forgotten"
    if kind != "signing.refuse":  # of one signer alone, who has said nothing else
        assert after.psig_owed or not before.psig_owed, "it is forgotten that a psig was owed"
    if set(expected(after).values()) - {"nonces"}:
        assert after.psig_owed, "a psig is owed, and it is not noted"
    assert before.consent.rejected <= after.consent.rejected, "a no is forgotten"
    assert before.consent.heard.items() <= after.consent.heard.items(), "a delay begins twice"
    done = after.phase == SigningPhase.COMPLETED
    assert done == any(c.step == "signatures" for c in after.contributions), "completed out of nothing"
    assert after.phase != SigningPhase.CANCELLED or not after.psig_sent, "cancelled, and somebody may hold a signature"
    if after.attempt > before.attempt:
        first = kind == "signing.approve" and before.attempt == 0
        assert first or kind == "attempt.opened", "an attempt begins by chance"
        assert after.contributions == () and after.psig_sent == before.psig_sent, "it begins with what was said before"
        assert agreed(after if first else before, step.at), "an attempt is opened, and somebody has not agreed"
        late = step.at >= before.step_since + before.request.grace_ms
        assert before.phase == SigningPhase.APPROVING or before.retry or late, "an attempt is opened beside another"
    else:
        assert set(before.contributions) <= set(after.contributions), "a contribution is forgotten"
    require_contributions(after)


def require_contributions(state: SigningState) -> None:
    """Each signer takes each step once, in order; a psig answers the nonces of this attempt, and only one set of them.

    Raises:
        AssertionError: something that must not happen has.
    """
    said = [(c.by, c.step) for c in state.contributions]
    assert len(said) == len(set(said)), "a signer takes one step twice"
    signers = {signer.key for signer in state.signers}
    for key in signers:
        steps = [step for by, step in said if by == key]
        assert steps == whole(state, key)[: len(steps)], "a signer takes a step that is not his"
    if state.phase in (SigningPhase.PSIGS, SigningPhase.COMPLETED) and len(signers) > 1:
        nonces = {c.by for c in state.contributions if c.step in ("nonces", "both")}
        assert nonces == signers, "psigs answer nonces that may still change"


def whole(state: SigningState, key: XOnlyKey) -> list[str]:
    """All that a signer says in an attempt: one goes last, one finishes, each of the others speaks twice."""
    if len(state.signers) == 1:
        return ["signatures"]
    *_, finisher = [signer.key for signer in state.signers if signer.key != state.last]
    return ["both"] if key == state.last else ["nonces", "signatures" if key == finisher else "psigs"]


def agreed(state: SigningState, at: int) -> bool:
    """Whether every needed slot's rule is met, read from the specification with sets (§7.4)."""
    needed, consent = set(state.request.slots), state.consent
    yes = {slot for slot, end in consent.approvals.items() if end > at and slot not in consent.rejected}
    for slot in needed:
        rule = state.keygen.joins[slot].rule
        voters = set(rule.of) if rule.of is not None else {slot if rule.approval == "self" else consent.requester}
        begun = consent.heard.get(slot, at + 1) if rule.delay_ms is not None else 0
        ripe = max(rule.not_before or 0, begun + (rule.delay_ms or 0))
        refused = consent.requester in consent.rejected or (rule.delay_ms is not None and slot in consent.rejected)
        in_time = at >= ripe and (rule.not_after is None or at <= rule.not_after)
        if refused or not in_time or len(voters & needed & yes) < (rule.threshold or 1):
            return False
    return True

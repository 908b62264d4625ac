"""One signing as this enclave serves it: the plan, the attempt being read, and the nonces not yet spent.

Before any nonce the enclave has verified the whole chain of statements, the roster, that the request is a member's,
that its sealed body is what its public numbers say, and, for every item and every slot of ours in its key list, the
rule that was sealed with that slot's key.  A request that cannot be signed is refused with a code and a sealed detail.

    owed ─▶ plan impossible ─────────────────────────▶ signing.refuse
         ─▶ a needed slot of ours has a delay ───────▶ signing.heard, once, by our own clock
         ─▶ a step is ours, live, the rules are met ─▶ signing.contribute, and signing.confirm if that completes the set
         ─▶ a step is ours, from another life ───────▶ signing.retry
         ─▶ the set is complete, nobody confirms ────▶ signing.confirm, after a second
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import replace

from keymeld_protocol.errors import BadInput, Blamed, InvalidCrypto
from keymeld_protocol.keys.sealing import GroupKey
from keymeld_protocol.machines import consent
from keymeld_protocol.machines.consent import Consent, Verdict
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.machines.signing_state import SigningPhase, SigningState, expected, nonces_hash
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext import contributions
from keymeld_protocol.plaintext.contributions import Entry
from keymeld_protocol.two_threads import BIG_BATCH
from keymeld_protocol.wire.payloads import AttemptOpened, SigningConfirm, SigningContribute, SigningHeard, SigningRetry
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.shapes import CLOCKS_APART_MS, REQUEST_LIFE_MS
from keymeld_protocol.wire.statements import Statement
from keymeld_protocol.wording import slots_told

from .custody import Unacceptable
from .policies import Judged, judged
from .presigning import Presigning
from .signer import MemberSigner, Nonces, NoncesGone
from .speaker import Speaker

CONFIRM_AFTER_MS = 1000


class SigningWork:
    """What we owe to one signing.  ``began`` is the offset up to which records are history of another life."""

    def __init__(self, speaker: Speaker, heard: Replay, signer: MemberSigner, began: int) -> None:
        self.heard = heard
        self._speaker = speaker
        self._signer = signer
        self._custody = signer.custody
        self._began = began
        self._found: Judged | Blamed | None = None
        self._attempt: Attempt | None = None
        self._nonces: Nonces | None = None
        self._live = False
        self._heard_at: int | None = None
        self._said: set[Hashable] = set()
        self._presigning = Presigning()
        self._set_complete_at: int | None = None
        self._blamed: Blamed | None = None
        self.waits_for_time = False
        """Whether to ask what is ``owed`` again though nothing is heard: for a rule's time, or who should confirm."""

    @property
    def state(self) -> SigningState:
        """The signing as verified so far."""
        assert isinstance(self.heard.state, SigningState)
        return self.heard.state

    @property
    def size(self) -> int:
        """How many signatures and pre-signatures it takes, once the body was read."""
        return sum(len(item.adaptors) for item in self._found.items) if isinstance(self._found, Judged) else 0

    @property
    def _group(self) -> GroupKey:
        if self._custody.group is None:
            raise Blamed("not_ours", (), "no slot of this keygen is sealed to this enclave")
        return self._custody.group

    def note(self, record: Record) -> None:
        """Take what a verified record brings: when our delays began, a new attempt, or a contribution to read."""
        said = record.statement.payload
        if isinstance(said, AttemptOpened):
            self.wipe()
            self._live = record.offset > self._began
            self._attempt = None
            self._blamed = None
        elif isinstance(said, SigningHeard) and said.by == self._speaker.key:
            self._heard_at = said.at
        elif isinstance(said, SigningContribute):
            self._read(said, record.statement)
            self._let_go(record, "values")
            self._presigning.note(said.attempt, said.step)

    def _let_go(self, record: Record, field: str) -> None:
        """What was read is not kept: nobody fills our memory with requests that wait, or with what signers say."""
        self.heard.let_go(record.statement.id, field)

    def _read(self, said: SigningContribute, statement: Statement) -> None:
        """Open a contribution; one that does not hold blames its signer, and nobody owes anything to its attempt."""
        try:
            self._reading().hear(said.by, self._open(said, statement))
        except Blamed as error:
            self._blamed = self._blamed or error

    def _open(self, said: SigningContribute, statement: Statement) -> tuple[Entry, ...]:
        sealed = statement.blob("values")
        if sealed is None:
            raise Blamed("missing_blob", said.slots, "the sealed values were not delivered")
        try:
            return contributions.decode(self._group.open_in(said, "values", sealed), len(self._reading().places))
        except (InvalidCrypto, BadInput) as error:
            raise Blamed("bad_values", said.slots, str(error)) from None

    @property
    def _judged(self) -> Judged:
        """The items, and what our policies say of them.

        Raises:
            Blamed: the body does not hold, or a policy forbids all of it; found out once, however often it is asked.
        """
        if self._found is None:
            self._found = self._judge()
        if isinstance(self._found, Blamed):
            raise self._found.with_traceback(None)
        return self._found

    def _judge(self) -> Judged | Blamed:
        """Read the body and judge it; only its items are kept, since its transactions take ten times their bytes.

        Of a slot that has left no policy is asked: nothing that needs it is signed any more, only confirmed.
        Who leaves later changes no judgement: he could as well leave once it is signed.
        """
        opening, roster = self.heard.records[0], self._signer.roster
        try:
            made = plan_of(self.state, opening.statement, roster, self._group)
            needed = self._speaker.needed(self.state, self._custody.state)
            policies = {
                slot: self._custody.take(slot).policy for slot in needed if slot not in self._custody.state.left
            }
            return judged(made, self.state.consent.requester, policies, roster, self._gone)
        except Blamed as error:
            return error
        finally:
            self._let_go(opening, "body")

    def _reading(self) -> Attempt:
        if self._attempt is None:
            self._attempt = Attempt.of(self.state, self._judged.items, self._signer.roster)
            self._attempt.refuse(self._judged.forbidden)
        return self._attempt

    def owed(self, now: int) -> list[Statement]:
        """What this enclave owes at ``now`` (ms)."""
        self.waits_for_time = False
        try:
            self._check_life(now)
            self._require_present()
            self._judged  # noqa: B018 - a request that may not be signed is refused at once
            return list(self._owed(self.state, now))
        except Blamed as error:
            return self._refuse(
                error.code, f"{slots_told(error.slots)}: {error.message}" if error.slots else error.message
            )
        except Unacceptable as error:
            return self._refuse(error.code, error.message)
        except InvalidCrypto as error:
            return self._refuse("cannot_sign", str(error))

    def _require_present(self) -> None:
        """Nothing that needs a slot that has left is signed any more, also where it was asked for before.

        Raises:
            Blamed: ``left``, with the slots.
        """
        if gone := tuple(slot for slot in self.state.request.slots if slot in self._gone):
            raise Blamed("left", gone, "a participant whose key is needed has left")

    @property
    def _gone(self) -> Collection[int]:
        """The slots that have left; where all psigs are said already, it makes no difference any more."""
        return () if self.state.phase == SigningPhase.CONFIRMING else self._custody.state.left

    def _check_life(self, now: int) -> None:
        """A request lives at most 7 days by our own clock too, whatever ``at`` the coordinator gave its records.

        Raises:
            Blamed: ``expires_too_late``.
        """
        if self.state.request.expires_at > now + REQUEST_LIFE_MS + CLOCKS_APART_MS:
            raise Blamed("expires_too_late", (), "the request would live longer than 7 days")

    def _owed(self, state: SigningState, now: int) -> Iterable[Statement]:
        """The step that is ours now, or the word with which a delay begins, or the confirmation that somebody owes."""
        step = expected(state).get(self._speaker.key)
        if state.phase == SigningPhase.APPROVING:
            yield from self._hearing(state, now)
        elif state.phase == SigningPhase.CONFIRMING:
            yield from self._confirmation(state, now)
        elif step is None or state.retry or (state.attempt, step) in self._said:
            return
        elif not self._may_answer(step):
            yield from self._retry(state)
        elif self._rules_met(now):
            if self._blamed is not None:
                raise self._blamed
            self._presigning.require_first(self._reading())
            self._said.add((state.attempt, step))
            yield from self._contribute(step)

    def _hearing(self, state: SigningState, now: int) -> Iterable[Statement]:
        """Our delays begin now, unless the log holds our own word for when they did, in this life or another one."""
        if not self._ours.isdisjoint(state.unheard()) and self._once(state.attempt, "heard"):
            yield self._speaker.say(self.heard, SigningHeard, at=now)

    @property
    def _ours(self) -> set[int]:
        """The slots that are sealed to us."""
        return set(self._custody.state.slots_at(self._speaker.key))

    def _once(self, attempt: int, what: str) -> bool:
        """Whether this has not been said yet by this process."""
        fresh = (attempt, what) not in self._said
        self._said.add((attempt, what))
        return fresh

    def _may_answer(self, step: str) -> bool:
        """Only attempts heard opened live, and psigs only with the nonces that this process said."""
        return self._live and (step != "psigs" or self._nonces is not None)

    def _retry(self, state: SigningState) -> Iterable[Statement]:
        if self._once(state.attempt, "retry"):
            yield self._speaker.say(self.heard, SigningRetry, attempt=state.attempt)

    def _rules_met(self, now: int) -> bool:
        """The sealed rule of each of our slots, for each item whose key list holds it, by our own clock.

        Raises:
            Blamed: a rule is not met, and time alone will not change that; the session is refused.
        """
        state, said, ours, waiting = self.state, self._consent(), self._ours, False
        if state.request.expires_at <= now:
            raise Blamed("expired", (), "the request has expired by this enclave's clock")
        for key_list in {consent.as_key_list(item.slots) for item in self._judged.items}:
            for slot in sorted(ours & key_list):
                rule = self._custody.take(slot).policy.rule
                verdict = consent.evaluate(rule, slot, key_list, said, now)
                ripe = consent.ripe_at(rule, slot, said)
                early = verdict is Verdict.WAITING and ripe is not None and now < ripe
                if verdict is not Verdict.MET and not early:
                    told = f"is not met by {slots_told(sorted(key_list))}, who would sign"
                    raise Blamed("rule_not_met", (slot,), f"the rule sealed with slot {slot} {told}")
                waiting = waiting or early
        self.waits_for_time = waiting
        return not waiting

    def _consent(self) -> Consent:
        """What was said, our delays as we began them ourselves: nobody else's word or clock shortens them."""
        heard = {} if self._heard_at is None else dict.fromkeys(self._ours, self._heard_at)
        return replace(self.state.consent, heard=heard)

    def _contribute(self, step: str) -> Iterable[Statement]:
        """Compute this step; when it completes the set, confirm as well, or as soon as it is heard."""
        state, attempt = self.state, self._reading()
        over = nonces_hash(state) if step in ("psigs", "both") else None
        try:
            entries = self._entries(step, attempt)
        except NoncesGone:
            yield from self._retry(state)
            return
        self._presigning.note(state.attempt, step)
        yield self._speaker.say(
            self.heard, SigningContribute, attempt=state.attempt, slots=attempt.signer(self._speaker.key).slots,
            step=step, over=over, **self._sealed("signing.contribute", "values", entries),
        )  # fmt: skip
        if self._confirms_now(step):
            attempt.hear(self._speaker.key, entries)
            yield self._confirm(attempt)

    def _confirms_now(self, step: str) -> bool:
        """Whether a step that completes the set takes the confirmation along.

        Signatures are verified before they leave. The psigs of a big batch, each verified, need not wait for it: it
        follows when they are heard (`_confirmation`), while the others add them up as well.
        """
        big = self.size > BIG_BATCH
        return len(expected(self.state)) == 1 and (step == "signatures" or (step == "psigs" and not big))

    def _entries(self, step: str, attempt: Attempt) -> tuple[Entry, ...]:
        if step == "signatures":
            return self._signer.alone(attempt)
        if step == "both":
            return self._signer.both(attempt)
        if step == "nonces":
            self.wipe()
            self._nonces = Nonces(attempt.number)
            return self._signer.nonces(attempt, self._nonces)
        if self._nonces is None:
            raise NoncesGone(f"attempt {attempt.number}")
        nonces, self._nonces = self._nonces, None
        try:
            return self._signer.psigs(attempt, nonces)
        finally:
            nonces.wipe()

    def _confirm(self, attempt: Attempt) -> Statement:
        """The verified signatures and pre-signatures, sealed to the group.

        Raises:
            Blamed: they do not verify; names whose psig is at fault.
        """
        made = attempt.made()
        self._said.add((attempt.number, "confirm"))
        sealed = self._sealed("signing.confirm", "signatures", made)
        return self._speaker.say(self.heard, SigningConfirm, attempt=attempt.number, **sealed)

    def _confirmation(self, state: SigningState, now: int) -> Iterable[Statement]:
        """Confirm at once if our words completed the set, else one second later for whoever did and does not.

        Where all our slots have left since, the group key is gone: then it is for others.
        """
        if self._custody.group is None:
            return
        if self._set_complete_at is None:
            self._set_complete_at = now
        ours = self._live and state.contributions[-1].by == self._speaker.key
        late = now >= self._set_complete_at + CONFIRM_AFTER_MS
        if (state.attempt, "confirm") in self._said:
            return
        if not (ours or late):
            self.waits_for_time = True
            return
        if self._blamed is not None:
            raise self._blamed
        yield self._confirm(self._reading())

    def _sealed(self, kind: str, field: str, entries: tuple[Entry, ...]) -> dict[str, object]:
        """A field of entries, sealed to the group."""
        return self._speaker.sealed(self._group, kind, self.heard.stream, **{field: contributions.encode(entries)})

    def _refuse(self, code: str, message: str) -> list[Statement]:
        """Say, once in each attempt, why this enclave will not sign."""
        self.wipe()
        if not self._once(self.state.attempt, "refuse"):
            return []
        return self._speaker.refuse(self.heard, self._custody.group, code, message)

    def wipe(self) -> None:
        """Wipe the nonces."""
        if self._nonces is not None:
            self._nonces.wipe()
            self._nonces = None

"""One signing as a holder of keys serves it: the plan, the attempt being read, and the nonces not yet spent (§11.2).

Before any nonce the whole chain of statements was verified, the roster, that the request is a member's, that its sealed
body is what its public numbers say, that no policy of ours forbids it, and, for every item and every slot of ours in
its key list, that its rule is met: in an enclave, of the policy that was sealed with the slot's key.
A request that cannot be signed is refused with a code and a sealed detail.

    owed ─▶ plan impossible ─────────────────────────▶ signing.refuse
         ─▶ a needed slot of ours has a delay ───────▶ signing.heard, once, by our own clock
         ─▶ a step is ours, live, the rules are met ─▶ signing.contribute; signatures are verified before they leave
         ─▶ a step is ours, from another life ───────▶ signing.retry
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from contextlib import suppress

from ..errors import Blamed, InvalidCrypto
from ..machines import consent
from ..machines.replay import Replay
from ..machines.signing_state import SigningPhase, SigningState, expected, nonces_hash
from ..plaintext import contributions
from ..plaintext.contributions import Entry
from ..wire.payloads import SigningContribute, SigningHeard, SigningRetry
from ..wire.records import Record
from ..wire.statements import Statement
from ..wording import slots_told
from .attempt import Attempt
from .holder import NotHeld
from .judging import Judging, Ruling, Unplanned
from .own_rules import OwnRules, check_life
from .patience import PIECE, NotYet
from .plans import Plans
from .presigning import Presigning
from .signer import MemberSigner, Nonces, NoncesGone
from .speaker import Speaker
from .unread import Unread


class Contributor:
    """What a holder of keys owes to one signing; up to the offset ``began`` records are history of another life.

    ``plans`` keeps plans for all signings of a holder.
    """

    def __init__(
        self, speaker: Speaker, heard: Replay, signer: MemberSigner, began: int, plans: Plans | None = None
    ) -> None:
        self.heard = heard
        self._speaker = speaker
        self._signer = signer
        self._holder = signer.holder
        self._began = began
        self._judging = Judging(heard, signer.holder, signer.roster, Plans() if plans is None else plans)
        self._unread = Unread(heard, self._judging, signer.holder)
        self._attempt: Attempt | None = None
        self._nonces: Nonces | None = None
        self._number = 0
        self._rules = OwnRules(signer.holder)
        self._said: set[Hashable] = set()
        self._presigning = Presigning()
        self._blamed: Blamed | None = None
        self.waits_for_time = False
        """Whether to ask what is ``owed`` again though nothing is heard: for a rule's time."""
        self.wants_body = False
        """Whether the request has to be heard again, with its body."""
        self.goes_on = False
        """Whether there is more to work out before anything can be said: to be asked again, when others had a turn."""

    @property
    def state(self) -> SigningState:
        """The signing as verified so far."""
        state = self.heard.as_signing
        assert state is not None
        return state

    @property
    def size(self) -> int:
        """How many signatures and pre-signatures it takes, once the body was read."""
        return self._judging.places

    @property
    def _left(self) -> Collection[int]:
        """The slots that have left by now, whoever holds their keys."""
        state = None if self.heard.keygen is None else self.heard.keygen.as_keygen
        assert state is not None
        return state.left

    def note(self, record: Record) -> None:
        """Take what a verified record brings: when our delays began, a new attempt, or a contribution to read."""
        said = record.statement.payload
        if self._number != self.state.attempt:
            self._begin_attempt()
        if isinstance(said, SigningHeard):
            self._rules.note(said)
        elif isinstance(said, SigningContribute):
            self._presigning.note(said.attempt, said.step)
            self._unread.note(record)
            if said.attempt != self._number:
                self._unread.pass_over()
            elif self._judging.is_judged:  # else it waits until `owed` has judged the request, a piece at a time
                self._catch_up()

    def _begin_attempt(self) -> None:
        """Forget what was said in the attempt before (§7.3)."""
        self.wipe()
        self._number = self.state.attempt
        self._attempt = self._blamed = None
        self._unread.pass_over()

    def told_again(self) -> None:
        """The request was heard again, with its body if the coordinator has it still."""
        self.wants_body = False
        self._judging.told_again()

    def _catch_up(self) -> None:
        """Read what has come, as far as the plan is here; else together with it, if anything is owed to the attempt."""
        if self._unread:
            with suppress(Unplanned, NotYet):
                self._read_all()

    def _read_all(self) -> None:
        """Open what was not read yet; of a request that does not hold nothing is read.

        Raises:
            Unplanned: its plan is not here.
        """
        try:
            reading = self._reading()
        except Blamed as error:
            self._blamed = self._blamed or error
            self._unread.pass_over()
            return
        found = self._unread.read(reading)
        self._blamed = self._blamed or found

    @property
    def _verdict(self) -> Ruling:
        return self._judging.verdict(self._left)

    def _reading(self) -> Attempt:
        """The attempt as it was read so far.

        Raises:
            Blamed: the request does not hold, or is not signed at all.
            Unplanned: its plan is not here.
        """
        if self._attempt is None:
            forbidden = self._verdict.forbidden
            self._attempt = Attempt.of(self.state, self._judging.items(), self._signer.roster)
            self._attempt.refuse(forbidden)
            self._read_all()
        return self._attempt

    def owed(self, now: int) -> list[Statement]:
        """What is owed at ``now``, by the holder's own clock (ms)."""
        self.waits_for_time = self.wants_body = self.goes_on = False
        self._signer.roster.patience.allow(PIECE)
        try:
            check_life(self.state, now)
            self._require_present()
            self._verdict  # noqa: B018 - a request that may not be signed is refused at once
            if self._unread:
                self._read_all()  # what is not read is kept: nobody says much that waits for long
            return list(self._owed(self.state, now))
        except (Unplanned, NotYet) as pause:
            self.wants_body, self.goes_on = isinstance(pause, Unplanned), isinstance(pause, NotYet)
            return []
        except Blamed as error:
            return self._refuse(
                error.code, f"{slots_told(error.slots)}: {error.message}" if error.slots else error.message
            )
        except NotHeld as error:
            return self._refuse(error.code, error.message)
        except InvalidCrypto as error:
            return self._refuse("cannot_sign", str(error))

    def _require_present(self) -> None:
        """Nothing that needs a slot that has left is signed any more, also where it was asked for before (§6.5).

        Raises:
            Blamed: ``left``, with the slots.
        """
        if gone := tuple(slot for slot in self.state.request.slots if slot in self._left):
            raise Blamed("left", gone, "a participant whose key is needed has left")

    def _owed(self, state: SigningState, now: int) -> Iterable[Statement]:
        """The step that is ours now, or the word with which a delay begins."""
        step = expected(state).get(self._speaker.key)
        if state.phase == SigningPhase.APPROVING:
            yield from self._hearing(state, now)
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
        """Our delays begin now, unless the log holds our own word for when they did, in whatever life (§7.4)."""
        if self._rules.unheard(state) and self._once(state.attempt, "heard"):
            yield self._speaker.say(self.heard, SigningHeard, at=now)

    def _once(self, attempt: int, what: str) -> bool:
        """Whether this has not been said yet by this process."""
        fresh = (attempt, what) not in self._said
        self._said.add((attempt, what))
        return fresh

    def _may_answer(self, step: str) -> bool:
        """Only attempts heard opened live, and psigs only with the nonces that this process said (§10.3)."""
        live = self.state.opened > self._began
        return live and (self.state.phase != SigningPhase.PSIGS or self._nonces is not None)

    def _retry(self, state: SigningState) -> Iterable[Statement]:
        if self._once(state.attempt, "retry"):
            yield self._speaker.say(self.heard, SigningRetry, attempt=state.attempt)

    def _rules_met(self, now: int) -> bool:
        """The rule of each of our slots, for each item whose key list holds it; asked again with time (§7.4).

        Raises:
            Blamed: as `OwnRules.met`; the session is refused.
        """
        key_lists = {consent.as_key_list(slots) for slots in {item.slots for item in self._reading().items}}
        met = self._rules.met(self.state, key_lists, now)
        self.waits_for_time = not met
        return met

    def _contribute(self, step: str) -> Iterable[Statement]:
        """Compute this step; signatures are verified before they leave."""
        state, attempt = self.state, self._reading()
        over = None if step == "nonces" or len(state.signers) == 1 else nonces_hash(state)
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

    def _entries(self, step: str, attempt: Attempt) -> tuple[Entry, ...]:
        if len(attempt.signers) == 1:
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
            return (self._signer.psigs if step == "psigs" else self._signer.signatures)(attempt, nonces)
        finally:
            nonces.wipe()

    def _sealed(self, kind: str, field: str, entries: tuple[Entry, ...]) -> dict[str, object]:
        """A field of entries, sealed to the group."""
        return self._speaker.sealed(
            self._judging.group, kind, self.heard.stream, **{field: contributions.encode(entries)}
        )

    def _refuse(self, code: str, message: str) -> list[Statement]:
        """Say, once in each attempt, why nothing is signed here."""
        self.wipe()
        if not self._once(self.state.attempt, "refuse"):
            return []
        return self._speaker.refuse(self.heard, self._holder, code, message)

    def close(self) -> None:
        """It is over: wipe the nonces, and let go of the plan."""
        self.wipe()
        self._judging.close()

    def wipe(self) -> None:
        """Wipe the nonces."""
        if self._nonces is not None:
            self._nonces.wipe()
            self._nonces = None

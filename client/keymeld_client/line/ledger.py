"""Every stream this wallet hears: verified, stored, and told to those who wait (§11.1).

    record ──▶ signatures hold ──▶ follows our history, the machine allows it ──▶ stored ──▶ waiters wake
                   └─────────────────────┴──▶ this session is read-only, the evidence is kept; the others go on
    answer ``epoch`` ──▶ heard anew from the first record ──▶ what was lost is kept, and waited for (`returning`)

The same path takes the records on disk at the start and those of the coordinator later: both are verified, neither is
believed; on disk our own checkpoints stand for signatures that were verified before.  No socket here: what a
conversation hears it puts in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from keymeld_protocol.errors import Astray, BrokenLog, Fork, KeymeldError, Newer, Reason, WireError
from keymeld_protocol.machines.replay import Replay, coordinator_of
from keymeld_protocol.machines.rewound import sent_psigs
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey
from keymeld_protocol.wire.connection import Subscribed
from keymeld_protocol.wire.frames import WireHead, WireRecord, head_of, record_of, wire_head
from keymeld_protocol.wire.payloads import SigningRequest
from keymeld_protocol.wire.records import Record
from keymeld_protocol.wire.statements import statement_id

from ..errors import NEEDS_NEWER, ReadOnly, WaitsForLost, WalletError
from ..wallet.own_seats import OwnSeats
from ..wallet.wallet import Wallet
from .evidence import Theirs, describe
from .heads import answers
from .lost import cannot_return
from .rewound import Rewound

NO_LONGER: Final = "the coordinator lets us hear it no longer: no seat of ours is in it any more"
_UNKNOWN: Final = 2**53
"""The top of a stream that was not subscribed yet: nobody has caught up with it."""


class Ledger(Rewound):
    """The verified history of one wallet at one coordinator.

    ``own`` is what follows from it and the identity; ``shut`` are the streams of which the coordinator shows to the
    keys that were proven no more than the first record.
    """

    def __init__(self, wallet: Wallet, url: str, now: Callable[[], int]) -> None:
        """Verify what the wallet has stored for the coordinator ``url``; ``now`` is the clock (ms).

        Raises:
            WalletError: a file of it cannot be read.
        """
        super().__init__(wallet, now)
        self.url = url
        self.own, self.shut, self.deaf_to = OwnSeats(wallet), set[Id](), set[Id]()
        self._loading = False
        self.load()
        self.heard.clear()

    # What is known ----------------------------------------------------------------------------------------------

    def replay(self, stream: Id) -> Replay | None:
        """What was verified of ``stream``; None before its first record."""
        heard = self.hearing.streams.get(stream)
        return heard if heard is not None and heard.state is not None else None

    def trouble(self, stream: Id) -> str | None:
        """Why nothing is said in ``stream`` any more, or None."""
        heard = self.hearing.streams.get(stream)
        if heard is None or stream in self.wallet.damaged:
            return self.wallet.damaged.get(stream)
        key = coordinator_of(heard.state)
        if heard.broken is not None:
            return str(heard.broken)
        if key is not None and self.hearing.coordinator not in (None, key):
            return f"the server at {self.url} is not the coordinator that this session names"
        if stream in self.deaf_to:
            return NO_LONGER
        if stream in self.refused and heard.state is not None:
            return f"the coordinator does not let us hear it: {self.refused[stream]}"
        parent = heard.state.parent if heard.state is not None else None
        if parent is None:
            return None
        signing, keygen = heard.as_signing, self.replay(parent)
        if signing is not None and signing.open and keygen and not keygen.chain.knows(signing.request.after):
            return cannot_return(stream)
        return self.trouble(parent)

    def require(self, stream: Id) -> Replay:
        """The replay of a session in which something may be said.

        Raises:
            ReadOnly: its log does not hold.
            WaitsForLost: its coordinator has lost statements that are not back.
            WalletError: nothing of it was heard.
        """
        heard = self.replay(stream)
        if heard is not None:
            self._prove(heard)
        if (why := self.trouble(stream)) is not None:
            raise ReadOnly(f"this session is read-only: {why}")
        if (lost := self.waiting(stream)) is not None:
            raise WaitsForLost(f"this session is {lost}")
        if heard is None:
            problem = self.refused.get(stream)
            raise problem or WalletError(f"nothing was heard of session {stream.hex()}")
        return heard

    # What is heard ----------------------------------------------------------------------------------------------

    def greet(self, coordinator: XOnlyKey, epoch: Epoch | None = None) -> None:
        """A conversation begins; its notices and heads must be signed by the key that each session names."""
        self.hearing.coordinator, self.epoch = coordinator, epoch
        self.deaf_to.clear()
        self.ring(None)

    def rights(self, stream: Id, *, whole: bool) -> None:
        """The coordinator lets us hear ``stream`` from now on, or no longer: whoever waits is told (§4.4)."""
        self.deaf_to.discard(stream)
        heard = self.hearing.streams.get(stream)
        if heard is not None and not whole:
            heard.top = heard.chain.offset
            self.deaf_to.add(stream)
        self.ring(None)

    def expect(self, stream: Id) -> None:
        """``stream`` is about to be subscribed: nobody has caught up before the answer."""
        self.returning.drop(stream)
        self._looking.discard(stream)
        self.hearing.replay(stream).top = _UNKNOWN

    def refuse(self, stream: Id, problem: WireError) -> None:
        """The coordinator will not let us hear ``stream``, or has lost all of it (§4.3)."""
        if problem.reason is Reason.SLOT_TAKEN:
            self.shut.add(stream)
        heard = self.hearing.streams.get(stream)
        if heard is not None and problem.reason is Reason.UNKNOWN_STREAM and self.is_of_earlier_epochs(heard):
            heard.top = heard.chain.offset
            self.gone.add(stream)
            self.ring(None)
            return
        self.refused[stream] = problem
        if heard is not None:
            heard.top = 0
            if heard.state is None:
                self.hearing.forget(stream)
        self.ring(stream)

    def subscribed(self, stream: Id, answer: Subscribed, nonce: Salt | None = None) -> None:
        """Take the answer to ``subscribe``: does it continue what was verified? (§4.3) Its head is over ``nonce``."""
        heard = self.hearing.replay(stream)
        self.refused.pop(stream, None)
        if answer.reason == "epoch" and heard.state is not None and answers(answer, nonce):
            self.returning.begin(stream, answer)
            return
        heard.top = answer.top
        self.shut.discard(stream)
        if answer.reason == "first_record_only":
            self.shut.add(stream)
            heard.top = heard.chain.offset or 1
        elif answer.reason == "fork" or answer.top < heard.chain.offset:
            lengths = f"it has {answer.top} records, {heard.chain.offset} were verified here"
            fork = Fork(f"the coordinator's history of {stream.hex()} is not the one verified here: {lengths}")
            self._break(heard, fork, answer.head)
        if not answers(answer, nonce):
            stale = f"the coordinator's head of {stream.hex()} does not answer what was asked: it may be an old one"
            self._break(heard, BrokenLog(stale), answer.head)
        elif answer.head is not None:
            self.head(stream, answer.head)
        self._hear(heard, lambda: self.hearing.subscribed(stream, heard.top))
        self.ring(stream)

    def hear(self, stream: Id, wire: WireRecord, head: WireHead | None = None, *, known: bool = False) -> None:
        """Verify a record, and the head at it; what does not hold makes its own session read-only and no other.

        ``known``: our own checkpoint covers it, and its signatures were verified before (§4.6).
        """
        if not self._concerns(stream, wire):
            return
        heard = self.hearing.replay(stream)
        if heard.broken is not None:
            return
        try:
            record = record_of(wire, self.wallet.own(wire.statement.payload), verified=known)
        except WireError as error:
            where = f"offset {wire.offset} of {stream.hex()}: {error}"
            if error.reason.is_newer:  # ours to update: told, and nobody is accused (§12)
                heard.broken = Newer(f"{NEEDS_NEWER} ({where})")
                self.ring(None)
            else:
                self._break(heard, BrokenLog(where), wire)
            return
        if stream in self.returning:
            try:
                self.returning.add(stream, record)
            except BrokenLog as error:
                self._give_up(heard, error, None)
            self._return()
            return
        if self._is_told_anew(heard, record):
            return
        self._look_behind(record)
        self._hear(heard, lambda: self.hearing.hear(stream, record))
        if head is not None and heard.broken is None:
            self.head(stream, head, pushed=head.offset == wire.offset)

    def _look_behind(self, record: Record) -> None:
        """A request may overtake the keygen's record that it names: ask how far the keygen has come, before judging."""
        said = record.statement.payload
        if not isinstance(said, SigningRequest) or self.look_again is None:
            return
        keygen = self.replay(said.keygen)
        if keygen is not None and keygen.caught_up and not keygen.chain.knows(said.after):
            self.expect(said.keygen)
            self.look_again(said.keygen)

    def head(self, stream: Id, wire: WireHead, *, pushed: bool = False, stored: bool = False) -> None:
        """Check a signed head against our history, or once our history has come that far (§4.2).

        Of a stream that is told anew, or has to be, it is not taken: its own answer brings another one.
        """
        if stream in self.gone or stream in self.returning:
            return
        heard = self.hearing.replay(stream)
        try:
            self.heads.take(heard, head_of(wire), pushed=pushed, stored=stored)
        except BrokenLog as error:
            self._break(heard, error, wire)

    def head_age_ms(self, stream: Id) -> int | None:
        """How long ago the coordinator last signed where this stands; a withheld tail shows in nothing else (§4.2)."""
        if (heard := self.replay(stream)) is not None:
            self._prove(heard)
        return self.heads.age_ms(stream)

    def stop(self, why: KeymeldError) -> None:
        """Nothing more will be heard: the latest heads are stored, and whoever waits is told."""
        for heard in self.streams():
            self._prove(heard)
        super().stop(why)

    def _prove(self, heard: Replay) -> None:
        """Verify the head that came with the latest record: one that nobody signed breaks its stream."""
        try:
            self.heads.prove(heard)
        except BrokenLog as error:
            self._break(heard, error, None)

    def load(self) -> None:
        """Hear what the wallet has stored and was not heard yet: keygens first, since signings build on them.

        Once more where a session comes back to a folder that has lost its ticket: what was verified of it counts.
        Of a session whose own file is damaged nothing is heard, and the others go on.

        Raises:
            WalletError: a file cannot be read.
        """
        keygens = [entry.id for entry in self.wallet.keygens(self.url)]
        stored = self.wallet.streams()
        mine = set(keygens)
        for stream in [s for s in keygens if s in stored] + [s for s in stored if s not in mine]:
            if stream not in self.hearing.streams and (stored_of := self.wallet.undamaged(stream)) is not None:
                records, head = stored_of
                self._stored[stream] = len(records)
                self._loading = True
                if records and self._concerns(stream, records[0]):
                    self._load_stream(stream, records, head)
                self._loading = False

    # Inside -----------------------------------------------------------------------------------------------------

    def _load_stream(self, stream: Id, records: list[WireRecord], head: WireHead | None) -> None:
        if (lost := self.told_before(stream, records)) is not None:
            self.hearing.streams[stream] = lost
            return
        covered = self.checkpoints.reach(stream, records)
        for wire in records:
            self.hear(stream, wire, known=wire.offset <= covered)
        heard = self.hearing.replay(stream)
        heard.top = _UNKNOWN if heard.state is None or heard.state.open else heard.chain.offset
        if sent_psigs(self.wallet.lost.of(stream)):
            heard.mind_psigs()
        if head is not None:
            self.head(stream, head, stored=True)
        evidence = self.wallet.evidence(stream)
        if evidence is not None and evidence.get("fork") and heard.broken is None:
            heard.broken = Fork(f"{evidence.get('why')} (evidence/{stream.hex()}.json)")
        self.checkpoints.note(heard, over=heard.state is not None and not heard.state.open)

    def _concerns(self, stream: Id, wire: WireRecord) -> bool:
        """Whether a stream is one of the wallet's keygens or a signing of one: nobody fills our memory with others."""
        if stream in self.wallet.damaged or stream in self.hearing.streams or self._is_ours(stream):
            return stream not in self.wallet.damaged
        with suppress(WireError):
            if wire.offset == 1 and statement_id(wire.statement.payload) == stream:
                said = record_of(wire, verified=True).statement.payload  # only read: whether it holds is judged later
                return isinstance(said, SigningRequest) and self._is_ours(said.keygen)
        return False

    def _is_ours(self, keygen: Id) -> bool:
        """Whether the wallet takes part in a keygen at this coordinator."""
        entry = self.wallet.keygen(keygen)
        return entry is not None and entry.url == self.url and keygen not in self.wallet.damaged

    def _hear(self, heard: Replay, hear: Callable[[], list[tuple[Replay, Record]]]) -> None:
        """Let the hearing verify; store and tell what it verified, and what broke."""
        others_wait = bool(self.hearing.waiting)
        try:
            for replay, record in hear():
                self._keep(replay, record)
        except (BrokenLog, Astray) as error:
            heard.broken = heard.broken or error
            others_wait = True
        if others_wait:
            self._sweep()

    def _sweep(self) -> None:
        """After a break: keep whatever was verified beside it, and the evidence against what broke."""
        for replay in list(self.hearing.streams.values()):
            for record in replay.records[self._stored.get(replay.stream, 0) :]:
                self._keep(replay, record)
            if isinstance(replay.broken, BrokenLog):
                self._break(replay, replay.broken, replay.evidence)
            elif replay.broken is not None:  # our own mistake: told, and nobody is accused
                self.ring(None)

    def _keep(self, replay: Replay, record: Record) -> None:
        """Store a verified record and wake who waits for it."""
        stream = replay.stream
        if record.offset > self._stored.get(stream, 0):
            self.wallet.append(stream, record)
            self._stored[stream] = record.offset
            self.wallet.placed(record.statement.id)
            self.heard.append((stream, record))
            self.checkpoints.note(replay)
        if (head := self.heads.waiting(replay)) is not None:
            self.head(stream, wire_head(head))
        self.ring(stream)

    def _break(self, heard: Replay, error: BrokenLog, theirs: Theirs) -> None:
        """This session is read-only from now on; what broke it is kept, a fork rather than anything less (§11.1)."""
        if not isinstance(heard.broken, BrokenLog) or (isinstance(error, Fork) and not isinstance(heard.broken, Fork)):
            heard.broken = error
        if self._loading:  # it held when it was written: nobody but this folder is to blame
            self.wallet.does_not_hold(heard.stream, str(error))
            return
        with suppress(BrokenLog):
            self.heads.prove(heard)
        evidence = describe(heard, heard.broken, self.heads.kept(heard.stream), theirs)
        self.wallet.accuse(heard.stream, evidence)
        self.ring(None)

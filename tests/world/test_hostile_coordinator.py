"""Random interleavings around a coordinator that lies: nothing is signed that the members' own words do not allow.

    it drops, repeats, delays, reorders and alters what it sends · says notices at will · writes into a log what was
    said elsewhere, or by nobody · shows different histories to different peers · clones enclaves, sets clocks back

Peers may break, and stop: that is what they are for.  What they must not do is in support/witness.py.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from keymeld_enclave.agent import Agent
from keymeld_enclave.keymanagement import EnclaveIdentity
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.machines.signing_state import SigningState, signers_of
from keymeld_protocol.values import Hash
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import KeygenExpired, SigningApprove, SigningExpired
from keymeld_protocol.wire.records import sign_head
from keymeld_protocol.wire.statements import Statement
from tests.support.coordinator import Log, Peer, secret_of
from tests.support.meddler import HOLD, TRICKS, Meddler
from tests.support.witness import WatchedEnclave
from tests.support.world import SECOND
from tests.world.machine import Sessions, anyone, someone, which
from tests.world.profile import profile

tricks = st.sampled_from([*TRICKS, HOLD])


class Clone(WatchedEnclave):
    """A second process with the identity of the first vault: the host has copied its key."""

    def _born(self) -> Agent:
        with Secret(secret_of("north")) as secret:
            return Agent(EnclaveIdentity(Secret(secret.buffer)), lambda: self.world.now + self.skew)


class HostileCoordinator(Sessions):
    """Whatever the coordinator may do, and everything that the others do anyway."""

    def __init__(self) -> None:
        super().__init__()
        self.meddler = Meddler()

    def move(self, action: Callable[[], Statement | None]) -> None:
        """Say something; whether it was taken is the coordinator's business."""
        try:
            said = action()
        except KeymeldError:
            return
        if said is not None:
            self.said.append(said)

    def log(self, where: int) -> Log | None:
        """One of all logs, signings first."""
        streams = [*(keygen.keygen for keygen in self.keygens), *self.signings]
        stream = self.one_of(streams, where)
        return None if stream is None else self.world.logs.get(stream)

    # On the way

    @rule(who=anyone, trick=tricks, place=st.integers(0, 3))
    def meddle(self, who: int, trick: str, place: int) -> None:
        """A record that is under way to one peer does not come as it is."""
        self.meddler.play(self.peers[who], place, trick)

    @rule(who=anyone, trick=tricks, place=st.integers(0, 3))
    def meddle_as_all_comes_anew(self, who: int, trick: str, place: int) -> None:
        """The same while an enclave that has lost everything hears it all again, or somebody has just come back."""
        peer = self.peers[who]
        if isinstance(peer, WatchedEnclave):
            peer.crash()
        peer.come_back()
        self.meddler.play(peer, place, trick)

    @rule(who=anyone)
    def release_what_was_held(self, who: int) -> None:
        """What was held back comes after all."""
        self.meddler.release(self.peers[who])

    @rule(who=anyone)
    def reverse(self, who: int) -> None:
        """The last comes first."""
        self.peers[who].inbox.reverse()

    # In the log

    @rule(where=which, change=st.sampled_from(["none", "later", "no last", "other last", "fewer", "more"]))
    def open_an_attempt(self, where: int, change: str) -> None:
        """``attempt.opened``, whether or not the rules are met, with signers as the coordinator likes them."""
        log = self.log(where)
        if log is not None and isinstance(log.state, SigningState):
            self.move(lambda: self.world.attempt(log.stream, **self._changed(log.state, change)).statement)

    def _changed(self, state: Any, change: str) -> dict[str, Any]:
        vaults = [vault.key for vault in self.vaults]
        signers = signers_of(state)
        return {
            "none": {}, "later": {"attempt": state.attempt + 2}, "no last": {"last": None},
            "other last": {"last": vaults[state.attempt % len(vaults)]},
            "fewer": {"signers": signers[:1], "last": None},
            "more": {"last": signers[0].key if len(signers) > 1 else None},
        }[change]  # fmt: skip

    @rule(where=which, kind=st.sampled_from([KeygenExpired, SigningExpired]))
    def say_a_notice(self, where: int, kind: type[Any]) -> None:
        """A notice that nothing calls for."""
        log = self.log(where)
        if log is not None:
            self.move(lambda: self.world.notice(log, kind).statement)

    @rule(where=which, old=which)
    def replay_an_old_statement(self, where: int, old: int) -> None:
        """A statement that somebody said once, in this session or another."""
        log, statement = self.log(where), self.one_of(self.said, old)
        if log is not None and statement is not None:
            self.world.inject(log, statement)

    @rule(where=which, slot=st.integers(0, 2))
    def forge_an_approval(self, where: int, slot: int) -> None:
        """A yes that its speaker never signed."""
        log = self.log(where)
        if log is not None and isinstance(log.state, SigningState) and slot < len(log.state.keygen.joins):
            by, after = log.state.keygen.joins[slot].by, Hash(log.chain.hash)
            said = SigningApprove(v=1, by=by, stream=log.stream, after=after)
            self.world.inject(log, statements.make(said, self.world.coordinator.sign))

    # Two histories

    @rule(where=which, peers=st.lists(anyone, min_size=1, max_size=3, unique=True))
    def fork(self, where: int, peers: list[int]) -> None:
        """From now on these peers see, and write, a history of their own."""
        log = self.log(where)
        if log is not None:
            self.world.fork(log.stream, *(self.peers[index] for index in peers))

    @rule(where=which, who=someone)
    def split(self, where: int, who: int) -> None:
        """One member alone is shown a history of his own of the latest signing, and says yes there."""
        log = self.log(where)
        if log is not None and isinstance(log.state, SigningState):
            self.world.fork(log.stream, self.people[who])
            self.approve(who, 0, None)
            while self.people[who].step():
                pass
            self.approve(who, 0, SECOND)

    @rule(where=which)
    def graft(self, where: int) -> None:
        """The latest word of a branch is put into everybody else's history."""
        branch = self.one_of(list(self.world.branches.values()), where)
        if branch is not None:
            self.world.inject(self.world.logs[branch.stream], branch.records[-1].statement)

    @rule(one=someone, other=someone, where=which)
    def heads_meet(self, one: int, other: int, where: int) -> None:
        """Two members show each other the coordinator's signed heads: a fork ends here."""
        log = self.log(where)
        if log is None:
            return
        mine, theirs = (self.people[index].hearing.streams.get(log.stream) for index in (one, other))
        top = min(heard.chain.offset if heard is not None else 0 for heard in (mine, theirs))
        if mine is not None and theirs is not None and top:
            equal = mine.chain.hashes[top - 1] == theirs.chain.hashes[top - 1]
            head = sign_head(log.stream, theirs.records[top - 1], self.world.coordinator.sign)
            self.move(lambda: mine.check_head(head))
            assert equal or mine.broken is not None

    # Time, and whoever runs the enclaves

    @initialize(cloned=st.booleans())
    def clone(self, cloned: bool) -> None:
        """Perhaps there are two processes with one identity, from the beginning."""
        if cloned:
            self.vaults.append(Clone(self.world, "clone"))
            self.peers.append(self.vaults[-1])

    @rule(where=st.integers(0, 2), ms=st.sampled_from([-SECOND, 0, SECOND, 3_600 * SECOND]))
    def set_a_clock(self, where: int, ms: int) -> None:
        """A host lies to its enclave about the time."""
        self.vaults[where % len(self.vaults)].skew = ms

    @rule(where=which, who=anyone)
    def say_again(self, where: int, who: int) -> None:
        """The same bytes, to whichever history."""
        statement = self.one_of(self.said, where)
        if statement is not None:
            self.move(lambda: self._submitted(statement, self.peers[who]))

    def _submitted(self, statement: Statement, peer: Peer) -> Statement:
        self.world.submit(statement, peer)
        return statement

    @invariant()
    def nothing_is_lost_signed_or_forked_unnoticed(self) -> None:
        """Asked after every move; what enclaves say is judged as they say it."""
        self.world.require_sound()
        self.world.require_forks_show()

    def teardown(self) -> None:
        """In the end whatever is shown as completed verifies, or somebody is blamed."""
        self.world.require_results(honest=False)
        self.world.require_nobody_at_fault()
        super().teardown()


def test_no_hostile_coordinator_gets_a_signature_that_the_rules_do_not_allow() -> None:
    run_state_machine_as_test(HostileCoordinator, settings=profile(examples=400, moves=40))

"""Everything that people, enclaves, the network and time can do to a session, as rules that hypothesis draws from.

    people      create · join (also with bad envelopes) · release · confirm · leave · request · approve · reject · …
    the network deliver one record or all · let one stream overtake another · go away · come back · say the same again
    enclaves    restart with nothing but their identity
    time        a moment, a second, the grace, the minute after which a seat may be taken over, the deadlines

Whatever is refused must leave the coordinator's logs as they were.  What must hold after every move is said in
support/witness.py; the machines that ask it are in test_interleavings.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.errors import KeymeldError
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.signing_state import SigningState
from keymeld_protocol.plaintext.body import SignMessage
from keymeld_protocol.values import Id, Message, XOnlyKey
from keymeld_protocol.wire.payloads import KeygenLeave, KeygenRelease
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.people import Invitation, JoinDraft, Member
from tests.support.witness import Watched, WatchedEnclave
from tests.support.world import HOUR, MINUTE, NONE, NOON, SECOND, SELF, Peer, quorum, secret_of

T = TypeVar("T")

PEOPLE = ("alice", "bob", "carol")
VAULTS = ("north", "south")
MOST = quorum(2, 0, 1, 2)
WAITS = (1, SECOND - 1, SECOND, 3 * SECOND, MINUTE, HOUR)

which = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
"""Chooses one of however many there are, mostly the latest."""

someone = st.integers(0, len(PEOPLE) - 1)
anyone = st.integers(0, len(PEOPLE) + len(VAULTS) - 1)
slots = st.integers(0, 2)
rules = st.sampled_from([
    NONE, SELF, quorum(1, 0, 1), quorum(2, 0, 1, 2), quorum(1, 2), Rule(approval="none", not_before=NOON + 2 * SECOND),
    Rule(approval="self", not_after=NOON + 2 * MINUTE), Rule(approval="none", delay_ms=SECOND),
    Rule(approval="self", delay_ms=MINUTE),
])  # fmt: skip
limits = st.sampled_from([None, None, 1, 2 * SECOND, HOUR])
"""For how long (ms) a yes counts."""
flaws = st.sampled_from([None] * 7 + ["rule", "key", "garbage", "group", "policy"])
shapes = st.sampled_from([(3, ()), (3, ((0, 1), (1, 2))), (3, ((0, 1), (1, 2))), (2, ()), (2, ((0,),)), (1, ())])
wishes = st.lists(st.sampled_from([None, 0, 1]), min_size=1, max_size=3)
"""The subsets of whom signatures are asked for; None is everybody."""


def spoil(draft: JoinDraft, flaw: str | None) -> None:
    """Make a join that its enclave must refuse."""
    if flaw == "rule":
        draft.sealed_rule = quorum(1, 0)
    elif flaw == "key":
        draft.card_key = Secret(secret_of("another key"))
    elif flaw == "garbage":
        draft.envelope = bytes(200)
    elif flaw == "group":
        draft.group_secret = bytes(32)
    elif flaw == "policy":
        draft.policy = b"{}"


class Sessions(RuleBasedStateMachine):
    """People and enclaves around one coordinator; every rule is one move of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Watched()
        self.people = [self.world.member(name) for name in PEOPLE]
        self.vaults: list[WatchedEnclave] = [self.world.enclave(name) for name in VAULTS]
        self.peers: list[Peer] = [*self.people, *self.vaults]
        self.keygens: list[Invitation] = []
        self.signings: list[Id] = []
        self.said: list[Statement] = []
        self.asked = 0

    def teardown(self) -> None:
        """Watch no longer."""
        self.world.close()

    # How a move is made

    def one_of(self, things: Sequence[T], index: int) -> T | None:
        """One of ``things``, the latest first; None if there are none."""
        return things[-1 - index % len(things)] if things else None

    def move(self, action: Callable[[], Statement | None]) -> None:
        """Say something; what is refused, here or there, leaves every log as it was."""
        before = self.snapshot()
        try:
            said = action()
        except KeymeldError:
            assert self.snapshot() == before
        else:
            if said is not None:
                self.said.append(said)

    def snapshot(self) -> dict[Id, tuple[int, bytes]]:
        """Where every log stands."""
        return {stream: (log.chain.offset, bytes(log.chain.hash)) for stream, log in self.world.logs.items()}

    def seats(self, member: Member, keygen: Id) -> list[int]:
        """The slots in which ``member`` sits, as he has heard."""
        heard = member.hearing.streams.get(keygen)
        if heard is None or heard.broken is not None or not isinstance(heard.state, KeygenState):
            return []
        taken = enumerate(heard.state.seats)
        auth = {s: XOnlyKey(member.identity.auth(keygen, s).key) for s in range(len(heard.state.seats))}
        return [slot for slot, seat in taken if seat is not None and seat.join.by == auth[slot]]

    def speaker(self, index: int, keygen: Id) -> Member | None:
        """A member who has a seat, with his seats in order."""
        member = self.people[index]
        member.slots[keygen] = self.seats(member, keygen)
        return member if member.slots[keygen] and member.here else None

    # People

    @initialize(
        shape=shapes, approval=st.sampled_from([SELF, SELF, NONE, MOST, MOST]), joined=st.sampled_from([3, 3, 3, 2, 0]),
        asked=st.lists(wishes, max_size=2), away=st.booleans(),
    )  # fmt: skip
    def gather(
        self, shape: tuple[int, tuple[tuple[int, ...], ...]], approval: Rule, joined: int,
        asked: list[list[int | None]], away: bool,
    ) -> None:  # fmt: skip
        """Most stories begin with a complete keygen and a request or two, some of them before the enclaves are here."""
        count, subsets = shape
        approval = SELF if approval.of is not None and count < 3 else approval
        self.create(0, (count, subsets))
        for slot in range(min(count, joined)):
            self.join(slot, 0, slot, slot % 2, approval, None)
        self.world.run()
        if away:
            self.vaults[0].leave()
        for who, subsets_asked in enumerate(asked):
            self.request(who, 0, subsets_asked, HOUR)
        self.world.run()

    @rule(creator=someone, shape=shapes)
    def create(self, creator: int, shape: tuple[int, tuple[tuple[int, ...], ...]]) -> None:
        """Somebody opens a keygen; three are enough."""
        if len(self.keygens) < 3:
            invitation = self.people[creator].create(shape[0], subsets=shape[1], life=HOUR)
            self.world.groups[invitation.keygen] = self.people[creator].groups[invitation.keygen]
            self.keygens.append(invitation)

    @rule(who=someone, where=which, slot=slots, vault=st.integers(0, 1), approval=rules, flaw=flaws)
    def join(self, who: int, where: int, slot: int, vault: int, approval: Rule, flaw: str | None) -> None:
        """Somebody fills a slot, perhaps with an envelope that does not hold, perhaps a taken one."""
        invitation, member = self.one_of(self.keygens, where), self.people[who]
        if invitation is None or slot >= len(self.world.state(invitation.keygen).seats):
            return
        heard = member.hearing.streams.get(invitation.keygen)
        if heard is not None and heard.broken is not None:
            return
        self.move(lambda: self._join(member, invitation, slot, self.vaults[vault].key, approval, flaw))

    def _join(
        self, member: Member, invitation: Invitation, slot: int, vault: XOnlyKey, approval: Rule, flaw: str | None
    ) -> Statement:
        draft = member.draft(invitation, slot, vault, approval, alone=True, alone_blind=True)  # subsets of one sign too
        spoil(draft, flaw)
        statement = draft.statement()
        self.world.rules[statement.id.hex()] = draft.sealed_rule
        if flaw is not None:
            self.world.flawed.add(statement.id.hex())
        return member.submit(statement)

    @rule(who=someone, where=which, slot=slots)
    def release(self, who: int, where: int, slot: int) -> None:
        """The creator, or somebody who would like to be, frees a slot."""
        invitation, member = self.one_of(self.keygens, where), self.people[who]
        if invitation is None or (heard := member.hearing.streams.get(invitation.keygen)) is None:
            return
        state = heard.state
        if heard.broken is None and isinstance(state, KeygenState) and slot < len(state.seats):
            seat, creator = state.seats[slot], member.identity.creator(state.create.salt)
            if seat is not None:
                fields: dict[str, Any] = {"slot": slot, "join": seat.id, "code": "released"}
                self.move(lambda: member.say(invitation.keygen, KeygenRelease, creator, **fields))

    @rule(who=someone, where=which)
    def confirm(self, who: int, where: int) -> None:
        """A member confirms the roster."""
        invitation = self.one_of(self.keygens, where)
        if invitation is not None and (member := self.speaker(who, invitation.keygen)) is not None:
            self.move(lambda: member.confirm(invitation.keygen))

    @rule(who=someone, where=which, slot=slots)
    def leave(self, who: int, where: int, slot: int) -> None:
        """A member leaves a slot, which may be another's."""
        invitation = self.one_of(self.keygens, where)
        if invitation is not None and (member := self.speaker(who, invitation.keygen)) is not None:
            own = member.slots[invitation.keygen]
            auth = member.auth(invitation.keygen, own[slot % len(own)])
            self.move(lambda: member.say(invitation.keygen, KeygenLeave, auth, slot=slot))

    @rule(who=someone, where=which, subsets=wishes, life=st.sampled_from([MINUTE, HOUR]))
    def request(self, who: int, where: int, subsets: list[int | None], life: int) -> None:
        """A member asks for signatures, of everybody or of subsets; six requests are enough."""
        invitation = self.one_of(self.keygens, where)
        if invitation is None or len(self.signings) >= 6:
            return
        member = self.speaker(who, invitation.keygen)
        if member is not None:
            defined = len(self.world.state(invitation.keygen).create.subsets)
            wanted = [subset for subset in subsets if subset is None or subset < defined] or [None]
            self.move(lambda: self._request(member, invitation.keygen, wanted, life))

    def _request(self, member: Member, keygen: Id, subsets: list[int | None], life: int) -> Statement:
        self.asked += 1
        items = [SignMessage(message=Message(secret_of(f"{self.asked} {i}")), subset=s) for i, s in enumerate(subsets)]
        statement = member.submit(member.requesting(keygen, *items, life=life))
        self.signings.append(statement.id)
        return statement

    @rule(who=someone, where=which, until=limits)
    def approve(self, who: int, where: int, until: int | None) -> None:
        """A member says yes, for a while or for good."""
        limit = None if until is None else self.world.now + until
        self._vote(who, where, lambda member, signing: member.approve(signing, until=limit))

    @rule(where=which, until=limits)
    def agree(self, where: int, until: int | None) -> None:
        """Everybody who can says yes."""
        for who in range(len(self.people)):
            self.approve(who, where, until)

    @rule(who=someone, where=which)
    def reject(self, who: int, where: int) -> None:
        """A member says no."""
        self._vote(who, where, lambda member, signing: member.reject(signing))

    @rule(who=someone, where=which)
    def cancel(self, who: int, where: int) -> None:
        """The requester, or somebody else, takes the request back."""
        self._vote(who, where, lambda member, signing: member.cancel(signing))

    def _vote(self, who: int, where: int, say: Callable[[Member, Id], Statement]) -> None:
        signing = self.one_of(self.signings, where)
        heard = None if signing is None else self.people[who].hearing.streams.get(signing)
        if signing is None or heard is None or heard.broken is not None or not isinstance(heard.state, SigningState):
            return
        member = self.speaker(who, heard.state.request.keygen)
        if member is not None:
            self.move(lambda: say(member, signing))

    # The network, enclaves and time

    @rule(who=anyone, count=st.integers(1, 4))
    def deliver(self, who: int, count: int) -> None:
        """One peer hears and says a few things."""
        for _ in range(count):
            self.peers[who].step()

    @rule()
    def deliver_all(self) -> None:
        """Everybody hears everything."""
        self.world.run()

    @rule(who=anyone)
    def overtake(self, who: int) -> None:
        """One stream overtakes the others on a peer's connection; within a stream the order stays."""
        inbox = self.peers[who].inbox
        if inbox:
            last = inbox[-1][0]
            first, rest = [w for w in inbox if w[0] == last], [w for w in inbox if w[0] != last]
            inbox.clear()
            inbox.extend([*first, *rest])

    @rule(who=anyone)
    def go_away(self, who: int) -> None:
        """A connection is lost, with what was on its way."""
        self.peers[who].leave()

    @rule(who=anyone)
    def come_back(self, who: int) -> None:
        """A peer connects again and resumes."""
        self.peers[who].come_back()

    @rule(which_vault=st.integers(0, 1), back=st.booleans())
    def restart(self, which_vault: int, back: bool) -> None:
        """An enclave loses everything but its identity, and perhaps comes back at once."""
        self.vaults[which_vault].crash()
        if back:
            self.vaults[which_vault].come_back()

    @rule()
    def everybody_is_here(self) -> None:
        """All come back and hear what they have missed."""
        for peer in self.peers:
            if not peer.here:
                peer.come_back()
        self.world.run()

    @rule(ms=st.sampled_from(WAITS))
    def time_passes(self, ms: int) -> None:
        """The clock goes on, and whoever waits for it looks."""
        self.world.now += ms
        self.world.clock()
        for vault in self.vaults:
            vault.tick()

    @rule(where=which, who=anyone)
    def say_again(self, where: int, who: int) -> None:
        """The same bytes come again, on another connection: they have their place, and nothing changes."""
        statement = self.one_of(self.said, where)
        if statement is not None:
            before = self.snapshot()
            stream, offset = self.world.submit(statement, self.peers[who])
            assert self.world.logs[stream].records[offset - 1].statement.id == statement.id
            assert self.snapshot() == before

"""drafting.py: what is shown is what is sealed and said, and nothing else is said if the keygen has moved on."""

from dataclasses import replace

import pytest

from keymeld_client.said.asking import make_body
from keymeld_client.said.drafting import (
    Draft,
    life_of,
    make_draft,
    make_request,
    requester,
    require_current,
    require_one_judgement,
)
from keymeld_client.shown.telling import LOST, lines_of_request
from keymeld_protocol.errors import BadInput, Refused
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.member.plan import plan, plan_of
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Body
from keymeld_protocol.values import Hash
from keymeld_protocol.wire.payloads import KeygenLeave, SigningRequest
from keymeld_protocol.wire.shapes import MAX_DELAY_MS, REQUEST_LIFE_MS, Rule
from tests.client.coins import payment
from tests.support.world import HOUR, MESSAGE, MINUTE, NONE, NOON, World


class Trio:
    """Alice, Bob and Carol, whose keys sign what any of them asks for; Alice and Bob have an address of their own."""

    def __init__(self, *rules: Rule) -> None:
        """With their rules; none by default."""
        self.world = World()
        self.alice, *others = (self.world.member(name) for name in ("alice", "bob", "carol"))
        self.carol, vault = others[1], self.world.enclave("vault")
        given = list(rules) or [NONE] * 3
        self.keygen = self.world.gather([self.alice, *others], at=vault, rule=given, subsets=((0, 1),))
        self.roster = self.alice.roster(self.keygen)

    @property
    def state(self) -> KeygenState:
        """The keygen as Alice has heard it."""
        return self.alice.keygen(self.keygen)

    def draft(self, body: Body | None = None, life: int | None = None) -> Draft:
        """What Alice would ask for at noon: by default a payment of her own and Bob's coin to the whole group."""
        coin = (100_000, self.roster.script(0))
        paid = body or make_body(self.roster, [payment([coin], 90_000, self.roster.script())], memo="rent")
        return make_draft(self.state, self.roster, [0], paid, life_ms=life, grace_ms=3000, now=NOON)

    def current(self, draft: Draft, now: int = NOON + MINUTE) -> None:
        """Whether Alice may say it."""
        require_current(draft, self.state, self.roster, self.state.joins[0].by, now)

    def leaves(self, slot: int) -> None:
        """Somebody leaves, and Alice hears of it."""
        who = self.carol if slot == 2 else self.alice
        self.world.submit(who.saying(self.keygen, KeygenLeave, who.identity.auth(self.keygen, slot), slot=slot))
        self.world.run()


@pytest.fixture
def trio() -> Trio:
    return Trio()


@pytest.fixture(scope="module")
def roster() -> Roster:
    """A group of two."""
    world = World()
    alice, bob = world.member("alice"), world.member("bob")
    return alice.roster(world.gather([alice, bob], at=world.enclave("vault"), rule=[NONE, NONE]))


# Drafted, shown, said


def test_what_is_shown_is_what_is_sealed_and_said(trio: Trio) -> None:
    draft = trio.draft()
    with trio.alice.identity.auth(trio.keygen, 0) as auth:
        statement = make_request(trio.alice.heard(trio.keygen), draft, trio.alice.groups[trio.keygen], auth, NOON + 7)
    said, sealed = statement.payload, statement.blob("body")
    assert isinstance(said, SigningRequest) and sealed is not None
    assert trio.alice.groups[trio.keygen].open_in(said, "body", sealed) == draft.plaintext
    assert (said.slots, said.items, said.grace_ms, said.expires_at) == ((0, 1), 1, 3000, NOON + 7 + draft.life_ms)
    trio.world.submit(statement)
    trio.world.run()
    state, opening = trio.carol.signing(statement.id), trio.carol.heard(statement.id).records[0].statement
    heard = plan_of(state, opening, trio.roster, trio.carol.groups[trio.keygen])
    assert heard.body == draft.plan.body
    assert [heard.item(0).message] == [draft.plan.item(0).message]
    assert list(lines_of_request(state, heard, trio.roster, trio.state.left))[-len(draft.lines) :] == list(draft.lines)


def test_what_will_be_refused_is_refused_before_anybody_looks(trio: Trio) -> None:
    with pytest.raises(BadInput):
        trio.draft(make_body(trio.roster, messages=[MESSAGE], memo="x" * 600))
    with pytest.raises(Refused, match="whose slot is needed"):
        make_draft(trio.state, trio.roster, [2], make_body(trio.roster, messages=[MESSAGE], subset=0),
                   life_ms=None, grace_ms=0, now=NOON)  # fmt: skip
    trio.leaves(2)
    with pytest.raises(Refused, match="slot 2 left this group"):
        trio.draft(make_body(trio.roster, messages=[MESSAGE]))


def test_a_draft_that_is_printed_tells_nothing_of_what_it_asks_for(trio: Trio) -> None:
    assert "rent" not in repr(trio.draft())


# Between drafting and saying


def test_whoever_thinks_for_a_while_may_still_say_it(trio: Trio) -> None:
    trio.current(trio.draft(), now=NOON + 20 * HOUR)


def test_a_draft_that_needs_who_has_left_is_refused(trio: Trio) -> None:
    draft = trio.draft(make_body(trio.roster, messages=[MESSAGE]))
    trio.leaves(2)
    with pytest.raises(Refused, match="slot 2 left this group; nothing that needs a slot that has left is signed"):
        trio.current(draft)


def test_a_draft_that_would_be_shown_otherwise_since_somebody_left_is_refused(trio: Trio) -> None:
    """It pays to an address for which nothing is signed any more; nobody was warned when he looked at it."""
    draft = trio.draft()
    trio.leaves(2)
    assert any(line.strip().startswith(LOST) for line in trio.draft().lines)
    assert not any(line.strip().startswith(LOST) for line in draft.lines)
    with pytest.raises(Refused, match="slot 2 left this group after this was drafted: draft it anew"):
        trio.current(draft)
    trio.current(trio.draft())


def test_a_draft_is_said_in_its_own_keygen_by_who_drafted_it(trio: Trio) -> None:
    draft = trio.draft()
    with pytest.raises(Refused, match="for another keygen"):
        require_current(draft, trio.state, replace(trio.roster, hash=Hash(bytes(32))), trio.state.joins[0].by, NOON)
    with pytest.raises(Refused, match="does not sit in slot 0, which asks"):
        require_current(draft, trio.state, trio.roster, trio.state.joins[1].by, NOON)


def test_a_draft_whose_time_is_over_is_refused() -> None:
    trio = Trio(NONE, Rule(approval="none", not_after=NOON + 2 * HOUR), NONE)
    draft = trio.draft()
    trio.current(draft, now=NOON + 2 * HOUR)
    with pytest.raises(Refused, match=r"slot 1 signs nothing after .*, for good, and that has passed"):
        trio.current(draft, now=NOON + 2 * HOUR + 1)


# Who asks, and for how long


def test_only_a_member_that_is_needed_asks(roster: Roster) -> None:
    made = plan(make_body(roster, messages=[MESSAGE]), roster)
    assert (requester(made, [1]), requester(made, [0, 1])) == (1, 0)
    with pytest.raises(Refused, match="whose slot is needed"):
        requester(made, [])


def test_who_takes_part_in_everything_asks(roster: Roster) -> None:
    group = replace(roster, subsets=((1,),))
    both = [make_body(group, messages=[MESSAGE], subset=subset).items[0] for subset in (None, 0)]
    made = plan(Body(v=1, transactions=(), items=tuple(both), memo=""), group)
    assert requester(made, [0, 1]) == 1 and requester(made, [0]) == 0


def quorum(*of: int) -> Rule:
    return Rule(approval="quorum", threshold=1, of=of)


def test_a_yes_that_counts_for_one_key_list_and_not_for_another_is_not_asked_for(roster: Roster) -> None:
    """The coordinator sees the slots of the whole request alone: it would open attempts that every enclave refuses."""
    group = replace(roster, subsets=((1,),))
    both = [make_body(group, messages=[MESSAGE], subset=subset).items[0] for subset in (None, 0)]
    made = plan(Body(v=1, transactions=(), items=tuple(both), memo=""), group)
    own = Rule(approval="self")
    require_one_judgement({0: own, 1: own}, made, 1)
    require_one_judgement({0: own, 1: quorum(1)}, made, 1)
    with pytest.raises(Refused, match="the rule of slot 1 counts a yes only from slot 1"):
        require_one_judgement({0: own, 1: quorum(0, 1)}, made, 1)
    with pytest.raises(Refused, match="slot 0 asks, but the key of slot 1 is not his"):
        require_one_judgement({0: own, 1: own}, made, 0)


DAY = 86_400_000


def test_a_request_lives_a_day_longer_than_its_rules_wait_and_a_week_at_most() -> None:
    none, delayed = Rule(approval="none"), Rule(approval="none", delay_ms=DAY)
    assert life_of({0: none, 1: none}, None, 0) == DAY
    assert life_of({0: none, 1: delayed}, None, 0) == 2 * DAY
    assert life_of({0: Rule(approval="none", not_before=9 * DAY), 1: delayed}, None, 5 * DAY) == 5 * DAY
    assert life_of({0: Rule(approval="none", delay_ms=MAX_DELAY_MS)}, None, 0) == REQUEST_LIFE_MS
    assert life_of({1: delayed}, DAY + 1, 0) == DAY + 1


def test_a_request_after_a_rule_has_ended_is_not_made() -> None:
    ends = Rule(approval="none", not_after=DAY)
    assert life_of({0: ends}, None, DAY) == DAY
    with pytest.raises(Refused, match=r"slot 0 signs nothing after 1970-01-02 .*, for good, and that has passed"):
        life_of({0: ends}, None, DAY + 1)
    with pytest.raises(Refused, match=r"slot 0 signs nothing after .*, and nothing is signed before 1970-01-03"):
        life_of({0: ends, 1: Rule(approval="none", delay_ms=2 * DAY)}, None, 0)


@pytest.mark.parametrize(
    ("rule", "wanted"), [(Rule(approval="none", delay_ms=DAY), DAY), (Rule(approval="none", not_before=7 * DAY), None)]
)
def test_a_request_that_would_end_before_a_rule_lets_it_be_signed_is_not_made(rule: Rule, wanted: int | None) -> None:
    with pytest.raises(Refused, match=r"slot 1 signs nothing before 1970-01-0[28] .*, and the request would end"):
        life_of({0: Rule(approval="none"), 1: rule}, wanted, 0)

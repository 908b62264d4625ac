"""agent.py and work.py: what an enclave says, when, and what it never says; read like minutes of a meeting."""

from collections.abc import Callable, Iterable

import msgspec
import pytest

from keymeld_protocol import statements
from keymeld_protocol.contents import SignMessage
from keymeld_protocol.contributions import Finished
from keymeld_protocol.errors import InvalidCrypto
from keymeld_protocol.frames import WireRecord
from keymeld_protocol.keygen import KeygenState
from keymeld_protocol.payloads import SigningRefuse, SigningRequest
from keymeld_protocol.schnorr import verify
from keymeld_protocol.shapes import Rule, Signer
from keymeld_protocol.signing_state import Phase
from keymeld_protocol.statements import Statement
from keymeld_protocol.values import Id, Message, Signature, digest
from tests.support.world import (
    HOUR,
    MESSAGE,
    MINUTE,
    NONE,
    SECOND,
    SELF,
    Enclave,
    Member,
    Peer,
    World,
    quorum,
)

OTHER = b"another thirty-two bytes to sign"


class Party:
    """Alice, Bob and Carol, and enclaves by name; ``gather`` makes their group."""

    def __init__(self, *enclaves: str) -> None:
        self.world = World()
        self.vaults = [self.world.enclave(name) for name in enclaves]
        self.alice, self.bob, self.carol = (self.world.member(name) for name in ("alice", "bob", "carol"))
        self.group = Id(bytes(32))

    @property
    def members(self) -> list[Member]:
        return [self.alice, self.bob, self.carol]

    def gather(self, *rules: Rule, at: Iterable[int] = (0, 0, 0), subsets: tuple[tuple[int, ...], ...] = ()) -> Id:
        """All three join, slot by slot ``at`` these enclaves."""
        where = [self.vaults[index] for index in at]
        self.group = self.world.gather(self.members, at=where, rule=rules or [NONE] * 3, subsets=subsets)
        return self.group

    def signed(self, signing: Id, message: bytes = MESSAGE, subset: int | None = None) -> bool:
        """Whether everybody who hears it has computed a signature that verifies, and was told the same."""
        for member in self.members:
            (signature,) = member.signatures(signing)
            assert isinstance(signature, Signature)
            assert verify(signature, message, member.roster(self.group).keyagg(subset).output)
            assert member.told(signing) == (Finished(signature=signature),)
        return True

    def phase(self, signing: Id) -> Phase:
        return Phase(self.world.state(signing).phase)

    def code(self, signing: Id) -> str | None:
        code = self.world.state(signing).code
        return None if code is None else str(code)


@pytest.fixture
def one() -> Party:
    """A party whose keys are all at one enclave."""
    party = Party("vault")
    party.gather()
    party.vaults[0].said.clear()
    return party


@pytest.fixture
def two() -> Party:
    """A party with slots 0 and 2 at one enclave and slot 1 at another."""
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    for vault in party.vaults:
        vault.said.clear()
    return party


def nobody_was_refused(party: Party) -> bool:
    return not any(vault.refused or vault.concerns for vault in party.vaults)


# Keygen


def test_an_enclave_accepts_each_join_and_confirms_the_roster_once() -> None:
    party = Party("vault")
    party.gather()
    assert party.vaults[0].kinds() == ["custody.accept"] * 3 + ["keygen.confirm"]
    assert party.alice.keygen(party.group).unconfirmed() == ()


def test_two_enclaves_each_accept_and_confirm_their_own() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    assert party.vaults[1].kinds() == ["custody.accept", "keygen.confirm"]
    assert nobody_was_refused(party)


def test_a_participants_confirmation_counts_beside_the_enclaves() -> None:
    party = Party("vault")
    party.gather()
    party.bob.confirm(party.group)
    party.world.run()
    assert [seat and seat.confirmed for seat in party.alice.keygen(party.group).seats] == [
        "enclave",
        "participant",
        "enclave",
    ]


def test_an_enclave_that_restarts_while_joins_come_in_accepts_what_is_left_to_accept() -> None:
    party = Party("vault")
    invitation = party.alice.create(2)
    party.alice.join(invitation, 0, party.vaults[0].key, NONE)
    party.world.run()
    party.vaults[0].crash()
    party.bob.join(invitation, 1, party.vaults[0].key, NONE)
    party.vaults[0].come_back()
    party.world.run()
    state = party.world.state(invitation.keygen)
    assert isinstance(state, KeygenState)
    assert (state.phase, state.unconfirmed()) == ("completed", ())
    assert party.vaults[0].kinds() == ["custody.accept", "custody.accept", "keygen.confirm"]


def test_a_keygen_whose_members_share_a_key_is_confirmed_by_no_enclave() -> None:
    party = Party("vault")
    invitation = party.alice.create(2)
    party.alice.join(invitation, 0, party.vaults[0].key, NONE)
    copy = party.bob.draft(invitation, 1, party.vaults[0].key, NONE)
    copy.signing = copy.card_key = party.alice.identity.signing(invitation.keygen, 0, 0)
    party.bob.submit(copy.statement())
    party.world.run()
    assert "keygen.confirm" not in party.vaults[0].kinds()
    assert "shared_key" in party.vaults[0].concerns[0]


# Signing with one enclave


def test_one_enclave_signs_in_one_message_and_confirms_in_the_same_breath(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.vaults[0].kinds() == ["signing.contribute", "signing.confirm"]
    assert one.signed(signing)
    assert nobody_was_refused(one)


def test_many_items_are_signed_at_once(one: Party) -> None:
    messages = [bytes([i]) * 32 for i in range(20)]
    signing = one.alice.request(one.group, *messages)
    one.world.run()
    output = one.bob.roster(one.group).output
    found = one.bob.signatures(signing)
    assert all(isinstance(s, bytes) and verify(s, m, output) for s, m in zip(found, messages, strict=True))


def test_a_signing_that_ended_is_forgotten(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.vaults[0].agent.take_finished() == [signing]
    assert one.vaults[0].agent.take_finished() == []
    assert signing not in one.vaults[0].agent.hearing.streams


def test_a_request_that_came_while_the_enclave_was_away_is_signed_when_it_is_back(one: Party) -> None:
    one.vaults[0].leave()
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.phase(signing) is Phase.APPROVING
    one.vaults[0].come_back()
    one.world.run()
    assert one.signed(signing)
    assert one.vaults[0].kinds() == ["signing.contribute", "signing.confirm"]


def test_a_request_that_came_during_a_restart_is_signed_without_a_retry(one: Party) -> None:
    one.vaults[0].crash()
    signing = one.alice.request(one.group, MESSAGE)
    one.vaults[0].come_back()
    one.world.run()
    assert one.signed(signing)
    assert "signing.retry" not in one.vaults[0].kinds()


def test_an_enclave_that_crashed_before_its_word_left_asks_for_a_new_attempt(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    while not one.vaults[0].outbox:
        one.vaults[0].step()
    one.vaults[0].restart()
    one.world.run()
    assert one.vaults[0].kinds() == ["signing.retry", "signing.contribute", "signing.confirm"]
    assert one.signed(signing)


def test_an_enclave_that_crashed_between_contribution_and_confirmation_confirms_later(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    while one.vaults[0].kinds() != ["signing.contribute"]:
        one.vaults[0].step()
    one.vaults[0].restart()
    one.world.run()
    assert one.phase(signing) is Phase.CONFIRMING
    one.world.wait(SECOND)
    assert one.signed(signing)


def test_what_was_submitted_twice_is_one_record(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    top = one.world.logs[signing].chain.offset
    for statement in one.vaults[0].said:
        one.world.submit(statement, one.vaults[0])
    assert one.world.logs[signing].chain.offset == top


# Signing with two enclaves


def test_two_enclaves_sign_in_two_rounds_and_the_last_keeps_nothing(two: Party) -> None:
    signing = two.alice.request(two.group, MESSAGE)
    two.world.run()
    steps = [getattr(s.payload, "step", "") for vault in reversed(two.vaults) for s in vault.said]
    assert steps == ["nonces", "psigs", "", "both"]
    assert two.signed(signing)
    assert nobody_was_refused(two)


def test_three_enclaves_sign_and_whoever_completed_the_set_confirms_at_once() -> None:
    party = Party("vault", "keep", "safe")
    party.gather(at=(0, 1, 2))
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.signed(signing)
    assert sum(vault.kinds().count("signing.confirm") for vault in party.vaults) == 1
    assert nobody_was_refused(party)


def test_an_enclave_that_restarts_after_its_nonces_asks_for_a_new_attempt(two: Party) -> None:
    signing = two.alice.request(two.group, MESSAGE)
    keep = two.vaults[1]
    while "signing.contribute" not in keep.kinds():
        two.world.peers["keep"].step()
    keep.restart()
    two.world.run()
    assert two.world.state(signing).attempt == 2
    assert keep.kinds().count("signing.retry") == 1
    assert two.signed(signing)


def test_the_nonces_of_a_new_attempt_are_new(two: Party) -> None:
    two.alice.request(two.group, MESSAGE)
    keep = two.vaults[1]
    while "signing.contribute" not in keep.kinds():
        keep.step()
    before = keep.said[-1]
    keep.restart()
    two.world.run()
    nonces = [s for s in keep.said if getattr(s.payload, "step", "") == "nonces"]
    group = two.alice.groups[two.group]
    opened = [group.open_in(s.payload, "values", s.blobs[0] or b"") for s in nonces]
    assert nonces[0].id == before.id
    assert len(opened) == len(set(opened)) == 2


def test_the_last_enclave_may_restart_at_any_time(two: Party) -> None:
    signing = two.alice.request(two.group, MESSAGE)
    vault, keep = two.vaults
    while "signing.contribute" not in keep.kinds():
        keep.step()
    vault.restart()
    two.world.run()
    assert two.signed(signing)


def test_an_enclave_that_lost_its_connection_goes_on_with_its_nonces(two: Party) -> None:
    signing = two.alice.request(two.group, MESSAGE)
    keep = two.vaults[1]
    while "signing.contribute" not in keep.kinds():
        keep.step()
    keep.leave()
    two.vaults[0].step()
    keep.come_back()
    two.world.run()
    assert two.world.state(signing).attempt == 1
    assert two.signed(signing)


def test_a_signer_that_stays_away_is_waited_for_and_a_new_attempt_follows(two: Party) -> None:
    keep = two.vaults[1]
    two.alice.request(two.group, MESSAGE)
    keep.crash()
    two.world.run()
    two.world.wait(10 * SECOND)
    signing = next(stream for stream, log in two.world.logs.items() if stream != two.group)
    assert two.world.state(signing).attempt == 1
    keep.come_back()
    two.world.run()
    assert two.world.state(signing).attempt == 2
    assert two.signed(signing)


def test_after_a_second_another_signer_confirms_for_who_completed_the_set(two: Party) -> None:
    signing = two.alice.request(two.group, MESSAGE)
    vault, keep = two.vaults
    while sum(getattr(s.payload, "step", "") == "psigs" for s in keep.said) == 0:
        vault.step()
        keep.step()
    keep.crash()
    two.world.run()
    assert two.phase(signing) is Phase.CONFIRMING
    two.world.wait(SECOND - 1)
    assert two.phase(signing) is Phase.CONFIRMING
    two.world.wait(1)
    assert vault.kinds()[-1] == "signing.confirm"
    assert two.signed(signing)


# Rules


def test_self_waits_for_its_own_participant() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.phase(signing) is Phase.APPROVING
    party.carol.approve(signing)
    party.world.run()
    assert party.phase(signing) is Phase.APPROVING
    party.bob.approve(signing)
    party.world.run()
    assert party.signed(signing)


def test_a_quorum_is_met_by_enough_of_those_it_names() -> None:
    party = Party("vault")
    party.gather(quorum(2, 0, 1, 2), quorum(2, 0, 1, 2), NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.phase(signing) is Phase.APPROVING
    party.carol.approve(signing)
    party.world.run()
    assert party.signed(signing)


def test_a_no_that_makes_a_rule_hopeless_ends_the_request() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    party.bob.reject(signing)
    party.world.run()
    assert party.phase(signing) is Phase.REJECTED


def test_a_subset_signs_without_the_others() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0), subsets=((0, 2), (0, 1)))
    for subset in (0, 1):
        signing = party.alice.request(party.group, MESSAGE, subset=subset)
        party.world.run()
        assert party.signed(signing, subset=subset)


def test_items_of_different_key_lists_are_signed_in_one_request() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0), subsets=((0, 2),))
    items = (
        SignMessage(message=Message(MESSAGE)),
        SignMessage(message=Message(OTHER), subset=0),
    )
    signing = party.alice.request(party.group, *items)
    party.world.run()
    all_, pair = party.carol.signatures(signing)
    roster = party.carol.roster(party.group)
    assert isinstance(all_, bytes)
    assert isinstance(pair, bytes)
    assert verify(all_, MESSAGE, roster.output)
    assert verify(pair, OTHER, roster.keyagg(0).output)


def test_a_quorum_counts_only_those_whose_key_is_in_the_items_key_list() -> None:
    party = Party("vault")
    quorum_of_bob_and_carol = quorum(1, 1, 2)
    party.gather(quorum_of_bob_and_carol, NONE, NONE, subsets=((0, 1),))
    items = (
        SignMessage(message=Message(MESSAGE)),
        SignMessage(message=Message(OTHER), subset=0),
    )
    signing = party.alice.request(party.group, *items)
    party.world.run()
    party.carol.approve(signing)
    party.world.run()
    assert party.code(signing) == "rule_not_met"
    assert party.world.state(signing).blamed == (0, 1, 2)


def test_a_rule_with_a_time_waits_for_it_by_the_enclaves_own_clock() -> None:
    party = Party("vault")
    later = Rule(approval="none", not_before=party.world.now + MINUTE)
    party.gather(later, NONE, NONE)
    vault = party.vaults[0]
    vault.skew = -5 * SECOND
    signing = party.alice.request(party.group, MESSAGE)
    party.world.wait(MINUTE)
    assert "signing.contribute" not in vault.kinds()
    vault.skew = 0
    party.world.wait(0)
    assert party.signed(signing)


def test_an_approval_that_has_ended_by_the_enclaves_clock_does_not_count() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    party.vaults[0].skew = MINUTE
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    party.bob.approve(signing, until=party.world.now + SECOND)
    party.world.run()
    assert party.code(signing) == "rule_not_met"


def test_a_request_that_has_expired_by_the_enclaves_clock_is_refused(one: Party) -> None:
    one.vaults[0].skew = 2 * HOUR
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.code(signing) == "expired"


# What cannot be signed


def test_a_request_whose_body_does_not_parse_is_refused_with_a_code_and_a_sealed_detail(one: Party) -> None:
    signing = one.alice.submit(spoilt_request(one, b"{}")).id
    one.world.run()
    assert (one.phase(signing), one.code(signing)) == (Phase.FAILED, "bad_body")
    refusal = one.vaults[0].said[-1]
    assert isinstance(refusal.payload, SigningRefuse)
    assert refusal.payload.slots == (0, 1, 2)
    sealed = refusal.blob("detail")
    assert sealed is not None
    assert b"body" in one.bob.groups[one.group].open_in(refusal.payload, "detail", sealed)


def spoilt_request(party: Party, plain: bytes) -> Statement:
    """A request whose sealed body is ``plain``."""
    honest = party.alice.requesting(party.group, MESSAGE)
    assert isinstance(honest.payload, SigningRequest)
    sealed = party.alice.groups[party.group].seal("signing.request", "body", party.group, honest.payload.by, plain)
    payload = msgspec.structs.replace(honest.payload, body=digest(sealed))
    return statements.make(payload, party.alice.auth(party.group).sign, blobs=[sealed])


@pytest.mark.parametrize("lie", [{"items": 2}, {"slots": (0, 1)}])
def test_a_request_whose_numbers_contradict_its_body_is_refused(one: Party, lie: dict[str, object]) -> None:
    signing = one.alice.request(one.group, MESSAGE, **lie)
    one.world.run()
    assert one.code(signing) == "bad_body"


def test_a_refusal_is_said_once() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    party.alice.request(party.group, MESSAGE, items=2)
    party.world.run()
    party.world.wait(MINUTE)
    assert party.vaults[0].kinds().count("signing.refuse") == 1


def test_a_refusal_that_an_attempt_overtook_is_said_again_for_that_attempt() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    vault = party.vaults[0]
    signing = party.alice.request(party.group, MESSAGE, items=2)
    while not vault.outbox:
        vault.step()
    while signing not in party.bob.hearing.streams:
        party.bob.step()
    party.bob.approve(signing)
    party.world.run()
    assert party.code(signing) == "bad_body"
    assert [getattr(s.payload, "attempt", None) for s in vault.said if s.payload.kind == "signing.refuse"] == [0, 1]


# A hostile coordinator


def test_an_attempt_before_the_rules_are_met_is_not_believed_and_nothing_is_signed() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    party.world.attempt(signing)
    party.world.run()
    assert "signing.contribute" not in party.vaults[0].kinds()
    assert "before the rules were met" in party.vaults[0].concerns[0]


def test_the_rule_that_was_sealed_counts_even_if_the_log_were_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 26: a coordinator, and even a hearer, without the check; the enclave's own evaluation remains."""
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    monkeypatch.setattr("keymeld_protocol.signing.may_open", lambda *_: True)
    party.world.attempt(signing)
    party.world.run()
    assert "signing.contribute" not in party.vaults[0].kinds()
    assert party.code(signing) == "rule_not_met"


Lie = Callable[[WireRecord], Iterable[WireRecord]]
LIES: dict[str, Lie] = {
    "left out": lambda wire: [],
    "with another time": lambda wire: [msgspec.structs.replace(wire, at=wire.at + 1)],
    "with another hash": lambda wire: [msgspec.structs.replace(wire, hash=type(wire.hash)(bytes(32)))],
    "at another place": lambda wire: [msgspec.structs.replace(wire, offset=wire.offset + 1)],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_log_with_a_record_that_was_tampered_with_is_served_no_longer(lie: str) -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    vault = party.vaults[0]

    def tamper(peer: Peer, stream: Id, wire: WireRecord) -> Iterable[WireRecord]:
        return LIES[lie](wire) if peer is vault and '"signing.approve"' in wire.statement.payload else [wire]

    party.world.tamper = tamper
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    party.bob.approve(signing)
    party.world.run()
    assert "signing.contribute" not in vault.kinds()
    assert len(vault.concerns) == 1


def test_a_record_that_comes_twice_changes_nothing(one: Party) -> None:
    one.world.tamper = lambda peer, stream, wire: [wire, wire]
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.signed(signing)
    assert one.vaults[0].kinds() == ["signing.contribute", "signing.confirm"]


def test_a_record_with_a_forged_signature_is_no_record(one: Party) -> None:
    def tamper(peer: Peer, stream: Id, wire: WireRecord) -> list[WireRecord]:
        forged = msgspec.structs.replace(wire.statement, signatures=("00" * 64,))
        return [msgspec.structs.replace(wire, statement=forged)] if '"signing.request"' in forged.payload else [wire]

    one.world.tamper = tamper
    one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.vaults[0].said == []
    assert "bad_signature" in one.vaults[0].troubles[0]


def test_a_request_in_another_history_of_the_keygen_is_a_fork(one: Party) -> None:
    one.world.fork(one.group, one.bob)
    one.bob.confirm(one.group)
    one.world.run()
    request = one.bob.requesting(one.group, MESSAGE)
    one.world.force(request)
    one.world.run()
    assert one.vaults[0].said == []
    assert "another history" in one.vaults[0].concerns[0]


def test_a_signing_that_waits_for_its_keygen_and_breaks_leaves_the_keygen_alone(one: Party) -> None:
    vault = one.vaults[0]
    vault.crash()
    one.world.fork(one.group, one.bob)
    one.bob.confirm(one.group)
    one.world.run()
    one.world.force(one.bob.requesting(one.group, MESSAGE))
    vault.come_back()
    vault.inbox = type(vault.inbox)(sorted(vault.inbox, key=lambda sent: sent[0] == one.group))
    one.world.run()
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.signed(signing)


def test_an_attempt_that_names_another_signer_is_not_believed(two: Party) -> None:
    two.vaults[1].leave()
    signing = two.alice.request(two.group, MESSAGE)
    two.world.run()
    alone = (Signer(key=two.vaults[0].key, slots=(0, 1, 2)),)
    two.world.attempt(signing, signers=alone, last=None)
    two.world.run()
    assert two.vaults[0].said == []
    assert "not the enclaves and slots" in two.vaults[0].concerns[0]


def test_a_finished_session_that_is_told_again_from_the_middle_is_ignored(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    said = len(one.vaults[0].said)
    for record in one.world.logs[signing].records[1:]:
        one.vaults[0].hear(signing, one.world.wire(record, one.vaults[0]))
    assert not one.vaults[0].outbox
    assert len(one.vaults[0].said) == said


def test_history_is_not_answered(one: Party) -> None:
    one.alice.request(one.group, MESSAGE)
    one.world.run()
    one.vaults[0].said.clear()
    one.vaults[0].restart()
    one.world.run()
    one.world.wait(MINUTE)
    assert one.vaults[0].said == []


def test_a_wiped_agent_signs_nothing_more(one: Party) -> None:
    one.vaults[0].agent.wipe()
    one.alice.request(one.group, MESSAGE)
    with pytest.raises(InvalidCrypto, match="wiped"):
        one.world.run()
    assert one.vaults[0].said == []


def test_an_agents_parts_print_no_secret(one: Party) -> None:
    one.alice.request(one.group, MESSAGE)
    one.vaults[0].step()
    agent: Enclave = one.vaults[0]
    identity = agent.agent.identity.secret.buffer.hex()
    shown = repr([agent.agent, agent.agent.identity, agent.agent._groups, agent.agent._works])
    assert identity[:8] not in shown

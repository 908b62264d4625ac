"""agent.py: what an enclave says, when, and what it never says; read like minutes of a meeting."""

import pytest

from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.machines.signing_state import SigningPhase
from tests.support.party import Party, party_of_one, party_of_two
from tests.support.world import (
    MESSAGE,
    NONE,
    SECOND,
)

OTHER = b"another thirty-two bytes to sign"


@pytest.fixture
def one() -> Party:
    return party_of_one()


@pytest.fixture
def two() -> Party:
    return party_of_two()


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
    assert party.undisturbed()


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
    copy.signing = copy.card_key = party.alice.signing_key(invitation.keygen, 0)
    party.bob.submit(copy.statement())
    party.world.run()
    assert "keygen.confirm" not in party.vaults[0].kinds()
    assert "shared_key" in party.vaults[0].concerns[0]


# Signing with one enclave


def test_one_enclave_signs_in_one_statement_and_the_log_holds_two_records(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    assert one.vaults[0].kinds() == ["signing.contribute"]
    assert one.world.logs[signing].chain.offset == 2
    assert one.signed(signing)
    assert one.undisturbed()


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
    assert one.phase(signing) is SigningPhase.NONCES
    one.vaults[0].come_back()
    one.world.run()
    assert one.signed(signing)
    assert one.vaults[0].kinds() == ["signing.retry", "signing.contribute"]


def test_a_request_that_came_during_a_restart_is_signed_in_its_second_attempt(one: Party) -> None:
    one.vaults[0].crash()
    signing = one.alice.request(one.group, MESSAGE)
    one.vaults[0].come_back()
    one.world.run()
    assert one.signed(signing)
    assert one.vaults[0].kinds() == ["signing.retry", "signing.contribute"]


def test_an_enclave_that_crashed_before_its_word_left_asks_for_a_new_attempt(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    while not one.vaults[0].outbox:
        one.vaults[0].step()
    one.vaults[0].restart()
    one.world.run()
    assert one.vaults[0].kinds() == ["signing.retry", "signing.contribute"]
    assert one.signed(signing)


def test_an_enclave_that_crashes_after_its_word_has_said_all(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    while one.vaults[0].kinds() != ["signing.contribute"]:
        one.vaults[0].step()
    one.vaults[0].restart()
    one.world.run()
    assert one.vaults[0].kinds() == ["signing.contribute"]
    assert one.signed(signing)


def test_what_was_submitted_twice_is_one_record(one: Party) -> None:
    signing = one.alice.request(one.group, MESSAGE)
    one.world.run()
    top = one.world.logs[signing].chain.offset
    for statement in one.vaults[0].said:
        one.world.submit(statement, one.vaults[0])
    assert one.world.logs[signing].chain.offset == top


# Signing with two enclaves


def test_two_enclaves_sign_in_four_records_and_the_last_keeps_nothing(two: Party) -> None:
    signing = two.alice.request(two.group, MESSAGE)
    two.world.run()
    steps = [getattr(s.payload, "step", "") for vault in reversed(two.vaults) for s in vault.said]
    assert steps == ["nonces", "signatures", "both"]
    assert two.world.logs[signing].chain.offset == 4
    assert two.signed(signing)
    assert two.undisturbed()


def test_of_three_enclaves_one_finishes_when_it_has_verified_the_psigs_of_the_others() -> None:
    party = Party("vault", "keep", "safe")
    party.gather(at=(0, 1, 2))
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.signed(signing)
    steps = [[getattr(said.payload, "step", "") for said in vault.said] for vault in party.vaults]
    assert [each[2:] for each in steps] == [["both"], ["nonces", "psigs"], ["nonces", "signatures"]]
    assert party.undisturbed()


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


def test_who_finishes_and_crashes_before_it_says_the_signatures_makes_another_attempt_necessary(two: Party) -> None:
    signing = two.alice.request(two.group, MESSAGE)
    vault, keep = two.vaults
    while two.phase(signing) is not SigningPhase.PSIGS:
        vault.step()
        keep.step()
    keep.restart()
    two.world.run()
    assert two.world.state(signing).attempt == 2 and keep.kinds().count("signing.retry") == 1
    assert two.signed(signing)

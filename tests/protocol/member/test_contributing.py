"""contributing.py: under which rules an enclave signs, and what it says when it does not."""

from unittest.mock import Mock

import msgspec
import pytest

from keymeld_protocol.curve.schnorr import verify
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.machines.signing_state import SigningPhase
from keymeld_protocol.member import judging
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.plaintext.body import Adaptor, SignMessage
from keymeld_protocol.two_threads import BIG_BATCH
from keymeld_protocol.values import Message, PlainKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.payloads import SigningContribute, SigningRefuse, SigningRequest
from keymeld_protocol.wire.shapes import Rule
from keymeld_protocol.wire.statements import Statement
from tests.support.party import Party, party_of_one
from tests.support.world import (
    HOUR,
    MESSAGE,
    MINUTE,
    NONE,
    SECOND,
    SELF,
    quorum,
    secret_of,
)

OTHER = b"another thirty-two bytes to sign"


@pytest.fixture
def one() -> Party:
    return party_of_one()


# Rules


def test_self_waits_for_its_own_participant() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.phase(signing) is SigningPhase.APPROVING
    party.carol.approve(signing)
    party.world.run()
    assert party.phase(signing) is SigningPhase.APPROVING
    party.bob.approve(signing)
    party.world.run()
    assert party.signed(signing)


def test_a_quorum_is_met_by_enough_of_those_it_names() -> None:
    party = Party("vault")
    party.gather(quorum(2, 0, 1, 2), quorum(2, 0, 1, 2), NONE)
    signing = party.alice.request(party.group, MESSAGE)
    party.world.run()
    assert party.phase(signing) is SigningPhase.APPROVING
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
    assert party.phase(signing) is SigningPhase.REJECTED


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
    assert (one.phase(signing), one.code(signing)) == (SigningPhase.FAILED, "bad_body")
    refusal = one.vaults[0].said[-1]
    assert isinstance(refusal.payload, SigningRefuse)
    assert refusal.payload.slots == (0, 1, 2)
    sealed = refusal.blob("detail")
    assert sealed is not None
    assert b"v: is missing" in one.bob.groups[one.group].open_in(refusal.payload, "detail", sealed)


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


def test_a_body_that_does_not_hold_is_read_once_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    party = Party("vault")
    party.gather(SELF, SELF, NONE)
    read = Mock(wraps=plan_of)
    monkeypatch.setattr(judging, "plan_of", read)
    signing = party.alice.request(party.group, MESSAGE, items=2)
    vault = party.vaults[0]
    while signing not in vault.agent.hearing.streams:
        vault.step()
    for _ in range(3):
        assert vault.agent.subscribed(signing, 1) == []
    assert read.call_count == 1
    assert vault.agent.hearing.streams[signing].records[0].statement.blob("body") is None
    party.world.run()
    assert party.code(signing) == "bad_body"


# Many items


@pytest.mark.parametrize("items", [2, BIG_BATCH + 1])
def test_of_two_enclaves_one_goes_last_and_the_other_one_finishes_whatever_the_size(items: int) -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    signing = party.alice.request(party.group, *[bytes([number]) * 32 for number in range(items)])
    party.world.run()
    vault, keep = ([said for said in map(_step, vault.said) if said] for vault in party.vaults)
    assert (vault, keep) == (["both"], ["nonces", "signatures"])
    assert len(party.bob.signatures(signing)) == items
    assert party.undisturbed()


def _step(statement: Statement) -> str | None:
    return statement.payload.step if isinstance(statement.payload, SigningContribute) else None


def test_an_item_of_many_pre_signatures_counts_as_so_many_places() -> None:
    party = Party("vault")
    party.gather(NONE, SELF, NONE)
    points = tuple(PlainKey(Secret(secret_of(f"point {i}")).point) for i in range(64))
    item = SignMessage(message=Message(MESSAGE), adaptor=Adaptor(mode="or", points=points))
    for count in (1, 2):
        signing = party.alice.request(party.group, *[item] * count)
        party.world.run()
        assert party.vaults[0].agent.places(signing) == 64 * count


def test_a_batch_of_a_thousand_items_is_signed_and_counts_as_so_many_places_until_it_ends() -> None:
    party = Party("vault", "keep")
    party.gather(at=(0, 1, 0))
    items = [SignMessage(message=Message(number.to_bytes(32, "big"))) for number in range(1000)]
    signing = party.alice.request(party.group, *items)
    while "signing.contribute" not in party.vaults[0].kinds():
        for peer in party.world.peers.values():
            peer.step()
    assert party.vaults[0].agent.places(signing) == 1000
    party.world.run()
    signatures, output = party.bob.signatures(signing), party.bob.roster(party.group).output
    assert len(signatures) == 1000
    for item, signature in zip(items, signatures, strict=True):
        assert isinstance(signature, bytes) and verify(signature, item.message, output)
    assert party.vaults[0].agent.places(signing) == 0

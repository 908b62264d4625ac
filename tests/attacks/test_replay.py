"""Attacks with what was said before: again, elsewhere, in another spelling, by somebody else, or over another text.

mallory ── a statement of Alice's, changed as little as she can ──▶ coordinator, enclaves, members      refused by each
"""

import json

import msgspec
import pytest

from keymeld_protocol.errors import BadInput, InvalidCrypto, Reason
from keymeld_protocol.values import Epoch, Id, Salt, XOnlyKey
from keymeld_protocol.wire import frames, statements
from keymeld_protocol.wire.connection import CoordinatorSide, PeerSide
from keymeld_protocol.wire.payloads import SigningApprove, SigningReject
from keymeld_protocol.wire.statements import Statement
from tests.support.machines import key_of, xonly
from tests.support.world import HOUR, MESSAGE, NONE, NOON, World

from .mischief import Puppet, ask, contribution, group_of_two, refuses, signed, write

# 6: a signed request or approval is replayed: other hex case, other method, other session, later --------------------


def test_attack_6_an_approval_said_again_is_the_same_one() -> None:
    """6: a signed request or approval is replayed: other hex case, other method, other session, later."""
    world, vault, alice, bob, group = group_of_two()
    signing = alice.request(group, MESSAGE)
    world.run()
    vault.leave()
    said = bob.approve(signing)
    place = world.submit(said)
    assert world.submit(said) == place and world.logs[signing].chain.offset == place[1]


def test_attack_6_an_approval_in_another_hex_case_is_no_statement() -> None:
    """6: a signed request or approval is replayed: other hex case, other method, other session, later."""
    world, _, alice, bob, group = group_of_two()
    signing = alice.request(group, MESSAGE)
    world.run()
    wire = bob.saying(signing, SigningApprove).wire
    for name in ("by", "stream", "after"):
        said = json.loads(wire.payload)
        spelled = wire.payload.replace(said[name], said[name].upper())
        assert spelled != wire.payload
        refuses(world, msgspec.structs.replace(wire, payload=spelled), Reason.BAD_FIELD)
    refuses(world, msgspec.structs.replace(wire, signatures=(wire.signatures[0].upper(),)), Reason.BAD_FIELD)


def test_attack_6_a_reject_does_not_become_an_approval() -> None:
    """6: a signed request or approval is replayed: other hex case, other method, other session, later."""
    world, _, alice, bob, group = group_of_two()
    signing = alice.request(group, MESSAGE)
    world.run()
    wire = bob.saying(signing, SigningReject).wire
    turned = msgspec.structs.replace(wire, payload=wire.payload.replace("signing.reject", "signing.approve"))
    refuses(world, turned, Reason.BAD_SIGNATURE)


def test_attack_6_an_approval_counts_in_no_other_session() -> None:
    """6: a signed request or approval is replayed: other hex case, other method, other session, later."""
    world, vault, alice, bob, group = group_of_two()
    one, two = alice.request(group, MESSAGE), alice.request(group, MESSAGE, memo="again")
    world.run()
    said = bob.saying(one, SigningApprove)
    moved = msgspec.structs.replace(said.wire, payload=said.text.replace(one.hex(), two.hex()))
    refuses(world, moved, Reason.BAD_SIGNATURE)
    log = world.logs[two]
    write(world, log, said)
    world.publish(log)
    world.run()
    assert not signed(vault) and any("another stream" in said for said in vault.concerns)


def test_attack_6_neither_a_request_nor_an_approval_counts_later() -> None:
    """6: a signed request or approval is replayed: other hex case, other method, other session, later."""
    world, vault, alice, bob, group = group_of_two()
    request = alice.requesting(group, MESSAGE, life=HOUR)
    world.submit(request, alice)
    world.run()
    approval = bob.saying(request.id, SigningApprove)
    world.wait(HOUR)
    refuses(world, approval, Reason.WRONG_STATE)
    world.logs.pop(request.id)
    refuses(world, request, Reason.EXPIRED)
    assert not signed(vault)


# 16: an approval does not cover what is signed ---------------------------------------------------------------------


def test_attack_16_a_body_that_is_not_the_one_that_was_requested_is_refused() -> None:
    """16: an approval does not cover what is signed."""
    world, vault, alice, bob, group = group_of_two()
    request, other = alice.requesting(group, MESSAGE), alice.requesting(group, bytes(32))
    with pytest.raises(BadInput, match="SHA-256"):
        statements.parse(msgspec.structs.replace(request.wire, blobs=other.wire.blobs))
    world.tamper = lambda peer, stream, wire: [_with_body(wire, request, other) if peer is vault else wire]
    world.submit(request, alice)
    world.run()
    bob.approve(request.id)
    world.run()
    assert not signed(vault) and any("SHA-256" in said for said in vault.troubles)


def _with_body(wire: frames.WireRecord, request: Statement, other: Statement) -> frames.WireRecord:
    """The same record, with the body of another request."""
    if wire.statement.payload != request.text:
        return wire
    return msgspec.structs.replace(wire, statement=msgspec.structs.replace(wire.statement, blobs=other.wire.blobs))


def test_attack_16_an_approval_of_one_request_releases_no_other_of_equal_content() -> None:
    """16: an approval does not cover what is signed."""
    world, vault, alice, bob, group = group_of_two()
    one, two = alice.request(group, MESSAGE), alice.request(group, MESSAGE, memo="equal")
    world.run()
    bob.approve(one)
    world.run()
    assert world.state(one).phase == "completed" and world.state(two).phase == "approving"
    assert vault.kinds().count("signing.contribute") == 1


def test_attack_16_a_body_that_asks_for_more_than_the_request_says_is_refused() -> None:
    """16: an approval does not cover what is signed."""
    world, vault, alice, _, group = group_of_two(NONE)
    request = ask(alice, group, MESSAGE, bytes(32), items=1)
    world.submit(request, alice)
    world.run()
    assert not signed(vault) and world.state(request.id).code == "bad_body"
    narrow = ask(alice, group, MESSAGE, slots=(0,))
    world.submit(narrow, alice)
    world.run()
    assert not signed(vault) and world.state(narrow.id).code == "bad_body"


# 22: a logged header or token that works later ---------------------------------------------------------------------


def test_attack_22_a_proof_that_was_overheard_proves_nothing_on_another_connection_or_server() -> None:
    """22: a logged header or token that works later."""
    here, key = "ws://keymeld.example", key_of("alice")

    def side(salt: int, origin: str = here) -> CoordinatorSide:
        return CoordinatorSide(Salt(bytes([salt]) * 32), (origin,))

    def proofs(server: CoordinatorSide, dialled: str) -> frames.Authenticate:
        peer = PeerSide(dialled)
        hello = server.hello(
            time=NOON, limits={}, heartbeat_ms=1, coordinator=xonly(key_of("coordinator")), epoch=Epoch(bytes(16))
        )
        peer.receive(hello)
        raw = msgspec.Raw(msgspec.json.encode(peer.authenticate([key])))
        parsed: frames.Authenticate = frames.params_of("authenticate", raw)
        return parsed

    logged = proofs(side(1), here)
    assert side(1).authenticate(logged) == (XOnlyKey(key.key),)
    relayed = proofs(side(1), "ws://mallory.example")
    for server, proof in ((side(2), logged), (side(1, "ws://other.example"), logged), (side(1), relayed)):
        with pytest.raises(BadInput) as caught:
            server.authenticate(proof)
        assert caught.value.reason is Reason.BAD_SIGNATURE and not server.proven


# 23: ciphertexts swapped between items or sessions -----------------------------------------------------------------


def test_attack_23_a_ciphertext_opens_in_its_own_place_only() -> None:
    """23: ciphertexts swapped between items or sessions."""
    _, _, alice, _, group = group_of_two()
    key, by = alice.groups[group], XOnlyKey(alice.auth(group).key)
    sealed = key.seal("signing.contribute", "values", group, by, b"text")
    assert key.open("signing.contribute", "values", group, by, sealed) == b"text"
    for place in (
        ("signing.refuse", "values", group, by), ("signing.contribute", "detail", group, by),
        ("signing.contribute", "values", Id(bytes(32)), by),
        ("signing.contribute", "values", group, xonly(key_of("bob"))),
    ):  # fmt: skip
        with pytest.raises(InvalidCrypto):
            key.open(*place, sealed)


def test_attack_23_values_of_another_session_are_not_taken_for_this_ones() -> None:
    """23: ciphertexts swapped between items or sessions."""
    world = World()
    vault, tower = world.enclave("vault"), Puppet(world, "tower")
    members = [world.member(name) for name in ("alice", "bob", "carol")]
    group = world.gather(members, at=[vault, vault, tower])
    one = members[0].request(group, MESSAGE)
    world.run()
    nonces = next(s for s in tower.said if getattr(s.payload, "step", "") == "nonces")
    tower.mute = True
    two = members[0].request(group, MESSAGE)
    world.run()
    assert one != two and isinstance(nonces.blobs[0], bytes)
    world.submit(contribution(world, tower, two, nonces.blobs[0], slots=(2,)))
    world.run()
    assert world.state(two).code == "bad_values" and vault.kinds().count("signing.contribute") == 1

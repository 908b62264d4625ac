"""Attacks that no list had: found by reading the code as an enemy, each one worked before it was mended.

coordinator ── a history without the no that was heard, a time that no calendar holds, a number that no float holds
member ─────── notes that fill an enclave's memory, a second session with the first one's secret, a ticket that lies
"""

import asyncio
import gc
import weakref
from typing import Any

import msgspec
import pytest
from msgspec import structs

from keymeld_client.shown.audit import Audit
from keymeld_client.shown.telling import lines_of_request, moment
from keymeld_protocol.errors import BadInput
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.values import Id, XOnlyKey, digest
from keymeld_protocol.wire import statements
from keymeld_protocol.wire.connection import PeerSide
from keymeld_protocol.wire.frames import WireRecord
from keymeld_protocol.wire.payloads import KeygenCreate, Note, SigningApprove
from keymeld_protocol.wire.shapes import REQUEST_LIFE_MS
from tests.support.line import Line
from tests.support.machines import key_of, xonly
from tests.support.world import HOUR, MESSAGE, MINUTE, NONE, NOON, SELF, Enclave, Member, World, secret_of

from .mischief import create, signed


def pair() -> tuple[World, Enclave, Member, Member, Id]:
    """Alice's key follows any request, Bob's only his own yes."""
    world = World()
    vault, alice, bob = world.enclave("vault"), world.member("alice"), world.member("bob")
    return world, vault, alice, bob, world.gather([alice, bob], at=vault, rule=[NONE, SELF])


# A no that was heard binds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no", ["reject", "cancel"])
def test_an_enclave_that_has_heard_a_no_does_not_sign_from_a_history_without_it(no: str) -> None:
    """The session ended and was forgotten; the coordinator tells it anew, with the yes that it had held back."""
    world, vault, alice, bob, group = pair()
    signing = alice.request(group, MESSAGE)
    world.run()
    branch, auth = world.logs[signing].branch(), bob.auth(group)
    yes = SigningApprove(v=1, by=XOnlyKey(auth.key), stream=signing, after=branch.chain.hash)
    bob.reject(signing) if no == "reject" else alice.cancel(signing)
    world.run()
    assert world.state(signing).phase in ("rejected", "cancelled")
    world.logs[signing] = branch
    vault.sent.pop(signing)
    world.publish(branch, only=vault)
    world.submit(statements.make(yes, auth.sign))
    world.run()
    assert branch.state.attempt == 1 and not signed(vault)  # type: ignore[union-attr]
    vault.skew = 2 * HOUR
    other = alice.request(group, bytes(32), life=3 * HOUR)
    world.run()
    bob.reject(other)
    world.run()
    remembered = [signing in vault.agent._memory, other in vault.agent._memory]
    assert remembered == [False, True], "what has expired needs no remembering"


# Seven days by one's own clock ---------------------------------------------------------------------------------------


def test_a_request_that_a_coordinator_dates_into_the_future_lives_no_longer_than_seven_days() -> None:
    world, vault, alice, bob, group = pair()
    world.now += 30 * 24 * HOUR
    vault.skew = -30 * 24 * HOUR
    signing = alice.request(group, MESSAGE, life=REQUEST_LIFE_MS)
    world.run()
    assert not signed(vault) and world.state(signing).code == "expires_too_late"
    vault.skew = -5 * MINUTE
    honest = alice.request(group, MESSAGE, life=REQUEST_LIFE_MS)
    world.run()
    bob.approve(honest)
    world.run()
    assert signed(vault), "clocks may differ by some minutes"


# Notes ---------------------------------------------------------------------------------------------------------------


def test_an_enclave_does_not_keep_what_members_put_into_notes() -> None:
    """1,000 notes of 64 KiB for each slot would be more memory than it has."""
    world, vault, alice, _, group = pair()
    auth, body = alice.auth(group), bytes(65_536)
    for number in range(3):
        after = world.logs[group].chain.hash
        said = Note(kind=f"note.n{number}", v=1, by=xonly(auth), stream=group, after=after, body=digest(body))
        world.submit(statements.make(said, auth.sign, blobs=[body]), alice)
    world.run()
    heard = vault.agent.hearing.streams[group]
    assert heard.chain.offset == world.logs[group].chain.offset
    assert sum(len(blob or b"") for r in heard.records for blob in r.statement.blobs) < 20_000
    alice.request(group, MESSAGE)
    world.run()
    assert not vault.concerns


# Sessions that nobody asked for --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_strangers_fill_no_memory_with_sessions_of_great_size() -> None:
    """8,192 keygens of 640 KiB were 5 GB; beyond a limit the oldest are let go, and come back when asked for."""
    line = Line()
    line.sessions._bytes_max = 1_000_000
    streams = []
    for number in range(20):
        cast, terms = line.cast(f"flood {number}"), bytes(200_000)
        honest = cast.create(line.time())
        assert isinstance(honest.payload, KeygenCreate)
        said = structs.replace(honest.payload, terms=digest(terms))
        opening = statements.make(said, cast.creator.sign, blobs=[terms])
        await line.say(opening)
        streams.append(opening.id)
        assert sum(session.weight for session in line.sessions._live.values()) <= 2_300_000
    assert len(line.sessions._live) < 12
    gone = [weakref.ref(session) for session in line.sessions._live.values()]
    gc.disable()
    line.sessions._live.clear()
    try:
        await asyncio.sleep(0)
        assert [ref() for ref in gone] == [None] * len(gone), "nothing waits for the garbage collector"
    finally:
        gc.enable()
    for stream in streams:
        assert await line.sessions.get(stream) is not None


# Numbers and times that nothing can hold -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "field"),
    [("hello", "heartbeat_ms"), ("hello", "time"), ("goodbye", "retry_after_ms"), ("goodbye", "code")],
)
@pytest.mark.parametrize("number", [-1, 2**53, 10**400], ids=["negative", "2^53", "10^400"])
def test_a_number_that_no_float_holds_ends_a_conversation_and_not_a_process(
    method: str, field: str, number: int
) -> None:
    key = key_of("coordinator").key.hex()
    said: dict[str, dict[str, Any]] = {
        "hello": {"challenge": key, "versions": ["keymeld.v1"], "time": 1, "limits": {}, "heartbeat_ms": 1,
                  "coordinator": key, "epoch": "00" * 16},
        "goodbye": {"code": 4200, "reason": "draining", "retry_after_ms": 0},
    }  # fmt: skip
    good = msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": said[method]})
    assert PeerSide("unix").receive(good) is not None
    spoilt = good.replace(f'"{field}":{said[method][field]}'.encode(), f'"{field}":{number}'.encode())
    assert spoilt != good
    with pytest.raises(BadInput) as caught:
        PeerSide("unix").receive(spoilt)
    assert caught.value.field == field


@pytest.mark.parametrize("at", [0, 2**53 - 1, 253_402_300_800_000])
def test_a_time_that_no_calendar_holds_is_shown_as_its_number(at: int) -> None:
    assert ("1970-01-01" if at == 0 else str(at)) in moment(at)


def test_a_log_and_a_request_from_the_end_of_time_are_told_all_the_same() -> None:
    world, _, alice, _, _ = pair()
    world.now = 2**53 - 1 - 2 * HOUR
    vault = world.enclave("late vault")
    vault.skew = -world.now
    group = world.gather([alice], at=vault, rule=NONE)
    signing = alice.request(group, MESSAGE)
    world.run()
    roster, state = alice.roster(group), alice.signing(signing)
    made = plan_of(state, alice.heard(signing).records[0].statement, roster, alice.groups[group])
    assert any(str(state.request.expires_at) in line for line in lines_of_request(state, made, roster))
    audit = Audit(secret_of("alice S 2"), lambda: NOON)
    audit.section(group, "keygen", XOnlyKey(world.coordinator.key), wires(alice, group), None)
    assert audit.report.ok and list(audit.report.lines())


def wires(member: Member, stream: Id) -> list[WireRecord]:
    """A stream as a file holds it."""
    return [WireRecord(r.epoch, r.offset, r.at, r.hash, r.statement.wire) for r in member.heard(stream).records]


# A second session with the first one's secret ------------------------------------------------------------------------


def test_a_ticket_verifies_no_log_but_that_of_its_own_session() -> None:
    """A member knows S and the salt: her own session with both opens with every ticket of the first one."""
    world = World()
    vault, alice, mallory = world.enclave("vault"), world.member("alice"), world.member("mallory")
    genuine, forged = create(alice, 1), create(mallory, 1, open=True)
    assert genuine.group_secret == forged.group_secret
    for member, invitation in ((alice, genuine), (mallory, forged)):
        member.join(invitation, 0, vault.key, NONE)
    world.run()
    coordinator = XOnlyKey(world.coordinator.key)
    for member, invitation, holds in ((alice, genuine, True), (mallory, forged, False)):
        audit = Audit(genuine.group_secret, lambda: NOON, genuine.keygen)
        audit.section(invitation.keygen, "keygen", coordinator, wires(member, invitation.keygen), None)
        assert audit.report.ok == holds and (audit.report.address is not None) == holds

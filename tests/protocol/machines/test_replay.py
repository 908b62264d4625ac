"""Whoever replays a verified log comes to the same state; a log that breaks leaves nothing behind."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import Raw

from keymeld_protocol.errors import BrokenLog, Fork, Reason
from keymeld_protocol.machines.replay import Replay, coordinator_of
from keymeld_protocol.machines.signing import SigningPhase, SigningState
from keymeld_protocol.machines.streams import step
from keymeld_protocol.machines.wallet import WalletState
from keymeld_protocol.values import Hash, Id, Signature
from keymeld_protocol.wire import frames, shapes
from keymeld_protocol.wire.payloads import SigningApprove
from keymeld_protocol.wire.records import Chain, Record, record_hash, sign_head
from keymeld_protocol.wire.statements import Statement, make
from tests.support.logs import Scribe
from tests.support.machines import (
    COORDINATOR,
    EPOCH,
    NOON,
    STRANGER,
    TOWER,
    VAULT,
    Keygen,
    Signing,
    Stream,
    completed,
    refused,
    xonly,
)


def replayed(stream: Stream, upto: int | None = None, keygen: Replay | None = None) -> Replay:
    """A stream as somebody hears it who was not there, up to an offset; through bytes."""
    heard = Replay(stream.stream, keygen=keygen)
    for record in stream.records[:upto]:
        wire = frames.convert(Raw(frames.record_json(record)), frames.WireRecord)
        heard.hear(frames.record_of(wire))
    return heard


def signed() -> Signing:
    stream = Signing(completed())
    stream.hear(stream.approve(1), stream.reject(2), stream.note(stream.keygen.auth(1)))
    stream.hear(stream.retry(TOWER))
    stream.open().steps((TOWER, "nonces"), (VAULT, "both"), (TOWER, "signatures"))
    return stream


def busy() -> Keygen:
    stream = Keygen(3)
    stream.hear(stream.join_by("mallory", 1), stream.join(0))
    stream.hear(stream.refuse(1), stream.accept(0), stream.note(stream.auth(0)))
    stream.fill(2, 1).hear(stream.confirm(VAULT), stream.confirm(stream.auth(0)))
    return stream


@pytest.mark.parametrize("make_", [busy, completed, Keygen])
def test_a_replayed_keygen_comes_to_an_equal_state_at_every_offset(make_: Callable[[], Keygen]) -> None:
    stream = make_()
    states = [stream_state(stream, offset) for offset in range(1, stream.chain.offset + 1)]
    for offset, state in enumerate(states, 1):
        assert replayed(stream, offset).state == state
    assert replayed(stream).state == stream.state and replayed(stream).chain == stream.chain


def stream_state(stream: Stream, offset: int) -> object:
    """The state as the machine alone gives it."""
    state = None
    for record in stream.records[:offset]:
        state = step(state, record)
    return state


def test_a_replayed_signing_comes_to_an_equal_state() -> None:
    stream = signed()
    heard = replayed(stream, keygen=replayed(stream.keygen))
    assert heard.state == stream.state and stream.state.phase is SigningPhase.COMPLETED


def test_every_record_is_kept_with_its_place() -> None:
    stream = busy()
    assert replayed(stream).records == stream.records


def test_a_statement_is_found_by_its_name() -> None:
    stream = busy()
    heard = replayed(stream)
    assert [heard.record_of(record.statement.id) for record in stream.records] == stream.records
    with pytest.raises(KeyError):
        heard.record_of(Id(bytes(32)))


def test_sealed_bytes_that_were_read_may_go_and_their_record_stays() -> None:
    stream = busy()
    heard, ident = replayed(stream), stream.records[1].statement.id
    assert heard.record_of(ident).statement.blob("card") is not None
    heard.let_go(ident, "card")
    assert heard.record_of(ident).statement.blob("card") is None
    assert heard.record_of(ident).hash == stream.records[1].hash and len(heard.records) == len(stream.records)
    with pytest.raises(KeyError):
        heard.let_go(Id(bytes(32)), "card")


def test_a_hearer_has_caught_up_when_it_stands_at_the_top_it_was_told() -> None:
    heard = replayed(busy(), 3)
    heard.top = 4
    assert not heard.caught_up
    heard.top = 3
    assert heard.caught_up


# What must not follow ---------------------------------------------------------------------------------------------


def forged(chain: Chain, statement: Statement, **other: int) -> Record:
    """A record that a hostile coordinator puts behind ``chain``, rightly hashed."""
    record = replace(chain.next(EPOCH, NOON, statement), **other)  # type: ignore[arg-type]
    hash_ = record_hash(chain.hash, record.epoch, record.offset, record.at, record.statement.id)
    return replace(record, hash=hash_)


def breaks(heard: Replay, record: Record) -> BrokenLog:
    """``record`` breaks this log, leaves nothing behind, and nothing more is heard."""
    state, chain, records = heard.state, heard.chain.position, list(heard.records)
    with pytest.raises(BrokenLog) as caught:
        heard.hear(record)
    assert (heard.state, heard.chain.position, heard.records) == (state, chain, records)
    assert heard.broken is caught.value and heard.evidence is record
    with pytest.raises(BrokenLog) as again:
        heard.hear(record)
    assert again.value is caught.value
    return caught.value


def test_attack_27_a_statement_that_the_machine_refuses_breaks_the_log() -> None:
    stream = completed()
    error = breaks(replayed(stream), forged(stream.chain, stream.join_by("mallory", 0)))
    assert "not possible while completed" in str(error)


def test_attack_27_a_notice_that_the_log_does_not_allow_breaks_the_log() -> None:
    stream = Keygen(3)
    assert "before expires_at" in str(breaks(replayed(stream), forged(stream.chain, stream.expired())))
    signing = Signing(completed(3, shapes.Rule(approval="none"), shapes.Rule(approval="self")))
    heard = replayed(signing, keygen=replayed(signing.keygen))
    assert "before the rules were met" in str(breaks(heard, forged(signing.chain, signing.opening())))


def test_attack_26_a_coordinator_that_skips_the_approvals_is_caught_by_every_hearer() -> None:
    signing = Signing(completed(3, shapes.Rule(approval="self"), shapes.Rule(approval="self")))
    heard = replayed(signing, keygen=replayed(signing.keygen))
    breaks(heard, forged(signing.chain, signing.opening()))
    assert isinstance(heard.state, SigningState) and heard.state.attempt == 0


def test_attack_27_a_record_that_is_held_back_is_missed() -> None:
    stream = busy()
    assert "jump" in str(breaks(replayed(stream, 2), stream.records[3]))


def test_attack_27_a_record_that_is_sent_twice_breaks_the_log() -> None:
    stream = busy()
    assert "came twice" in str(breaks(replayed(stream, 3), stream.records[2]))


def test_attack_12_a_stream_begins_with_the_statement_that_names_it() -> None:
    stream, other = Keygen(3), Keygen(3, name="other")
    assert "does not begin" in str(
        breaks(Replay(stream.stream), forged(Chain(stream.stream), other.records[0].statement))
    )
    breaks(Replay(stream.stream), forged(Chain(stream.stream), stream.join(0)))


@pytest.mark.parametrize("kind", ["keygen", "request", "wallet"])
def test_attack_12_nothing_is_opened_inside_a_stream(kind: str) -> None:
    stream = completed()
    said = {
        "keygen": Keygen(3, name="other").records[0].statement,
        "request": Signing(stream).records[0].statement,
        "wallet": Scribe(EPOCH).opening,
    }[kind]
    breaks(replayed(stream), forged(stream.chain, said))


def test_attack_6_a_statement_of_another_session_breaks_the_log() -> None:
    one, two = Signing(completed(name="one")), Signing(completed(name="one"), by=1)
    heard = replayed(one, keygen=replayed(one.keygen))
    assert "another stream" in str(breaks(heard, forged(one.chain, two.approve(2))))


def test_a_statement_said_in_another_history_is_a_fork() -> None:
    stream = Signing(completed())
    heard = replayed(stream, keygen=replayed(stream.keygen))
    said = _approve_after(stream, Hash(bytes(32)))
    assert isinstance(breaks(heard, forged(stream.chain, said)), Fork)


def test_a_statement_may_follow_any_record_of_its_history() -> None:
    stream = Signing(completed())
    heard, first = replayed(stream, keygen=replayed(stream.keygen)), stream.chain.hash
    stream.hear(stream.approve(1))
    heard.hear(stream.records[1])
    heard.hear(forged(stream.chain, _approve_after(stream, first)))


def _approve_after(stream: Signing, after: Hash) -> Statement:
    auth = stream.keygen.auth(2)
    return make(SigningApprove(v=1, by=xonly(auth), stream=stream.stream, after=after), auth.sign)


# A signing and its keygen -----------------------------------------------------------------------------------------


def test_a_signing_without_its_keygen_is_not_believed() -> None:
    stream = Signing(completed())
    assert "not verified" in str(breaks(Replay(stream.stream), stream.records[0]))
    other = replayed(completed(name="other"))
    assert "not verified" in str(breaks(Replay(stream.stream, keygen=other), stream.records[0]))


def test_a_signing_requested_in_another_history_of_its_keygen_is_a_fork() -> None:
    keygen = completed()
    keygen.hear(keygen.confirm(VAULT))
    stream, heard = Signing(keygen), replayed(keygen, keygen.chain.offset - 1)
    assert isinstance(breaks(Replay(stream.stream, keygen=heard), stream.records[0]), Fork)


def asked_after(keygen: Keygen, offset: int) -> tuple[Replay, Record]:
    """A request of somebody who stood at ``offset``, and the replay that is to hear it."""
    assert keygen.state.roster is not None
    request = keygen.cast.request(keygen.chain.hashes[offset - 1], keygen.state.roster, NOON)
    heard = Replay(request.id, keygen=replayed(keygen))
    return heard, forged(heard.chain, request)


@pytest.mark.parametrize("offset", range(1, 7))
def test_attack_64_a_request_from_before_the_key_was_complete_breaks_its_log(offset: int) -> None:
    heard, record = asked_after(completed(), offset)
    assert "not yet complete" in str(breaks(heard, record))


def test_a_request_after_the_record_that_completed_the_key_is_heard() -> None:
    keygen = completed()
    assert keygen.state.completed == keygen.chain.offset == 7
    keygen.hear(keygen.confirm(VAULT))
    for offset in (7, 8):
        heard, record = asked_after(keygen, offset)
        heard.hear(record)
    device = Keygen(1)
    device.hear(device.device(0))
    assert device.state.completed == 2


def test_a_signing_of_a_keygen_whose_log_broke_is_not_believed() -> None:
    stream = Signing(completed())
    keygen = replayed(stream.keygen)
    heard = replayed(stream, keygen=keygen)
    breaks(keygen, forged(stream.keygen.chain, stream.keygen.join_by("mallory", 0)))
    stream.hear(stream.approve(1))
    assert "does not hold" in str(breaks(heard, stream.records[1]))
    breaks(Replay(stream.stream, keygen=keygen), stream.records[0])


# The coordinator --------------------------------------------------------------------------------------------------


def test_a_keygen_that_names_a_foreign_coordinator_is_refused_under_ours() -> None:
    stream = Keygen(3)
    heard = Replay(stream.stream, coordinator=xonly(STRANGER))
    assert "another coordinator" in str(breaks(heard, stream.records[0]))
    Replay(stream.stream, coordinator=xonly(COORDINATOR)).hear(stream.records[0])


def test_the_coordinator_of_a_stream_is_the_one_that_its_keygen_names() -> None:
    stream = Signing(completed())
    assert coordinator_of(stream.state) == coordinator_of(stream.keygen.state) == xonly(COORDINATOR)
    assert coordinator_of(None) is None and coordinator_of(WalletState(stream.stream, xonly(VAULT))) is None


def test_a_head_that_agrees_is_believed() -> None:
    stream = busy()
    heard = replayed(stream)
    for record in stream.records:
        heard.check_head(sign_head(stream.stream, record, COORDINATOR.sign))
    assert heard.broken is None


def test_attack_27_a_head_of_another_history_convicts() -> None:
    stream, other = busy(), busy()
    heard = replayed(stream)
    other_record = replace(other.records[3], hash=Hash(bytes(32)))
    with pytest.raises(Fork, match="offset 4"):
        heard.check_head(sign_head(stream.stream, other_record, COORDINATOR.sign))
    assert isinstance(heard.broken, Fork)


def test_a_head_that_the_coordinator_did_not_sign_convicts_nobody() -> None:
    stream = busy()
    heard = replayed(stream)
    head = sign_head(stream.stream, stream.records[-1], STRANGER.sign)
    for unsigned in (head, replace(head, signature=Signature(bytes(64))), replace(head, hash=Hash(bytes(32)))):
        with pytest.raises(BrokenLog, match="not signed"):
            heard.check_head(unsigned)
    assert heard.broken is None


def test_a_head_before_any_record_is_held_against_the_coordinator_we_dialled() -> None:
    stream = busy()
    heard = Replay(stream.stream, coordinator=xonly(COORDINATOR))
    with pytest.raises(BrokenLog, match="not signed"):
        heard.check_head(sign_head(stream.stream, stream.records[0], STRANGER.sign))


def test_a_wallets_heads_are_those_of_the_coordinator_under_which_it_was_first_heard() -> None:
    scribe = Scribe(EPOCH)
    records = [scribe.open(), scribe.note()]
    heard = Replay(scribe.stream, coordinator=xonly(COORDINATOR))
    for record in records:
        heard.hear(record)
    heard.check_head(sign_head(scribe.stream, records[1], COORDINATOR.sign))
    with pytest.raises(BrokenLog, match="not signed"):
        heard.check_head(sign_head(scribe.stream, records[1], STRANGER.sign))


def test_a_head_beyond_what_was_heard_proves_nothing_yet() -> None:
    stream = busy()
    replayed(stream, 2).check_head(sign_head(stream.stream, stream.records[-1], COORDINATOR.sign))


def test_a_first_record_that_opens_nothing_is_refused() -> None:
    stream = Keygen(2)
    with pytest.raises(Exception, match="begins with keygen"):
        step(None, forged(Chain(stream.stream), stream.join(0)))


def test_the_machine_says_the_same_to_the_coordinator_and_to_every_hearer() -> None:
    stream = busy()
    for said in (stream.join(0), stream.expired(), stream.confirm(VAULT)):
        with pytest.raises(BrokenLog) as caught:
            replayed(stream).hear(forged(stream.chain, said))
        reason = str(caught.value.__cause__).split(" ")[0]
        assert reason in {"wrong_state", "already_said"}
    refused(stream, stream.join(0), Reason.WRONG_STATE, "kind")

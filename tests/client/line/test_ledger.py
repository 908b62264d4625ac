"""The ledger: what is verified is stored and told; what does not hold harms its own session alone."""

import asyncio
import json
from collections.abc import Callable, Iterator

import msgspec
import pytest

from keymeld_client.errors import NotConnected, ReadOnly
from keymeld_client.line.ledger import Ledger
from keymeld_protocol.errors import Reason, Refused
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Hash, Id, XOnlyKey
from keymeld_protocol.wire.frames import WireRecord, wire_head
from keymeld_protocol.wire.records import sign_head
from tests.client.paper import Reader, Tale, spoilt_head
from tests.support.coordinator import key_of
from tests.support.machines import lead_astray


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody with a ticket who has heard nothing yet."""
    reader = Reader(tale)
    yield reader
    reader.wallet._passing = True
    reader.wallet.close()


def never(heard: Replay) -> bool | None:
    """Waits for ever."""
    return None


def hear_all(reader: Reader) -> None:
    for stream in (reader.tale.keygen, reader.tale.signing):
        reader.subscribed(stream)
        reader.hear(stream)


def altered(wire: WireRecord, **changes: object) -> WireRecord:
    return msgspec.structs.replace(wire, **changes)


def test_an_honest_log_is_heard_whole(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    assert reader.ledger.caught_up()
    assert [reader.heard(s) for s in (tale.keygen, tale.signing)] == [
        len(tale.wires(tale.keygen)), len(tale.wires(tale.signing))
    ]  # fmt: skip


def test_a_signing_waits_for_its_keygen(reader: Reader, tale: Tale) -> None:
    reader.ledger.expect(tale.keygen)
    reader.hear(tale.signing)
    assert reader.heard(tale.signing) == 0
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    assert reader.heard(tale.signing) == len(tale.wires(tale.signing))


def test_a_request_that_overtakes_its_keygen_is_no_fork(reader: Reader, tale: Tale) -> None:
    asked: list[Id] = []
    reader.ledger.look_again = asked.append
    wires = tale.wires(tale.keygen)
    reader.subscribed(tale.keygen, top=len(wires) - 2)
    reader.hear(tale.keygen, wires[:-2])
    reader.hear(tale.signing)
    assert asked == [tale.keygen] and reader.ledger.trouble(tale.signing) is None
    reader.subscribed(tale.keygen, recovered=True)
    reader.hear(tale.keygen, wires[-2:])
    assert reader.heard(tale.signing) == len(tale.wires(tale.signing))


def test_streams_of_strangers_take_no_memory(reader: Reader) -> None:
    other = Tale()
    other.world.member("mallory")
    stranger = other.alice.create(2).keygen
    reader.hear(stranger, other.wires(stranger))
    assert stranger not in reader.ledger.hearing.streams and stranger not in reader.wallet.streams()


def test_records_of_a_restarted_client_are_verified_and_resumed(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    before = reader.ledger.position(tale.keygen)
    wallet = reader.wallet
    wallet._passing = False
    again = reader.again()
    assert again.ledger.position(tale.keygen) == before
    assert again.heard(tale.signing) == len(tale.wires(tale.signing))
    reader.wallet = again.wallet


def test_a_log_torn_by_a_crash_is_resumed_before_the_tear(reader: Reader, tale: Tale) -> None:
    reader.subscribed(tale.keygen)
    reader.hear(tale.keygen)
    path = reader.wallet.folder / "streams" / f"{tale.keygen.hex()}.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    reader.wallet._passing = False
    again = reader.again()
    position = again.ledger.position(tale.keygen)
    assert position is not None and position.offset == len(tale.wires(tale.keygen)) - 1
    again.hear(tale.keygen)
    assert again.heard(tale.keygen) == len(tale.wires(tale.keygen))
    reader.wallet = again.wallet


def damaged(reader: Reader, stream: Id) -> Reader:
    """What the next process finds in a wallet in which somebody has written over a line of a stream."""
    hear_all(reader)
    path = reader.wallet.folder / "streams" / f"{stream.hex()}.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    reader.wallet._passing = False
    again = reader.again()
    reader.wallet = again.wallet
    again.wallet._passing = True
    return again


def test_a_damaged_file_is_named_stops_its_own_session_and_no_other(reader: Reader, tale: Tale) -> None:
    again = damaged(reader, tale.signing)
    told = f"streams/{tale.signing.hex()}.jsonl line 1 is damaged: move it away, and it is heard again"
    assert again.ledger.trouble(tale.signing) == told == again.wallet.damaged[tale.signing]
    assert again.ledger.trouble(tale.keygen) is None and again.heard(tale.keygen) == len(tale.wires(tale.keygen))
    again.hear(tale.signing)
    assert again.heard(tale.signing) == 0, "nothing is written behind what is damaged"
    with pytest.raises(ReadOnly, match="move it away"):
        again.ledger.require(tale.signing)


def test_what_no_longer_holds_on_the_disk_is_damage_and_accuses_nobody(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    path = reader.wallet.folder / "streams" / f"{tale.signing.hex()}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"offset":2,"at":17', b'"offset":2,"at":18', 1))
    reader.wallet._passing = False
    again = reader.again()
    reader.wallet = again.wallet
    told = again.ledger.trouble(tale.signing) or ""
    assert told.startswith(f"streams/{tale.signing.hex()}.jsonl is damaged (") and told.endswith("it is heard again")
    assert again.wallet.evidence(tale.signing) is None and again.ledger.trouble(tale.keygen) is None
    again.wallet._passing = True


def test_a_damaged_keygen_stops_its_signings_too_and_holds_up_nobody(reader: Reader, tale: Tale) -> None:
    again = damaged(reader, tale.keygen)
    assert again.ledger.streams() == () and again.ledger.caught_up()
    for stream in (tale.keygen, tale.signing):
        again.hear(stream)
    assert again.ledger.streams() == () and "line 1 is damaged" in (again.ledger.trouble(tale.keygen) or "")


def test_what_came_before_is_skipped(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    stored = len(reader.wallet.stream(tale.keygen)[0])
    reader.hear(tale.keygen)
    assert len(reader.wallet.stream(tale.keygen)[0]) == stored
    assert reader.ledger.trouble(tale.keygen) is None


# What does not hold (attack 27)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("an altered hash", lambda wires: [wires[0], altered(wires[1], hash=Hash(bytes(32)))]),
        ("a back-dated record", lambda wires: [wires[0], altered(wires[1], at=0)]),
        ("a gap", lambda wires: [wires[0], wires[2]]),
        ("another epoch", lambda wires: [wires[0], altered(wires[1], epoch=b"\1" * 16)]),
        ("a foreign signature", lambda wires: [wires[0], altered(wires[1], statement=msgspec.structs.replace(
            wires[1].statement, signatures=("00" * 64,) * 2))]),
        ("a blob of something else", lambda wires: [wires[0], altered(wires[1], statement=msgspec.structs.replace(
            wires[1].statement, blobs=("AAAA", None)))]),
        ("no canonical payload", lambda wires: [wires[0], altered(wires[1], statement=msgspec.structs.replace(
            wires[1].statement, payload=wires[1].statement.payload + " "))]),
    ],
)  # fmt: skip
def test_a_session_with_a_record_that_cannot_follow_is_read_only(
    reader: Reader, tale: Tale, name: str, change: Callable[[list[WireRecord]], list[WireRecord]]
) -> None:
    """It stands at the record before, and the evidence is kept."""
    reader.hear(tale.keygen, change(tale.wires(tale.keygen)))
    assert reader.heard(tale.keygen) == 1, name
    assert reader.ledger.trouble(tale.keygen) is not None
    assert reader.wallet.evidence(tale.keygen) is not None
    with pytest.raises(ReadOnly):
        reader.ledger.require(tale.keygen)


def test_a_broken_keygen_stops_its_signings_and_no_others(tale: Tale, reader: Reader) -> None:
    hear_all(reader)
    reader.subscribed(tale.keygen, top=1, recovered=True)
    assert "read-only" in _refusal(reader.ledger, tale.signing)
    assert reader.ledger.replay(tale.signing) is not None


def _refusal(ledger: Ledger, stream: Id) -> str:
    with pytest.raises(ReadOnly) as refused:
        ledger.require(stream)
    return str(refused.value)


def test_a_fork_is_read_only_for_the_next_process_too(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    reader.subscribed(tale.keygen, reason="fork")
    reader.wallet._passing = False
    again = reader.again()
    assert "is not the one verified here" in _refusal(again.ledger, tale.keygen)
    reader.wallet = again.wallet


def test_a_fork_keeps_what_convicts_the_coordinator(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    other = Hash(b"\7" * 32)
    head = spoilt_head(tale, tale.keygen, other)
    reader.ledger.head(tale.keygen, wire_head(head))
    evidence = reader.wallet.evidence(tale.keygen)
    assert evidence is not None and evidence["fork"] is True
    assert json.loads(json.dumps(evidence["theirs"]))["sig"] == head.signature.hex()


def test_a_new_epoch_that_repeats_the_old_records_goes_on(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    reader.subscribed(tale.keygen, reason="epoch")
    reader.hear(tale.keygen)
    assert reader.ledger.trouble(tale.keygen) is None


def test_only_the_first_record_is_not_a_fork(reader: Reader, tale: Tale) -> None:
    reader.subscribed(tale.keygen, top=1, reason="first_record_only")
    reader.hear(tale.keygen, tale.wires(tale.keygen)[:1])
    assert reader.ledger.trouble(tale.keygen) is None and reader.ledger.caught_up()


@pytest.mark.asyncio
async def test_whoever_waits_is_told_that_the_stream_is_heard_no_longer(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, never))
    await asyncio.sleep(0)
    reader.ledger.rights(tale.keygen, whole=False)
    with pytest.raises(ReadOnly, match="lets us hear it no longer"):
        await waiting
    assert reader.ledger.caught_up()
    reader.ledger.rights(tale.keygen, whole=True)
    assert reader.ledger.trouble(tale.keygen) is None
    reader.ledger.rights(tale.keygen, whole=False)
    reader.ledger.greet(tale.coordinator)
    assert reader.ledger.trouble(tale.keygen) is None, "the next conversation asks again"
    reader.ledger.rights(Id(b"\7" * 32), whole=False)
    assert not reader.ledger.deaf_to


def test_another_coordinator_at_the_same_address_is_not_spoken_to(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    reader.ledger.greet(XOnlyKey(key_of("impostor").key))
    assert "not the coordinator" in _refusal(reader.ledger, tale.keygen)
    reader.ledger.greet(tale.coordinator)
    assert reader.ledger.trouble(tale.keygen) is None


def test_a_keygen_of_another_coordinator_is_refused(tale: Tale, reader: Reader) -> None:
    reader.ledger.greet(XOnlyKey(key_of("impostor").key))
    reader.hear(tale.keygen, tale.wires(tale.keygen)[:1])
    assert reader.ledger.trouble(tale.keygen) is not None


# Heads


def test_a_head_gives_its_age_and_is_stored(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    assert reader.ledger.head_age_ms(tale.keygen) is None
    head = wire_head(tale.head(tale.keygen))
    reader.ledger.head(tale.keygen, head)
    reader.time += 1500
    assert reader.ledger.head_age_ms(tale.keygen) == 1500
    reader.time -= 2000  # a clock that was set back makes no age negative
    assert reader.ledger.head_age_ms(tale.keygen) == 0
    assert reader.wallet.stream(tale.keygen)[1] == head


def test_a_head_before_its_records_is_checked_when_they_come(reader: Reader, tale: Tale) -> None:
    reader.subscribed(tale.keygen, head=wire_head(tale.head(tale.keygen)))
    reader.hear(tale.keygen, tale.wires(tale.keygen)[:-1])
    assert reader.ledger.head_age_ms(tale.keygen) is None
    reader.hear(tale.keygen, tale.wires(tale.keygen)[-1:])
    assert reader.ledger.head_age_ms(tale.keygen) is not None


def test_a_head_of_somebody_else_is_refused(reader: Reader, tale: Tale) -> None:
    hear_all(reader)
    record = tale.world.logs[tale.keygen].records[-1]
    forged = sign_head(tale.keygen, record, key_of("impostor").sign)
    reader.ledger.head(tale.keygen, wire_head(forged))
    assert "not signed by its coordinator" in _refusal(reader.ledger, tale.keygen)


# Who waits


@pytest.mark.asyncio
async def test_whoever_waits_is_woken_by_the_record(reader: Reader, tale: Tale) -> None:
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, lambda heard: heard.chain.offset >= 3 or None))
    await asyncio.sleep(0)
    reader.hear(tale.keygen, tale.wires(tale.keygen)[:3])
    assert await waiting is True


@pytest.mark.asyncio
async def test_whoever_waits_for_a_broken_session_is_told(reader: Reader, tale: Tale) -> None:
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, never))
    await asyncio.sleep(0)
    reader.hear(tale.keygen, tale.wires(tale.keygen)[1:2])
    with pytest.raises(ReadOnly):
        await waiting


@pytest.mark.asyncio
async def test_whoever_waits_for_a_client_that_stops_is_told(reader: Reader, tale: Tale) -> None:
    """Attack 20: nothing hangs."""
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, never))
    await asyncio.sleep(0)
    reader.ledger.stop(NotConnected("enough"))
    with pytest.raises(NotConnected, match="enough"):
        await waiting


@pytest.mark.asyncio
async def test_whoever_waits_for_a_session_that_is_refused_is_told(reader: Reader, tale: Tale) -> None:
    waiting = asyncio.create_task(reader.ledger.until(tale.keygen, never))
    await asyncio.sleep(0)
    reader.ledger.refuse(tale.keygen, Refused(Reason.SLOT_TAKEN, "slot 1 is taken"))
    with pytest.raises(Refused, match="slot 1 is taken"):
        await waiting


@pytest.mark.asyncio
async def test_records_are_followed_from_the_first(reader: Reader, tale: Tale) -> None:
    reader.hear(tale.keygen, tale.wires(tale.keygen)[:2])
    followed = reader.ledger.follow(tale.keygen)
    kinds = [(await anext(followed)).statement.payload.kind for _ in range(2)]
    reader.hear(tale.keygen, tale.wires(tale.keygen)[2:3])
    kinds.append((await anext(followed)).statement.payload.kind)
    assert kinds == ["keygen.create", "keygen.join", "keygen.join"] or kinds[2] == "custody.accept"


@pytest.mark.asyncio
async def test_a_watcher_sees_what_comes_from_now_on(reader: Reader, tale: Tale) -> None:
    reader.hear(tale.keygen, tale.wires(tale.keygen)[:2])
    watched = reader.ledger.watch()
    first = asyncio.ensure_future(anext(watched))
    await asyncio.sleep(0)
    reader.hear(tale.keygen, tale.wires(tale.keygen)[2:3])
    stream, record = await first
    assert (stream, record.offset) == (tale.keygen, 3)


def test_our_own_mistake_is_the_sessions_trouble_and_accuses_nobody(
    monkeypatch: pytest.MonkeyPatch, reader: Reader, tale: Tale
) -> None:
    lead_astray(monkeypatch)
    hear_all(reader)
    assert "cannot be followed by this version" in (reader.ledger.trouble(tale.keygen) or "")
    assert (reader.heard(tale.keygen), reader.heard(tale.signing)) == (1, 0)
    assert reader.wallet.evidence(tale.keygen) is None and reader.wallet.evidence(tale.signing) is None


@pytest.mark.parametrize("newer", [('"v":1', '"v":2'), ("keygen.join", "keygen.enter")], ids=["version", "kind"])
def test_a_record_of_a_later_version_needs_a_newer_keymeld_and_accuses_nobody(
    newer: tuple[str, str], reader: Reader, tale: Tale
) -> None:
    wires = tale.wires(tale.keygen)
    said = wires[1].statement
    changed = msgspec.structs.replace(said, payload=said.payload.replace(*newer))
    later = msgspec.structs.replace(wires[1], statement=changed)
    reader.hear(tale.keygen, [wires[0], later, *wires[2:]])
    assert "needs a newer version of Keymeld" in (reader.ledger.trouble(tale.keygen) or "")
    assert reader.heard(tale.keygen) == 1 and reader.wallet.evidence(tale.keygen) is None
    again = reader.again()
    assert again.ledger.trouble(tale.keygen) is None, "once it is updated, the session goes on"
    hear_all(again)
    assert again.heard(tale.keygen) == len(wires)
    again.wallet.close()

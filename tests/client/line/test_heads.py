"""Signed heads: which are believed and when, and how old the coordinator's latest word is."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keymeld_client.errors import ReadOnly
from keymeld_client.line.heads import PROVEN_AGAIN_MS, STORED_AGAIN_MS, Heads, answers
from keymeld_protocol.errors import BrokenLog, Fork
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Epoch, Hash, Salt, Signature
from keymeld_protocol.wire.connection import Subscribed
from keymeld_protocol.wire.frames import wire_head
from keymeld_protocol.wire.records import Head, sign_head
from tests.client.paper import Reader, Tale, spoilt_head
from tests.support.world import NOON

NONCE = Salt(b"\7" * 32)


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody who has heard the keygen."""
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        yield reader


@pytest.fixture
def heads(reader: Reader) -> Heads:
    """None yet."""
    return reader.ledger.heads


def heard_of(reader: Reader) -> Replay:
    heard = reader.ledger.replay(reader.tale.keygen)
    assert heard is not None
    return heard


def signed(tale: Tale, at: int, offset: int | None = None, nonce: Salt | None = None) -> Head:
    records = tale.world.logs[tale.keygen].records
    return sign_head(tale.keygen, records[(offset or len(records)) - 1], tale.world.coordinator.sign, at, nonce)


def test_its_own_time_is_its_age(reader: Reader, heads: Heads, tale: Tale) -> None:
    reader.time = NOON + 3_600_000
    heads.take(heard_of(reader), signed(tale, NOON + 600_000))
    assert heads.age_ms(tale.keygen) == 3_000_000


def test_one_that_was_signed_for_the_future_ages_from_when_it_came(reader: Reader, heads: Heads, tale: Tale) -> None:
    heads.take(heard_of(reader), signed(tale, NOON + 3_600_000))
    reader.time = NOON + 60_000
    assert heads.age_ms(tale.keygen) == 60_000


def test_an_older_one_never_takes_the_place_of_a_newer(reader: Reader, heads: Heads, tale: Tale) -> None:
    newest = signed(tale, NOON + 600_000)
    heads.take(heard_of(reader), newest)
    for older in (signed(tale, NOON + 500_000), signed(tale, NOON + 900_000, offset=2)):
        for pushed in (True, False):
            heads.take(heard_of(reader), older, pushed=pushed)
            heads.prove(heard_of(reader))
            assert heads.kept(tale.keygen) == newest


def test_one_that_is_pushed_and_agrees_is_verified_when_it_matters(reader: Reader, heads: Heads, tale: Tale) -> None:
    forged = replace(signed(tale, NOON), signature=Signature(bytes(64)))
    heads.take(heard_of(reader), forged, pushed=True)
    assert heads.kept(tale.keygen) is None and reader.ledger.trouble(tale.keygen) is None
    assert reader.ledger.head_age_ms(tale.keygen) is None
    assert "not signed by its coordinator" in (reader.ledger.trouble(tale.keygen) or "")


def test_one_that_is_pushed_and_disagrees_is_verified_at_once(reader: Reader, heads: Heads, tale: Tale) -> None:
    spoilt = spoilt_head(tale, tale.keygen, Hash(b"\7" * 32))
    with pytest.raises(BrokenLog, match="not signed"):
        heads.take(heard_of(reader), replace(spoilt, signature=Signature(bytes(64))), pushed=True)
    with pytest.raises(Fork, match="another history"):
        heads.take(heard_of(reader), spoilt, pushed=True)


def test_no_forged_one_displaces_for_long_what_was_not_verified(reader: Reader, heads: Heads, tale: Tale) -> None:
    """Who means to deny what he pushed pushes rubbish after it: no later than a second after, it shows."""
    heads.take(heard_of(reader), true := signed(tale, NOON), pushed=True)
    forged = [replace(signed(tale, NOON + later), signature=Signature(bytes(64))) for later in (1, 2)]
    heads.take(heard_of(reader), forged[0], pushed=True)
    assert heads.kept(tale.keygen) == true
    reader.time += PROVEN_AGAIN_MS
    with pytest.raises(BrokenLog, match="not signed"):
        heads.take(heard_of(reader), forged[1], pushed=True)


def test_nothing_is_said_in_a_stream_whose_latest_head_was_forged(reader: Reader, tale: Tale) -> None:
    forged = replace(signed(tale, NOON), signature=Signature(bytes(64)))
    reader.ledger.heads.take(heard_of(reader), forged, pushed=True)
    with pytest.raises(ReadOnly, match="not signed by its coordinator"):
        reader.ledger.require(tale.keygen)


def test_of_another_epoch_it_convicts_nobody(reader: Reader, heads: Heads, tale: Tale) -> None:
    record = replace(tale.world.logs[tale.keygen].records[1], epoch=Epoch(b"\7" * 16), hash=Hash(b"\7" * 32))
    with pytest.raises(BrokenLog, match="another epoch") as told:
        heads.take(heard_of(reader), sign_head(tale.keygen, record, tale.world.coordinator.sign), pushed=True)
    assert not isinstance(told.value, Fork)


def test_the_latest_is_stored_as_the_client_stops(reader: Reader, heads: Heads, tale: Tale) -> None:
    heads.take(heard_of(reader), signed(tale, NOON))
    for later in range(3):
        heads.take(heard_of(reader), signed(tale, NOON + STORED_AGAIN_MS + later), pushed=True)
    before = reader.wallet.stream(tale.keygen)[1]
    assert before is not None and before.at == NOON
    heads.prove(heard_of(reader))
    stored, kept = reader.wallet.stream(tale.keygen)[1], heads.kept(tale.keygen)
    assert (
        stored is not None and kept is not None and wire_head(kept) == stored and kept.at == NOON + STORED_AGAIN_MS + 2
    )


def test_the_same_record_is_stored_again_only_after_a_while(reader: Reader, heads: Heads, tale: Tale) -> None:
    stored = []
    for at in (NOON, NOON + 1000, NOON + 1000 + STORED_AGAIN_MS):
        heads.take(heard_of(reader), signed(tale, at))
        stored.append(reader.wallet.stream(tale.keygen)[1])
    times = [head.at if head is not None else None for head in stored]
    assert times[0] == times[1] != times[2]


def test_what_was_stored_is_not_stored_anew(reader: Reader, heads: Heads, tale: Tale) -> None:
    heads.take(heard_of(reader), signed(tale, NOON), stored=True)
    assert reader.wallet.stream(tale.keygen)[1] is None and heads.kept(tale.keygen) is not None


def test_an_answer_has_to_carry_the_nonce_that_was_given(tale: Tale) -> None:
    def told(head: Head | None, reason: str | None = None, top: int | None = None) -> Subscribed:
        length = len(tale.world.logs[tale.keygen].records) if top is None else top
        return Subscribed(length, True, reason, wire_head(head) if head is not None else None)

    fresh = signed(tale, NOON, nonce=NONCE)
    assert answers(told(fresh), NONCE) and answers(told(None), None)
    assert answers(told(None, "first_record_only"), NONCE)
    for head in (None, signed(tale, NOON), signed(tale, NOON, nonce=Salt(bytes(32)))):
        assert not answers(told(head), NONCE)
    assert not answers(told(fresh, top=99), NONCE)


def test_a_head_that_waits_is_forgotten_with_its_history(heads: Heads, reader: Reader, tale: Tale) -> None:
    """It came with the answer to a statement whose record a restored coordinator has lost."""
    heard = heard_of(reader)
    ahead = replace(signed(tale, NOON), offset=heard.chain.offset + 1)
    heads.take(heard, ahead)
    heads.forget(tale.keygen)
    heard.chain.hashes.append(Hash(bytes(32)))
    assert heads.waiting(heard) is None

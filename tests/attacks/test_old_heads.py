"""Attack 59: somebody replays an old head, and it looks fresh."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keymeld_protocol.errors import BrokenLog
from keymeld_protocol.values import Salt
from keymeld_protocol.wire.frames import wire_head
from keymeld_protocol.wire.records import Head, sign_head
from tests.client.paper import Reader, Tale
from tests.support.world import NOON

HOUR = 3_600_000


@pytest.fixture(scope="module")
def tale() -> Tale:
    """One signed session, only read."""
    return Tale()


@pytest.fixture
def reader(tale: Tale) -> Iterator[Reader]:
    """Somebody who has heard all of the keygen but its last record."""
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen, tale.wires(tale.keygen)[:-1])
        yield reader


def signed(tale: Tale, at: int, nonce: Salt | None = None) -> Head:
    """A head of what the reader has heard."""
    record = tale.world.logs[tale.keygen].records[-2]
    return sign_head(tale.keygen, record, tale.world.coordinator.sign, at, nonce)


def test_attack_59_an_old_head_that_comes_again_stays_as_old_as_it_is(reader: Reader, tale: Tale) -> None:
    """59: replays an old head, and it looks fresh."""
    old = wire_head(signed(tale, NOON))
    reader.ledger.head(tale.keygen, old)
    for hours in (1, 2):
        reader.time = NOON + hours * HOUR
        reader.ledger.head(tale.keygen, old)
        reader.ledger.head(tale.keygen, old, pushed=True)
        assert (reader.ledger.head_age_ms(tale.keygen) or 0) >= hours * HOUR - 60_000


def test_attack_59_whoever_asks_is_answered_by_no_head_that_was_signed_before(reader: Reader, tale: Tale) -> None:
    """59: and an answer without the hearer's nonce, or with another one, is none."""
    top = len(tale.wires(tale.keygen)) - 1
    for number, nonce in enumerate((None, Salt(b"\6" * 32))):
        fresh = Reader(tale)
        with fresh.closing():
            fresh.subscribed(tale.keygen)
            fresh.hear(tale.keygen, tale.wires(tale.keygen)[:-1])
            answer = fresh.answer(tale.keygen, top, head=wire_head(signed(tale, NOON + number, nonce)), recovered=True)
            fresh.ledger.subscribed(tale.keygen, answer, Salt(b"\7" * 32))
            assert "may be an old one" in (fresh.ledger.trouble(tale.keygen) or "")


def test_attack_59_nobody_gives_an_old_head_another_time_or_epoch(reader: Reader, tale: Tale) -> None:
    """59: time, nonce, epoch and offset are signed."""
    old, heard = signed(tale, NOON, Salt(b"\7" * 32)), reader.ledger.replay(tale.keygen)
    assert heard is not None
    for changed in (replace(old, at=old.at + HOUR), replace(old, nonce=Salt(b"\6" * 32)), replace(old, nonce=None)):
        with pytest.raises(BrokenLog, match="not signed"):
            heard.check_head(changed)


def test_attack_59_a_head_that_was_signed_for_tomorrow_is_not_fresh_until_then(reader: Reader, tale: Tale) -> None:
    """59: nor does a coordinator that signs ahead of time look fresh for longer."""
    reader.ledger.head(tale.keygen, wire_head(signed(tale, NOON + 24 * HOUR)))
    reader.time = NOON + HOUR
    assert reader.ledger.head_age_ms(tale.keygen) == HOUR

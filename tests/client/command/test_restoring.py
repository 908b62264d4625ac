"""command/restoring.py: what is told of seats that were found again; all of it is in `stories/test_restored.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keymeld_client.command.restoring import NOT_BACK, found
from keymeld_protocol.keys.derivation import Identity
from tests.client.paper import Reader, Tale
from tests.promises.desk import at_desk
from tests.support.world import Member, World


@pytest.fixture
def reader() -> Iterator[Reader]:
    """A wallet that has heard all of a keygen: alice opened it, and sits in slot 0 (none), Bob in slot 1 (self)."""
    tale = Tale()
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        yield reader


def told(reader: Reader, member: Member) -> str:
    """What is told to whoever has this member's identity."""
    reader.wallet.identity = Identity(member.identity.buffer)
    return "\n".join(str(line) for line in found(at_desk(reader).keygen(reader.tale.keygen)))


def test_every_seat_is_told_with_its_enclave_and_its_public_rule(reader: Reader) -> None:
    text = told(reader, reader.tale.bob)
    assert text.startswith(f"Found again: slot 1 of session {reader.tale.keygen.hex()[:12]} ")
    assert f"sealed to enclave {reader.tale.world.enclaves[0].key.hex()}" in text
    assert "self: your key signs nothing that you have not approved" in text and "Slot 0" not in text


def test_a_rule_that_asks_nobody_is_told_too(reader: Reader) -> None:
    assert "none: your key signs whatever another member requests" in told(reader, reader.tale.alice)


def test_who_sits_in_no_slot_of_what_he_opened_is_told_so() -> None:
    tale = Tale.__new__(Tale)
    tale.world, tale.alice = (world := World()), world.member("alice")
    tale.keygen = tale.alice.create(2).keygen
    with Reader(tale).closing() as reader:
        reader.subscribed(tale.keygen)
        reader.hear(tale.keygen)
        assert "Found again: as its creator, in no slot: session" in told(reader, tale.alice)


def test_what_does_not_come_back_is_said() -> None:
    text = " ".join(NOT_BACK)
    for word in ("cannot be read back", "brought along", "hides", "roster digits"):
        assert word in text

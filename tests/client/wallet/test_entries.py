"""entries.py: a keygen's secrets go into their file and come back; a damaged file is named, its secrets never are."""

import json
from typing import Any

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.entries import KeygenEntry, dump_entry, load_entry
from keymeld_protocol.curve.schnorr import Keypair
from keymeld_protocol.curve.secp256k1 import Secret
from keymeld_protocol.keys.derivation import slot_secret
from keymeld_protocol.values import Id, Salt
from tests.support.coordinator import secret_of

KEYGEN, URL = Id(secret_of("keygen")), "ws://127.0.0.1:8765"
S, OPEN, SLOT = (secret_of(word) for word in ("S", "open", "slot"))


def created() -> KeygenEntry:
    """What the creator of an open keygen remembers, who has joined slot 2 twice and slot 0."""
    first, second, other = (Id(secret_of(join)) for join in ("first", "second", "other"))
    return KeygenEntry(
        KEYGEN, URL, bytearray(S), Salt(secret_of("salt")), bytearray(OPEN), True, {}, {2: [first, second], 0: [other]},
        {2: [first]}, {0: [other]},
    )  # fmt: skip


def invited() -> KeygenEntry:
    """What somebody with the ticket of slot 1 remembers."""
    return KeygenEntry(KEYGEN, URL, bytearray(S), slot_secrets={1: bytearray(SLOT)})


@pytest.mark.parametrize("entry", [created(), invited(), KeygenEntry(KEYGEN, URL, bytearray(S))])
def test_what_is_written_is_read(entry: KeygenEntry) -> None:
    assert load_entry(dump_entry(entry), "a file") == entry


def test_no_secret_is_in_a_repr() -> None:
    told = repr(created()) + repr(invited())
    assert KEYGEN.hex() in told or "Id(" in told
    for secret in (S, OPEN, SLOT):
        assert secret.hex() not in told and repr(bytearray(secret)) not in told


def test_slots_are_those_joined_rising_and_only_the_creator_has_created() -> None:
    assert (created().slots, created().created) == ((0, 2), True)
    assert (invited().slots, invited().created) == ((), False)


def test_a_ticket_invites_to_its_slot_alone() -> None:
    entry = invited()
    assert [entry.invites(slot) for slot in range(3)] == [False, True, False]
    with Secret(SLOT) as secret:
        assert entry.invite(1).key == Keypair(secret).key
    with pytest.raises(WalletError, match="no ticket for slot 2"):
        entry.invite(2)


def test_the_open_secret_invites_to_every_slot_unless_a_ticket_says_otherwise() -> None:
    entry = created()
    with slot_secret(OPEN, 2) as secret:
        assert entry.invite(2).key == Keypair(secret).key
    entry.slot_secrets[2] = bytearray(SLOT)
    with Secret(SLOT) as secret:
        assert entry.invite(2).key == Keypair(secret).key


def damaged(**changes: Any) -> bytes:
    """The creator's file with some fields changed."""
    return json.dumps(json.loads(dump_entry(created())) | changes).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"[]", b"\xff\xfe", dump_entry(created())[:-1], damaged(group_secret=S.hex()[:-2]),
        damaged(group_secret="zz" * 32), damaged(open_secret=""), damaged(slot_secrets={"one": S.hex()}),
        damaged(slot_secrets={"1": S.hex() + "00"}), damaged(id="00"), damaged(surprise=1),
        damaged(joins={"x": []}), damaged(given_up={"1": ["00"]}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_nothing_in_it(raw: bytes) -> None:
    with pytest.raises(WalletError) as caught:
        load_entry(raw, "0123.json")
    assert str(caught.value) == "0123.json is damaged"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__

"""entries.py: a keygen's secrets go into their file and come back; a damaged file is named, its secrets never are."""

import json
from typing import Any

import pytest

from keymeld_client.errors import WalletError
from keymeld_client.wallet.entries import KeygenEntry, dump_entry, load_entry
from keymeld_protocol.values import Id
from tests.support.coordinator import secret_of

KEYGEN, URL = Id(secret_of("keygen")), "ws://127.0.0.1:8765"
S, OPEN, SLOT = (secret_of(word) for word in ("S", "open", "slot"))


def open_one() -> KeygenEntry:
    """What somebody with an open ticket remembers, who has joined slot 2 twice and slot 0."""
    first, second, other = (Id(secret_of(join)) for join in ("first", "second", "other"))
    joins = {2: [first, second], 0: [other]}
    return KeygenEntry(KEYGEN, URL, bytearray(S), bytearray(OPEN), {}, joins, {2: [first]}, {0: [other]})


def invited() -> KeygenEntry:
    """What somebody with the ticket of slot 1 remembers."""
    return KeygenEntry(KEYGEN, URL, bytearray(S), slot_secrets={1: bytearray(SLOT)})


@pytest.mark.parametrize("entry", [open_one(), invited(), KeygenEntry(KEYGEN, URL, bytearray(S))])
def test_what_is_written_is_read(entry: KeygenEntry) -> None:
    assert load_entry(dump_entry(entry), "a file") == entry


def test_no_secret_is_in_a_repr() -> None:
    told = repr(open_one()) + repr(invited())
    assert KEYGEN.hex() in told or "Id(" in told
    for secret in (S, OPEN, SLOT):
        assert secret.hex() not in told and repr(bytearray(secret)) not in told


def test_slots_are_those_joined_rising() -> None:
    assert (open_one().slots, invited().slots) == ((0, 2), ())


def test_what_follows_from_the_identity_and_the_log_stands_in_no_file() -> None:
    told = json.loads(dump_entry(open_one()))
    assert set(told) == {"v", "id", "url", "group_secret", "open_secret", "joins", "turned_away", "given_up"}


def damaged(**changes: Any) -> bytes:
    """Its file with some fields changed."""
    return json.dumps(json.loads(dump_entry(open_one())) | changes).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"[]", b"\xff\xfe", dump_entry(open_one())[:-1], damaged(group_secret=S.hex()[:-2]),
        damaged(group_secret="zz" * 32), damaged(open_secret=""), damaged(slot_secrets={"one": S.hex()}),
        damaged(slot_secrets={"1": S.hex() + "00"}), damaged(id="00"), damaged(surprise=1),
        damaged(joins={"x": []}), damaged(given_up={"1": ["00"]}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_and_nothing_in_it(raw: bytes) -> None:
    with pytest.raises(WalletError) as caught:
        load_entry(raw, "0123.json")
    assert str(caught.value) == "0123.json is damaged: move it away, and restore the session with a ticket of it"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__

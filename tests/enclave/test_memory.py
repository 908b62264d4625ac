"""memory.py: what is over is remembered until it cannot matter, and nobody else's doings push it out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keymeld_enclave.memory import Memory
from keymeld_protocol.errors import BrokenLog
from keymeld_protocol.machines.replay import Replay
from keymeld_protocol.values import Epoch, Id
from keymeld_protocol.wire.records import Position, Record
from keymeld_protocol.wire.shapes import CLOCKS_APART_MS, REQUEST_LIFE_MS
from tests.support.machines import EPOCH, HOUR, NOON, STRANGER, VAULT, Keygen, Signing, Stream, completed, xonly


class Remembering(Memory):
    """The vault's memory, with a clock moved by hand and few places."""

    def __init__(self, **places: int) -> None:
        self.time = NOON
        self.told: list[str] = []
        super().__init__(xonly(VAULT), lambda: self.time, self.told.append, **places)

    def take_of(self, keygen: Keygen, count: int) -> list[bool]:
        """Whether each of so many more signings of a keygen finds a place."""
        begin = len(self._held.get(keygen.stream, ()))
        return [self.take(keygen.stream, Id(bytes([begin + n]) * 32)) for n in range(count)]


def heard(stream: Stream, keygen: Replay | None = None) -> Replay:
    """A stream as the vault has verified it."""
    replay = Replay(stream.stream, keygen=keygen)
    for record in stream.records:
        replay.hear(record)
    return replay


def asked(keygen: Keygen, **fields: Any) -> tuple[Signing, Replay]:
    """A request to which Alice herself says no."""
    signing = Signing(keygen, **fields)
    signing.hear(signing.reject(0))
    return signing, heard(signing, heard(keygen))


def note(signing: Signing) -> Record:
    """A note that follows what is in the log."""
    signing.hear(signing.note(signing.keygen.auth(0)))
    return signing.records[-1]


@pytest.fixture
def memory() -> Remembering:
    return Remembering()


@pytest.fixture
def group() -> Keygen:
    return completed(2)


def closed(name: str = "group") -> Keygen:
    keygen = completed(2, name=name)
    for slot in (0, 1):
        keygen.hear(keygen.leave(slot), keygen.wiped(slot))
    return keygen


# How long ------------------------------------------------------------------------------------------------------------


def test_a_signing_that_is_over_is_remembered_until_it_expires_by_the_enclaves_own_clock(
    memory: Remembering, group: Keygen
) -> None:
    signing, replay = asked(group)
    assert memory.bury(replay) and memory.position(signing.stream) == Position(EPOCH, 2, signing.chain.hash)
    memory.time = signing.state.request.expires_at - 1
    assert signing.stream in memory
    memory.time += 1
    assert signing.stream not in memory and memory.position(signing.stream) is None
    assert not memory.is_over(signing.stream, signing.records[0])


def test_a_request_that_lives_too_long_to_be_signed_is_remembered_no_longer_than_any(
    memory: Remembering, group: Keygen
) -> None:
    memory.time -= 30 * 24 * HOUR
    signing, replay = asked(group)
    assert memory.bury(replay)
    memory.time += REQUEST_LIFE_MS + CLOCKS_APART_MS
    assert signing.stream not in memory


def test_what_expires_first_is_forgotten_first_whenever_it_was_over(memory: Remembering, group: Keygen) -> None:
    late, early = (asked(group, expires_at=NOON + hours * HOUR) for hours in (5, 2))
    assert memory.bury(late[1]) and memory.bury(early[1])
    memory.time += 3 * HOUR
    assert late[0].stream in memory and early[0].stream not in memory


def test_a_keygen_that_all_have_left_is_remembered_for_good(memory: Remembering) -> None:
    keygen = closed()
    assert memory.bury(heard(keygen))
    memory.time += 10**12
    assert keygen.stream in memory and not memory.take(keygen.stream, Id(bytes(32)))


def test_what_was_remembered_of_its_signings_makes_room(memory: Remembering, group: Keygen) -> None:
    memory = Remembering(own=1, common=1)
    others = completed(2, name="others")
    signings = [asked(group, by=slot) for slot in (0, 1)]
    assert all(memory.bury(replay) for _, replay in signings) and memory.take_of(others, 2) == [True, False]
    for slot in (0, 1):
        group.hear(group.leave(slot), group.wiped(slot))
    assert memory.bury(heard(group)) and memory.take_of(others, 2) == [True, False]
    assert signings[0][0].stream not in memory, "its keygen is remembered in its place"


def test_of_what_is_forgotten_early_nothing_is_left(memory: Remembering, group: Keygen) -> None:
    for number in range(70):
        assert memory.bury(asked(group, expires_at=NOON + HOUR + number)[1])
    for slot in (0, 1):
        group.hear(group.leave(slot), group.wiped(slot))
    assert memory.bury(heard(group)) and not memory._expiring and list(memory._over) == [group.stream]


def test_a_keygen_that_expired_is_remembered_until_then_by_the_enclaves_own_clock(memory: Remembering) -> None:
    keygen = Keygen(2).fill(0)
    keygen.hear(keygen.expired(), at=keygen.state.create.expires_at)
    memory.hold(keygen.stream)
    assert memory.bury(heard(keygen)) and keygen.stream in memory
    memory.time = keygen.state.create.expires_at
    assert keygen.stream not in memory


# Whose ---------------------------------------------------------------------------------------------------------------


def test_of_streams_in_which_no_key_is_ours_nothing_is_remembered(group: Keygen) -> None:
    memory, keygen = Remembering(), closed()
    memory._key = xonly(STRANGER)
    assert not memory.bury(heard(keygen)) and not memory.bury(asked(group)[1])
    assert not memory.bury(Replay(keygen.stream)) and keygen.stream not in memory


def test_a_keygen_that_expired_before_anything_of_it_was_accepted_is_not_remembered(memory: Remembering) -> None:
    keygen = Keygen(2)
    keygen.hear(keygen.join(0))
    keygen.hear(keygen.expired(), at=keygen.state.create.expires_at)
    assert not memory.bury(heard(keygen))


# Places --------------------------------------------------------------------------------------------------------------


def test_what_would_be_too_much_is_refused_and_nothing_forgotten(group: Keygen) -> None:
    memory, others = Remembering(own=1, common=1), completed(2, name="others")
    signing, replay = asked(group)
    assert memory.bury(replay)
    assert memory.take_of(others, 4) == [True, True, False, False]
    assert memory.take_of(group, 1) == [False] and not memory.bury(asked(group, by=1)[1])
    assert signing.stream in memory


def test_a_keygen_has_places_that_no_other_takes(group: Keygen) -> None:
    memory, others = Remembering(own=2, common=1), completed(2, name="others")
    assert memory.take_of(others, 9).count(True) == 3
    assert memory.take_of(group, 3) == [True, True, False]


def test_a_place_is_free_when_the_request_has_expired_and_not_before(group: Keygen) -> None:
    memory = Remembering(own=1, common=1)
    (signing, replay), _ = asked(group), memory.take_of(group, 1)
    assert memory.bury(replay) and memory.take_of(group, 1) == [False]
    memory.time = signing.state.request.expires_at
    assert memory.take_of(group, 2) == [True, False]


def test_what_has_a_place_keeps_it(group: Keygen) -> None:
    memory = Remembering(own=1, common=0)
    assert [memory.take(group.stream, Id(bytes(32))) for _ in range(2)] == [True, True]
    assert memory.take_of(group, 1) == [False]


def test_attack_54_however_many_keygens_close_none_is_forgotten_and_a_new_one_has_its_place() -> None:
    """54: strangers close keygen after keygen; those of longest ago are remembered as over, and no more than that."""
    memory, gone = Remembering(closed=1), [closed("first"), closed("second"), closed("third")]
    for keygen in gone:
        memory.hold(keygen.stream)
        assert memory.bury(heard(keygen))
    assert all(keygen.stream in memory for keygen in gone)
    assert [memory.position(keygen.stream) is not None for keygen in gone] == [False, False, True]
    assert all(memory.is_over(keygen.stream, keygen.records[0]) for keygen in gone)
    assert all(memory.is_over_at(keygen.stream, 1) for keygen in gone)
    fresh = completed(2, name="another")
    memory.hold(fresh.stream)
    assert fresh.stream not in memory and memory.take_of(fresh, 1) == [True]


# Told again ----------------------------------------------------------------------------------------------------------


def test_the_same_history_moves_nothing_and_is_no_fork(memory: Remembering, group: Keygen) -> None:
    signing, replay = asked(group)
    memory.bury(replay)
    assert memory.is_over(signing.stream, signing.records[-1]) and memory.is_over_at(signing.stream, 2)
    follows = note(signing)
    assert memory.is_over(signing.stream, follows) and memory.position(signing.stream) == follows.position
    note(signing)
    note_after_a_gap = note(signing)
    assert memory.is_over(signing.stream, note_after_a_gap) and memory.position(signing.stream) == follows.position
    assert memory.told == []


@pytest.mark.parametrize(
    ("offset", "field"), [(1, "at"), (1, "epoch"), (1, "hash"), (2, "at"), (2, "epoch"), (2, "hash"), (3, "hash")]
)
def test_another_history_is_a_fork_that_the_operator_is_told_once(
    memory: Remembering, group: Keygen, offset: int, field: str
) -> None:
    signing, replay = asked(group)
    memory.bury(replay)
    note(signing)
    chain, record = heard(signing, heard(group)).chain, signing.records[offset - 1]
    chain.truncate(offset - 1, NOON)
    lies = {
        "epoch": chain.next(Epoch(b"another epoch..."), NOON, record.statement),
        "at": chain.next(EPOCH, NOON + 1, record.statement),
        "hash": replace(record, hash=type(record.hash)(bytes(32))),
    }
    assert [memory.is_over(signing.stream, lies[field]) for _ in range(3)] == [True] * 3
    (told,) = memory.told
    assert signing.stream.hex() in told and "another history is not listened to" in told
    assert memory.position(signing.stream) == replay.chain.position


def test_a_stream_that_has_become_shorter_is_told_to_the_operator(memory: Remembering, group: Keygen) -> None:
    signing, replay = asked(group)
    memory.bury(replay)
    assert memory.is_over_at(signing.stream, 1) and len(memory.told) == 1
    assert not memory.is_over_at(Id(bytes(32)), 0)


def test_of_a_log_that_broke_the_operator_knows_already(memory: Remembering, group: Keygen) -> None:
    signing, replay = asked(group)
    with pytest.raises(BrokenLog):
        replay.hear(replace(note(signing), at=0))
    assert memory.bury(replay) and memory.is_over(signing.stream, signing.records[0]) and memory.told == []

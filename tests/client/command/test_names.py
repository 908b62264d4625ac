"""command/names.py: keys become people, learnt from what they said; whatever they call themselves is printable."""

from keymeld_client.command.names import SHORT, Names
from keymeld_protocol.values import XOnlyKey
from tests.support.build import xonly
from tests.support.machines import COORDINATOR, STRANGER, VAULT, Keygen, completed

LABELS = {0: "Alice", 1: "B\x1b[2Job"}


def names(stream: Keygen) -> Names:
    """The names of a keygen in which two have labels."""
    return Names.of(stream.state, lambda slot: LABELS.get(slot, ""))


def speaker(stream: Keygen, slot: int) -> XOnlyKey:
    """The key that speaks for a slot."""
    seat = stream.state.seats[slot]
    assert seat is not None
    return seat.join.by


def test_who_has_joined_is_called_by_his_slot_and_his_label() -> None:
    stream = completed(3)
    told = [names(stream).who(speaker(stream, slot)) for slot in range(3)]
    assert told[0] == 'slot 0 "Alice"' and told[2] == "slot 2"
    assert "\x1b" not in told[1] and told[1].startswith('slot 1 "B')


def test_roles_are_learnt_from_who_opened_it_and_where_keys_were_sealed() -> None:
    stream = completed(3)
    who = names(stream).who
    assert who(stream.state.create.by) == "the creator"
    assert who(xonly(COORDINATOR)) == "the coordinator"
    assert who(xonly(VAULT)) == f"enclave {VAULT.key.hex()[:SHORT]}"


def test_a_stranger_is_somebody_with_the_beginning_of_his_key() -> None:
    assert names(Keygen(2)).who(xonly(STRANGER)) == f"somebody ({STRANGER.key.hex()[:SHORT]})"


def test_a_creator_who_also_speaks_for_a_slot_is_called_by_the_slot() -> None:
    stream = Keygen(1)
    found = Names(slots={stream.state.create.by: 0})
    found.learn(stream.state.create)
    assert found.who(stream.state.create.by) == "slot 0"


def test_names_grow_with_what_is_said() -> None:
    stream = Keygen(2)
    found, join = names(stream), stream.join(0)
    assert found.who(join.payload.by).startswith("somebody")
    found.learn(join.payload)
    assert found.who(join.payload.by) == 'slot 0 "Alice"'


def test_several_slots_are_told_in_one_breath() -> None:
    found = Names(lambda slot: LABELS.get(slot, "") if slot == 0 else "")
    assert found.all(()) == "nobody"
    assert found.all((2,)) == "slot 2"
    assert found.all((0, 1, 2)) == 'slot 0 "Alice", slot 1 and slot 2'

"""Which machine moves which stream: by what opened it, and by its state."""

import pytest

from keymeld_protocol.errors import BadInput, Reason
from keymeld_protocol.machines import keygen, signing, wallet
from keymeld_protocol.machines.streams import MACHINES, OPENED_BY, as_keygen, as_signing, machine_of, step
from keymeld_protocol.wire.payloads import OPENERS
from keymeld_protocol.wire.records import Chain
from tests.support.logs import Scribe
from tests.support.machines import COORDINATOR, EPOCH, NOON, Keygen, Signing, completed, xonly

WALLET = wallet.opened(Scribe(EPOCH).open())


def test_every_kind_that_opens_a_stream_has_its_machine() -> None:
    assert set(OPENED_BY) == set(OPENERS)
    assert [machine.name for machine in MACHINES] == ["keygen", "signing", "wallet"]


def test_a_state_is_moved_by_the_machine_that_opened_it() -> None:
    asked = Signing(completed())
    assert machine_of(asked.keygen.state) is keygen.MACHINE
    assert machine_of(asked.state) is signing.MACHINE
    assert machine_of(WALLET) is wallet.MACHINE


def test_a_keygen_and_a_signing_are_given_as_what_they_are_and_as_nothing_else() -> None:
    asked = Signing(completed())
    group = asked.keygen.state
    assert as_keygen(group) is group and as_signing(asked.state) is asked.state
    assert [as_keygen(other) for other in (asked.state, WALLET, None)] == [None] * 3
    assert [as_signing(other) for other in (group, WALLET, None)] == [None] * 3


def test_a_stream_says_who_opened_it_whose_it_is_and_who_coordinates_it() -> None:
    asked = Signing(completed())
    group = asked.keygen.state
    assert (group.opener, group.parent, group.coordinator) == (group.create.by, None, xonly(COORDINATOR))
    assert (asked.state.opener, asked.state.parent) == (asked.state.request.by, group.stream)
    assert asked.state.coordinator == group.coordinator


def test_only_a_keygens_hearers_change() -> None:
    assert [machine.name for machine in MACHINES if not machine.state.hearers_stay] == ["keygen"]


def test_a_first_record_that_opens_nothing_is_refused() -> None:
    stream = Keygen(2)
    with pytest.raises(BadInput, match="a keygen begins with") as caught:
        step(None, Chain(stream.stream).next(EPOCH, NOON, stream.join(0)))
    assert (caught.value.reason, caught.value.field) == (Reason.UNKNOWN_STREAM, "kind")


def test_a_request_whose_keygen_is_none_opens_nothing() -> None:
    asked = Signing(completed())
    with pytest.raises(BadInput) as caught:
        step(None, asked.records[0], None)
    assert (caught.value.reason, caught.value.field) == (Reason.UNKNOWN_STREAM, "kind")

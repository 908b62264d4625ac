"""strangers.py: whether a key can be used without its owner by people whom he does not know."""

import pytest

from keymeld_client.said.choosing import NOTHING, Allow, Choice, policy_of
from keymeld_client.said.strangers import strangers
from keymeld_protocol.machines.keygen import KeygenState
from keymeld_protocol.wire.shapes import CustodyKind, Rule
from tests.support.machines import HOUR, NOON, Keygen
from tests.support.world import NONE, SELF, quorum

ONLY_0, ONLY_1, ONLY_2 = (Allow(requesters=(slot,)) for slot in range(3))
DELAYED = Rule(approval="quorum", threshold=2, of=(0, 1, 2), delay_ms=HOUR, not_after=NOON + HOUR)


def keygen(*, tickets: str = "open", ready: tuple[int, ...] = (), joined: tuple[int, ...] = ()) -> KeygenState:
    """Three slots with subsets (0, 1) and (2); some are ready, in some a join waits for its enclave."""
    stream = Keygen(3, subsets=((0, 1), (2,)), open=tickets == "open")
    for slot in (*ready, *joined):
        stream.hear(stream.join(slot))
    for slot in ready:
        stream.hear(stream.accept(slot))
    return stream.state


def found(
    rule: Rule, allow: Allow = NOTHING, *, own: tuple[int, ...] = (), custody: CustodyKind = "sealed",
    state: KeygenState | None = None,
) -> tuple[int, ...]:  # fmt: skip
    """By whom slot 0 could be used."""
    return strangers(state or keygen(), 0, custody, policy_of(Choice(rule=rule, allow=allow)), own)


@pytest.mark.parametrize(
    ("rule", "allow", "slots"),
    [
        (NONE, Allow(), (1, 2)),
        (NONE, ONLY_1, (1,)),
        (NONE, Allow(requesters=(0, 2)), (2,)),
        (quorum(2, 0, 1, 2), Allow(), (1, 2)),
        (quorum(1, 0, 1), Allow(), (1, 2)),
        (quorum(1, 1), Allow(), (1, 2)),
        (quorum(1, 1), ONLY_2, (1, 2)),
        (DELAYED, Allow(), (1, 2)),
        (quorum(1, 0, 1), Allow(alone=True, subsets=()), (1, 2)),
    ],
)
def test_free_slots_are_strangers(rule: Rule, allow: Allow, slots: tuple[int, ...]) -> None:
    assert found(rule, allow) == slots


@pytest.mark.parametrize(
    ("rule", "allow"),
    [
        (SELF, Allow()),
        (SELF, Allow(alone=True, alone_blind=True)),
        (quorum(3, 0, 1, 2), Allow()),
        (quorum(1, 0), Allow()),
        (NONE, ONLY_0),
        (quorum(2, 0, 1, 2), ONLY_0),
    ],
)
def test_what_needs_the_own_yes_is_nobody_elses(rule: Rule, allow: Allow) -> None:
    assert found(rule, allow) == ()


def test_a_slot_that_is_taken_is_a_strangers_until_it_is_named() -> None:
    taken = keygen(ready=(1, 2))
    assert found(quorum(2, 0, 1, 2), state=taken) == (1, 2)
    assert found(quorum(2, 0, 1, 2), Allow(requesters=(1, 2)), state=taken) == ()
    assert found(NONE, ONLY_1, state=taken) == ()


def test_a_named_one_who_asks_is_enough_even_where_strangers_may_approve() -> None:
    taken = keygen(ready=(1,))
    assert found(quorum(1, 2), ONLY_1, state=taken) == ()
    assert found(quorum(1, 2), Allow(requesters=(1, 2)), state=taken) == (2,)


def test_a_join_that_waits_for_its_enclave_is_still_anybodys_place() -> None:
    assert found(NONE, ONLY_1, state=keygen(joined=(1,))) == (1,)


def test_own_seats_are_known() -> None:
    assert found(quorum(2, 0, 1, 2), own=(1,)) == ()
    assert found(quorum(1, 0, 1, 2), own=(1,)) == (2,)
    assert found(NONE, own=(1, 2)) == ()


def test_who_was_handed_a_ticket_for_his_slot_is_no_stranger() -> None:
    for rule in (NONE, quorum(2, 0, 1, 2), quorum(1, 1)):
        assert found(rule, state=keygen(tickets="named")) == ()


def test_a_key_that_stays_on_its_device_is_used_by_nobody_else() -> None:
    assert found(NONE, custody="device") == ()

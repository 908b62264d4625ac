"""presigning.py: once psigs have begun to leave, a later attempt says nothing for an adaptor point."""

from __future__ import annotations

import pytest

from keymeld_protocol.errors import Blamed
from keymeld_protocol.member.attempt import Attempt
from keymeld_protocol.member.plan import plan
from keymeld_protocol.member.presigning import Presigning
from keymeld_protocol.plaintext.body import Adaptor, Body, SignMessage
from keymeld_protocol.values import Id, Message, PlainKey
from tests.support.coordinator import key_of
from tests.support.party import Party, party_of_one

LOCK = Adaptor(mode="single", points=(PlainKey(key_of("lock").point),))


@pytest.fixture(scope="module")
def party() -> Party:
    """A group at one enclave, only read."""
    return party_of_one()


def attempt(party: Party, number: int, *, locked: bool) -> Attempt:
    """An attempt for one message, locked or not."""
    items = (SignMessage(message=Message(b"m" * 32), adaptor=LOCK if locked else None),)
    roster = party.alice.roster(party.group)
    made = plan(Body(v=1, transactions=(), items=items, memo=""), roster)
    return Attempt(Id(bytes(32)), number, made.items, (), None, roster)


def after(*said: tuple[int, str]) -> Presigning:
    """What is known when these steps were said."""
    known = Presigning()
    for number, step in said:
        known.note(number, step)
    return known


def test_nonces_alone_lock_nothing_up(party: Party) -> None:
    after((1, "nonces"), (2, "nonces")).require_first(attempt(party, 3, locked=True))


@pytest.mark.parametrize("step", ["psigs", "both"])
def test_psigs_of_an_earlier_attempt_stop_every_point_of_a_later_one(party: Party, step: str) -> None:
    with pytest.raises(Blamed) as caught:
        after((1, step)).require_first(attempt(party, 2, locked=True))
    assert (caught.value.code, caught.value.slots) == ("presigned_before", ())


def test_the_first_attempt_with_psigs_is_the_one_that_counts(party: Party) -> None:
    known = after((2, "psigs"), (3, "psigs"))
    known.require_first(attempt(party, 2, locked=True))
    with pytest.raises(Blamed, match="attempt 2"):
        known.require_first(attempt(party, 3, locked=True))


def test_signatures_are_tried_again(party: Party) -> None:
    after((1, "psigs")).require_first(attempt(party, 2, locked=False))

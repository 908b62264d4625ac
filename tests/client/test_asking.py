"""What is asked for: every own input, every blind message, and nothing that cannot be signed."""

from collections.abc import Callable

import pytest

from keymeld_client.asking import make_body, requester
from keymeld_protocol.contents import SignInput, SignMessage
from keymeld_protocol.errors import BadInput, Refused
from keymeld_protocol.roster import Roster
from tests.client.coins import FOREIGN, payment
from tests.client.paper import Tale

MESSAGE = b"m" * 32


@pytest.fixture(scope="module")
def roster() -> Roster:
    """A group of two."""
    tale = Tale()
    return tale.alice.roster(tale.keygen)


def test_every_input_of_the_group_is_an_item(roster: Roster) -> None:
    unsigned = payment([(50_000, roster.script()), (60_000, FOREIGN), (70_000, roster.script())], 100_000)
    body = make_body(roster, [unsigned], [], "", None)
    assert [(i.transaction, i.input) for i in body.items if isinstance(i, SignInput)] == [(0, 0), (0, 2)]


def test_messages_follow_inputs(roster: Roster) -> None:
    body = make_body(roster, [payment([(50_000, roster.script())], 40_000)], [MESSAGE], "", None)
    assert [type(item) for item in body.items] == [SignInput, SignMessage]


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda roster: make_body(roster, [], [], "", None), "nothing to sign"),
        (lambda roster: make_body(roster, [], [b"short"], "", None), "messages\\[0\\]: must be 32 bytes"),
        (lambda roster: make_body(roster, [payment([(1, FOREIGN)], 1)], [], "", None), "spends nothing of this group"),
        (lambda roster: make_body(roster, [], [MESSAGE], "", 7), "has 0"),
    ],
)
def test_what_cannot_be_signed_is_refused(roster: Roster, ask: Callable[[Roster], object], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        ask(roster)


def test_only_a_member_that_is_needed_asks(roster: Roster) -> None:
    body = make_body(roster, [], [MESSAGE], "", None)
    assert requester(roster, body, [1]) == (1, (0, 1))
    with pytest.raises(Refused, match="whose slot is needed"):
        requester(roster, body, [])

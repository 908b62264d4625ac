"""What a person reads before saying yes: money that goes to fewer people than those who own it is not called change.

group {0, 1, 2} ── pays ──▶ subset {0} or {0, 1}       paid out, though the client knows the script as one of its own
subset {0, 1} ──── pays ──▶ subset {0, 1}, or the group      comes back
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from keymeld_client.said.asking import make_body
from keymeld_client.said.drafting import make_draft
from keymeld_client.shown.telling import lines_of_request
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.member.plan import plan_of
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import RawTransaction, SignInput, Spent, Transaction
from keymeld_protocol.plaintext.contents import Script
from keymeld_protocol.values import Id
from tests.client.coins import FOREIGN, payment
from tests.support.world import NONE, SELF, Member, World

SUBSETS = ((0,), (0, 1))


class Group:
    """Mallory and Eve, who also have keys of their own, and Carol, who reads what they ask for."""

    def __init__(self) -> None:
        self.world = World()
        self.mallory, self.eve, self.carol = (self.world.member(name) for name in ("mallory", "eve", "carol"))
        members = [self.mallory, self.eve, self.carol]
        self.keygen = self.world.gather(
            members, at=self.world.enclave("vault"), rule=[NONE, NONE, SELF], subsets=SUBSETS
        )

    @property
    def roster(self) -> Roster:
        """As Carol has verified it."""
        return self.carol.roster(self.keygen)

    def asked(self, inputs: Sequence[int | None], amount: int, script: bytes) -> list[str]:
        """What Carol is shown of a request by Mallory that spends 100,000 sat of each key list in ``inputs``."""
        raw, spent = payment([(100_000, self.roster.script(subset)) for subset in inputs], amount, script)
        return self.shown(raw, spent, *(SignInput(transaction=0, input=i, subset=s) for i, s in enumerate(inputs)))

    def shown(self, raw: bytes, spent: Sequence[tuple[int, bytes]], *items: SignInput) -> list[str]:
        """What Carol is shown of a request by Mallory for ``items`` of one transaction."""
        coins = tuple(Spent(amount=amount, script=Script(script)) for amount, script in spent)
        asked = Transaction(unsigned=RawTransaction(raw), spent=coins)
        signing = self.mallory.request(self.keygen, *items, transactions=(asked,))
        self.world.run()
        return self.told(self.carol, signing)

    def told(self, reader: Member, signing: Id) -> list[str]:
        """The lines of a request."""
        state, opening = reader.signing(signing), reader.heard(signing).records[0].statement
        return list(
            lines_of_request(state, plan_of(state, opening, self.roster, reader.groups[self.keygen]), self.roster)
        )


def line(told: list[str], word: str) -> str:
    """The one line that begins with ``word``."""
    (found,) = [line.strip() for line in told if line.strip().startswith(word)]
    return " ".join(found.split())


@pytest.mark.parametrize("subset", [0, 1])
def test_what_goes_from_the_group_to_a_subset_is_paid_out_and_not_change(subset: int) -> None:
    group = Group()
    told = group.asked([None], 99_000, group.roster.script(subset))
    assert group.roster.address(subset) in line(told, "Pays")
    assert not any("back to this group" in shown for shown in told)
    assert line(told, "Total") == "Total 0.00100000 BTC (100,000 sat) leaves this group"


def test_a_coin_of_the_subset_in_the_same_transaction_does_not_make_it_change() -> None:
    group = Group()
    told = group.asked([None, 1], 199_000, group.roster.script(1))
    assert not any("back to this group" in shown for shown in told)
    assert line(told, "Total") == "Total 0.00200000 BTC (200,000 sat) leaves this group"


@pytest.mark.parametrize("subset", [0, 1])
def test_what_goes_from_a_child_of_the_group_to_a_subset_is_paid_out_too(subset: int) -> None:
    group = Group()
    child = taproot_script(group.roster.child((0, 7)).output)
    raw, spent = payment([(100_000, child)], 99_000, group.roster.script(subset))
    told = group.shown(raw, spent, SignInput(transaction=0, input=0, tweaks=child_steps((0, 7))))
    assert group.roster.address(subset) in line(told, "Pays")
    assert "not this group's" not in line(told, "Spends")
    assert line(told, "Total") == "Total 0.00100000 BTC (100,000 sat) leaves this group"


@pytest.mark.parametrize(("paying", "paid"), [(None, None), (1, 1), (1, None)])
def test_what_comes_back_to_those_who_paid_is_change(paying: int | None, paid: int | None) -> None:
    group = Group()
    told = group.asked([paying], 99_000, group.roster.script(paid))
    assert "back to this group" in line(told, "Change")
    assert line(told, "Total") == "Total 0.00001000 BTC (1,000 sat) leaves this group"


@pytest.mark.parametrize(("path", "back"), [((1, 0), True), ((0, 19), True), ((1, 20), False), ((2, 0), False)])
def test_children_up_to_the_gap_limit_are_change_and_those_beyond_are_paid_out(
    path: tuple[int, int], back: bool
) -> None:
    group = Group()
    told = group.asked([None], 99_000, taproot_script(group.roster.child(path).output))
    assert any("back to this group" in shown for shown in told) == back


def test_a_child_of_a_subset_is_no_change_for_the_group() -> None:
    group = Group()
    told = group.asked([None], 99_000, taproot_script(group.roster.child((1, 0), 0).output))
    assert not any("back to this group" in shown for shown in told)


def test_an_input_that_spends_a_child_is_this_groups_although_no_item_signs_it() -> None:
    group = Group()
    child = taproot_script(group.roster.child((0, 7)).output)
    raw, spent = payment([(100_000, group.roster.script()), (50_000, child)], 149_000, group.roster.script(1))
    told = group.shown(raw, spent, SignInput(transaction=0, input=0))
    assert not any("not this group's" in shown for shown in told)
    assert line(told, "Total") == "Total 0.00150000 BTC (150,000 sat) leaves this group"


def test_a_payment_to_a_stranger_reads_as_before() -> None:
    group = Group()
    told = group.asked([None], 99_000, FOREIGN)
    assert line(told, "Pays").startswith("Pays 0.00099000 BTC (99,000 sat) to bcrt1p")


def test_who_asks_is_shown_the_same_as_who_approves() -> None:
    group = Group()
    body = make_body(group.roster, [payment([(100_000, group.roster.script())], 99_000, group.roster.script(0))])
    state = group.mallory.keygen(group.keygen)
    draft = make_draft(state, group.roster, [0], body, life_ms=None, grace_ms=0, now=group.world.now)
    assert group.roster.address(0) in line(list(draft.lines), "Pays")
    assert not any("back to this group" in found for found in draft.lines)
    asked = group.asked([None], 99_000, group.roster.script(0))
    assert asked[-len(draft.lines) :] == list(draft.lines) and len(asked) == len(draft.lines) + 2

"""plans.py: the latest plans are kept, up to a weight."""

from __future__ import annotations

from keymeld_protocol.member.plan import Impossible
from keymeld_protocol.member.plans import PLACE, Plans
from keymeld_protocol.values import Id

ONE, TWO, THREE = (Id(bytes([number]) * 32) for number in (1, 2, 3))


def items(places: int) -> tuple[Impossible, ...]:
    """Items with so many places together."""
    return tuple(Impossible((0,), "bad_tweak", "", (None,)) for _ in range(places))


def test_the_plan_that_was_unused_for_longest_goes_first() -> None:
    plans = Plans(4 * PLACE)
    plans.keep(ONE, items(2))
    plans.keep(TWO, items(2))
    assert plans.get(ONE) is not None
    plans.keep(THREE, items(1))
    assert (plans.get(ONE), plans.get(TWO)) == (items(2), None) or plans.get(TWO) is None
    assert len(plans) == 2


def test_one_that_weighs_more_than_all_may_is_not_kept() -> None:
    plans = Plans(PLACE)
    plans.keep(ONE, items(2))
    assert plans.get(ONE) is None and len(plans) == 0


def test_what_is_dropped_or_kept_anew_weighs_nothing_more() -> None:
    plans = Plans(3 * PLACE)
    for _ in range(5):
        plans.keep(ONE, items(2))
    plans.keep(TWO, items(1))
    assert len(plans) == 2
    plans.drop(ONE)
    plans.drop(ONE)
    plans.keep(THREE, items(2))
    assert plans.get(TWO) is not None and len(plans) == 2

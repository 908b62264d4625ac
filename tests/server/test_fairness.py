"""fairness.py: who has had least goes first, a new peer before a crowd, and nobody waits while nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from keymeld_server.fairness import LOOP_S, Account, Fairness, Purse
from tests.support.serving import until

pytestmark = pytest.mark.asyncio
LOOP_US = 1e6 * LOOP_S


class Clock:
    """A clock that goes on only by work."""

    def __init__(self) -> None:
        """At nothing."""
        self.now = 0.0

    def __call__(self) -> float:
        """What it shows (s)."""
        return self.now

    def work(self, cost: float, then: Callable[[], object] = lambda: None) -> Callable[[], None]:
        """Work that takes ``cost`` µs."""

        def done() -> None:
            self.now += cost / 1e6
            then()

        return done


@pytest.fixture
def clock() -> Clock:
    """At nothing."""
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Fairness:
    """Nobody waits."""
    return Fairness(clock)


def spend(turns: Fairness, clock: Clock) -> None:
    """This turn of the loop has no time left."""
    turns.charge(Account(turns), LOOP_US)
    clock.now += LOOP_S
    assert not turns.free(Account(turns))


async def test_while_nobody_waits_a_turn_comes_at_once(turns: Fairness) -> None:
    account = Account(turns)
    assert turns.free(account)
    await turns.turn(account, 100)
    assert account.had == 100 and turns.free(account)


async def test_what_does_not_fit_in_a_turn_of_the_loop_comes_in_the_next(turns: Fairness, clock: Clock) -> None:
    spend(turns, clock)
    done: list[int] = []
    for number in range(4):
        turns.ask(Account(turns), 0, clock.work(LOOP_US / 2, lambda n=number: done.append(n)))  # type: ignore[misc]
    assert done == [] and len(turns) == 4
    seen = [0]
    while len(turns):
        await asyncio.sleep(0)
        seen.append(len(done))
    assert seen[-1] == 4 and max(later - earlier for earlier, later in pairwise(seen)) == 2


async def test_one_more_peer_is_served_before_all_who_have_had_more(turns: Fairness, clock: Clock) -> None:
    spend(turns, clock)
    order: list[str] = []

    def again(account: Account) -> None:
        order.append("greedy")
        turns.ask(account, LOOP_US / 4, clock.work(LOOP_US / 4, lambda: again(account)))

    for _ in range(50):
        again(Account(turns))
    await until(lambda: len(order) >= 200)
    order.clear()
    await turns.turn(Account(turns), 10)
    assert len(order) <= 8, "one turn of the loop, or two"


async def test_those_of_one_address_share(turns: Fairness, clock: Clock) -> None:
    spend(turns, clock)
    had = {"crowd": 0, "alone": 0}

    def again(name: str, account: Account) -> None:
        had[name] += 1
        turns.ask(account, 100, clock.work(100, lambda: again(name, account)))

    for _ in range(4):
        again("crowd", Account(turns, lambda: 4))
    again("alone", Account(turns))
    await until(lambda: sum(had.values()) >= 400)
    assert had["alone"] == pytest.approx(had["crowd"], rel=0.1)


async def test_who_was_idle_has_saved_nothing_up(turns: Fairness, clock: Clock) -> None:
    idle, busy = Account(turns), Account(turns)
    for _ in range(100):
        turns.charge(busy, 1_000)
    spend(turns, clock)
    had: list[str] = []

    def again(name: str, account: Account) -> None:
        had.append(name)
        turns.ask(account, 1_000, clock.work(1_000, lambda: again(name, account)))

    again("idle", idle)
    again("busy", busy)
    await until(lambda: len(had) >= 40)
    assert 15 <= had[:40].count("busy") <= 25


async def test_who_waits_no_longer_is_passed_over(turns: Fairness, clock: Clock) -> None:
    spend(turns, clock)
    for _ in range(3):
        turns.ask(Account(turns), 0, clock.work(LOOP_US))
    waiting = asyncio.create_task(turns.turn(Account(turns), 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await turns.turn(Account(turns), 1)
    assert waiting.cancelled() and len(turns) == 0


# Purses


async def test_an_empty_purse_fills_again_and_holds_what_was_not_used_for_two_seconds(clock: Clock) -> None:
    purse = Purse(200, clock)
    purse.pay(400_000)
    assert purse.wait_s == 0
    purse.pay(100_000)
    assert purse.wait_s == pytest.approx(0.5)
    clock.now += 0.5
    assert purse.wait_s == 0
    clock.now += 1_000
    purse.pay(500_000)
    assert purse.wait_s == pytest.approx(0.5), "no more than two seconds' worth"


async def test_whoever_has_spent_all_waits_though_nobody_else_does(turns: Fairness, clock: Clock) -> None:
    account = Account(turns, purse=(spent := Purse(1_000, clock)))
    spent.pay(2_001_000)
    assert not turns.free(account) and account.wait_s == pytest.approx(1e-3)
    waiting = asyncio.create_task(turns.turn(account, 1))
    await asyncio.sleep(0)
    assert not waiting.done() and len(turns) == 0
    clock.now += 1
    await waiting


async def test_an_account_of_nobody_only_adds_up() -> None:
    account = Account()
    account.charge(7)
    assert account.had == 7 and account.wait_s == 0

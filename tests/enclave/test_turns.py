"""turns.py: whose turn it is, by what everybody has used; no clock but the one that is handed in."""

from __future__ import annotations

from keymeld_enclave.turns import OWED_MS, SLOWER, Turns
from keymeld_protocol.values import Id

OURS, THEIRS = Id(bytes([1]) * 32), Id(bytes([2]) * 32)


def strangers(count: int) -> list[Id]:
    """Keygens that nobody knows."""
    return [Id(bytes([9, number]) * 16) for number in range(count)]


def served(turns: Turns[str], cost: dict[str, float] | None = None, now: int = 0) -> list[str]:
    """All that waits, in the order of service; each charged with its cost, or nothing."""
    found = []
    while (turn := turns.take()) is not None:
        keygen, job = turn
        found.append(job)
        turns.charge(keygen, (cost or {}).get(job, 0), now)
    return found


def test_one_keygens_jobs_keep_their_order_whatever_they_cost() -> None:
    turns: Turns[str] = Turns()
    for job, cost in (("a", 300.0), ("b", 1.0), ("c", 50.0)):
        turns.add(OURS, job, 0, cost)
    assert len(turns) == 3
    assert served(turns, {"a": 300}) == ["a", "b", "c"]
    assert (len(turns), turns.take(), turns.cost) == (0, None, 0)


def test_attack_62_what_is_small_is_served_before_what_is_costly() -> None:
    """62: however many strangers ask for much, who asks for little goes first."""
    turns: Turns[str] = Turns()
    for number, stranger in enumerate(strangers(50)):
        turns.add(stranger, f"costly {number}", 0, 300)
    turns.add(OURS, "small", 10, 0.5)
    assert (turns.cost, served(turns)[0]) == (0.5, "small")


def test_attack_62_who_has_used_much_waits_for_those_who_have_not() -> None:
    """62: a keygen's next job comes when its last would have finished at its own pace."""
    turns: Turns[str] = Turns()
    turns.add(THEIRS, "theirs", 0, 1)
    served(turns, {"theirs": 300})
    turns.add(THEIRS, "theirs again", 1, 1)
    for number in range(5):
        turns.add(OURS, f"ours {number}", 1, 1)
    assert served(turns) == [*(f"ours {number}" for number in range(5)), "theirs again"]


def test_what_a_keygen_has_used_is_worn_off_with_time() -> None:
    turns: Turns[str] = Turns()
    turns.add(THEIRS, "theirs", 0, 1)
    served(turns, {"theirs": 300})
    now = 300 * SLOWER
    turns.add(THEIRS, "theirs again", now, 1)
    turns.add(OURS, "ours", now + 1, 1)
    assert served(turns, now=now) == ["theirs again", "ours"]


def test_attack_62_who_has_worked_for_long_while_nobody_waited_is_not_kept_waiting_for_it() -> None:
    """62: strangers who begin when a busy group has worked for an hour hold it up for no more than seconds."""
    turns: Turns[str] = Turns()
    now = 0
    while now < 3_600_000:
        turns.add(OURS, "ours", now, 100)
        served(turns)
        now += 100
        turns.charge(OURS, 100, now)
    turns.add(OURS, "ours again", now, 1)
    came, job = now, ""
    while job != "ours again":
        for stranger in strangers(20):
            if not turns.waits(stranger):
                turns.add(stranger, "theirs", now, 200)
        turn = turns.take()
        assert turn is not None
        job = turn[1]
        now += 200
        turns.charge(turn[0], 200, now)
    assert now - came <= OWED_MS


def test_what_is_costly_comes_in_the_end_however_many_small_ones_come_after_it() -> None:
    turns: Turns[str] = Turns()
    turns.add(THEIRS, "costly", 0, 100)
    order = []
    for now in range(0, 2 * 100 * SLOWER, 10):
        turns.add(OURS, "small", now, 0.5)
        turn = turns.take()
        assert turn is not None
        order.append(turn[1])
        turns.charge(turn[0], 0.5, now)
    assert "costly" in order


def test_alone_a_keygen_gets_all_there_is() -> None:
    turns: Turns[str] = Turns()
    for number in range(100):
        turns.add(OURS, f"{number}", 0, 50)
    assert served(turns, {f"{number}": 50 for number in range(100)}) == [f"{number}" for number in range(100)]


def test_two_who_use_alike_take_turns() -> None:
    turns: Turns[str] = Turns()
    for number in range(3):
        turns.add(OURS, f"ours {number}", 0, 10)
        turns.add(THEIRS, f"theirs {number}", 0, 10)
    order = served(turns, {f"{who} {number}": 10 for who in ("ours", "theirs") for number in range(3)})
    assert [job.split()[0] for job in order] == ["ours", "theirs"] * 3


def test_where_too_much_waits_whoever_has_most_in_line_has_to_go() -> None:
    turns: Turns[str] = Turns(most=100)
    turns.add(OURS, "ours", 0, 1, size=20)
    for number in range(4):
        turns.add(THEIRS, f"theirs {number}", 0, 1, size=20)
    assert (turns.overfull(), turns.has_room) == ([], False)
    turns.add(OURS, "ours too", 0, 1, size=1)
    assert turns.overfull() == [f"theirs {number}" for number in range(4)]
    assert [turns.waits(keygen) for keygen in (OURS, THEIRS)] == [True, False]
    assert served(turns) == ["ours", "ours too"]


def test_what_was_owed_by_many_who_have_gone_is_forgotten_once_it_is_paid() -> None:
    turns: Turns[str] = Turns()
    for number in range(2_000):
        turns.add(Id(number.to_bytes(32, "big")), "job", 0, 1)
    served(turns, {"job": 1}, now=100 * SLOWER)
    turns.add(OURS, "ours", 10**6, 1)
    served(turns, now=10**6)
    assert len(turns._owed) < 2_000

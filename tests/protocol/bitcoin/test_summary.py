"""summary.py: what a person reads before saying yes."""

import pytest

from examples.helpers.regtest import Coin, transaction
from keymeld_protocol.bitcoin.summary import Summary, amount_text
from keymeld_protocol.bitcoin.transaction import Spend, address_of

OURS = b"\x51\x20" + b"\x11" * 32
THEIRS = b"\x00\x14" + b"\x22" * 20


def summary(
    coins: list[tuple[int, bytes]], outputs: list[tuple[int, bytes]], lock: int = 0, sequence: int = 0xFFFFFFFD
) -> Summary:
    """Summarize, on regtest, a payment of which `OURS` is the group's own script."""
    inputs = [Coin(bytes([i + 1]) * 32, i, amount, script) for i, (amount, script) in enumerate(coins)]
    return Spend(transaction(inputs, outputs, lock=lock, sequence=sequence), coins).summary("regtest", {OURS})


def test_a_payment_with_change_reads_like_this() -> None:
    ours, theirs = address_of(OURS, "regtest"), address_of(THEIRS, "regtest")
    told = summary([(70_000_000, OURS), (30_000_000, OURS)], [(40_000_000, THEIRS), (59_990_000, OURS)]).lines()
    assert told == [
        f"Spends  1.00000000 BTC (100,000,000 sat)  from {ours}  (2 inputs)",
        f"Pays     0.40000000 BTC (40,000,000 sat)  to {theirs}",
        f"Change   0.59990000 BTC (59,990,000 sat)  to {ours}  (back to this group)",
        "Fee          0.00010000 BTC (10,000 sat)  to the miner",
        "Total    0.40010000 BTC (40,010,000 sat)  leaves this group",
    ]


def test_amounts_are_told_apart_by_whose_they_are() -> None:
    told = summary([(1000, OURS), (500, THEIRS)], [(700, THEIRS), (600, OURS)])
    assert (told.spent, told.fee) == (400, 200)
    assert [coin.own for coin in (*told.inputs, *told.outputs)] == [True, False, False, True]


def test_an_input_of_somebody_else_says_so() -> None:
    assert summary([(1000, OURS), (500, THEIRS)], [(700, THEIRS)]).lines()[1].endswith("(not this group's)")


def test_a_group_that_gains_is_told_so() -> None:
    told = summary([(1000, THEIRS)], [(900, OURS)])
    assert told.spent == -900
    assert told.lines()[-1] == "Total     0.00000900 BTC (900 sat)  comes to this group"


def test_no_output_is_left_out_or_joined_with_another() -> None:
    told = summary([(1000, OURS)], [(100, THEIRS), (100, THEIRS), (0, b"\x6a\x02hi")]).lines()
    assert [line.split()[0] for line in told] == ["Spends", "Pays", "Pays", "Pays", "Fee", "Total"]
    assert told[3].endswith("to script 6a026869")


@pytest.mark.parametrize(
    ("lock", "moment"),
    [(850_000, "block 850,001"), (499_999_999, "block 500,000,000"), (500_000_000, "1985-11-05 00:53 UTC")],
)
def test_a_lock_time_is_said_in_words(lock: int, moment: str) -> None:
    assert summary([(1000, OURS)], [(900, THEIRS)], lock).lines()[-1] == f"Cannot be mined before {moment}"


def test_a_lock_time_that_final_inputs_disable_is_not_mentioned() -> None:
    assert summary([(1000, OURS)], [(900, THEIRS)], 850_000, sequence=0xFFFFFFFF).lock == 0


@pytest.mark.parametrize(
    ("sat", "text"),
    [
        (0, "0.00000000 BTC (0 sat)"),
        (1, "0.00000001 BTC (1 sat)"),
        (2_100_000_000_000_000, "21,000,000.00000000 BTC (2,100,000,000,000,000 sat)"),
    ],
)
def test_an_amount_is_written_in_both_units(sat: int, text: str) -> None:
    assert amount_text(sat) == text

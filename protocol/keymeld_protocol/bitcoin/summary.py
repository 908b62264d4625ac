"""What a transaction does, in words and amounts that a person can approve.

    Spends   1.00000000 BTC (100,000,000 sat)  from bcrt1p0lk…  (2 inputs)
    Pays      0.40000000 BTC (40,000,000 sat)  to bcrt1qxyz…
    Change    0.59990000 BTC (59,990,000 sat)  to bcrt1p0lk…  (back to this group)
    Fee           0.00010000 BTC (10,000 sat)  to the miner
    Total     0.40010000 BTC (40,010,000 sat)  leaves this group

`Spend.summary` in transaction.py makes it from exactly what is signed; a policy judges the same value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

_LOCK_IS_TIME: Final = 500_000_000


class Coin(NamedTuple):
    """An output, spent or to be made, as a person knows it; ``own`` says that the group holds its key."""

    amount: int
    script: bytes
    address: str
    own: bool


@dataclass(frozen=True)
class Summary:
    """Who pays and who gets what; amounts are satoshi.

    ``lock`` is the height, or from 500,000,000 on the Unix time, up to which it cannot be mined; 0 if it can at once.
    """

    inputs: tuple[Coin, ...]
    outputs: tuple[Coin, ...]
    lock: int

    @property
    def fee(self) -> int:
        """Inputs − outputs: what the miner gets."""
        return _worth(self.inputs) - _worth(self.outputs)

    @property
    def spent(self) -> int:
        """Own inputs − own outputs (§10.2): what leaves the group, fee included; negative if it gains."""
        return _worth(coin for coin in self.inputs if coin.own) - _worth(coin for coin in self.outputs if coin.own)

    def lines(self) -> list[str]:
        """Tell it in lines of text: inputs by address, every output in order, the fee, and what leaves the group."""
        leaves = "leaves this group" if self.spent >= 0 else "comes to this group"
        rows = [
            *_sources(self.inputs),
            *(_target(coin) for coin in self.outputs),
            ("Fee", self.fee, "to the miner"),
            ("Total", abs(self.spent), leaves),
        ]
        width = max(len(amount_text(sat)) for _, sat, _ in rows)
        told = [f"{label:<6}  {amount_text(sat):>{width}}  {rest}" for label, sat, rest in rows]
        return told + ([f"Cannot be mined before {_moment(self.lock)}"] if self.lock else [])


def amount_text(sat: int) -> str:
    """Write an amount of at least 0 in both units: ``0.00010000 BTC (10,000 sat)``."""
    return f"{sat // 10**8:,}.{sat % 10**8:08d} BTC ({sat:,} sat)"


def _worth(coins: Iterable[Coin]) -> int:
    """Add up amounts, in satoshi."""
    return sum(coin.amount for coin in coins)


def _sources(inputs: Iterable[Coin]) -> Iterable[tuple[str, int, str]]:
    """Tell the inputs, those of one script together; one that is not the group's says so."""
    groups: dict[bytes, list[Coin]] = defaultdict(list)
    for coin in inputs:
        groups[coin.script].append(coin)
    for coins in groups.values():
        many = f"  ({len(coins)} inputs)" if len(coins) > 1 else ""
        foreign = "" if coins[0].own else "  (not this group's)"
        yield "Spends", _worth(coins), f"from {coins[0].address}{many}{foreign}"


def _target(coin: Coin) -> tuple[str, int, str]:
    """Tell one output; change is what comes back to the group."""
    if coin.own:
        return "Change", coin.amount, f"to {coin.address}  (back to this group)"
    return "Pays", coin.amount, f"to {coin.address}"


def _moment(lock: int) -> str:
    """Say in words when a lock time opens: the first block, or the minute, that may hold the transaction."""
    if lock < _LOCK_IS_TIME:
        return f"block {lock + 1:,}"
    return f"{datetime.fromtimestamp(lock, UTC):%Y-%m-%d %H:%M} UTC"

"""Twenty coins in one request: one transaction, twenty inputs, twenty signatures, no person online but one.

    Alice ── one signing.request, 20 items ──▶ coordinator ──▶ enclaves 1 and 2
          ◀── one contribution each, 20 values; 20 signatures, each verified here

Ten coins lie at the group's address, ten at receive addresses 0…9 of its synthetic xpub (BIP-328).
Consensus code judges.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file: the folder above this one holds the package `examples`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.helpers.gathering import gather, gone, people_of
from examples.helpers.house import House
from examples.helpers.minutes import Minutes
from examples.helpers.people import Person
from examples.helpers.regtest import Coin, Regtest, transaction
from keymeld_client.keygens import Keygen
from keymeld_protocol.bitcoin.transaction import taproot_script
from keymeld_protocol.bitcoin.tweaks import child_steps
from keymeld_protocol.member.roster import Roster
from keymeld_protocol.plaintext.body import Body, RawTransaction, SignInput, Spent, Transaction
from keymeld_protocol.plaintext.contents import Script

COINS: Final = 20
FEE: Final = 10_000


def scripts_of(roster: Roster) -> list[bytes]:
    """Ten times the group's own script, then those of its receive addresses."""
    children = [taproot_script(roster.child((0, n)).output) for n in range(COINS // 2)]
    return [roster.script()] * (COINS - len(children)) + children


def body_of(roster: Roster, coins: list[Coin]) -> Body:
    """One transaction that sweeps all coins to change address 0; an item for each of them."""
    change = taproot_script(roster.child((1, 0)).output)
    unsigned = transaction(coins, [(sum(coin.amount for coin in coins) - FEE, change)])
    spent = tuple(Spent(amount=coin.amount, script=Script(coin.script)) for coin in coins)
    items = [SignInput(transaction=0, input=i, tweaks=None) for i in range(COINS // 2)]
    items += [
        SignInput(transaction=0, input=COINS // 2 + n, tweaks=child_steps((0, n))) for n in range(COINS - len(items))
    ]
    swept = Transaction(unsigned=RawTransaction(unsigned), spent=spent)
    return Body(v=1, transactions=(swept,), items=tuple(items), memo="sweep")


async def sweep(minutes: Minutes, keygen: Keygen, chain: Regtest) -> None:
    """Fund, ask once, take the transaction, let the chain decide."""
    coins = [chain.fund(script) for script in scripts_of(keygen.roster)]
    minutes.says("The chain", f"pays {COINS} coins: half to {keygen.address[:20]}…, half to its receive addresses")
    minutes.notes(keygen.roster.xpub())
    signing = await keygen.request(body=body_of(keygen.roster, coins))
    minutes.says("Alice", f"asks once, for {COINS} signatures")
    signatures = await signing.signatures()
    (signed,) = await signing.transactions()
    minutes.says("Alice", f"has verified {len(signatures)} signatures and put them into one transaction")
    if not chain.mine(signed):
        raise AssertionError("the chain refused what the group signed")
    minutes.says("The chain", f"accepts the transaction in block {chain.height}")


async def tell(minutes: Minutes) -> None:
    """The whole story, in a house of its own."""
    minutes.opens("Twenty inputs in one request")
    async with House(enclaves=2) as house:
        people: list[Person] = people_of(house, ("Alice", "Bob"))
        try:
            keygen = await gather(people)
            await gone(people[1:])
            with Regtest() as chain:
                await sweep(minutes, keygen, chain)
        finally:
            await gone(people)
    minutes.ends()


if __name__ == "__main__":
    asyncio.run(tell(Minutes()))
